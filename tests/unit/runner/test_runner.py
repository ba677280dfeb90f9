"""Submit, check, cancel and advance on the local backend: real supervisors, a small real process in Spark's place."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_dcp_provider.model.errors import DcpEnvironmentError, ExecutionError
from airflow_dcp_provider.model.execution import Actor, AttemptRef, Cancellation, Execution
from airflow_dcp_provider.model.job import JobSpec
from airflow_dcp_provider.model.states import ExecutionState as State
from airflow_dcp_provider.runner.backends.local import LocalBackend
from airflow_dcp_provider.runner.runner import SparkRunner
from airflow_dcp_provider.runner.store import SqlStore
from airflow_dcp_provider.runner.values import Outcome, SubmitRequest
from tests.support.executions import job, local_settings, request, starts, submitter, wait_for, waiter


class Scene:
    """One machine. Every call is made by a runner of its own, as in a process of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.late = 0.0
        self.submitted: list[AttemptRef] = []

    def runner(self, store: SqlStore | None = None) -> SparkRunner:
        backend = LocalBackend(self.home, local_settings(self.home))
        return SparkRunner(backend, store, lambda: time.time() + self.late, memory_limit=4 * 2**30)

    def submit(
        self, spec: JobSpec, actor: Actor | None = None, fingerprint: str = "f" * 64, store: SqlStore | None = None
    ) -> Execution:
        asked = SubmitRequest("key", spec, fingerprint, actor or submitter(), run_key="dag/run/-1", ds="2013-01-05")
        execution = self.runner(store).submit(asked)
        self.submitted.append(execution.ref)
        return execution

    def advance(self, execution: Execution, actor: Actor | None = None, fresh: JobSpec | None = None, **kwargs: Any) -> Outcome:
        spec = fresh or JobSpec.from_dict(execution.request.job)
        return self.runner(**kwargs).advance(execution, actor or waiter(), lambda: (spec, "0" * 64))

    def until(self, execution: Execution, actions: str, actor: Actor | None = None, **kwargs: Any) -> Outcome:
        """Advance, as a sensor does that is resumed again and again, until the outcome is one of ``actions``."""

        def reached() -> Outcome | None:
            outcome = self.advance(execution, actor, **kwargs)
            return outcome if outcome.action in actions else None

        found = wait_for(reached, actions)
        assert found is not None
        return found

    def state(self, execution: Execution) -> State:
        return self.runner().check(execution.ref).state

    def wait_state(self, execution: Execution, state: State) -> None:
        wait_for(lambda: self.state(execution) is state, state.value)

    def release(self) -> None:
        (self.home / "release").touch()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.release()
    for ref in made.submitted:
        wait_for(lambda ref=ref: (latest := made.runner().backend.latest(ref)) is None or latest.state.is_terminal, ref.name)


class TestSubmit:
    def test_a_second_submit_finds_the_first(self, scene):
        first = scene.submit(job(hold=True))
        second = scene.submit(job(hold=True), submitter(2))
        assert second == first
        assert second.ref.attempt == 1
        scene.release()
        assert scene.until(first, "succeeded").attempt.state is State.SUCCEEDED
        assert len(starts(scene.home)) == 1

    def test_another_version_of_the_manifest_is_adopted_with_a_warning(self, scene):
        first = scene.submit(job(hold=True))
        second = scene.submit(job(), submitter(2), fingerprint="1" * 64)
        assert second.request == first.request
        assert "another version" in second.warnings[0]

    def test_what_an_earlier_try_cancelled_is_followed_by_the_next_attempt(self, scene):
        first = scene.submit(job(hold=True))
        scene.wait_state(first, State.RUNNING)
        scene.runner().cancel(first.ref, Cancellation(submitter(1)))
        second = scene.submit(job(), submitter(2))
        assert (second.ref.attempt, second.request.round_start) == (2, 2)
        # The old one was gone before the new one was made.
        assert scene.state(first) is State.CANCELLED
        assert scene.until(second, "succeeded").execution.ref.attempt == 2

    def test_what_a_user_cancelled_fails(self, scene):
        first = scene.submit(job(hold=True))
        scene.runner().cancel(first.ref, Cancellation(Actor(user="jane")))
        with pytest.raises(ExecutionError, match="user jane") as caught:
            scene.submit(job(), submitter(2))
        assert caught.value.code == "DCP301"

    def test_what_cannot_be_run_creates_nothing(self, scene):
        with pytest.raises(ExecutionError) as caught:
            scene.submit(replace(job(), job_type="streaming"))
        assert caught.value.code == "DCP307"
        assert not (scene.home / "executions").exists()

    def test_the_deadline_counts_from_the_first_submit(self, scene):
        execution = scene.submit(job(timeout=90.0))
        assert execution.request.deadline == execution.request.first_submitted_at + 90.0
        scene.until(execution, "succeeded")


class TestRetries:
    def test_retries_wait_for_the_interval_and_end(self, scene):
        execution = scene.submit(job(retries=1, interval=300.0, exit=1, no_result=True))
        outcome = scene.until(execution, "retry_at")
        assert outcome.until == pytest.approx(outcome.attempt.ended_at + 300.0)
        assert len(starts(scene.home)) == 1
        scene.late = 301.0
        outcome = scene.until(execution, "failed")
        assert (outcome.attempt.ref.attempt, outcome.error.code) == (2, "DCP350")
        assert outcome.attempt.request.fingerprint == execution.request.fingerprint
        assert len(starts(scene.home)) == 2

    def test_the_users_fault_is_not_retried(self, scene):
        execution = scene.submit(job(retries=3, interval=0.0, exit=20, message="no column x"))
        outcome = scene.until(execution, "failed")
        assert outcome.error.code == "DCP329"
        assert "no column x" in str(outcome.error)
        assert "mend it" in outcome.error.hint
        assert len(starts(scene.home)) == 1

    def test_out_of_memory_gets_more(self, scene):
        execution = scene.submit(job(retries=2, interval=0.0, exit=3, no_result=True))
        outcome = scene.until(execution, "failed")
        last = outcome.attempt.request
        assert last.ref.attempt == 3
        assert last.job["resources"]["driver"]["memory"] == "2304m"
        assert "driver memory raised from 1536m to 2304m" in last.remediation
        assert last.fingerprint == execution.request.fingerprint
        assert outcome.error.code == "DCP351"

    def test_two_that_retry_at_once_start_one_attempt(self, scene):
        execution = scene.submit(job(retries=1, interval=0.0, exit=1))
        wait_for(lambda: scene.state(execution).is_terminal, "the first attempt's end")
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: scene.advance(execution), range(4)))
        assert scene.until(execution, "failed").attempt.ref.attempt == 2
        assert len(starts(scene.home)) == 2


class TestUnfinishedStarts:
    """Making an attempt's record and starting it are two steps: what comes between them must not leave it waiting for ever."""

    def test_a_retry_whose_supervisor_could_not_be_started_is_started_by_the_next_try(self, scene, monkeypatch):
        execution = scene.submit(job(retries=1, interval=0.0, exit=1, no_result=True))
        wait_for(lambda: scene.state(execution).is_terminal, "the first attempt's end")
        with _no_memory(monkeypatch) as caught:
            scene.advance(execution)
        assert caught.value.code == "DCP444"
        latest = scene.runner().backend.latest(execution.ref)
        assert (latest.ref.attempt, latest.state, latest.waited_by) == (2, State.SUBMITTED, None)
        # Also where that try fails, nobody has claimed what does not run.
        with _no_memory(monkeypatch):
            scene.advance(execution, waiter(2))
        outcome = scene.until(execution, "failed", waiter(3))
        assert (outcome.attempt.ref.attempt, outcome.attempt.waited_by, len(starts(scene.home))) == (2, 1, 2)

    def test_what_was_cancelled_before_it_was_started_is_not_started(self, scene, monkeypatch):
        with _no_memory(monkeypatch):
            scene.submit(job())
        ref = replace(request("key").ref, name="")
        backend = scene.runner().backend
        backend.cancel(ref, Cancellation(Actor(user="jane")))
        assert backend.claim(ref, 1).state is State.CANCELLED
        assert starts(scene.home) == []


@contextlib.contextmanager
def _no_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.ExceptionInfo[DcpEnvironmentError]]:
    """What is called inside the block cannot start a supervisor, and must say so."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    with monkeypatch.context() as patched:
        patched.setattr(subprocess, "run", refuse)
        with pytest.raises(DcpEnvironmentError, match="Cannot allocate memory") as caught:
            yield caught


class TestRounds:
    def test_a_cleared_failed_wait_starts_the_next_from_the_manifest_as_it_is_now(self, scene):
        execution = scene.submit(job(exit=20, timeout=1000.0))
        scene.until(execution, "failed")
        outcome = scene.until(execution, "succeeded", waiter(2, 2), fresh=job(timeout=1000.0))
        request = outcome.attempt.request
        assert (request.ref.attempt, request.round_start, request.fingerprint) == (2, 2, "0" * 64)
        assert outcome.attempt.waited_by == 2
        assert request.deadline > execution.request.deadline
        # The same new round again reports its own attempt, and starts nothing.
        assert scene.advance(execution, waiter(3, 2)).action == "succeeded"
        assert len(starts(scene.home)) == 2

    def test_a_cleared_deferred_wait_cancels_the_old_attempt_and_waits_for_its_end(self, scene):
        execution = scene.submit(job(hold=True))
        assert scene.advance(execution).action == "wait"
        scene.wait_state(execution, State.RUNNING)
        wait_for(lambda: starts(scene.home), "the first start")
        # It does not wait itself: the old attempt cannot have ended yet.
        outcome = scene.advance(execution, waiter(2, 2), fresh=job())
        assert (outcome.action, outcome.attempt.ref.attempt) == ("wait", 1)
        outcome = scene.until(execution, "succeeded", waiter(2, 2), fresh=job())
        assert outcome.attempt.ref.attempt == 2
        assert scene.state(execution) is State.CANCELLED
        assert len(starts(scene.home)) == 2

    def test_a_cleared_succeeded_wait_reports_what_is(self, scene):
        execution = scene.submit(job())
        scene.until(execution, "succeeded")
        assert scene.advance(execution, waiter(2, 2)).attempt.ref.attempt == 1
        assert len(starts(scene.home)) == 1

    def test_an_older_round_gives_up(self, scene):
        execution = scene.submit(job(hold=True))
        scene.advance(execution, waiter(2, 2))
        outcome = scene.advance(execution, waiter(1, 1))
        assert (outcome.action, outcome.error.code) == ("failed", "DCP303")
        assert scene.state(execution) is not State.CANCELLED

    def test_a_wait_killed_and_retried_by_airflow_goes_on_with_the_next_attempt(self, scene):
        execution = scene.submit(job(hold=True))
        scene.advance(execution, waiter(1))
        scene.runner().cancel(execution.ref, Cancellation(waiter(1)))
        outcome = scene.until(execution, "succeeded", waiter(2), fresh=job())
        assert (outcome.attempt.ref.attempt, outcome.attempt.request.round_start) == (2, 1)

    def test_cancelled_by_a_user_fails_in_every_try_of_the_round(self, scene):
        execution = scene.submit(job(hold=True))
        scene.advance(execution)
        scene.runner().cancel(execution.ref, Cancellation(Actor(user="jane")))
        for actor in (waiter(1), waiter(2)):
            assert scene.until(execution, "failed", actor).error.code == "DCP301"
        assert scene.until(execution, "succeeded", waiter(3, 3), fresh=job()).attempt.ref.attempt == 2

    def test_a_manifest_that_can_no_longer_be_run_fails_and_starts_nothing(self, scene):
        execution = scene.submit(job(exit=20))
        scene.until(execution, "failed")
        outcome = scene.advance(execution, waiter(2, 2), fresh=replace(job(), job_type="streaming"))
        assert (outcome.action, outcome.error.code) == ("failed", "DCP307")
        assert len(starts(scene.home)) == 1


class TestDeadline:
    def test_the_execution_is_ended_at_its_deadline(self, scene):
        execution = scene.submit(job(hold=True, timeout=600.0))
        outcome = scene.advance(execution)
        assert (outcome.action, outcome.until) == ("wait", execution.request.deadline)
        scene.wait_state(execution, State.RUNNING)
        scene.late = 601.0
        outcome = scene.advance(execution)
        assert (outcome.action, outcome.error.code) == ("failed", "DCP302")
        scene.wait_state(execution, State.TIMEOUT)
        assert scene.advance(execution, waiter(2)).error.code == "DCP302"

    def test_a_new_round_has_a_new_deadline(self, scene):
        execution = scene.submit(job(hold=True, timeout=600.0))
        scene.wait_state(execution, State.RUNNING)
        scene.late = 601.0
        assert scene.advance(execution).error.code == "DCP302"
        outcome = scene.until(execution, "succeeded", waiter(2, 2), fresh=job(timeout=600.0))
        assert outcome.attempt.request.deadline == outcome.attempt.request.submitted_at + 600.0


class TestObserving:
    def test_an_observer_starts_and_claims_nothing(self, scene):
        execution = scene.submit(job(retries=3, interval=0.0, exit=1))
        wait_for(lambda: scene.state(execution).is_terminal, "the attempt's end")
        outcome = scene.runner().advance(execution, waiter(5, 5), None)
        assert (outcome.action, outcome.error.code) == ("failed", "DCP329")
        assert outcome.attempt.waited_by is None
        assert len(starts(scene.home)) == 1

    def test_what_has_vanished_is_unknown_and_no_success(self, scene):
        execution = scene.submit(job())
        scene.until(execution, "succeeded")
        shutil.rmtree(scene.home / "executions")
        assert scene.state(execution) is State.UNKNOWN
        assert scene.runner().cancel(execution.ref, Cancellation(Actor(user="jane"))).state is State.UNKNOWN
        outcome = scene.advance(execution)
        assert (outcome.action, outcome.error.code) == ("failed", "DCP304")


class TestStore:
    def test_three_empty_stores_know_their_part_and_decide_nothing(self, scene, tmp_path):
        stores = [SqlStore(f"sqlite:///{tmp_path / name}.db") for name in ("submit", "wait", "trigger")]
        execution = scene.submit(job(), store=stores[0])
        wait_for(lambda: scene.runner(stores[2]).check(execution.ref).state.is_terminal, "the trigger to see the end")
        assert scene.until(execution, "succeeded", store=stores[1]).attempt.state is State.SUCCEEDED
        for store in stores:
            assert [record.execution_id for record in store.executions()] == [execution.execution_id]
        assert stores[0].events(execution.execution_id)[0].event == "SUBMIT"
        assert stores[2].events(execution.execution_id)[-1].event == "SUCCEEDED"

    def test_a_store_that_is_down_is_logged_and_nothing_else(self, scene, tmp_path, caplog):
        (tmp_path / "file").touch()
        broken = SqlStore(f"sqlite:///{tmp_path / 'file' / 'store.db'}")
        execution = scene.submit(job(), store=broken)
        assert scene.until(execution, "succeeded", store=broken).action == "succeeded"
        assert "the store did not record SUBMIT" in caplog.text
