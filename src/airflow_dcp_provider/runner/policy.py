"""What comes next for an execution: the two tables of ``Identity, in one place`` in ``docs/architecture.md`` as pure functions.

Nothing here does anything; :class:`airflow_dcp_provider.runner.runner.SparkRunner` carries out the step that it is told.
"""

from __future__ import annotations

from dataclasses import dataclass

from airflow_dcp_provider.model.execution import START_TIMEOUT, Actor, Attempt, Cancellation, FailureKind
from airflow_dcp_provider.model.job import RetryPolicy
from airflow_dcp_provider.model.states import ExecutionState


@dataclass(frozen=True)
class Create:
    """Create attempt ``number`` once nothing of the one before it runs any more.

    :param reason: why, for the log and the history.
    :param fresh: from the manifest as it is now; otherwise from the spec frozen at submit.
    :param new_round: the attempt begins a round: retries and the deadline are counted from it.
    """

    number: int
    reason: str
    fresh: bool = False
    new_round: bool = False


@dataclass(frozen=True)
class Adopt:
    """Hand on the attempt that is there; ``warning`` may be empty."""

    warning: str = ""


@dataclass(frozen=True)
class Claim:
    """Record that this round waits for the attempt, then look again."""


@dataclass(frozen=True)
class Cancel:
    """Ask for the attempt's end for this ``reason``, then look again."""

    reason: str


@dataclass(frozen=True)
class Wait:
    """Look again when something changes, at the latest at ``until`` (epoch seconds; None: no deadline)."""

    until: float | None = None


@dataclass(frozen=True)
class RetryAt:
    """Look again at ``at`` (epoch seconds); the next attempt is due then."""

    at: float


@dataclass(frozen=True)
class Succeed:
    """The execution succeeded."""


@dataclass(frozen=True)
class Fail:
    """The execution failed: stable code, one sentence, what to do."""

    code: str
    message: str
    hint: str = ""


Step = Create | Adopt | Claim | Cancel | Wait | RetryAt | Succeed | Fail


def submit_step(latest: Attempt | None, idempotency_key: str, fingerprint: str, actor: Actor) -> Step:
    """Return what ``submit`` does about the latest attempt of its execution.

    :param latest: the attempt with the highest number, or None when there is none.
    :param idempotency_key: the request's own key; another one under the same name is a foreign owner's.
    :param fingerprint: of the manifest that is submitted now.
    :param actor: the submitting task and its try.
    """
    if latest is None:
        return Create(1, "first attempt", fresh=True, new_round=True)
    if latest.request.idempotency_key != idempotency_key:
        return Fail(
            "DCP310",
            f"{latest.ref.name} exists and belongs to another owner: {latest.request.manifest_id}",
            "find out who made it; an execution's resources are never taken over",
        )
    cancellation = _effective_cancellation(latest)
    if cancellation:
        if _by_earlier_try(cancellation, actor):
            number = latest.ref.attempt + 1
            return Create(number, f"attempt {latest.ref.attempt} was cancelled by {cancellation.asked_by}", True, True)
        if not cancellation.asked_by.task_id:
            return _cancelled(latest, cancellation, "clear the submit task to run it again as a new execution")
    if latest.request.fingerprint != fingerprint:
        return Adopt(
            f"attempt {latest.ref.attempt} was submitted from another version of the manifest "
            f"(fingerprint {latest.request.fingerprint[:12]}, now {fingerprint[:12]}) and is kept"
        )
    return Adopt()


def next_step(latest: Attempt | None, policy: RetryPolicy, now: float, actor: Actor, *, observe_only: bool = False) -> Step:
    """Return what ``wait`` does about the latest attempt of its execution.

    :param policy: the execution's own retry policy.
    :param now: epoch seconds.
    :param actor: the waiting task, its try and the try that began its round.
    :param observe_only: start no attempt and claim none (a sensor without a policy in a hand-written DAG).
    """
    if latest is None:
        return Fail(
            "DCP304",
            "the execution cannot be found any more, so that nothing proves how it ended",
            "clear the submit task to run it again as a new execution",
        )
    if not observe_only and (step := _ownership_step(latest, actor)):
        return step
    if latest.state.is_terminal:
        return _ended_step(latest, policy, now, actor, observe_only=observe_only)
    if latest.cancellation:
        return _cancelled_step(latest, latest.cancellation, now, actor, observe_only=observe_only)
    return _living_step(latest, now)


def _living_step(latest: Attempt, now: float) -> Step:
    """Return the step while an attempt of this round goes on."""
    if _is_past(latest.request.deadline, now):
        return Cancel("timeout")
    if not_started(latest) and _is_past(latest.request.start_deadline, now):
        return Cancel(START_TIMEOUT)
    return Wait(due(latest))


def not_started(attempt: Attempt) -> bool:
    """Whether the attempt still waits for its driver to start, so that its start deadline counts."""
    return attempt.state in {ExecutionState.SUBMITTED, ExecutionState.PENDING}


def due(attempt: Attempt) -> float | None:
    """Return when a living attempt must be looked at again even if nothing changes: its nearest deadline in epoch seconds."""
    bounds = [attempt.request.deadline]
    if not_started(attempt) and attempt.cancellation is None:
        bounds.append(attempt.request.start_deadline)
    return min((bound for bound in bounds if bound is not None), default=None)


def _ended_step(latest: Attempt, policy: RetryPolicy, now: float, actor: Actor, *, observe_only: bool) -> Step:
    """Return the step after an attempt of this round that has ended."""
    if latest.state is ExecutionState.SUCCEEDED:
        return Succeed()
    if latest.state is ExecutionState.FAILED:
        return _failed_step(latest, policy, now, observe_only=observe_only)
    if latest.state is ExecutionState.CANCELLED and latest.cancellation:
        return _cancelled_step(latest, latest.cancellation, now, actor, observe_only=observe_only)
    if latest.state is ExecutionState.CANCELLED:
        return Fail(
            "DCP301", f"{latest.ref.name} was cancelled by somebody unknown", "clear the wait task to start the next attempt"
        )
    return _timed_out(latest)


def _ownership_step(latest: Attempt, actor: Actor) -> Step | None:
    """Return the step that the claim asks for, or None when the attempt is this round's."""
    waited_by, begun_by = latest.waited_by, latest.request.begun_by
    if waited_by is None:
        # Another wait made the attempt for its own, newer round and has not got round to claiming it.
        newer = begun_by.task_id == actor.task_id and begun_by.round_try > actor.round_try
        return _superseded(latest) if newer else Claim()
    if waited_by > actor.round_try:
        return _superseded(latest)
    if waited_by == actor.round_try:
        return None
    if latest.state is ExecutionState.SUCCEEDED:
        return Succeed()
    if not latest.state.is_terminal and latest.cancellation is None:
        return Cancel("superseded")
    number = latest.ref.attempt + 1
    return Create(number, f"attempt {latest.ref.attempt} belongs to an older round", fresh=True, new_round=True)


def _cancelled_step(latest: Attempt, cancellation: Cancellation, now: float, actor: Actor, *, observe_only: bool) -> Step:
    if cancellation.reason == "timeout" or _is_past(latest.request.deadline, now):
        return _timed_out(latest)
    if cancellation.reason == START_TIMEOUT:
        # It is a failure as soon as nothing of it is left, and then retried like one.
        return Wait(latest.request.deadline)
    same_task = cancellation.asked_by.task_id == actor.task_id
    if same_task and cancellation.asked_by.try_number > actor.try_number:
        return _superseded(latest)
    if _by_earlier_try(cancellation, actor) and not observe_only:
        number = latest.ref.attempt + 1
        return Create(number, f"attempt {latest.ref.attempt} was cancelled by {cancellation.asked_by}", fresh=True)
    return _cancelled(latest, cancellation)


def _failed_step(latest: Attempt, policy: RetryPolicy, now: float, *, observe_only: bool) -> Step:
    failure, request = latest.failure, latest.request
    retries = latest.ref.attempt - request.round_start
    ended_at = request.submitted_at if latest.ended_at is None else latest.ended_at
    due = ended_at + policy.retry_interval
    final = (
        observe_only
        or (failure is not None and failure.kind is FailureKind.USER)
        or retries >= policy.max_retries
        or _is_past(request.deadline, max(due, now))
    )
    if not final:
        if now < due:
            return RetryAt(due)
        why = failure.message if failure else "it failed"
        return Create(latest.ref.attempt + 1, f"retry {retries + 1} of {policy.max_retries}: {why}")
    where = f"attempt {latest.ref.attempt} of {latest.ref.name}"
    if failure is None:
        return Fail("DCP300", f"{where} failed without saying why", "look at the driver's log")
    return Fail(failure.code, f"{where} failed: {failure.message}", failure.hint)


def _effective_cancellation(attempt: Attempt) -> Cancellation | None:
    """Return the cancellation that ended or is about to end the attempt; one that came too late does not count."""
    if attempt.state in {ExecutionState.SUCCEEDED, ExecutionState.FAILED}:
        return None
    return attempt.cancellation


def _by_earlier_try(cancellation: Cancellation, actor: Actor) -> bool:
    asked_by = cancellation.asked_by
    return asked_by.task_id != "" and asked_by.task_id == actor.task_id and asked_by.try_number < actor.try_number


def _is_past(deadline: float | None, now: float) -> bool:
    return deadline is not None and now >= deadline


def _cancelled(attempt: Attempt, cancellation: Cancellation, hint: str = "clear the wait task to start the next attempt") -> Fail:
    return Fail(
        "DCP301",
        f"attempt {attempt.ref.attempt} of {attempt.ref.name} was cancelled by {cancellation.asked_by} ({cancellation.reason})",
        hint,
    )


def _timed_out(attempt: Attempt) -> Fail:
    request = attempt.request
    bound = f" of {request.deadline - request.first_submitted_at:.0f} s" if request.deadline is not None else ""
    return Fail(
        "DCP302",
        f"{attempt.ref.name} was ended because the execution's time-out{bound} had passed, queueing and retries included",
        "raise orchestration.timeout, or make the job faster; clear the wait task to try again",
    )


def _superseded(attempt: Attempt) -> Fail:
    return Fail(
        "DCP303",
        f"a newer round of the wait task has taken over {attempt.ref.name}",
        "nothing to do here: the newer try goes on",
    )
