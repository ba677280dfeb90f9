"""What the status of the Apache operator's SparkApplication means. Pure functions on ``status``.

Its last states (``ResourceReleased``) tell only that resources were given back; how the attempt ended stands before them, in the
history, whose keys are numbers as texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_dcp_provider.model.states import ExecutionState

STATES = {
    "Submitted": ExecutionState.SUBMITTED,
    "ScheduledToRestart": ExecutionState.PENDING,
    "DriverRequested": ExecutionState.PENDING,
    "DriverStarted": ExecutionState.PENDING,
    "DriverReady": ExecutionState.PENDING,
    "InitializedBelowThresholdExecutors": ExecutionState.PENDING,
    "RunningHealthy": ExecutionState.RUNNING,
    "RunningWithPartialCapacity": ExecutionState.RUNNING,
    "RunningWithBelowThresholdExecutors": ExecutionState.RUNNING,
    "Succeeded": ExecutionState.SUCCEEDED,
    "Failed": ExecutionState.FAILED,
    "SchedulingFailure": ExecutionState.FAILED,
    "DriverStartTimedOut": ExecutionState.FAILED,
    "DriverReadyTimedOut": ExecutionState.FAILED,
    "ExecutorsStartTimedOut": ExecutionState.FAILED,
    "DriverEvicted": ExecutionState.FAILED,
}

#: States after an end, which do not say which end it was.
RELEASED = frozenset({"ResourceReleased", "TerminatedWithoutReleaseResources"})


def operator_states(*meanings: ExecutionState) -> frozenset[str]:
    """Return the operator's own words for these states; with an end also those that come after one, whichever it was."""
    ends = any(meaning.is_terminal for meaning in meanings)
    return frozenset(word for word, meaning in STATES.items() if meaning in meanings) | (RELEASED if ends else frozenset())


def application_state(status: Mapping[str, Any]) -> dict[str, str]:
    """Return ``state`` and ``errorMessage``, as Kubeflow's operator names them; empty where it has written no state yet."""
    for entry in _newest_first(status):
        word = str(entry.get("currentStateSummary") or "")
        if word not in RELEASED:
            return {"state": word, "errorMessage": str(entry.get("message") or "")}
    current = status.get("currentState") or {}
    return {"state": str(current["currentStateSummary"])} if current.get("currentStateSummary") else {}


def started_at(status: Mapping[str, Any]) -> str:
    """Return when the driver was last asked for, as a Kubernetes time, or an empty text."""
    return _time(status, frozenset({"DriverRequested"}))


def ended_at(status: Mapping[str, Any]) -> str:
    """Return when the attempt ended, as a Kubernetes time, or an empty text."""
    return _time(status, frozenset(word for word, meaning in STATES.items() if meaning.is_terminal))


def _time(status: Mapping[str, Any], words: frozenset[str]) -> str:
    return next(
        (
            str(entry.get("lastTransitionTime") or "")
            for entry in _newest_first(status)
            if entry.get("currentStateSummary") in words
        ),
        "",
    )


def _newest_first(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the state and those before it."""
    if current := status.get("currentState"):
        yield current
    history = status.get("stateTransitionHistory") or {}
    # Texts would put 10 before 9.
    for key in sorted((key for key in history if str(key).isdecimal()), key=int, reverse=True):
        yield history[key] or {}
