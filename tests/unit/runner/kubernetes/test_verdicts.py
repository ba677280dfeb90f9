"""The verdict on a driver that the operator says ended well."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_dcp_provider.model.execution import FailureKind
from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.runner.backends.kubernetes.names import DRIVER_CONTAINER, REPORTS, REPORTS_IN_MESSAGE
from airflow_dcp_provider.runner.backends.kubernetes.verdicts import Verdict, find_verdict
from tests.support.executions import request

APPLICATION = {
    "metadata": {"name": "job", "namespace": "team", "annotations": {REPORTS: REPORTS_IN_MESSAGE}},
    "status": {"applicationState": {"state": "COMPLETED"}, "terminationTime": "2026-11-22T05:28:15Z"},
}


class Cluster:
    """Holds the driver's pod, whose container ended with 0 and left this message."""

    def __init__(self, message: str) -> None:
        ended = {"terminated": {"exitCode": 0, "message": message}}
        self.pod = {"status": {"phase": "Succeeded", "containerStatuses": [{"name": DRIVER_CONTAINER, "state": ended}]}}

    def get(self, path: str) -> dict[str, Any]:
        assert path == "/api/v1/namespaces/team/pods/job-driver"
        return self.pod

    def text(self, path: str, *, params: dict[str, Any]) -> str:
        return "the last line\n"


def verdict(result: dict[str, Any] | None) -> Verdict:
    message = "" if result is None else f"DCP_RESULT {json.dumps(result)}"
    found = find_verdict(Cluster(message), APPLICATION, request().job)  # type: ignore[arg-type]
    assert found is not None
    return found


def test_a_report_of_success_is_a_success() -> None:
    found = verdict({"status": "succeeded", "sinks": []})
    assert (found.state, found.failure, found.certain) == (ExecutionState.SUCCEEDED, None, True)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (None, "the driver ended without a result line, so nothing proves what it wrote"),
        ({"status": "partial"}, "the driver ended with 0 and reports the status `partial`, so nothing proves what it wrote"),
        ({"sinks": []}, "the driver ended with 0 and reports no status, so nothing proves what it wrote"),
        (
            {"status": "failed", "error": {"message": "no column x, password=hunter2"}},
            "the driver ended with 0 and reports the status `failed`, so nothing proves what it wrote: no column x, password=***",
        ),
    ],
)
def test_what_a_driver_without_a_success_has_left_is_said(result: dict[str, Any] | None, message: str) -> None:
    found = verdict(result)
    assert found.failure is not None
    assert (found.state, found.failure.kind, found.failure.code) == (ExecutionState.FAILED, FailureKind.PLATFORM, "DCP358")
    assert found.failure.message == message
