"""What every backend promises (``runner/backends/base.py``), on the real thing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from airflow_dcp_provider.model.errors import ExecutionError
from airflow_dcp_provider.model.execution import Actor, Attempt, FailureKind
from airflow_dcp_provider.model.states import ExecutionState as State
from tests.support.executions import cancellation, job, wait_for, waiter


def ended(backend, ref) -> Attempt:
    return wait_for(lambda: (now := backend.get(ref)) and now.state.is_terminal and now, "the attempt's end")


def running(backend, ref) -> Attempt:
    return wait_for(lambda: (now := backend.get(ref)) and now.state is State.RUNNING and now, "the attempt to run")


class TestCreate:
    def test_runs_to_its_end_and_says_so(self, rig, backend):
        asked = rig.request()
        created = backend.create(asked)
        assert created.request == asked
        assert not created.state.is_terminal
        done = ended(backend, asked.ref)
        assert done.state is State.SUCCEEDED
        assert done.request == asked
        assert done.result["status"] == "succeeded"
        assert done.failure is None
        assert asked.submitted_at < done.started_at <= done.ended_at
        assert len(rig.starts()) == 1

    def test_creating_what_exists_answers_with_what_exists(self, rig, backend):
        asked = rig.request()
        backend.create(asked)
        done = ended(backend, asked.ref)
        again = rig.backend().create(replace(asked, fingerprint="0" * 64, submitted_at=999.0))
        assert again == done
        assert len(rig.starts()) == 1

    def test_creators_that_race_start_it_once(self, rig):
        asked = rig.request()
        with ThreadPoolExecutor(8) as pool:
            created = list(pool.map(lambda _: rig.backend().create(asked), range(8)))
        assert {attempt.ref for attempt in created} == {asked.ref}
        assert ended(rig.backend(), asked.ref).state is State.SUCCEEDED
        assert len(rig.starts()) == 1

    def test_another_owners_attempt_is_not_taken_over(self, rig, backend):
        asked = rig.request()
        backend.create(asked)
        with pytest.raises(ExecutionError) as caught:
            backend.create(replace(asked, idempotency_key="somebody else's"))
        assert caught.value.code == "DCP310"
        ended(backend, asked.ref)
        assert len(rig.starts()) == 1

    def test_attempts_of_one_execution_are_separate(self, rig, backend):
        first, second = rig.request(attempt=1, spec=job(exit=1)), rig.request(attempt=2)
        backend.create(first)
        assert ended(backend, first.ref).state is State.FAILED
        backend.create(second)
        assert ended(backend, second.ref).state is State.SUCCEEDED
        assert ended(backend, first.ref).state is State.FAILED
        assert len(rig.starts()) == 2


class TestGet:
    def test_nothing_is_nothing(self, rig, backend):
        ref = rig.request().ref
        assert backend.get(ref) is None
        assert backend.latest(ref) is None
        assert backend.is_gone(ref)
        assert backend.read_log(ref) == ("", 0)
        assert backend.cancel(ref, cancellation()) is None

    def test_a_running_attempt_runs_for_every_observer(self, rig, backend):
        asked = rig.request(spec=job(hold=True))
        backend.create(asked)
        assert running(backend, asked.ref).ended_at is None
        assert rig.backend().get(asked.ref).state is State.RUNNING
        assert not backend.is_gone(asked.ref)
        rig.release()
        assert ended(backend, asked.ref).state is State.SUCCEEDED
        assert backend.is_gone(asked.ref)

    def test_latest_is_the_highest_number(self, rig, backend):
        for number in (2, 10, 1):
            backend.create(rig.request(attempt=number))
        assert backend.latest(rig.request().ref).ref.attempt == 10
        for number in (2, 10, 1):
            ended(backend, rig.request(attempt=number).ref)

    def test_answers_are_json(self, rig, backend):
        asked = rig.request(spec=job(exit=20))
        backend.create(asked)
        done = ended(backend, asked.ref)
        assert Attempt.from_dict(done.to_dict()) == done


class TestFailures:
    @pytest.mark.parametrize(
        ("orders", "kind", "code"),
        [
            ({"exit": 20}, FailureKind.USER, "DCP329"),
            ({"exit": 21, "no_result": True}, FailureKind.USER, "DCP356"),
            ({"exit": 22, "no_result": True}, FailureKind.PLATFORM, "DCP357"),
            ({"exit": 3, "no_result": True}, FailureKind.RESOURCES, "DCP351"),
            ({"exit": 52, "no_result": True}, FailureKind.RESOURCES, "DCP351"),
            ({"exit": 137, "no_result": True}, FailureKind.RESOURCES, "DCP351"),
            ({"exit": 1, "no_result": True, "lines": ["Traceback", "ValueError: odd"]}, FailureKind.PLATFORM, "DCP350"),
            ({"exit": 0, "no_result": True}, FailureKind.PLATFORM, "DCP358"),
        ],
    )
    def test_the_exit_tells_whose_fault_it_is(self, rig, backend, orders, kind, code):
        asked = rig.request(spec=job(**orders))
        backend.create(asked)
        done = ended(backend, asked.ref)
        assert done.state is State.FAILED
        assert (done.failure.kind, done.failure.code) == (kind, rig.codes.get(orders["exit"], code))

    @pytest.mark.parametrize("orders", [{"exit": 22}, {"exit": 1, "no_result": True}])
    def test_what_is_kept_of_an_end_shows_no_secret(self, rig, backend, orders):
        said = "no route to jdbc:postgresql://etl:hunter2@db/x with password=hunter2"
        asked = rig.request(spec=job(**orders, message=said, lines=["Traceback (most recent call last):", f"OSError: {said}"]))
        backend.create(asked)
        done = ended(backend, asked.ref)
        assert (done.result is None) == bool(orders.get("no_result"))
        assert "no route to" in done.failure.log_tail
        assert "hunter2" not in f"{done.failure} {done.result} {done.message}"

    def test_a_driver_that_is_killed_has_failed(self, rig, backend):
        asked = rig.request(spec=job(hold=True))
        backend.create(asked)
        running(backend, asked.ref)
        rig.kill_driver(asked)
        done = ended(backend, asked.ref)
        assert (done.state, done.failure.kind) == (State.FAILED, rig.killed)


class TestClaim:
    def test_the_first_round_is_kept(self, rig, backend):
        asked = rig.request(spec=job(hold=True))
        assert backend.create(asked).waited_by is None
        assert backend.claim(asked.ref, 2).waited_by == 2
        assert rig.backend().claim(asked.ref, 5).waited_by == 2
        assert backend.get(asked.ref).waited_by == 2

    def test_an_attempt_that_has_ended_can_be_claimed(self, rig, backend):
        asked = rig.request()
        backend.create(asked)
        ended(backend, asked.ref)
        claimed = backend.claim(asked.ref, 1)
        assert (claimed.waited_by, claimed.state) == (1, State.SUCCEEDED)


class TestCancel:
    def test_a_running_attempt_ends_cancelled(self, rig, backend):
        asked = rig.request(spec=job(hold=True))
        backend.create(asked)
        running(backend, asked.ref)
        wish = cancellation(waiter(2))
        assert backend.cancel(asked.ref, wish).cancellation == wish
        done = ended(backend, asked.ref)
        assert (done.state, done.cancellation, done.failure) == (State.CANCELLED, wish, None)
        assert backend.is_gone(asked.ref)

    def test_a_time_out_ends_as_a_time_out(self, rig, backend):
        asked = rig.request(spec=job(hold=True))
        backend.create(asked)
        running(backend, asked.ref)
        backend.cancel(asked.ref, cancellation(reason="timeout"))
        assert ended(backend, asked.ref).state is State.TIMEOUT

    def test_the_first_cancellation_is_kept(self, rig, backend):
        asked = rig.request(spec=job(hold=True))
        backend.create(asked)
        first = cancellation(waiter(1))
        backend.cancel(asked.ref, first)
        rig.backend().cancel(asked.ref, cancellation(Actor(user="late"), "timeout"))
        done = ended(backend, asked.ref)
        assert (done.state, done.cancellation) == (State.CANCELLED, first)

    def test_an_attempt_that_has_ended_stays_as_it_is(self, rig, backend):
        asked = rig.request()
        backend.create(asked)
        done = ended(backend, asked.ref)
        assert backend.cancel(asked.ref, cancellation()) == done
        assert backend.get(asked.ref) == done


class TestLog:
    def test_the_log_is_read_piece_by_piece(self, rig, backend):
        asked = rig.request(spec=job(lines=["first", "Grüße, 世界 🚀"]))
        backend.create(asked)
        ended(backend, asked.ref)
        whole, end = backend.read_log(asked.ref)
        assert "first\nGrüße, 世界 🚀\n" in whole
        pieces, offset = [], 0
        while offset != end:
            piece, offset = backend.read_log(asked.ref, offset, limit=7)
            pieces.append(piece)
        assert "".join(pieces) == whole
        assert len(pieces) > 2
        assert backend.read_log(asked.ref, end) == ("", end)
