"""Following drivers' logs while tasks wait: real attempts of this machine, whose drivers write and hold."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_dcp_provider.hooks.dcp import environment_for
from airflow_dcp_provider.hooks.runners import runner_for
from airflow_dcp_provider.model.execution import AttemptRef
from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.runner.backends.local import LocalBackend
from airflow_dcp_provider.runner.runner import SparkRunner
from airflow_dcp_provider.runner.values import SubmitRequest
from airflow_dcp_provider.sensors.driver_log import DriverLog
from airflow_dcp_provider.triggers import live_log
from airflow_dcp_provider.triggers.live_log import followed, places_of
from airflow_dcp_provider.triggers.spark_execution import watch
from airflow_dcp_provider.triggers.threads import in_thread
from tests.support.executions import job, submitter, wait_for, waiter

FIRST_LINE = "driver of attempt 1 for 2013-01-05"


@pytest.fixture
def runner(home: Path, monkeypatch: pytest.MonkeyPatch) -> SparkRunner:
    monkeypatch.setattr(live_log, "FOLLOW_INTERVAL", 0.05)
    return runner_for(environment_for("local"))


class Log(logging.Logger):
    """A logger that keeps its lines."""

    def __init__(self) -> None:
        super().__init__("live")
        self.lines: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: self.lines.append(record.getMessage())  # type: ignore[method-assign]
        self.addHandler(handler)


def submit(runner: SparkRunner, key: str = "key", **orders: Any) -> AttemptRef:
    """An attempt whose driver has written its first line."""
    asked = SubmitRequest(key, job(hold=True, **orders), "f" * 64, submitter(), ds="2013-01-05")
    ref = runner.submit(asked).ref
    wait_for(lambda: FIRST_LINE in runner.backend.read_log(ref)[0], "the driver's first line")
    return ref


def release(runner: SparkRunner, home: Path, *refs: AttemptRef) -> None:
    (home / "release").touch()
    for ref in refs:
        wait_for(lambda ref=ref: runner.backend.is_gone(ref), "the attempt to end")  # type: ignore[misc]


async def until(condition: Callable[[], Any]) -> None:
    await asyncio.to_thread(wait_for, condition)


async def test_what_was_followed_is_not_copied_again_and_the_rest_is(runner: SparkRunner, home: Path) -> None:
    ref, log, copied = submit(runner), Log(), dict[str, int]()
    async with followed(ref, copied, 1, None, log):
        await until(lambda: FIRST_LINE in log.lines)
    assert copied["1"] > 0
    release(runner, home, ref)
    DriverLog(runner.backend, log, copied).copy(ref)
    written = [line for line in log.lines if not line.startswith(("::", "The driver's log is followed"))]
    assert written == runner.backend.read_log(ref)[0].splitlines()
    assert any(line.startswith("DCP_RESULT") for line in written)


async def test_at_most_so_many_are_followed_and_the_next_takes_a_place_that_is_left(runner: SparkRunner, home: Path) -> None:
    refs = [submit(runner, key) for key in ("one", "two")]
    logs = [Log(), Log()]
    async with followed(refs[0], {}, 1, None, logs[0]):
        await until(lambda: FIRST_LINE in logs[0].lines)
        async with followed(refs[1], {}, 1, None, logs[1]):
            await asyncio.sleep(0.3)
            assert (places_of("local", 1).taken, logs[1].lines) == (1, [])
    async with followed(refs[1], {}, 1, None, logs[1]):
        await until(lambda: FIRST_LINE in logs[1].lines)
    assert places_of("local", 1).taken == 0
    release(runner, home, *refs)


async def test_without_places_nothing_is_read(runner: SparkRunner, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ref, log = submit(runner), Log()
    monkeypatch.setattr(live_log, "runner_for", lambda _: pytest.fail("it was looked at"))
    async with followed(ref, {}, 0, None, log):
        await asyncio.sleep(0.1)
    assert log.lines == []
    release(runner, home, ref)


async def test_a_log_that_cannot_be_followed_keeps_nobody_from_waiting(
    runner: SparkRunner, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref, log = submit(runner), Log()
    monkeypatch.setenv("AIRFLOW__DCP__MAX_LOCAL_EXECUTIONS", "many")
    async with followed(ref, {}, 1, None, log):
        await until(lambda: any("followed no more" in line for line in log.lines))
    assert any("DCP417" in line for line in log.lines)
    assert places_of("local", 1).taken == 0
    release(runner, home, ref)


async def test_a_read_that_takes_long_is_not_waited_for(runner: SparkRunner, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ref, reading, go_on = submit(runner), threading.Event(), threading.Event()

    def slow(*_: Any) -> tuple[str, int]:
        reading.set()
        go_on.wait(20)
        return "a line that comes too late\n", 99

    monkeypatch.setattr(LocalBackend, "read_log", slow)
    log, copied = Log(), dict[str, int]()
    try:
        async with asyncio.timeout(5):
            async with followed(ref, copied, 1, None, log):
                await asyncio.to_thread(reading.wait, 10)
    finally:
        go_on.set()
    assert copied == {}
    assert "a line that comes too late" not in log.lines
    release(runner, home, ref)


async def test_the_event_says_how_far_the_log_is_written(runner: SparkRunner, home: Path) -> None:
    ref = submit(runner)
    trigger = watch(ref, waiter(), poll_interval=0.05, live_logs=2)
    assert trigger.serialize()[1]["live_logs"] == 2
    firing = asyncio.ensure_future(anext(trigger.run()))
    await until(lambda: trigger.copied.get("1"))
    (home / "release").touch()
    event = await asyncio.wait_for(firing, 30)
    assert event.payload["reason"] == "ended"
    assert event.payload["copied"]["1"] >= len(FIRST_LINE)


async def test_the_links_to_spark_are_set_while_the_driver_runs(
    runner: SparkRunner, home: Path, monkeypatch: pytest.MonkeyPatch, connection: Callable[..., None]
) -> None:
    connection("dcp_local", {"history_server_url": "https://history.example.com"})
    ref, log = submit(runner), Log()
    get = LocalBackend.get

    def with_page(backend: LocalBackend, wanted: AttemptRef) -> Any:
        found = get(backend, wanted)
        assert found is not None
        return found.with_state(ExecutionState.RUNNING, spark_ui_url="https://ui.example.com", spark_app_id="spark-1")

    monkeypatch.setattr(LocalBackend, "get", with_page)
    pushed: dict[str, Any] = {}
    monkeypatch.setattr("airflow.sdk.execution_time.xcom.XCom.set", lambda **said: pushed.update({said["key"]: said}))
    task = SimpleNamespace(dag_id="dag", task_id="wait", run_id="run", map_index=-1)
    async with followed(ref, {}, 1, task, log):
        await until(lambda: len(pushed) == 2)
    assert pushed["_link_SparkUiLink"] == {
        "key": "_link_SparkUiLink",
        "value": "https://ui.example.com",
        "dag_id": "dag",
        "task_id": "wait",
        "run_id": "run",
        "map_index": -1,
    }
    assert pushed["_link_SparkHistoryLink"]["value"] == "https://history.example.com/history/spark-1/jobs/"
    monkeypatch.setattr(LocalBackend, "get", get)
    release(runner, home, ref)


async def test_reads_that_take_long_leave_the_event_loops_threads_to_others(
    runner: SparkRunner, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref, loop, reading, go_on = submit(runner), asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def slow(*_: Any) -> tuple[str, int]:
        loop.call_soon_threadsafe(reading.set)
        go_on.wait(20)
        return "", 0

    monkeypatch.setattr(LocalBackend, "read_log", slow)
    loop.set_default_executor(ThreadPoolExecutor(1))
    async with followed(ref, {}, 1, None, Log()):
        try:
            await asyncio.wait_for(reading.wait(), 20)
            assert await asyncio.wait_for(in_thread(lambda: "free"), 5) == "free"
        finally:
            go_on.set()
    release(runner, home, ref)
