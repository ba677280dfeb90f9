"""The Spark Runner: submit, check, cancel and advance, the same for every backend (``Spark Runner`` in the first design document).

It decides nothing by itself: :mod:`airflow_dcp_provider.runner.policy` says what comes next and the backend's record says what
is. The store only keeps the history.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, replace
from typing import Any

from airflow_dcp_provider.model.errors import DcpEnvironmentError, ExecutionError
from airflow_dcp_provider.model.execution import (
    Actor,
    Attempt,
    AttemptRef,
    AttemptRequest,
    Cancellation,
    Execution,
    FailureKind,
)
from airflow_dcp_provider.model.job import JobSpec
from airflow_dcp_provider.model.names import resource_name
from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.runner.backends.base import Backend
from airflow_dcp_provider.runner.drivers import CORE_ETL_MAIN_CLASSES, unsupported
from airflow_dcp_provider.runner.identity import execution_id
from airflow_dcp_provider.runner.machine import usable_memory
from airflow_dcp_provider.runner.metrics import Metrics, report
from airflow_dcp_provider.runner.policy import (
    Adopt,
    Cancel,
    Claim,
    Create,
    Fail,
    RetryAt,
    Step,
    Succeed,
    Wait,
    next_step,
    submit_step,
)
from airflow_dcp_provider.runner.remediation import raise_memory, shortages
from airflow_dcp_provider.runner.store_port import Store
from airflow_dcp_provider.runner.values import Outcome, SubmitRequest

logger = logging.getLogger(__name__)

#: How long ``submit`` waits for a cancelled attempt's end, and how often it looks, in seconds.
GONE_PATIENCE = 60.0
GONE_INTERVAL = 0.25

#: ``advance`` looks again after a claim, a cancel or a create. More steps than this mean that others act against it.
_MAX_STEPS = 8


class SparkRunner:
    """Runs executions on one backend. It keeps no state that matters: any process may go on where another one stopped.

    :param store: keeps the history, or None. It may fail; then a line is logged and nothing else happens.
    :param clock: returns epoch seconds.
    :param memory_limit: bytes up to which memory is raised after an attempt ran out of it; None for what this machine can give.
    :param executor_memory_limit: the same for an executor; None for ``memory_limit``.
    :param spark_defaults: the environment's Spark configuration below the manifest's own, for what an overhead is before it grows.
    :param core_etl_main_classes: ends of main class names that mean our own driver.
    :param allowed_spark_conf: settings that the environment leaves to manifests besides those of every environment.
    :param metrics: hears of every event, or None. It may fail as the store may.
    :param start_timeout: seconds within which an attempt's driver must have started, or None.
    """

    def __init__(
        self,
        backend: Backend,
        store: Store | None = None,
        clock: Callable[[], float] = time.time,
        *,
        memory_limit: int | None = None,
        executor_memory_limit: int | None = None,
        spark_defaults: Mapping[str, str] | None = None,
        core_etl_main_classes: Collection[str] = CORE_ETL_MAIN_CLASSES,
        allowed_spark_conf: Collection[str] = (),
        metrics: Metrics | None = None,
        start_timeout: float | None = None,
    ) -> None:
        self.backend = backend
        self._store = store
        self._clock = clock
        self._memory_limit = memory_limit
        self._executor_memory_limit = executor_memory_limit
        self._spark_defaults = spark_defaults or {}
        self._core_etl_main_classes = tuple(core_etl_main_classes)
        self._allowed_spark_conf = tuple(allowed_spark_conf)
        self._metrics = metrics
        self._start_timeout = start_timeout
        #: Each attempt as it was last seen, so that the store hears of changes only.
        self._seen: dict[AttemptRef, Attempt] = {}

    def submit(self, request: SubmitRequest) -> Execution:
        """Make sure that the execution has an attempt, and return its handle.

        Idempotent: the same key finds the same execution. Waits (at most :data:`GONE_PATIENCE` seconds) only where an attempt
        that an earlier try cancelled has not ended yet.

        :raises ExecutionError: when the job cannot be run here (nothing was created then), when the attempt was cancelled by a
            user, or when its name belongs to another owner.
        :raises DcpEnvironmentError: when the backend refuses or cannot be reached.
        """
        if error := unsupported(request.job, self.backend.name, self._core_etl_main_classes, self._allowed_spark_conf):
            raise error
        wanted = self._first_request(request)
        latest = self.backend.latest(wanted.ref)
        step = submit_step(latest, request.idempotency_key, request.fingerprint, request.actor)
        if isinstance(step, Fail):
            raise _error(step)
        if isinstance(step, Create):
            if latest is not None:
                self._wait_until_gone(latest)
            number = step.number
            attempt = self._create(replace(wanted, ref=self._numbered(wanted.ref, request.job, number), round_start=number))
            self._record(attempt, "SUBMIT", {"reason": step.reason, "actor": str(request.actor)})
            return Execution(attempt.request)
        if not isinstance(step, Adopt) or latest is None:
            raise AssertionError(step)
        if not latest.state.is_terminal:
            # An earlier try may have died between writing its record and starting it.
            latest = self._create(latest.request)
        if step.warning:
            logger.warning(step.warning)
        self._record(latest, "ADOPT", {"warning": step.warning, "actor": str(request.actor)})
        return Execution(latest.request, (step.warning,) if step.warning else ())

    def check(self, ref: AttemptRef) -> Attempt:
        """Return the attempt as it is now; one that has vanished is in the state ``UNKNOWN``."""
        attempt = self.backend.get(ref)
        if attempt is None:
            return _vanished(ref)
        self._record_state(attempt)
        return attempt

    def cancel(self, ref: AttemptRef, cancellation: Cancellation) -> Attempt:
        """Ask for the attempt's end and return when that is accepted, not when it has ended.

        :raises DcpEnvironmentError: when the backend cannot be asked. The wish is kept in the store then, for a sweep to complete.
        """
        try:
            attempt = self.backend.cancel(ref, cancellation)
        except DcpEnvironmentError as error:
            raise self._kept_intent(ref, cancellation, error) from error
        if attempt is None:
            return _vanished(ref)
        self._record(attempt, "CANCEL", {"reason": cancellation.reason, "actor": str(cancellation.asked_by)})
        return attempt

    def cancel_latest(self, ref: AttemptRef, cancellation: Cancellation) -> Attempt | None:
        """Ask for the end of the execution's latest attempt, if one lives; where nobody can look, of the latest one known.

        :param ref: an attempt of the execution.
        :raises DcpEnvironmentError: when the backend cannot be asked. The wish is kept in the store then, as by :meth:`cancel`.
        """
        try:
            latest = self.backend.latest(ref)
        except DcpEnvironmentError as error:
            known = max((ref, *(one for one in self._seen if one.execution_id == ref.execution_id)), key=lambda one: one.attempt)
            # Kept before anything else is tried: Airflow leaves a killed process only seconds.
            logger.warning("%s", self._kept_intent(known, cancellation, error))
            return self.cancel(known, cancellation)
        if latest is None or latest.state.is_terminal:
            return latest
        logger.info("cancelling attempt %d of execution %s (%s)", latest.ref.attempt, latest.ref.execution_id, cancellation.reason)
        return self.cancel(latest.ref, cancellation)

    def advance(
        self,
        execution: Execution,
        actor: Actor,
        fresh: Callable[[], tuple[JobSpec, str]] | None = None,
        prove: Callable[[AttemptRequest], Mapping[str, Any] | None] | None = None,
    ) -> Outcome:
        """Do what the execution's latest attempt asks for, and say what the caller does next. Never waits.

        :param execution: the handle that ``submit`` or an earlier ``advance`` returned.
        :param actor: the waiting task, its try and the try that began its round.
        :param fresh: resolves the manifest as it is now, to a rendered job and its fingerprint; it is called only when an attempt
            is started from it. None means that no attempt is ever started: the caller only observes.
        :param prove: called when the attempt has vanished: returns a driver's result when the tables show that it succeeded, else
            None. Whatever it says, an attempt that has vanished is never started again here: somebody may have deleted it.
        :raises DcpEnvironmentError: when the backend refuses or cannot be reached.
        """
        latest: Attempt | None = None
        for _ in range(_MAX_STEPS):
            latest = self.backend.latest(execution.ref)
            if latest is not None and latest.ref.attempt < execution.ref.attempt:
                # The attempt that the caller knows is gone; an older one that is still there says nothing about it.
                latest = None
            if latest is None and prove is not None and (result := prove(execution.request)) is not None:
                return self._proved(execution, result)
            if latest is not None:
                self._record_state(latest)
                execution = Execution(latest.request, execution.warnings)
            policy = JobSpec.from_dict(execution.request.job).retry_policy
            step = next_step(latest, policy, self._clock(), actor, observe_only=fresh is None)
            if latest is None or isinstance(step, (Succeed, Fail, RetryAt, Wait)):
                return _outcome(execution, latest, step)
            try:
                if not self._do(step, latest, actor, fresh):
                    break
            except ExecutionError as error:
                return Outcome(execution, latest, "failed", error=error)
        return Outcome(execution, latest, "wait", until=execution.request.deadline)

    def _proved(self, execution: Execution, result: Mapping[str, Any]) -> Outcome:
        """Return the outcome of an attempt that has vanished and whose tables show that it succeeded."""
        message = f"{execution.ref.name} has vanished; its tables prove that it succeeded"
        logger.info(message)
        attempt = Attempt(execution.request, ExecutionState.SUCCEEDED, result=result, message=message)
        self._record_state(attempt)
        return Outcome(execution, attempt, "succeeded")

    def _kept_intent(self, ref: AttemptRef, cancellation: Cancellation, error: DcpEnvironmentError) -> DcpEnvironmentError:
        """Keep the wish to cancel in the store, and return the error that says so."""
        details = {"ref": asdict(ref), "cancellation": asdict(cancellation), "error": error.message}
        kept = self._record(self._seen.get(ref) or _vanished(ref), "CANCEL_INTENT", details)
        said = "the wish is kept: `pretzel executions sweep` completes it" if kept else "the wish could not be kept: cancel again"
        return DcpEnvironmentError(
            f"{ref.name} could not be cancelled and may go on running: {error.message}",
            code=error.code,
            hint=f"{said}; {error.hint}",
        )

    def _do(self, step: Step, latest: Attempt, actor: Actor, fresh: Callable[[], tuple[JobSpec, str]] | None) -> bool:
        """Carry out a step that changes something; False when it must wait for the old attempt's end."""
        if isinstance(step, Claim):
            self.backend.claim(latest.ref, actor.round_try)
        elif isinstance(step, Cancel):
            self.cancel(latest.ref, Cancellation(actor, step.reason, self._clock()))
        elif isinstance(step, Create):
            if not self.backend.is_gone(latest.ref):
                return False
            request = self._next_request(latest, step, actor, fresh)
            reason = f"{step.reason}; {request.remediation}" if request.remediation else step.reason
            logger.info("starting attempt %d of %s: %s", step.number, request.ref.execution_id, reason)
            attempt = self._create(request)
            details = {"reason": step.reason, "actor": str(actor), "remediation": request.remediation}
            self._record(attempt, "ADVANCE", details)
        return True

    def _first_request(self, request: SubmitRequest) -> AttemptRequest:
        now = self._clock()
        job = request.job
        identity = execution_id(request.idempotency_key)
        ref = AttemptRef(identity, 1, job.environment, request.cluster, request.namespace, resource_name(job.name, identity, 1))
        return AttemptRequest(
            ref=ref,
            idempotency_key=request.idempotency_key,
            manifest_id=job.manifest_id,
            job=job.to_dict(),
            fingerprint=request.fingerprint,
            submitted_at=now,
            first_submitted_at=now,
            begun_by=request.actor,
            deadline=_deadline(now, job),
            run_key=request.run_key,
            ds=request.ds,
            start_deadline=self._start_deadline(now),
        )

    def _next_request(
        self, latest: Attempt, step: Create, actor: Actor, fresh: Callable[[], tuple[JobSpec, str]] | None
    ) -> AttemptRequest:
        """Return the request of the attempt after ``latest``: from the manifest as it is now, or from the frozen spec."""
        before = latest.request
        now = self._clock()
        job, fingerprint, remediation, raises = JobSpec.from_dict(before.job), before.fingerprint, "", before.memory_raises
        if step.fresh and fresh is not None:
            job, fingerprint = fresh()
            raises = 0
            if error := unsupported(job, self.backend.name, self._core_etl_main_classes, self._allowed_spark_conf):
                raise error
        elif latest.failure is not None and latest.failure.kind is FailureKind.RESOURCES:
            limit, short = self._memory_limit or usable_memory(), shortages(latest.failure)
            job, remediation = raise_memory(
                job, limit, raises, self._executor_memory_limit, short=short, spark_defaults=self._spark_defaults
            )
            raises += 1 if remediation else 0
            if short and not remediation:
                logger.info("memory stays as it is: the limit of the environment or of raises in one round is reached")
        first = now if step.new_round else before.first_submitted_at
        return replace(
            before,
            ref=self._numbered(before.ref, job, step.number),
            job=job.to_dict(),
            fingerprint=fingerprint,
            submitted_at=now,
            first_submitted_at=first,
            begun_by=actor,
            round_start=step.number if step.new_round else before.round_start,
            deadline=_deadline(first, job),
            remediation=remediation,
            memory_raises=raises,
            start_deadline=self._start_deadline(now),
        )

    def _start_deadline(self, now: float) -> float | None:
        return None if self._start_timeout is None else now + self._start_timeout

    @staticmethod
    def _numbered(ref: AttemptRef, job: JobSpec, number: int) -> AttemptRef:
        return replace(ref, attempt=number, name=resource_name(job.name, ref.execution_id, number))

    def _create(self, request: AttemptRequest) -> Attempt:
        attempt = self.backend.create(request)
        self._seen[attempt.ref] = attempt
        return attempt

    def _wait_until_gone(self, attempt: Attempt) -> None:
        end = time.monotonic() + GONE_PATIENCE
        while not self.backend.is_gone(attempt.ref):
            if time.monotonic() > end:
                raise DcpEnvironmentError(
                    f"{attempt.ref.name} was cancelled and has not ended after {GONE_PATIENCE:.0f} s",
                    code="DCP309",
                    hint="try again: the next attempt starts when nothing of this one runs any more",
                )
            time.sleep(GONE_INTERVAL)

    def _record_state(self, attempt: Attempt) -> None:
        before, self._seen[attempt.ref] = self._seen.get(attempt.ref), attempt
        if before is None or before.state is not attempt.state:
            self._record(attempt, attempt.state.value)

    def _record(self, attempt: Attempt, event: str, details: Mapping[str, Any] | None = None) -> bool:
        """Tell store and metrics; return whether the store has it."""
        report(self._metrics, attempt, event, details or {}, self.backend.name)
        if self._store is None:
            return False
        try:
            self._store.record(attempt, event, details)
        except Exception as error:  # noqa: BLE001 - whatever ails the store, the job goes on
            logger.warning("the store did not record %s of %s: %s", event, attempt.ref.name, error)
            return False
        return True


def _outcome(execution: Execution, latest: Attempt | None, step: Step) -> Outcome:
    """Return the resting step as what the caller does next."""
    match step:
        case Succeed():
            return Outcome(execution, latest, "succeeded")
        case RetryAt(at):
            return Outcome(execution, latest, "retry_at", until=at)
        case Fail():
            return Outcome(execution, latest, "failed", error=_error(step))
        case Wait(until):
            return Outcome(execution, latest, "wait", until=until)
        case _:
            return Outcome(execution, latest, "wait", until=execution.request.deadline)


def _deadline(first_submitted_at: float, job: JobSpec) -> float | None:
    return None if job.timeout is None else first_submitted_at + job.timeout


def _error(step: Fail) -> ExecutionError:
    return ExecutionError(step.message, code=step.code, hint=step.hint)


def _vanished(ref: AttemptRef) -> Attempt:
    """Return what is known of an attempt that the backend no longer holds: nothing, which is no success."""
    request = AttemptRequest(
        ref=ref,
        idempotency_key="",
        manifest_id="",
        job={},
        fingerprint="",
        submitted_at=0.0,
        first_submitted_at=0.0,
        begun_by=Actor(),
    )
    return Attempt(request, ExecutionState.UNKNOWN, message=f"the backend holds nothing for {ref.name}")
