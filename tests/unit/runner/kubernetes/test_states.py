"""Each word of the operator, and what it means."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_dcp_provider.model.states import ExecutionState as State
from airflow_dcp_provider.runner.backends.kubernetes import states

SUPPORT = Path(__file__).resolve().parents[3] / "support" / "kubernetes"


def application(state: str, message: str = "", **status: object) -> dict:
    return {
        "metadata": {"name": "job-1"},
        "status": {"applicationState": {"state": state, "errorMessage": message}, **status},
    }


@pytest.mark.parametrize(
    ("words", "state"),
    [
        ([""], State.SUBMITTED),
        (["SUBMITTED", "SUBMISSION_FAILED", "PENDING_RERUN", "INVALIDATING", "SUSPENDING", "SUSPENDED", "RESUMING"], State.PENDING),
        (["RUNNING", "SUCCEEDING", "FAILING"], State.RUNNING),
        (["COMPLETED"], State.SUCCEEDED),
        (["FAILED"], State.FAILED),
        (["UNKNOWN", "A_WORD_OF_THE_FUTURE"], State.UNKNOWN),
    ],
)
def test_the_words(words, state):
    assert {states.execution_state(application(word)) for word in words} == {state}


def test_only_two_words_are_ends():
    ends = [word for word in states._STATES if states.execution_state(application(word)).is_terminal]
    assert ends == ["COMPLETED", "FAILED"]


def test_an_application_that_nobody_has_looked_at_is_submitted():
    assert states.execution_state({"metadata": {"name": "x"}}) is State.SUBMITTED
    assert states.driver_pod_name({"metadata": {"name": "x"}}) == "x-driver"


def test_a_second_submission_is_told_from_a_failure():
    message = 'failed to run spark-submit: pods "job-1-driver" already exists: driver pod already exist'
    assert states.submitted_twice(application("FAILED", message))
    assert not states.submitted_twice(application("SUBMISSION_FAILED", message))
    assert not states.submitted_twice(application("FAILED", "driver container failed with ExitCode: 2, Reason: Error"))


def test_where_sparks_pages_are():
    assert states.spark_ui_url(application("RUNNING")) == ""
    assert states.spark_ui_url(application("RUNNING", driverInfo={"webUIAddress": "10.0.0.1:4040"})) == "http://10.0.0.1:4040"
    ingress = {"webUIAddress": "10.0.0.1:4040", "webUIIngressAddress": "https://ui.example/job"}
    assert states.spark_ui_url(application("RUNNING", driverInfo=ingress)) == "https://ui.example/job"


def test_every_word_of_the_recorded_traces_is_known():
    words = set()
    for trace in (SUPPORT / "traces").glob("*.jsonl"):
        for line in trace.read_text(encoding="utf-8").splitlines():
            found = json.loads(line)
            if found["kind"] == "SparkApplication" and (found["object"].get("status") or {}).get("applicationState"):
                words.add(found["object"]["status"]["applicationState"]["state"])
    assert {"COMPLETED", "FAILED", "SUBMITTED", "RUNNING"} <= words
    assert words <= set(states._STATES)


def test_times():
    assert states.epoch("2026-11-22T05:27:57Z") == 1795325277.0
    assert states.epoch(None) is None
    done = application("COMPLETED", terminationTime="2026-11-22T05:28:15Z", lastSubmissionAttemptTime="2026-11-22T05:27:57Z")
    assert states.ended_at(done) - states.started_at(done) == 18.0
    assert states.ended_at(application("RUNNING", terminationTime=None)) is None
