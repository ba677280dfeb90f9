"""What is watched for each backend that keeps its attempts as resources of a cluster."""

from __future__ import annotations

from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.runner.backends.kubernetes.names import applications_path
from airflow_dcp_provider.runner.backends.kubernetes.states import operator_states
from airflow_dcp_provider.runner.backends.kubernetes.watch_values import Applications


def kubeflow_applications(namespace: str) -> Applications:
    """Return the Kubeflow operator's applications of one namespace."""
    return Applications(
        applications_path(namespace),
        ended=operator_states(ExecutionState.SUCCEEDED, ExecutionState.FAILED),
        unstarted=operator_states(ExecutionState.SUBMITTED, ExecutionState.PENDING),
    )
