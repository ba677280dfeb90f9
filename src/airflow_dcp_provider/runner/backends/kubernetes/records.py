"""Reading an application and what stands beside it as an attempt, and whose they are. Pure functions."""

from __future__ import annotations

import json
from typing import Any

from airflow_dcp_provider.model.errors import DcpEnvironmentError, ExecutionError
from airflow_dcp_provider.model.execution import Attempt, AttemptRef, AttemptRequest
from airflow_dcp_provider.model.names import is_namespace
from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.runner.backends.kubernetes import states, tombstones
from airflow_dcp_provider.runner.backends.kubernetes.config_maps import Beside, waited_by
from airflow_dcp_provider.runner.backends.kubernetes.names import ATTEMPT, REQUEST
from airflow_dcp_provider.runner.backends.kubernetes.problems import readable
from airflow_dcp_provider.runner.backends.kubernetes.verdicts import Verdict


def attempt_of(application: dict[str, Any], around: Beside, verdict: Verdict | None) -> Attempt:
    """Return what application, ConfigMaps and verdict together say of the attempt. Pure."""
    state = states.execution_state(application)
    if verdict is not None:
        state = verdict.state
    elif state.is_terminal:
        # It is being deleted after a cancellation, or the operator's FAILED is about a second driver: it has not ended.
        state = ExecutionState.RUNNING
    stone = around.stone
    return Attempt(
        request=request_of(application),
        state=state,
        waited_by=waited_by(around.files, application, stone),
        cancellation=tombstones.cancellation_of(stone) if stone is not None else None,
        failure=verdict.failure if verdict else None,
        result=verdict.result if verdict else None,
        started_at=states.started_at(application),
        ended_at=verdict.ended_at if verdict else None,
        spark_ui_url=states.spark_ui_url(application) if state is ExecutionState.RUNNING else "",
        spark_app_id=states.spark_app_id(application),
        message="" if verdict else states.error_message(application)[:2000],
    )


def request_of(application: dict[str, Any]) -> AttemptRequest:
    """Return the request that the application keeps.

    :raises DcpEnvironmentError: DCP467 when somebody has changed it.
    """
    with readable(application):
        return AttemptRequest.from_dict(json.loads(application["metadata"]["annotations"][REQUEST]))


def is_ours(resource: dict[str, Any]) -> bool:
    """Whether the Spark Runner made the application."""
    return REQUEST in (resource["metadata"].get("annotations") or {})


def number_of(resource: dict[str, Any]) -> int:
    """Return the number of the attempt that the resource belongs to, by its label; 0 without one."""
    text = (resource["metadata"].get("labels") or {}).get(ATTEMPT, "")
    return int(text) if text.isdecimal() else 0


def checked_owner(found: Attempt, request: AttemptRequest) -> Attempt:
    """Return the attempt that was found, if it is the request's own.

    :raises ExecutionError: DCP310.
    """
    if found.request.idempotency_key != request.idempotency_key:
        raise foreign(request.ref.name, found.request)
    return found


def foreign(name: str, owner: AttemptRequest | None) -> ExecutionError:
    """Return the error about a resource of another owner; None for an owner that is not known."""
    whose = owner.manifest_id if owner is not None else "somebody who is not the Spark Runner"
    return ExecutionError(
        f"{name} exists and belongs to another owner: {whose}",
        code="DCP310",
        hint="find out who made it; an execution's resources are never taken over",
    )


def check_names(ref: AttemptRef) -> None:
    """Refuse a place that is no name before it becomes part of a path.

    :raises DcpEnvironmentError: DCP466.
    """
    for what, name in (("namespace", ref.namespace), ("resource name", ref.name)):
        if not is_namespace(name):
            raise DcpEnvironmentError(
                f"`{name}` cannot be a Kubernetes {what}",
                code="DCP466",
                hint="correct the namespace template of the environment's connection, or the manifest's name",
            )
