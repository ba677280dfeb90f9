"""What stays of an attempt that was cancelled: a ConfigMap that answers once the application is gone. Pure functions.

It is made before the application is deleted, so that a kill in between is seen by whoever looks next, who then deletes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow_dcp_provider.model.execution import Attempt, AttemptRequest, Cancellation, Failure
from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.runner.backends.kubernetes.config_maps import waited_by
from airflow_dcp_provider.runner.backends.kubernetes.names import (
    CANCELLED_KIND,
    KIND_LABEL,
    WAITED_BY,
    labels,
    tombstone_name,
)
from airflow_dcp_provider.runner.backends.kubernetes.problems import readable
from airflow_dcp_provider.runner.backends.kubernetes.states import epoch

_REQUEST, _CANCELLATION, _FAILURE, _STARTED = "request.json", "cancellation.json", "failure.json", "started-at"


def tombstone(attempt: Attempt, cancellation: Cancellation, failure: Failure | None) -> dict[str, Any]:
    """Return the ConfigMap of a cancelled attempt.

    :param attempt: as it was when it was cancelled.
    :param failure: why it is a failure and not merely cancelled (it did not start in time), or None.
    """
    wish = {"asked_by": vars(cancellation.asked_by), "reason": cancellation.reason, "at": cancellation.at}
    data = {_REQUEST: json.dumps(attempt.request.to_dict()), _CANCELLATION: json.dumps(wish)}
    if failure is not None:
        data[_FAILURE] = json.dumps({**vars(failure), "kind": failure.kind.value})
    if attempt.started_at is not None:
        data[_STARTED] = repr(attempt.started_at)
    claim = {} if attempt.waited_by is None else {WAITED_BY: str(attempt.waited_by)}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": tombstone_name(attempt.ref),
            "namespace": attempt.ref.namespace,
            "labels": {**labels(attempt.request), KIND_LABEL: CANCELLED_KIND},
            "annotations": claim,
        },
        "immutable": True,
        "data": data,
    }


def cancellation_of(stone: Mapping[str, Any]) -> Cancellation:
    """Return who asked for the end, why and when.

    :raises DcpEnvironmentError: DCP467 when somebody has changed it.
    """
    with readable(stone):
        return Cancellation.from_dict(json.loads(stone["data"][_CANCELLATION]))


def request_of(stone: Mapping[str, Any]) -> AttemptRequest:
    """Return the request of the attempt that was cancelled.

    :raises DcpEnvironmentError: DCP467 when somebody has changed it.
    """
    with readable(stone):
        return AttemptRequest.from_dict(json.loads(stone["data"][_REQUEST]))


def attempt_of(stone: Mapping[str, Any]) -> Attempt:
    """Return the attempt as the tombstone alone tells it: its application is gone.

    :raises DcpEnvironmentError: DCP467 when somebody has changed it.
    """
    data = stone.get("data") or {}
    cancellation = cancellation_of(stone)
    with readable(stone):
        failure = Failure.from_dict(json.loads(data[_FAILURE])) if _FAILURE in data else None
    ended = ExecutionState.TIMEOUT if cancellation.reason == "timeout" else ExecutionState.CANCELLED
    return Attempt(
        request=request_of(stone),
        state=ExecutionState.FAILED if failure is not None else ended,
        waited_by=waited_by(stone),
        cancellation=cancellation,
        failure=failure,
        started_at=float(data[_STARTED]) if _STARTED in data else None,
        ended_at=epoch(stone["metadata"]["creationTimestamp"]),
    )
