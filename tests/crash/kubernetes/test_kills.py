"""Whoever is killed and whenever: one driver at a time, nothing orphaned, and the next process goes on from what is there."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_dcp_provider.model.execution import Execution
from airflow_dcp_provider.model.job import JobSpec
from airflow_dcp_provider.model.states import ExecutionState as State
from airflow_dcp_provider.runner.runner import SparkRunner
from tests.support.executions import cancellation, job, wait_for, waiter

#: More requests than anybody makes.
TOO_MANY = 40


def every_request(run: Callable[[int], bool]) -> int:
    """Call ``run(n)`` for request 1, 2, 3, ... until nobody is killed any more; return how many requests there were."""
    with ThreadPoolExecutor(3) as pool:
        for base in range(1, TOO_MANY, 3):
            killed = list(pool.map(run, range(base, base + 3)))
            if not all(killed):
                return base + killed.index(False) - 1
    raise AssertionError("the process under test never came to its end")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_creator_killed_at_every_request(scene, when):
    def run(number: int) -> bool:
        asked = scene.request(f"{when} {number}")
        killed = scene.killed("create", asked, number, when)
        # The task is tried again, in another process.
        created = scene.backend().create(asked)
        assert created.request == asked
        scene.assert_nothing_is_orphaned(asked)
        assert scene.ended(asked).state is State.SUCCEEDED
        assert scene.starts(asked) == [1]
        return killed

    assert every_request(run) >= 6
    assert scene.simulator.overlaps() == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_canceller_killed_at_every_request(scene, when):
    def run(number: int) -> bool:
        asked = scene.request(f"{when} {number}", spec=job(hold=True))
        scene.backend().create(asked)
        wait_for(lambda: scene.observer.get(asked.ref).state is State.RUNNING, "the driver")
        killed = scene.killed("cancel", asked, number, when)
        # Whoever looks next finishes a wish that was written down; one that was not, never was.
        seen = scene.backend().get(asked.ref)
        if seen.cancellation is None:
            assert killed
            assert seen.state is State.RUNNING
            scene.backend().cancel(asked.ref, cancellation(waiter(1)))
        done = scene.ended(asked)
        assert (done.state, done.cancellation) == (State.CANCELLED, cancellation(waiter(1)))
        scene.gone(asked.ref)
        found = scene.things(asked)
        assert (found["sparkapplications"], found["pods"]) == ([], [])
        wait_for(lambda: len(scene.things(asked)["configmaps"]) == 1, "the driver's files to go")
        # A creator that was slow does not bring it back.
        assert scene.backend().create(asked) == done
        assert scene.starts(asked) == [1]
        return killed

    assert every_request(run) >= 4


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_waiting_task_killed_at_every_request_of_its_retry(scene, when):
    """The first attempt fails; whoever starts the second one dies on the way."""
    spec = job(exit=22, no_result=True, retries=1, interval=0.0)

    def run(number: int) -> bool:
        asked = scene.request(f"{when} {number}", spec=spec)
        scene.backend().create(asked)
        assert scene.ended(asked).state is State.FAILED
        killed = scene.killed("advance", asked, number, when)
        runner = SparkRunner(scene.backend(), memory_limit=2**40)
        outcome = wait_for(
            lambda: (
                (now := runner.advance(Execution(asked), waiter(2), lambda: (JobSpec.from_dict(asked.job), "0" * 64))).action
                != "wait"
                and now
            ),
            "the retry's end",
        )
        assert (outcome.action, outcome.attempt.ref.attempt, outcome.error.code) == ("failed", 2, "DCP357")
        assert scene.starts(asked) == [1, 2]
        scene.assert_nothing_is_orphaned(asked)
        return killed

    assert every_request(run) >= 10
    assert scene.simulator.overlaps() == []


def test_eight_creating_processes_start_it_once(scene):
    asked = scene.request("many", spec=job(hold=True))
    creators = [scene.act("create", asked) for _ in range(8)]
    for creator in creators:
        creator.join(120)
        assert creator.exitcode == 0
    wait_for(lambda: scene.observer.get(asked.ref).state is State.RUNNING, "the driver")
    scene.simulator.release(asked.ref.name)
    assert scene.ended(asked).state is State.SUCCEEDED
    assert scene.starts(asked) == [1]
    scene.assert_nothing_is_orphaned(asked)


def test_creators_and_cancellers_that_race_never_leave_a_driver(scene):
    """A creator that looked before a cancel and makes the application after it takes it back."""

    def race(number: int) -> None:
        asked = scene.request(f"race {number}", spec=job(hold=True))
        acts = [scene.backend().create] * 4 + [lambda request: scene.backend().cancel(request.ref, cancellation(waiter(1)))] * 4
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda act: act(asked), acts[number % 4 :] + acts[: number % 4]))
        latest = scene.backend().latest(asked.ref)
        assert latest is not None
        if latest.cancellation is None:
            scene.backend().cancel(asked.ref, cancellation(waiter(1)))
        assert scene.ended(asked).state is State.CANCELLED
        scene.gone(asked.ref)
        assert scene.things(asked)["sparkapplications"] == []
        assert len(scene.starts(asked)) <= 1

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(race, range(6)))
