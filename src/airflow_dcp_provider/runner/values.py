"""What goes into the Spark Runner and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from airflow_dcp_provider.model.errors import ExecutionError
from airflow_dcp_provider.model.execution import Actor, Attempt, Execution
from airflow_dcp_provider.model.job import JobSpec


@dataclass(frozen=True)
class SubmitRequest:
    """What is asked of :meth:`SparkRunner.submit`.

    :param idempotency_key: names the execution (:func:`airflow_dcp_provider.runner.identity.idempotency_key`).
    :param job: resolved and rendered.
    :param fingerprint: of the unrendered, resolved manifest.
    :param actor: the submitting task and its try, or a user.
    :param cluster: where it runs, as the gateway chose; ``local`` for this machine.
    :param run_key: ``dag_id/run_id/map_index``, for appends that are idempotent for their run.
    :param ds: the run's own day, ``YYYY-MM-DD``.
    :param first_try: no earlier try of the task's round can have created anything.
    """

    idempotency_key: str
    job: JobSpec
    fingerprint: str
    actor: Actor
    cluster: str = "local"
    namespace: str = "local"
    run_key: str = ""
    ds: str = ""
    first_try: bool = False


@dataclass(frozen=True)
class Outcome:
    """What the caller of :meth:`SparkRunner.advance` does next.

    :param execution: handle of the attempt to go on with; it may be a newer one than the caller's.
    :param attempt: that attempt as it is now, or None when it cannot be found any more.
    :param action: ``wait`` (defer until something changes), ``retry_at`` (defer until ``until``, then advance again),
        ``succeeded`` or ``failed`` (then ``error`` says why).
    :param until: epoch seconds: for ``wait`` the deadline (None: there is none), for ``retry_at`` when to advance again.
    """

    execution: Execution
    attempt: Attempt | None
    action: Literal["wait", "retry_at", "succeeded", "failed"]
    until: float | None = None
    error: ExecutionError | None = None
