"""Kills and identity, task by task: the operators against the real local backend, in a context as Airflow passes it."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred
from airflow.sdk import DAG, BaseOperator

from airflow_dcp_provider.hooks.dcp import environment_for
from airflow_dcp_provider.hooks.runners import runner_for, store_url
from airflow_dcp_provider.hooks.settings import read_settings
from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.execution import Actor, Attempt, AttemptRef, Cancellation, Execution
from airflow_dcp_provider.model.job import JobSpec
from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.operators.run_context import NONCE_KEY, actor_of, end_round, push_nonce, run_nonce, waiter_of
from airflow_dcp_provider.operators.spark_runner import SparkRunnerSubmitOperator
from airflow_dcp_provider.runner.backends.local import LocalBackend
from airflow_dcp_provider.runner.runner import SparkRunner
from airflow_dcp_provider.runner.store import SqlStore
from airflow_dcp_provider.sensors.spark_execution import SparkExecutionSensor
from tests.support.executions import job, starts, wait_for

DAY = dt.datetime(2013, 1, 5, tzinfo=dt.UTC)


class TaskState:
    """What Airflow keeps for a task of one DAG run, over all its tries."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self.kept.get(key)

    def set(self, key: str, value: Any) -> None:
        self.kept[key] = value


def context(task: BaseOperator, state: TaskState | None = None, *, try_number: int = 1, max_tries: int = 0, **ti: Any) -> Any:
    found = {
        "ti": SimpleNamespace(
            dag_id="d", run_id="r", task_id=task.task_id, map_index=-1, try_number=try_number, max_tries=max_tries, **ti
        ),
        "task": task,
        "run_id": "r",
        "dag": None,
        "dag_run": SimpleNamespace(logical_date=DAY, run_after=DAY, data_interval_start=DAY, data_interval_end=DAY),
        "params": {},
    }
    return found if state is None else {**found, "task_state_store": state}


def submit_task(**orders: Any) -> SparkRunnerSubmitOperator:
    return SparkRunnerSubmitOperator(task_id="submit", job=job(**orders))


def wait_task(handle: Any, **options: Any) -> SparkExecutionSensor:
    return SparkExecutionSensor(task_id="wait", execution=handle, **options)


def submit_job(spec: JobSpec) -> dict[str, Any]:
    task = SparkRunnerSubmitOperator(task_id="submit", job=spec)
    return task.execute(context(task, TaskState()))


@pytest.fixture
def runner(home: Path) -> SparkRunner:
    return runner_for(environment_for("local"))


def latest(runner: SparkRunner, handle: dict[str, Any]) -> Attempt:
    found = runner.backend.latest(Execution.from_dict(handle).ref)
    assert found is not None
    return found


def test_a_retried_submit_finds_its_execution(runner: SparkRunner, home: Path) -> None:
    state = TaskState()
    task = SparkRunnerSubmitOperator(task_id="submit", job=job(), retries=2)
    first = task.execute(context(task, state, max_tries=2))
    task = SparkRunnerSubmitOperator(task_id="submit", job=job(), retries=2)
    again = task.execute(context(task, state, try_number=2, max_tries=2))
    assert again == first
    wait_for(lambda: latest(runner, first).state.is_terminal)
    assert len(starts(home)) == 1


def test_a_cleared_submit_and_a_run_made_again_are_other_executions(home: Path) -> None:
    state = TaskState()
    ids = {
        Execution.from_dict(submit_task().execute(made)).execution_id
        for made in (
            context(submit_task(), state),
            context(submit_task(), state, try_number=2, max_tries=1),
            context(submit_task(), TaskState()),
        )
    }
    assert len(ids) == 3


def test_the_nonce_is_kept_before_it_is_used(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A submit that dies right after it submitted is found again, because what its key holds is kept already."""
    state = TaskState()
    task = submit_task()

    def die(*_: Any) -> None:
        assert NONCE_KEY in state.kept
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(SparkRunner, "submit", die)
        with pytest.raises(KeyboardInterrupt):
            task.execute(context(task, state))
    assert run_nonce(context(task, state)) == state.kept[NONCE_KEY]


def test_before_airflow_3_3_the_nonce_comes_from_an_upstream_task() -> None:
    pushed: dict[str, str] = {}
    with DAG("d", schedule=None):
        upstream = BaseOperator(task_id="ensure_tables")
        task = submit_task()
        upstream >> task
    push_nonce(context(upstream, xcom_push=lambda key, value: pushed.update({key: value})))

    def pull(task_ids: list[str], key: str) -> list[str | None]:
        assert task_ids == ["ensure_tables"]
        return [pushed.get(key)]

    assert len(pushed[NONCE_KEY]) == 32
    assert run_nonce(context(task, xcom_pull=pull)) == pushed[NONCE_KEY]
    assert run_nonce(context(submit_task())) == ""
    push_nonce(context(upstream, TaskState()))  # from 3.3 on nothing is pushed


@pytest.mark.parametrize(
    ("try_number", "max_tries", "retries", "round_try"),
    [(1, 2, 2, 1), (3, 2, 2, 1), (4, 5, 2, 4), (1, 0, 0, 1), (1, 3, 1, 1), (1, 3, 5, 1), (2, 3, 1, 2)],
)
def test_the_round_is_the_try_that_began_it_and_always_one_that_there_has_been(
    try_number: int, max_tries: int, retries: int, round_try: int
) -> None:
    task = BaseOperator(task_id="wait", retries=retries)
    assert actor_of(context(task, try_number=try_number, max_tries=max_tries)) == Actor("wait", try_number, round_try)


def test_a_kill_while_submitting_leaves_nothing_running(runner: SparkRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kill comes before there is an attempt: what is made after it is cancelled all the same."""
    task, state = submit_task(hold=True), TaskState()
    submit = SparkRunner.submit
    made: list[Execution] = []

    def killed_first(self: SparkRunner, request: Any) -> Execution:
        task.on_kill()
        made.append(submit(self, request))
        return made[0]

    with monkeypatch.context() as patched:
        patched.setattr(SparkRunner, "submit", killed_first)
        with pytest.raises(AirflowFailException, match="killed while it submitted"):
            task.execute(context(task, state, max_tries=1))
    handle = made[0].to_dict()
    cancellation = latest(runner, handle).cancellation
    assert cancellation is not None
    assert cancellation.asked_by == Actor("submit", 1, 1)
    wait_for(lambda: latest(runner, handle).state is ExecutionState.CANCELLED)


def test_the_try_after_a_killed_submit_starts_the_next_attempt(runner: SparkRunner, home: Path) -> None:
    task, state = submit_task(hold=True), TaskState()
    first = task.execute(context(task, state))
    task.on_kill()
    (home / "release").touch()
    second = submit_task(hold=True).execute(context(task, state, try_number=2))
    assert [Execution.from_dict(one).ref.attempt for one in (first, second)] == [1, 2]
    assert Execution.from_dict(first).execution_id == Execution.from_dict(second).execution_id
    wait_for(lambda: latest(runner, second).state is ExecutionState.SUCCEEDED)


def defer(task: SparkExecutionSensor, **options: Any) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context(task, **options))
    return deferred.value


def test_a_running_wait_that_is_killed_cancels_and_its_next_try_goes_on(runner: SparkRunner, home: Path) -> None:
    task = submit_task(hold=True)
    handle = task.execute(context(task, TaskState()))
    waiting = wait_task(handle, job=job(hold=True))
    defer(waiting)
    waiting.on_kill()
    wait_for(lambda: latest(runner, handle).state is ExecutionState.CANCELLED)
    same_try = wait_task(handle, job=job(hold=True))
    with pytest.raises(AirflowFailException, match=r"DCP301 attempt 1 of .* was cancelled by task wait, try 1"):
        same_try.execute(context(same_try))
    next_try = wait_task(handle, job=job(hold=True), retries=1)
    assert defer(next_try, try_number=2, max_tries=1).trigger.ref["attempt"] == 2
    (home / "release").touch()
    wait_for(lambda: latest(runner, handle).state is ExecutionState.SUCCEEDED)


def test_a_cleared_wait_starts_the_next_attempt_from_the_job_as_it_is_now(runner: SparkRunner, home: Path) -> None:
    task = submit_task(hold=True)
    handle = task.execute(context(task, TaskState()))
    assert defer(wait_task(handle, job=job(hold=True))).trigger.await_gone is False
    changed = replace(job(), labels={"version": "2"})
    cleared = wait_task(handle, job=changed)
    deferred = defer(cleared, try_number=2, max_tries=1)
    while deferred.trigger.ref["attempt"] == 1:
        assert deferred.trigger.await_gone
        watched = AttemptRef(**deferred.trigger.ref)
        wait_for(lambda ref=watched: runner.backend.is_gone(ref))
        deferred = defer(cleared, try_number=2, max_tries=1)
    assert latest(runner, handle).request.job["labels"] == {"version": "2"}
    wait_for(lambda: latest(runner, handle).state is ExecutionState.SUCCEEDED)
    done = cleared.execute(context(cleared, try_number=2, max_tries=1))
    assert Attempt.from_dict(done["attempt"]).ref.attempt == 2


def test_a_deadline_to_come_is_watched_also_while_nothing_but_the_rest_of_an_attempt_is_waited_for(
    runner: SparkRunner, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An executor on a lost node may stay for ever; the execution's time-out holds all the same."""
    spec = job(timeout=3600, retries=1, interval=0, exit=22)
    handle = submit_job(spec)
    wait_for(lambda: latest(runner, handle).state is ExecutionState.FAILED)
    monkeypatch.setattr(LocalBackend, "is_gone", lambda *_: False)
    trigger = defer(wait_task(handle, job=spec)).trigger
    assert (trigger.await_gone, trigger.deadline) == (True, latest(runner, handle).request.deadline)


def test_a_deadline_that_has_passed_is_no_reason_to_look_again(
    runner: SparkRunner, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cleared task waits for the rest of an attempt whose time is over; its next one has a deadline of its own."""
    spec = job(timeout=0.1, hold=True)
    handle = submit_job(spec)
    deadline = latest(runner, handle).request.deadline
    wait_for(lambda: deadline is not None and time.time() > deadline)
    waiting = wait_task(handle, job=spec)
    with pytest.raises(AirflowFailException, match="DCP302"):
        waiting.execute(context(waiting))
    monkeypatch.setattr(LocalBackend, "is_gone", lambda *_: False)
    trigger = defer(wait_task(handle, job=spec), try_number=2, max_tries=1).trigger
    assert (trigger.await_gone, trigger.deadline) == (True, None)


@pytest.mark.parametrize("retries", [1, 5])
def test_a_deferred_wait_keeps_its_round_when_retries_change(runner: SparkRunner, home: Path, retries: int) -> None:
    """Airflow leaves ``max_tries`` as it was; the count from the DAG's new ``retries`` would name another round."""
    handle = submit_job(job(hold=True))
    options = {"try_number": 5, "max_tries": 6}
    kwargs = defer(wait_task(handle, job=job(hold=True), retries=3), **options).kwargs
    changed = wait_task(handle, job=job(hold=True), retries=retries)
    with pytest.raises(TaskDeferred) as again:
        changed.resume(context(changed, **options), {"reason": "ended"}, **kwargs)
    assert (again.value.trigger.await_gone, again.value.kwargs["round_try"]) == (False, 4)
    assert latest(runner, handle).cancellation is None
    (home / "release").touch()


def defer_kept(state: TaskState, handle: Any, retries: int, **options: Any) -> TaskDeferred:
    task = wait_task(handle, job=job(hold=True), retries=retries)
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context(task, state, **options))
    return deferred.value


@pytest.mark.parametrize("retries", [2, 5])
def test_a_retried_wait_keeps_its_round_when_retries_change_and_a_clear_begins_the_next(
    runner: SparkRunner, home: Path, retries: int
) -> None:
    handle, state = submit_job(job(hold=True)), TaskState()
    defer_kept(state, handle, 3, max_tries=3)
    assert defer_kept(state, handle, retries, try_number=2, max_tries=3).kwargs["round_try"] == 1
    assert latest(runner, handle).cancellation is None
    cleared = defer_kept(state, handle, retries, try_number=3, max_tries=2 + retries)
    assert cleared.kwargs["round_try"] == 3
    cancellation = runner.check(Execution.from_dict(handle).ref).cancellation
    assert cancellation is not None
    assert cancellation.reason == "superseded"
    (home / "release").touch()


def test_a_failed_wait_that_is_cleared_begins_a_round_and_one_that_is_retried_does_not(runner: SparkRunner, home: Path) -> None:
    """Lowered retries can leave ``max_tries`` as it was after a clear, as it is after the death of a worker that had just failed."""
    spec = job(exit=20)
    handle, state = submit_job(spec), TaskState()
    wait_for(lambda: latest(runner, handle).state is ExecutionState.FAILED)
    for try_number in (1, 2):
        task = wait_task(handle, job=spec, retries=2)
        with pytest.raises(AirflowFailException, match="DCP320"):
            task.execute(context(task, state, try_number=try_number, max_tries=2))
    assert latest(runner, handle).ref.attempt == 1
    task = wait_task(handle, job=spec, retries=0)
    with pytest.raises(TaskDeferred):
        task.execute(context(task, state, try_number=3, max_tries=2))
    assert latest(runner, handle).ref.attempt == 2


@pytest.mark.parametrize("retries", [1, 5])
def test_a_first_try_is_the_first_rounds_whatever_retries_are(home: Path, retries: int) -> None:
    """Before Airflow 3.3: another round would be another key, and a second scheduler's submit another execution."""
    made = []
    for options in ({"retries": 3}, {"retries": retries}):
        task = SparkRunnerSubmitOperator(task_id="submit", job=job(), **options)
        made.append(task.execute(context(task, max_tries=3, xcom_pull=lambda **_: [])))
    assert made[0] == made[1]


def test_a_submit_that_dies_with_the_end_of_its_round_is_found_and_one_that_is_cleared_is_another(home: Path) -> None:
    state = TaskState()

    def submitted(retries: int, try_number: int, max_tries: int) -> str:
        task = SparkRunnerSubmitOperator(task_id="submit", job=job(), retries=retries)
        done = task.execute(context(task, state, try_number=try_number, max_tries=max_tries))
        return Execution.from_dict(done).execution_id

    first = submitted(2, 1, 2)
    assert submitted(2, 2, 2) == first
    # Retries were lowered to none before the clear, so that it left `max_tries` as it was.
    assert submitted(0, 3, 2) != first


def test_a_resumed_wait_stays_with_the_execution_that_it_was_deferred_for(runner: SparkRunner, home: Path) -> None:
    """The submit task was cleared meanwhile: its output is another execution's handle, the deferred wait's is the old one's."""
    state = TaskState()
    task = submit_task()
    old = task.execute(context(task, state))
    new = submit_task(lines=["x"]).execute(context(task, state, try_number=2, max_tries=1))
    wait_for(lambda: latest(runner, old).state.is_terminal)
    resumed = wait_task(new)
    done = resumed.resume(context(resumed), {"reason": "ended", "copied": {}}, handle=old)
    assert done["execution"]["request"]["ref"]["execution_id"] == Execution.from_dict(old).execution_id


def test_a_time_out_that_somebody_set_cancels_too(runner: SparkRunner) -> None:
    task = submit_task(hold=True)
    handle = task.execute(context(task, TaskState()))
    waiting = wait_task(handle, job=job(hold=True), timeout=5)
    assert defer(waiting).timeout == dt.timedelta(seconds=5)
    resumed = wait_task(handle, job=job(hold=True), timeout=5)
    with pytest.raises(Exception, match="Trigger timeout"):
        resumed.resume_execution("__fail__", {"error": "Trigger timeout"}, context(resumed))
    cancellation = latest(runner, handle).cancellation
    assert cancellation is not None
    assert cancellation.reason == "timeout"


def test_a_trigger_that_broke_cancels_nothing(runner: SparkRunner, home: Path) -> None:
    task = submit_task(hold=True)
    handle = task.execute(context(task, TaskState()))
    resumed = wait_task(handle)
    with pytest.raises(Exception, match="Trigger failure"):
        resumed.resume_execution("__fail__", {"error": "Trigger failure", "traceback": ["x"]}, context(resumed))
    assert latest(runner, handle).cancellation is None
    (home / "release").touch()


def test_waiting_for_nothing_says_what_to_do() -> None:
    waiting = wait_task(None)
    with pytest.raises(AirflowFailException, match="there is no execution to wait for"):
        waiting.execute(context(waiting))


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Takes the backend away from whoever asks it from then on."""

    def away(*_: Any) -> Any:
        raise DcpEnvironmentError("the API server does not answer", code="DCP460")

    def take_away() -> None:
        for method in ("latest", "get", "cancel"):
            monkeypatch.setattr(LocalBackend, method, away)

    return take_away


def intents() -> dict[str, Cancellation]:
    return SqlStore(store_url(read_settings())).cancel_intents("local")


def test_a_kill_of_wait_while_the_backend_is_away_is_kept_for_the_sweep(
    runner: SparkRunner, home: Path, unreachable: Callable[[], None]
) -> None:
    task = submit_task(hold=True)
    handle = task.execute(context(task, TaskState()))
    waiting = wait_task(handle, job=job(hold=True))
    defer(waiting)
    unreachable()
    waiting.on_kill()
    (kept,) = intents().items()
    assert (kept[0], kept[1].asked_by, kept[1].reason) == (Execution.from_dict(handle).ref.name, Actor("wait", 1, 1), "kill")
    (home / "release").touch()


def test_a_kill_of_submit_while_the_backend_is_away_is_kept_for_the_sweep(
    home: Path, unreachable: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to the creation is lost: the attempt is there, and nobody has told the task its name."""
    task, submit, made = submit_task(hold=True), SparkRunner.submit, []

    def lost(self: SparkRunner, request: Any) -> Execution:
        made.append(submit(self, request))
        unreachable()
        task.on_kill()
        raise DcpEnvironmentError("the API server does not answer", code="DCP460")

    monkeypatch.setattr(SparkRunner, "submit", lost)
    with pytest.raises(DcpEnvironmentError):
        task.execute(context(task, TaskState()))
    assert {name: wish.asked_by.task_id for name, wish in intents().items()} == {made[0].ref.name: "submit"}
    (home / "release").touch()


def test_a_round_that_a_newer_one_has_overtaken_ends_nothing() -> None:
    """The older task's process may still be there when it learns that it was overtaken."""
    task, state = BaseOperator(task_id="wait", retries=2), TaskState()
    older = waiter_of(context(task, state, max_tries=2))
    newer = waiter_of(context(task, state, try_number=2, max_tries=3))
    end_round(context(task, state, max_tries=2), older)
    assert (newer.round_try, waiter_of(context(task, state, try_number=3, max_tries=3)).round_try) == (2, 2)


def test_a_submit_that_fails_because_a_user_cancelled_is_another_execution_once_it_is_cleared(
    runner: SparkRunner, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker died after the creation, so that nobody was handed an execution: only `submit` can be cleared."""
    state, made = TaskState(), []

    def submitted(try_number: int, max_tries: int) -> Execution:
        task = SparkRunnerSubmitOperator(task_id="submit", job=job(hold=True), retries=2)
        return Execution.from_dict(task.execute(context(task, state, try_number=try_number, max_tries=max_tries)))

    def die(_: SparkRunner, ref: AttemptRef) -> None:
        made.append(ref)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(SparkRunner, "check", die)
        with pytest.raises(KeyboardInterrupt):
            submitted(1, 2)
    runner.cancel(made[0], Cancellation(Actor(user="jane"), "not today", time.time()))
    with pytest.raises(AirflowFailException, match=r"(?s)DCP301 .* user jane .*clear the submit task"):
        submitted(2, 2)
    assert submitted(3, 4).execution_id != made[0].execution_id
    (home / "release").touch()
