"""What each event of the Runner's history is worth."""

from __future__ import annotations

import pytest

from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.runner.metrics import measures
from tests.support.executions import attempt

TAGS = {"environment": "local", "backend": "kubeflow"}


@pytest.mark.parametrize(
    ("event", "number", "round_start", "name"),
    [
        ("SUBMIT", 1, 1, "dcp.submits"),
        ("ADOPT", 1, 1, "dcp.adoptions"),
        ("ADVANCE", 2, 1, "dcp.retries"),
        ("ADVANCE", 2, 2, "dcp.rounds"),
    ],
)
def test_what_the_runner_does_is_counted(event: str, number: int, round_start: int, name: str) -> None:
    made = attempt(ExecutionState.SUBMITTED, number, of={"round_start": round_start})
    (found,) = measures(made, event, {}, "kubeflow")
    assert (found.name, found.tags, found.seconds) == (name, TAGS, None)


@pytest.mark.parametrize(("reason", "tag"), [("timeout", "timeout"), ("start-timeout", "start-timeout"), ("I am bored", "other")])
def test_a_users_own_words_are_no_tag(reason: str, tag: str) -> None:
    (found,) = measures(attempt(ExecutionState.RUNNING), "CANCEL", {"reason": reason}, "kubeflow")
    assert found.tags == {**TAGS, "reason": tag}


@pytest.mark.parametrize("state", list(ExecutionState))
def test_every_state_has_a_counter_and_only_an_end_has_durations(state: ExecutionState) -> None:
    found = measures(attempt(state, started_at=130.0, ended_at=190.0), state.value, {}, "kubeflow")
    assert found[0].name == f"dcp.attempts.{state.value.lower()}"
    durations = {one.name: one.seconds for one in found[1:]}
    assert durations == ({"dcp.attempt.queued": 30.0, "dcp.attempt.duration": 60.0} if state.is_terminal else {})


def test_an_attempt_that_never_ran_was_queued_until_its_end() -> None:
    found = measures(attempt(ExecutionState.CANCELLED, ended_at=190.0), "CANCELLED", {}, "kubeflow")
    assert [(one.name, one.seconds) for one in found[1:]] == [("dcp.attempt.queued", 90.0)]


def test_a_proof_is_no_figure() -> None:
    assert measures(attempt(ExecutionState.SUCCEEDED), "PROOF", {}, "kubeflow") == ()
