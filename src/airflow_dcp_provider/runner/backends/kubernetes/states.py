"""What a SparkApplication's own state means. Pure functions; only COMPLETED and FAILED are ends (``Kubeflow v1beta2 states``).

SUBMISSION_FAILED, FAILING and PENDING_RERUN look like ends and are none: the operator goes on from each of them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.runner.backends.kubernetes import apache_states

_STATES = {
    "": ExecutionState.SUBMITTED,
    "NEW": ExecutionState.SUBMITTED,
    "SUBMITTED": ExecutionState.PENDING,
    "SUBMISSION_FAILED": ExecutionState.PENDING,
    "PENDING_RERUN": ExecutionState.PENDING,
    "INVALIDATING": ExecutionState.PENDING,
    "SUSPENDING": ExecutionState.PENDING,
    "SUSPENDED": ExecutionState.PENDING,
    "RESUMING": ExecutionState.PENDING,
    "RUNNING": ExecutionState.RUNNING,
    "SUCCEEDING": ExecutionState.RUNNING,
    "FAILING": ExecutionState.RUNNING,
    "COMPLETED": ExecutionState.SUCCEEDED,
    "FAILED": ExecutionState.FAILED,
    "UNKNOWN": ExecutionState.UNKNOWN,
}

#: The operator submitted an attempt again after it had lost its own note that it had: the driver of the first time lives on.
_SUBMITTED_TWICE = "already exist"


def operator_states(*meanings: ExecutionState) -> frozenset[str]:
    """Return the operator's own words for these states."""
    return frozenset(state for state, meaning in _STATES.items() if meaning in meanings)


def operator_state(application: Mapping[str, Any]) -> str:
    """Return the operator's own word for the state, empty while it has not seen the application."""
    return str(_application_state(application).get("state") or "")


def error_message(application: Mapping[str, Any]) -> str:
    """Return what the operator says went wrong, or an empty text."""
    return str(_application_state(application).get("errorMessage") or "")


def execution_state(application: Mapping[str, Any]) -> ExecutionState:
    """Return what the application's status says of the attempt; a state that no version of the operator has is UNKNOWN."""
    word = operator_state(application)
    # The two operators have no word in common.
    return _STATES.get(word) or apache_states.STATES.get(word, ExecutionState.UNKNOWN)


def submitted_twice(application: Mapping[str, Any]) -> bool:
    """Whether the failure only says that a driver was there already; then the driver's pod knows how the attempt goes on."""
    message = error_message(application)
    return execution_state(application) is ExecutionState.FAILED and "driver" in message and _SUBMITTED_TWICE in message


def driver_pod_name(application: Mapping[str, Any]) -> str:
    """Return the driver's pod as the operator noted it, else by the operator's rule."""
    info = (application.get("status") or {}).get("driverInfo") or {}
    return str(info.get("podName") or f"{application['metadata']['name']}-driver")


def spark_ui_url(application: Mapping[str, Any]) -> str:
    """Return where Spark's own pages are while the driver runs: the ingress, else the address inside the cluster, else empty."""
    info = (application.get("status") or {}).get("driverInfo") or {}
    address = str(info.get("webUIIngressAddress") or info.get("webUIAddress") or "")
    return f"http://{address}" if address and "://" not in address else address


def spark_app_id(application: Mapping[str, Any]) -> str:
    """Return Spark's own id of the application, under which a History Server keeps it; empty until the driver has started."""
    return str((application.get("status") or {}).get("sparkApplicationId") or "")


def started_at(application: Mapping[str, Any]) -> float | None:
    """Return when the operator last submitted the driver, in epoch seconds."""
    status = application.get("status") or {}
    return epoch(status.get("lastSubmissionAttemptTime") or apache_states.started_at(status))


def ended_at(application: Mapping[str, Any]) -> float | None:
    """Return when the driver ended, in epoch seconds."""
    status = application.get("status") or {}
    return epoch(status.get("terminationTime") or apache_states.ended_at(status))


def is_being_deleted(resource: Mapping[str, Any]) -> bool:
    """Whether somebody has deleted the resource and it waits for its pods' end."""
    return bool(resource["metadata"].get("deletionTimestamp"))


def epoch(text: Any) -> float | None:
    """Return a Kubernetes time (RFC 3339) in epoch seconds, or None when there is none."""
    return dt.datetime.fromisoformat(text).timestamp() if isinstance(text, str) and text else None


def _application_state(application: Mapping[str, Any]) -> Mapping[str, Any]:
    status = application.get("status") or {}
    return status.get("applicationState") or apache_states.application_state(status)
