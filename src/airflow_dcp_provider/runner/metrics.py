"""What the Runner measures, and the port that it reports to. Airflow's adapter is :mod:`airflow_dcp_provider.hooks.metrics`.

What an event means is a pure function, so that names and figures are tested without a metrics system. ``docs/operating.md`` lists
every name.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from airflow_dcp_provider.model.execution import Attempt
from airflow_dcp_provider.model.states import ExecutionState

logger = logging.getLogger(__name__)

#: Reasons of cancellations that the project gives itself; any other text is somebody's own and would make a metric of each wording.
_CANCEL_REASONS = frozenset({"kill", "timeout", "superseded", "start-timeout", "orphan"})


class Metrics(Protocol):
    """Where figures go. ``tags`` are few and of few values: environment, backend, cluster, state, reason."""

    def count(self, name: str, tags: Mapping[str, str], amount: int = 1) -> None:
        """Add ``amount`` to a counter."""

    def seconds(self, name: str, value: float, tags: Mapping[str, str]) -> None:
        """Report a duration in seconds."""

    def level(self, name: str, value: float, tags: Mapping[str, str]) -> None:
        """Report how much there is of something now."""


@dataclass(frozen=True)
class Measure:
    """One figure: a count of one, or a duration where ``seconds`` is not None."""

    name: str
    tags: Mapping[str, str]
    seconds: float | None = None


def measures(attempt: Attempt, event: str, details: Mapping[str, Any], backend: str) -> tuple[Measure, ...]:
    """Return what an event of the Runner's history is worth.

    :param event: as in :meth:`airflow_dcp_provider.runner.store_port.Store.record`.
    :param details: the event's own; only ``reason`` is read.
    :param backend: the backend's name.
    """
    tags = {"environment": attempt.ref.environment, "backend": backend}
    match event:
        case "SUBMIT":
            return (Measure("dcp.submits", tags),)
        case "ADOPT":
            return (Measure("dcp.adoptions", tags),)
        case "ADVANCE":
            # The first attempt of a round is somebody's wish and no retry of the policy.
            retried = attempt.ref.attempt != attempt.request.round_start
            return (Measure("dcp.retries" if retried else "dcp.rounds", tags),)
        case "CANCEL":
            reason = str(details.get("reason") or "")
            return (Measure("dcp.cancels", {**tags, "reason": reason if reason in _CANCEL_REASONS else "other"}),)
    if event not in ExecutionState.__members__:
        return ()
    return (Measure(f"dcp.attempts.{event.lower()}", tags), *_durations(attempt, tags))


def _durations(attempt: Attempt, tags: Mapping[str, str]) -> tuple[Measure, ...]:
    """Return how long an attempt that has ended was queued and ran; nothing for one that goes on."""
    if not attempt.state.is_terminal or attempt.ended_at is None:
        return ()
    state = {**tags, "state": attempt.state.value.lower()}
    queued_until = attempt.ended_at if attempt.started_at is None else attempt.started_at
    queued = Measure("dcp.attempt.queued", state, max(0.0, queued_until - attempt.request.submitted_at))
    if attempt.started_at is None:
        return (queued,)
    return queued, Measure("dcp.attempt.duration", state, max(0.0, attempt.ended_at - attempt.started_at))


def report(metrics: Metrics | None, attempt: Attempt, event: str, details: Mapping[str, Any], backend: str) -> None:
    """Report an event. Whatever ails the metrics, the job goes on."""
    if metrics is None:
        return
    try:
        for measure in measures(attempt, event, details, backend):
            if measure.seconds is None:
                metrics.count(measure.name, measure.tags)
            else:
                metrics.seconds(measure.name, measure.seconds, measure.tags)
    except Exception as error:  # noqa: BLE001 - a figure that is lost is no reason to lose a job
        logger.warning("%s of %s was not measured: %s", event, attempt.ref.name, error)
