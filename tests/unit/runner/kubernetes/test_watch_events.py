"""What the watch takes from an application, compared with what the backend takes from the same one."""

from __future__ import annotations

import json

import pytest

from airflow_dcp_provider.runner.backends.kubernetes import states
from airflow_dcp_provider.runner.backends.kubernetes.watch_events import read_state
from airflow_dcp_provider.runner.backends.kubernetes.watch_values import Told
from airflow_dcp_provider.runner.backends.kubernetes.watched import apache_applications, kubeflow_applications

TWICE = 'pods "job-driver" already exists'


def kubeflow(state: str, message: str = "") -> dict:
    return {"metadata": {"name": "job"}, "status": {"applicationState": {"state": state, "errorMessage": message}}}


def apache(*entries: tuple[str, str]) -> dict:
    history = {str(number): {"currentStateSummary": word, "message": message} for number, (word, message) in enumerate(entries)}
    current = history[str(len(entries) - 1)]
    return {"metadata": {"name": "job"}, "status": {"currentState": current, "stateTransitionHistory": history}}


FAILURE = ("SchedulingFailure", f"Failed to request driver: {TWICE}")


@pytest.mark.parametrize(
    ("watched", "application", "news"),
    [
        (kubeflow_applications("team"), kubeflow("RUNNING", TWICE), None),
        (kubeflow_applications("team"), kubeflow("FAILED", "driver container failed"), Told.ENDED),
        (kubeflow_applications("team"), kubeflow("FAILED", TWICE), Told.IN_DOUBT),
        (apache_applications("team"), apache(("Submitted", "")), None),
        (apache_applications("team"), apache(("Submitted", ""), ("SchedulingFailure", "quota")), Told.ENDED),
        (apache_applications("team"), apache(("Submitted", ""), FAILURE), Told.IN_DOUBT),
        # The states that come after it say nothing of how it ended.
        (apache_applications("team"), apache(FAILURE, ("ResourceReleased", "")), Told.IN_DOUBT),
        (apache_applications("team"), apache(FAILURE, ("TerminatedWithoutReleaseResources", "kept")), Told.IN_DOUBT),
        (apache_applications("team"), apache(FAILURE, ("ScheduledToRestart", "again")), None),
        (apache_applications("team"), apache(FAILURE, ("Succeeded", ""), ("ResourceReleased", "")), Told.ENDED),
    ],
)
def test_a_failure_that_is_none_for_the_backend_is_in_doubt(watched, application, news):
    """Were it an end to the watch and none to the backend, a task would be resumed and defer again without pause."""
    assert states.submitted_twice(application) is (news is Told.IN_DOUBT)
    assert watched.news(read_state(json.dumps(application).encode(), "there")) is news
