"""What is watched for each backend that keeps its attempts as resources of a cluster."""

from __future__ import annotations

from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.runner.backends.kubernetes import apache_states
from airflow_dcp_provider.runner.backends.kubernetes.names import APACHE_GROUP_VERSION, applications_path
from airflow_dcp_provider.runner.backends.kubernetes.states import operator_states
from airflow_dcp_provider.runner.backends.kubernetes.watch_values import Applications


def applications_of(backend: str, namespace: str) -> Applications:
    """Return what is watched in a namespace for a backend."""
    return apache_applications(namespace) if backend == "apache" else kubeflow_applications(namespace)


def apache_applications(namespace: str) -> Applications:
    """Return the Apache operator's applications of one namespace; empty is the state of one that it has not seen."""
    return Applications(
        applications_path(namespace, group_version=APACHE_GROUP_VERSION),
        ended=apache_states.operator_states(ExecutionState.SUCCEEDED, ExecutionState.FAILED),
        unstarted=apache_states.operator_states(ExecutionState.SUBMITTED, ExecutionState.PENDING) | {""},
    )


def kubeflow_applications(namespace: str) -> Applications:
    """Return the Kubeflow operator's applications of one namespace."""
    return Applications(
        applications_path(namespace),
        ended=operator_states(ExecutionState.SUCCEEDED, ExecutionState.FAILED),
        unstarted=operator_states(ExecutionState.SUBMITTED, ExecutionState.PENDING),
    )
