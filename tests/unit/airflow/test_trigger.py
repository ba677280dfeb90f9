"""The trigger against the real local backend: what makes it fire, what a kill does, and what a restart does not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_dcp_provider.hooks.dcp import environment_for
from airflow_dcp_provider.hooks.runners import runner_for
from airflow_dcp_provider.model.execution import Attempt, Execution
from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.runner.runner import SparkRunner
from airflow_dcp_provider.runner.values import SubmitRequest
from airflow_dcp_provider.triggers import kill, spark_execution
from airflow_dcp_provider.triggers.spark_execution import SparkExecutionTrigger, watch
from tests.support.executions import job, submitter, wait_for, waiter

PATIENCE = 30


@pytest.fixture
def runner(home: Path) -> SparkRunner:
    return runner_for(environment_for("local"))


def submit(runner: SparkRunner, **orders: Any) -> Execution:
    return runner.submit(SubmitRequest("key", job(**orders), "f" * 64, submitter()))


def state(runner: SparkRunner, execution: Execution) -> ExecutionState:
    return runner.check(execution.ref).state


async def fire(trigger: SparkExecutionTrigger) -> dict[str, Any]:
    """Return the one event of a trigger that went through JSON, as Airflow's database sends it."""
    path, arguments = trigger.serialize()
    assert path == "airflow_dcp_provider.triggers.spark_execution.SparkExecutionTrigger"
    again = SparkExecutionTrigger(**json.loads(json.dumps(arguments)))
    events = await asyncio.wait_for(_events(again), PATIENCE)
    (event,) = events
    return dict(event.payload)


async def _events(trigger: SparkExecutionTrigger) -> list[Any]:
    return [event async for event in trigger.run()]


async def stopped(trigger: SparkExecutionTrigger) -> None:
    """Run the trigger and end it as Airflow does when a triggerer stops or a user acts on the task."""
    task = asyncio.create_task(_events(trigger))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_fires_when_the_attempt_ends(runner: SparkRunner, home: Path) -> None:
    execution = submit(runner, hold=True)
    waiting = asyncio.create_task(fire(watch(execution.ref, waiter(), poll_interval=0.05, copied={"1": 7})))
    await asyncio.to_thread(wait_for, lambda: state(runner, execution) is ExecutionState.RUNNING)
    assert not waiting.done()
    (home / "release").touch()
    assert await waiting == {"reason": "ended", "copied": {"1": 7}}
    assert state(runner, execution) is ExecutionState.SUCCEEDED


async def test_fires_at_its_deadline_and_leaves_the_attempt_to_the_task(runner: SparkRunner, home: Path) -> None:
    execution = submit(runner, hold=True)
    assert (await fire(watch(execution.ref, waiter(), deadline=time.time() - 5, poll_interval=0.05)))["reason"] == "deadline"
    assert runner.check(execution.ref).cancellation is None
    (home / "release").touch()


async def test_fires_when_the_next_attempt_is_due(runner: SparkRunner) -> None:
    execution = submit(runner)
    due = time.time() + 0.2
    assert (await fire(watch(execution.ref, waiter(), not_before=due)))["reason"] == "due"
    assert time.time() >= due


async def test_waits_until_nothing_of_a_cancelled_attempt_runs(runner: SparkRunner) -> None:
    execution = submit(runner, hold=True)
    trigger = watch(execution.ref, waiter(), await_gone=True, deadline=time.time() + 60, poll_interval=0.05)
    waiting = asyncio.create_task(fire(trigger))
    await trigger.on_kill()
    assert (await waiting)["reason"] == "ended"
    assert runner.backend.is_gone(execution.ref)


async def test_what_stays_of_an_attempt_holds_nobody_beyond_the_deadline(
    runner: SparkRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An executor on a lost node stays for ever. It is looked at ever more seldom, and the deadline holds."""
    execution, looks = submit(runner), list[float]()
    monkeypatch.setattr(type(runner.backend), "is_gone", lambda *_: looks.append(time.monotonic()))
    deadline = time.time() + 3
    trigger = watch(execution.ref, waiter(), await_gone=True, deadline=deadline, poll_interval=0.05)
    assert (await fire(trigger))["reason"] == "deadline"
    assert time.time() >= deadline
    assert 2 <= len(looks) <= 12


async def test_fires_when_the_attempt_has_vanished(runner: SparkRunner) -> None:
    execution = submit(runner)
    elsewhere = asdict(execution.ref) | {"execution_id": "00000000-0000-0000-0000-000000000000"}
    assert (await fire(SparkExecutionTrigger(ref=elsewhere, actor=asdict(waiter()))))["reason"] == "ended"


async def test_a_look_that_fails_now_and_then_fails_nothing(
    runner: SparkRunner, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = submit(runner)
    get, calls = runner.backend.get, []

    def get_sometimes(ref: Any) -> Attempt | None:
        calls.append(ref)
        if len(calls) % 2:
            raise OSError("the disk blinked")
        return get(ref)

    monkeypatch.setattr(type(runner.backend), "get", lambda _, ref: get_sometimes(ref))
    assert (await fire(watch(execution.ref, waiter(), poll_interval=0.02)))["reason"] == "ended"
    assert len(calls) >= 2


async def test_a_backend_that_stays_away_is_the_tasks_to_report(runner: SparkRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    execution = submit(runner)
    monkeypatch.setattr(spark_execution, "_PATIENCE", 3)
    monkeypatch.setenv("AIRFLOW__DCP__MAX_LOCAL_EXECUTIONS", "many")
    assert (await fire(watch(execution.ref, waiter(), poll_interval=0.01)))["reason"] == "unreadable"


async def test_a_kill_cancels_the_attempt_in_the_tasks_name(runner: SparkRunner) -> None:
    execution = submit(runner, hold=True)
    await watch(execution.ref, waiter(2, 1)).on_kill()
    cancellation = runner.check(execution.ref).cancellation
    assert cancellation is not None
    assert (cancellation.asked_by, cancellation.reason) == (waiter(2, 1), "kill")
    wait_for(lambda: state(runner, execution) is ExecutionState.CANCELLED)


async def test_a_kill_after_the_event_cancels_nothing(runner: SparkRunner, home: Path) -> None:
    execution = submit(runner, hold=True)
    trigger = watch(execution.ref, waiter(), deadline=time.time() - 1, poll_interval=0.05)
    await asyncio.wait_for(_events(trigger), PATIENCE)
    await trigger.on_kill()
    assert runner.check(execution.ref).cancellation is None
    (home / "release").touch()


@pytest.mark.parametrize(("found", "cancelled"), [("failed", True), ("None", True), ("", True), ("deferred", False)])
async def test_a_kill_counts_only_when_the_task_is_deferred_no_more(
    runner: SparkRunner, home: Path, monkeypatch: pytest.MonkeyPatch, found: str, *, cancelled: bool
) -> None:
    """Airflow says "killed" also to the triggers of a triggerer that stalled and whose triggers another one has meanwhile."""
    execution = submit(runner, hold=True)
    trigger = watch(execution.ref, waiter())
    monkeypatch.setattr(kill, "task_state", lambda _: found)
    trigger.task_instance = SimpleNamespace(task_id="wait")
    await trigger.on_kill()
    assert (runner.check(execution.ref).cancellation is not None) is cancelled
    (home / "release").touch()


async def test_a_triggerer_fires_nothing_before_airflow_knows_that_the_task_has_deferred(runner: SparkRunner) -> None:
    execution = submit(runner)
    wait_for(lambda: state(runner, execution) is ExecutionState.SUCCEEDED)
    began = time.monotonic()
    trigger = watch(execution.ref, waiter(), poll_interval=0.02, settling=0.6)
    trigger.task_instance = SimpleNamespace(task_id="wait")
    await asyncio.wait_for(_events(trigger), PATIENCE)
    assert time.monotonic() >= began + 0.6
    # Where no triggerer runs it, nobody tells Airflow of anything.
    await asyncio.wait_for(_events(watch(execution.ref, waiter(), poll_interval=0.02, settling=3600)), PATIENCE)


@pytest.mark.parametrize("native", [True, False])
async def test_a_triggerer_that_restarts_cancels_nothing(
    runner: SparkRunner, home: Path, monkeypatch: pytest.MonkeyPatch, *, native: bool
) -> None:
    execution = submit(runner, hold=True)
    trigger = watch(execution.ref, waiter())
    monkeypatch.setattr(spark_execution, "NATIVE_ON_KILL", native)
    monkeypatch.setattr(kill, "task_state", lambda _: "deferred")
    trigger.task_instance = SimpleNamespace(task_id="wait")
    await stopped(trigger)
    await trigger.cleanup()
    assert runner.check(execution.ref).cancellation is None
    (home / "release").touch()


@pytest.mark.parametrize(("found", "cancelled"), [("failed", True), ("success", True), (None, True), ("deferred", False)])
async def test_before_airflow_3_3_the_tasks_state_says_whether_it_was_killed(
    runner: SparkRunner, home: Path, monkeypatch: pytest.MonkeyPatch, found: str | None, *, cancelled: bool
) -> None:
    execution = submit(runner, hold=True)
    trigger = watch(execution.ref, waiter())
    monkeypatch.setattr(spark_execution, "NATIVE_ON_KILL", False)
    monkeypatch.setattr(kill, "task_state", lambda _: str(found))
    trigger.task_instance = SimpleNamespace(task_id="wait")
    await stopped(trigger)
    await trigger.cleanup()
    assert (runner.check(execution.ref).cancellation is not None) is cancelled
    (home / "release").touch()


async def test_a_state_that_cannot_be_read_cancels_nothing(
    runner: SparkRunner, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = submit(runner, hold=True)
    trigger = watch(execution.ref, waiter())
    monkeypatch.setattr(spark_execution, "NATIVE_ON_KILL", False)
    trigger.task_instance = SimpleNamespace(dag_id="d", task_id="wait", run_id="r", map_index=-1)
    await stopped(trigger)
    await trigger.cleanup()
    assert runner.check(execution.ref).cancellation is None
    (home / "release").touch()


async def test_looking_never_blocks_the_event_loop(runner: SparkRunner, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a look hangs, the loop goes on: it counts on while nothing can be seen."""
    execution = submit(runner)
    import threading

    gate = threading.Event()
    get = runner.backend.get

    def get_late(ref: Any) -> Attempt | None:
        assert gate.wait(PATIENCE)
        return get(ref)

    monkeypatch.setattr(type(runner.backend), "get", lambda _, ref: get_late(ref))
    waiting = asyncio.create_task(fire(watch(execution.ref, waiter(), poll_interval=0.02)))
    for _ in range(20):
        await asyncio.sleep(0.005)
    assert not waiting.done()
    gate.set()
    assert (await waiting)["reason"] == "ended"


async def test_a_kill_while_the_connection_is_read_keeps_its_message(runner: SparkRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow tells a user's kill from a triggerer's stop by the cancellation's message alone."""
    execution = submit(runner, sleep=PATIENCE)
    reading, go_on = threading.Event(), threading.Event()

    def slow(environment: Any) -> SparkRunner:
        reading.set()
        assert go_on.wait(PATIENCE)
        return runner_for(environment)

    monkeypatch.setattr(spark_execution, "runner_for", slow)
    task = asyncio.create_task(_events(watch(execution.ref, waiter())))
    assert await asyncio.to_thread(reading.wait, PATIENCE)
    task.cancel("user-action")
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    go_on.set()
    assert caught.value.args == ("user-action",)


@contextlib.contextmanager
def held(executor: ThreadPoolExecutor) -> Iterator[None]:
    """Keep the one thread of an executor busy, as calls to a cluster do that does not answer."""
    go_on = threading.Event()
    executor.submit(go_on.wait, PATIENCE)
    try:
        yield
    finally:
        go_on.set()


async def test_a_kill_waits_for_nobody_who_looks(runner: SparkRunner) -> None:
    execution = submit(runner, hold=True)
    looks = ThreadPoolExecutor(1)
    asyncio.get_running_loop().set_default_executor(looks)
    with held(looks):
        await asyncio.wait_for(watch(execution.ref, waiter()).on_kill(), PATIENCE / 3)
    assert runner.check(execution.ref).cancellation is not None


@pytest.mark.parametrize("native", [True, False])
async def test_a_kill_that_airflow_waits_for_no_longer_is_carried_out_all_the_same(
    runner: SparkRunner, monkeypatch: pytest.MonkeyPatch, *, native: bool
) -> None:
    """Other kills hold every thread until Airflow's patience with this one is over; then it gets its turn."""
    execution = submit(runner, hold=True)
    kills = ThreadPoolExecutor(1)
    monkeypatch.setattr(spark_execution, "KILLS", kills)
    monkeypatch.setattr(spark_execution, "NATIVE_ON_KILL", native)
    monkeypatch.setattr(kill, "task_state", lambda _: "failed")
    trigger = watch(execution.ref, waiter())
    trigger.task_instance = SimpleNamespace(task_id="wait")
    with held(kills), pytest.raises(TimeoutError):
        await asyncio.wait_for(trigger.on_kill() if native else trigger.cleanup(), 0.5)
    await asyncio.to_thread(wait_for, lambda: state(runner, execution) is ExecutionState.CANCELLED)
