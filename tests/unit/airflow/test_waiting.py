"""Whether a task still waits, by what Airflow says of its run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_dcp_provider.hooks.waiting import RunState, Submitted, answer, waits_of
from airflow_dcp_provider.model.execution import Actor
from airflow_dcp_provider.runner.sweeper import Waiting
from tests.support.executions import request, waiter

ACTIVE = ["running", "deferred", "queued", "scheduled", "up_for_retry", "up_for_reschedule", "restarting"]
OVER = ["success", "failed", "upstream_failed", "skipped", "removed"]


@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize(("states", "waiting"), [(ACTIVE, Waiting.WAITS), (OVER, Waiting.ENDED)])
def test_the_waiting_tasks_own_state_decides(active: bool, states: list[str], waiting: Waiting) -> None:
    for state in states:
        run = RunState(active, {"submit": "success", "wait": state, "publish": "running"})
        assert answer(run, "wait", -1).waiting is waiting, state


@pytest.mark.parametrize(("active", "waiting"), [(True, Waiting.WAITS), (False, Waiting.ENDED)])
def test_a_task_without_a_state_waits_again_while_its_run_is_active(active: bool, waiting: Waiting) -> None:
    assert answer(RunState(active, {"wait": None}), "wait", -1).waiting is waiting


def test_a_mapped_execution_asks_for_its_own_task() -> None:
    run = RunState(True, {"wait_0": "deferred", "wait_1": "failed"})
    assert answer(run, "wait", 0).waiting is Waiting.WAITS
    assert answer(run, "wait", 1).waiting is Waiting.ENDED


@pytest.mark.parametrize(
    ("run", "waiting"),
    [
        (RunState(True, {"sensor": "failed"}), Waiting.WAITS),
        (RunState(False, {"sensor": "running"}), Waiting.WAITS),
        (RunState(False, {"sensor": "failed"}), Waiting.ENDED),
    ],
)
def test_where_the_task_is_not_known_its_run_decides(run: RunState, waiting: Waiting) -> None:
    assert answer(run, None, -1).waiting is waiting


def test_a_run_that_this_airflow_does_not_know_is_never_judged() -> None:
    assert answer(RunState(), "wait", -1).waiting is Waiting.UNKNOWN
    assert answer(RunState(True, {}), None, -1).waiting is Waiting.UNKNOWN


def test_each_run_is_asked_for_once_and_by_its_own_name() -> None:
    asked: list[tuple[str, str]] = []

    def ask(dag_id: str, run_id: str) -> RunState:
        asked.append((dag_id, run_id))
        return RunState(False, {"wait": "failed"})

    waits = waits_of(ask, lambda _: None, lambda _: True)
    one = request(run_key="dag/manual__2013-01-05T00:00:00+00:00/with/slashes/-1")
    assert waits(one).waiting is Waiting.ENDED
    assert waits(replace(one, begun_by=waiter())).waiter == Actor("wait")
    assert asked == [("dag", "manual__2013-01-05T00:00:00+00:00/with/slashes")]


@pytest.mark.parametrize("key", ["", "dag", "dag/run", "dag//-1", "/run/-1", "dag/run/x"])
def test_an_execution_without_a_run_is_nobodys_to_judge(key: str) -> None:
    waits = waits_of(lambda *_: RunState(False, {"wait": "failed"}), lambda _: None, lambda _: True)
    assert waits(request(run_key=key)).waiting is Waiting.UNKNOWN


@pytest.mark.parametrize(
    ("handed_on", "known", "waiting"),
    [
        (request().ref.execution_id, False, Waiting.ENDED),
        ("another Airflow's", True, Waiting.UNKNOWN),
        (None, True, Waiting.ENDED),
        (None, False, Waiting.UNKNOWN),
    ],
)
def test_only_an_execution_that_is_proved_to_be_of_this_airflow_is_judged(
    handed_on: str | None, known: bool, waiting: Waiting
) -> None:
    asked: list[Submitted] = []

    def left(submitted: Submitted) -> str | None:
        asked.append(submitted)
        return handed_on

    waits = waits_of(lambda *_: RunState(False, {"wait": "failed"}), left, lambda _: known)
    assert waits(request()).waiting is waiting
    assert waits(request(attempt=2, begun_by=waiter())).waiting is waiting
    assert asked == [Submitted("dag", "run", "submit", -1)] * 2
