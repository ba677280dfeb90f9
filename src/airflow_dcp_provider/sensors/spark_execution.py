"""Waits for a Spark execution without holding a worker, and carries its retries out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import AirflowFailException, BaseSensorOperator

from airflow_dcp_provider.hooks.dcp import environment_for
from airflow_dcp_provider.hooks.lineage import execution_lineage, with_lineage
from airflow_dcp_provider.hooks.proving import prove
from airflow_dcp_provider.hooks.runners import runner_for
from airflow_dcp_provider.links.execution import ExecutionLink, SparkHistoryLink, SparkUiLink, TableLink, addresses
from airflow_dcp_provider.model.errors import DcpError, UsageError
from airflow_dcp_provider.model.execution import Actor, Attempt, Cancellation, Execution
from airflow_dcp_provider.model.job import JobSpec
from airflow_dcp_provider.operators.faults import faults
from airflow_dcp_provider.operators.jobs import attempt_summary, check_job, resolve_job
from airflow_dcp_provider.operators.rendering import render_references
from airflow_dcp_provider.operators.run_context import actor_of, end_round, waiter_of
from airflow_dcp_provider.runner.runner import SparkRunner
from airflow_dcp_provider.runner.values import Outcome
from airflow_dcp_provider.sensors.driver_log import DriverLog
from airflow_dcp_provider.triggers.kill import KillWatch
from airflow_dcp_provider.triggers.settling import settling
from airflow_dcp_provider.triggers.spark_execution import watch

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_dcp_provider.model.environment import Environment

#: What Airflow passes as the next method when a trigger ended without an event, and as the reason when its time was over.
_TRIGGER_FAILED = "__fail__"
_TRIGGER_TIMEOUT = "Trigger timeout"


class SparkExecutionSensor(BaseSensorOperator):
    """Waits until the execution has succeeded or failed, and returns its handle and its last attempt.

    While it waits it is deferred. The execution's own retry policy and time-out are carried out here; Airflow's ``retries`` are for
    faults of the infrastructure and start no Spark attempt. Clearing the task starts the next attempt from the job as it is now.

    :param execution: the output of :class:`~airflow_dcp_provider.operators.spark_runner.SparkRunnerSubmitOperator`.
    :param job: the job, as the submit task was given it; needed only to resolve it afresh.
    :param jobs: likewise in a generated DAG. Without both, further attempts run the spec frozen at submit; where that has no
        retry policy either, the task only observes.
    :param poll_interval: seconds between two looks of the trigger.
    :param timeout: seconds after which the attempt is cancelled and the task fails, counted from each deferral; None for the
        execution's own time-out alone.
    """

    template_fields: Sequence[str] = ("run", "execution")
    template_fields_renderers = {"run": "json", "execution": "json"}  # noqa: RUF012 - as BaseOperator declares it
    operator_extra_links = (SparkUiLink(), SparkHistoryLink(), ExecutionLink(), TableLink())
    ui_color = "#f3ecfb"

    def __init__(
        self,
        *,
        execution: Any,
        job: Mapping[str, Any] | JobSpec | None = None,
        jobs: Mapping[str, Mapping[str, Any]] | None = None,
        poll_interval: float = 1.0,
        timeout: float | timedelta | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs if timeout is None else {**kwargs, "timeout": timeout})
        self.execution = execution
        #: What the Rendered Template tab shows first; filled when the task runs.
        self.run: dict[str, Any] = {}
        self.job = job
        self.jobs = jobs
        self.poll_interval = poll_interval
        self.wait_timeout = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        self.link_addresses: dict[str, str] = {}
        self._runner: SparkRunner | None = None
        self._handle: Execution | None = None
        self._actor = Actor()
        self._killed = False
        self._succeeded = False

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        """Take the execution's handle from the task before, and show what is waited for."""
        render_references(self, context, jinja_env, plain=("run",))
        if _is_handle(self.execution):
            self.run = attempt_summary(_handle(self.execution).request, actor_of(context))

    def execute(self, context: Context) -> dict[str, Any]:
        """Look at the execution; defer, go on with its next attempt, fail, or return its last one."""
        return self._advance(context, self._read_handle(), {})

    def resume(
        self, context: Context, event: Mapping[str, Any] | None = None, handle: Any = None, round_try: int | None = None
    ) -> dict[str, Any]:
        """Go on after the trigger has fired; the same as :meth:`execute`, with what it knew.

        :param event: why the trigger fired, and how far the driver's logs are copied; what follows is decided from the attempt.
        :param handle: the execution's handle as it was when the task was deferred.
        :param round_try: the task's round then: it stays the same when the DAG's ``retries`` have changed meanwhile.
        """
        said = event or {}
        self.log.info("Resumed: %s", said.get("reason", "no event"))
        known = _handle(handle) if handle else self._read_handle()
        return self._advance(context, known, said.get("copied") or {}, round_try)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Cancel the attempt when Airflow ended the deferral because a time-out that somebody set was over."""
        if next_method == _TRIGGER_FAILED and (next_kwargs or {}).get("error") == _TRIGGER_TIMEOUT:
            self._prepare(context, self._read_handle())
            self._cancel("timeout")
        return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        """Cancel the latest attempt in this try's name."""
        self._killed = True
        self._cancel("kill")

    def _prepare(self, context: Context, handle: Execution, round_try: int | None = None) -> tuple[SparkRunner, Environment]:
        with faults():
            environment = environment_for(handle.ref.environment)
            self._runner = runner_for(environment)
        self._handle = handle
        self._actor = waiter_of(context, round_try)
        return self._runner, environment

    def _advance(
        self, context: Context, handle: Execution, copied: Mapping[str, int], round_try: int | None = None
    ) -> dict[str, Any]:
        runner, environment = self._prepare(context, handle, round_try)
        kills = KillWatch(context["ti"])
        log = DriverLog(runner.backend, self.log, copied)
        log.copy(handle.ref)
        with faults():
            outcome = runner.advance(handle, self._actor, self._fresh(context, handle), prove)
        self._handle = outcome.execution
        if self._killed or kills.killed():
            # The kill may have come just before the next attempt was made, or Airflow has not yet told this process of it.
            self._cancel("kill")
            raise AirflowFailException("the task was killed; the attempt that it waited for was cancelled")
        log.copy(handle.ref)
        if outcome.action == "failed":
            end_round(context, self._actor)
        if outcome.attempt is None:
            raise AirflowFailException(str(outcome.error)) from outcome.error
        log.copy(outcome.attempt.ref)
        job = JobSpec.from_dict(outcome.attempt.request.job)
        self.link_addresses = addresses(context, job, environment, outcome.attempt, self.task_id)
        self.log.info("Attempt %d of execution %s: %s", outcome.attempt.ref.attempt, handle.execution_id, _state(outcome.attempt))
        if outcome.action in {"wait", "retry_at"}:
            self._defer(outcome, outcome.attempt, log, runner.backend.name, environment.live_logs)
        if outcome.action == "failed":
            raise AirflowFailException(str(outcome.error)) from outcome.error
        self._succeeded = True
        return {"execution": outcome.execution.to_dict(), "attempt": outcome.attempt.to_dict()}

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ARG002 - the openlineage provider's signature
        """Return what the execution read and, when it succeeded, what it wrote."""
        if self._handle is None:
            return None
        job = JobSpec.from_dict(self._handle.request.job)
        return execution_lineage(job, self._handle.execution_id, written=self._succeeded)

    def _defer(self, outcome: Outcome, attempt: Attempt, log: DriverLog, backend: str, live_logs: int) -> NoReturn:
        due = outcome.until if outcome.action == "retry_at" else None
        if due is not None:
            self.log.info("The next attempt is due in %.0f s", max(0.0, due - time.time()))
        # An attempt that is being cancelled, or that has ended, is waited for until nothing of it runs any more.
        await_gone = attempt.state.is_terminal or attempt.cancellation is not None
        deadline = attempt.request.deadline if outcome.action == "wait" else None
        if await_gone and deadline is not None and deadline <= time.time():
            # The next round's attempt has a deadline of its own; this one would only wake the task again and again.
            deadline = None
        trigger = watch(
            attempt.ref,
            self._actor,
            deadline=deadline,
            start_deadline=attempt.request.start_deadline,
            not_before=due,
            await_gone=await_gone,
            poll_interval=self.poll_interval,
            copied=log.copied,
            backend=backend,
            live_logs=live_logs,
            settling=settling(),
        )
        self.defer(
            trigger=trigger,
            method_name="resume",
            kwargs={"handle": outcome.execution.to_dict(), "round_try": self._actor.round_try},
            timeout=None if self.wait_timeout is None else timedelta(seconds=self.wait_timeout),
        )

    def _fresh(self, context: Context, handle: Execution) -> Callable[[], tuple[JobSpec, str]] | None:
        """Return what gives the job of an attempt that does not come from the frozen spec; None to only observe."""
        frozen = JobSpec.from_dict(handle.request.job)
        if self.jobs is None and self.job is None:
            return (lambda: (frozen, handle.request.fingerprint)) if frozen.retry_policy.max_retries else None

        def resolve() -> tuple[JobSpec, str]:
            # The environment stays the execution's own, whatever the task's default has become.
            found = resolve_job(context, self.job, self.jobs, handle.ref.environment)
            if found.environment != handle.ref.environment:
                raise UsageError(
                    f"execution {handle.execution_id} runs in {handle.ref.environment}, not in {found.environment}",
                    hint="clear the submit task to run the job in the other environment",
                )
            check_job(found.job, environment_for(found.environment), found.places)
            return with_lineage(found.job, context), found.fingerprint

        return resolve

    def _read_handle(self) -> Execution:
        given: Any = self.execution
        if not _is_handle(given):
            raise AirflowFailException(
                "DCP200 there is no execution to wait for; clear the submit task, or give its output as `execution`"
            )
        return _handle(given)

    def _cancel(self, reason: str) -> None:
        if self._runner is None or self._handle is None:
            return
        try:
            self._runner.cancel_latest(self._handle.ref, Cancellation(self._actor, reason, time.time()))
        except DcpError as error:
            self.log.warning("The attempt could not be cancelled: %s", error)


def _handle(value: Any) -> Execution:
    """Read an execution's handle, which came through XCom: another version, or somebody by hand, may have written it.

    :raises AirflowFailException: DCP221.
    """
    try:
        return Execution.from_dict(value)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        text = f"DCP221 the handle of the execution cannot be read: {type(error).__name__}: {str(error)[:200]}"
        raise AirflowFailException(f"{text}; clear the submit task, which hands on a new one") from error


def _is_handle(value: Any) -> bool:
    return isinstance(value, Mapping) and "request" in value


def _state(attempt: Attempt) -> str:
    if attempt.failure is None:
        return f"{attempt.state}{f' ({attempt.message})' if attempt.message else ''}"
    return f"{attempt.state}, {asdict(attempt.failure)['message']}"
