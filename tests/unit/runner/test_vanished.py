"""What the runner does about an attempt that is gone, and about a wish that reaches nobody."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.execution import Attempt, AttemptRef, AttemptRequest, Cancellation, Execution
from airflow_dcp_provider.model.states import ExecutionState as State
from airflow_dcp_provider.runner.backends.local import LocalBackend
from airflow_dcp_provider.runner.runner import SparkRunner
from airflow_dcp_provider.runner.store import SqlStore
from airflow_dcp_provider.runner.values import SubmitRequest
from tests.support.executions import job, local_settings, request, starts, submitter, wait_for, waiter

RESULT = {"version": 1, "status": "succeeded", "error": None, "sinks": [], "seconds": {}}


@pytest.fixture
def runner(tmp_path: Path) -> SparkRunner:
    return SparkRunner(LocalBackend(tmp_path, local_settings(tmp_path)))


def submitted(runner: SparkRunner, spec=None) -> Execution:
    return runner.submit(SubmitRequest("key", spec or job(), "f" * 64, submitter()))


def ended(runner: SparkRunner, execution: Execution) -> None:
    wait_for(lambda: runner.check(execution.ref).state.is_terminal, "the end")


def forgotten(home: Path, execution: Execution) -> None:
    shutil.rmtree(home / "executions" / execution.execution_id / str(execution.ref.attempt))


class TestProof:
    def test_what_the_tables_prove_has_succeeded(self, runner, tmp_path):
        execution = submitted(runner)
        ended(runner, execution)
        forgotten(tmp_path, execution)
        asked: list[AttemptRequest] = []

        def prove(about: AttemptRequest) -> Mapping[str, Any]:
            asked.append(about)
            return RESULT

        outcome = runner.advance(execution, waiter(), lambda: (job(), "0" * 64), prove)
        assert (outcome.action, outcome.attempt.state, outcome.attempt.result) == ("succeeded", State.SUCCEEDED, RESULT)
        assert outcome.attempt.ref == execution.ref
        assert asked == [execution.request]

    @pytest.mark.parametrize("prove", [None, lambda _: None])
    def test_what_nothing_proves_has_failed_and_is_not_started_again(self, runner, tmp_path, prove):
        execution = submitted(runner, job(retries=3, interval=0.0))
        ended(runner, execution)
        forgotten(tmp_path, execution)
        for _ in range(3):
            outcome = runner.advance(execution, waiter(), lambda: (job(), "0" * 64), prove)
            assert (outcome.action, outcome.error.code, outcome.attempt) == ("failed", "DCP304", None)
        assert len(starts(tmp_path)) == 1

    def test_an_older_attempt_that_is_still_there_says_nothing_about_the_one_that_vanished(self, runner, tmp_path):
        execution = submitted(runner, job(exit=1, retries=3, interval=0.0))
        ended(runner, execution)
        second = runner.advance(execution, waiter(), lambda: (job(), "0" * 64)).execution
        assert second.ref.attempt == 2
        ended(runner, second)
        forgotten(tmp_path, second)
        outcome = runner.advance(second, waiter(), lambda: (job(), "0" * 64), lambda _: None)
        assert (outcome.action, outcome.error.code) == ("failed", "DCP304")
        assert len(starts(tmp_path)) == 2

    def test_a_catalog_that_does_not_answer_decides_nothing(self, runner, tmp_path):
        execution = submitted(runner)
        ended(runner, execution)
        forgotten(tmp_path, execution)

        def prove(_: AttemptRequest) -> None:
            raise DcpEnvironmentError("the catalog sleeps", code="DCP420")

        with pytest.raises(DcpEnvironmentError, match="sleeps"):
            runner.advance(execution, waiter(), None, prove)


class Unreachable:
    """A cluster behind a network that is down. It is no fake of a cluster: it only ever fails."""

    name = "kubeflow"

    def cancel(self, ref: AttemptRef, cancellation: Cancellation) -> Attempt | None:
        raise DcpEnvironmentError("the API server did not answer", code="DCP460", hint="try again")


class TestIntent:
    def wish(self) -> Cancellation:
        return Cancellation(waiter(), "kill", time.time())

    def test_a_wish_that_reaches_nobody_is_kept_and_said(self, tmp_path):
        store = SqlStore(f"sqlite:///{tmp_path / 'dcp.db'}")
        store.record(Attempt(request(), State.RUNNING), "SUBMIT", {})
        wish = self.wish()
        with pytest.raises(DcpEnvironmentError, match=r"may go on running.*did not answer") as caught:
            SparkRunner(Unreachable(), store).cancel(request().ref, wish)
        assert caught.value.code == "DCP460"
        assert "pretzel executions sweep" in caught.value.hint
        kept = store.events(request().ref.execution_id)[-1]
        assert kept.event == "CANCEL_INTENT"
        assert AttemptRef(**kept.details["ref"]) == request().ref
        assert Cancellation.from_dict(kept.details["cancellation"]) == wish
        # What was known of the attempt is still known.
        (known,) = store.attempts(request().ref.execution_id)
        assert (known.request, known.state) == (request(), State.RUNNING)
        assert store.executions()[0].state == State.RUNNING.value

    def test_a_store_that_has_never_heard_of_it_keeps_the_wish_all_the_same(self, tmp_path):
        store = SqlStore(f"sqlite:///{tmp_path / 'dcp.db'}")
        with pytest.raises(DcpEnvironmentError):
            SparkRunner(Unreachable(), store).cancel(request().ref, self.wish())
        assert [event.event for event in store.events(request().ref.execution_id)] == ["CANCEL_INTENT"]

    def test_without_a_store_that_is_said_too(self, tmp_path):
        broken = SqlStore(f"sqlite:///{tmp_path}")
        for store in (None, broken):
            with pytest.raises(DcpEnvironmentError) as caught:
                SparkRunner(Unreachable(), store).cancel(request().ref, self.wish())
            assert "could not be kept" in caught.value.hint


def test_every_attempt_has_its_own_time_to_start(tmp_path):
    runner = SparkRunner(LocalBackend(tmp_path, local_settings(tmp_path)), clock=lambda: 1000.0, start_timeout=600.0)
    execution = submitted(runner, job(exit=1, retries=1, interval=0.0))
    assert execution.request.start_deadline == 1600.0
    ended(runner, execution)
    later = SparkRunner(runner.backend, clock=lambda: time.time() + 5000.0, start_timeout=600.0)
    second = later.advance(execution, waiter(), lambda: (job(), "0" * 64)).execution
    assert second.request.start_deadline == pytest.approx(time.time() + 5600.0, abs=60)
    ended(runner, second)
