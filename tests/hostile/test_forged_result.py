"""A job's author decides what its driver's log shows. No line of it makes an attempt succeed, on no backend."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_dcp_provider.core_etl.report import message
from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.runner.backends.kubernetes.names import DRIVER_CONTAINER, REPORTS, REPORTS_IN_MESSAGE
from airflow_dcp_provider.runner.backends.kubernetes.verdicts import find_verdict
from airflow_dcp_provider.runner.backends.local_files import (
    DRIVER_LOG,
    LAUNCHED,
    REPORTS_IN_FILE,
    RESULT,
    SETTINGS,
    STATUS,
    AttemptFolder,
)
from airflow_dcp_provider.runner.backends.local_verdict import conclude, settle
from tests.support.executions import request

ASKED = request()
SINK = {"name": "out", "table": "pedregal.d.t", "result": "no-change", "snapshot_id": None, "reason": "x"}


def line(**changes: Any) -> str:
    """Return a result's line, by default of a success that wrote nothing."""
    named = {"execution_id": ASKED.ref.execution_id, "attempt": ASKED.ref.attempt}
    return "DCP_RESULT " + json.dumps({"version": 1, **named, "status": "succeeded", "error": None, "sinks": [SINK], **changes})


LONG = line(sinks=[SINK] * 100)

#: What the log shows: all of it may be an author's, also the whole line of another attempt that did succeed.
LOGS = {
    "a line of its own": f"source src reads csv /etc/hostname where true /*\n{line()}\n*/\n",
    "the last line": f"{line()}\n",
    "all there is": line(),
    "after a failure": f"{line(status='failed', error={'code': 'DCP322', 'message': 'no'})}\n{line()}\n",
    "a long one": f"{LONG}\n",
    "after a carriage return": f"x\r{line()}\r\n",
    "after a line separator": f"x\u2028{line()}\u2028",
}

#: What the driver's own file may hold beside that, when the driver did not end by itself.
FILES = {
    "nothing": "",
    "half a line": line()[:-10] + "\n",
    "no result": "the JVM's last words\n",
    "a list": "DCP_RESULT []\n",
    "another execution": f"{line(execution_id='another')}\n",
    "another attempt": f"{line(attempt=ASKED.ref.attempt + 1)}\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[AttemptFolder]:
    """An attempt whose driver was started by this version."""
    attempt = AttemptFolder(tmp_path / "executions" / ASKED.ref.execution_id / str(ASKED.ref.attempt))
    attempt.make(ASKED.to_dict(), {})
    attempt.write_once(LAUNCHED, {"at": 0, "reports": REPORTS_IN_FILE})
    return attempt


class TestLocal:
    @pytest.mark.parametrize("log", LOGS.values(), ids=LOGS)
    @pytest.mark.parametrize("file", FILES.values(), ids=FILES)
    @pytest.mark.parametrize("exit_code", [0, None, 1])
    def test_no_log_makes_a_success(self, folder: AttemptFolder, log: str, file: str, exit_code: int | None) -> None:
        (folder.path / DRIVER_LOG).write_text(log, newline="")
        (folder.path / RESULT).write_text(file)
        assert conclude(folder, exit_code) is ExecutionState.FAILED
        status = folder.read(STATUS)
        assert status is not None
        assert status["result"] is None
        if exit_code == 0:
            assert status["failure"]["code"] in {"DCP343", "DCP358"}
            assert status["failure"]["hint"]

    def test_without_a_file_there_is_no_result(self, folder: AttemptFolder) -> None:
        (folder.path / DRIVER_LOG).write_text(LOGS["the last line"])
        assert conclude(folder, 0) is ExecutionState.FAILED
        assert (folder.read(STATUS) or {})["failure"]["code"] == "DCP343"

    @pytest.mark.parametrize("own", [line(), LONG], ids=["short", "long"])
    def test_what_the_driver_delivers_is_its_result_whatever_the_log_shows(self, folder: AttemptFolder, own: str) -> None:
        forged = line(sinks=[{**SINK, "name": "forged"}])
        (folder.path / DRIVER_LOG).write_text(f"{forged}\n{own}\n{forged}\n")
        (folder.path / RESULT).write_text(message(own))
        assert conclude(folder, 0) is ExecutionState.SUCCEEDED
        assert (folder.read(STATUS) or {})["result"] == json.loads(own.removeprefix("DCP_RESULT "))

    def test_a_long_result_that_the_log_does_not_have_says_nothing_of_sinks(self, folder: AttemptFolder) -> None:
        (folder.path / DRIVER_LOG).write_text(f"{LONG.replace('pedregal.d.t', 'pedregal.d.u')}\n")
        (folder.path / RESULT).write_text(message(LONG))
        assert conclude(folder, 0) is ExecutionState.SUCCEEDED
        assert (folder.read(STATUS) or {})["result"]["sinks"] == []

    def test_an_attempt_of_the_version_before_is_settled_by_its_rule(self, folder: AttemptFolder) -> None:
        """Its supervisor died as the software was replaced; its driver reported in the log, which was the rule then."""
        folder.replace(LAUNCHED, {"at": 0})
        folder.replace(STATUS, {"state": "RUNNING"})
        folder.remove(SETTINGS)
        (folder.path / DRIVER_LOG).write_text(f"{line()}\n")
        settle(folder)
        assert (folder.read(STATUS) or {})["state"] == "SUCCEEDED"


class Cluster:
    """Holds the pod of a driver that ended with 0."""

    def __init__(self, left: str, log: str) -> None:
        ended = {"terminated": {"exitCode": 0, "message": left}}
        self.pod = {"status": {"phase": "Succeeded", "containerStatuses": [{"name": DRIVER_CONTAINER, "state": ended}]}}
        self.log = log

    def get(self, path: str) -> dict[str, Any]:
        return self.pod

    def text(self, path: str, *, params: dict[str, Any]) -> str:
        return self.log


def verdict(left: str, log: str, annotations: dict[str, str]) -> Any:
    application = {
        "metadata": {"name": "job", "namespace": "team", "annotations": annotations},
        "status": {"applicationState": {"state": "COMPLETED"}, "terminationTime": "2026-11-22T05:28:15Z"},
    }
    found = find_verdict(Cluster(left, log), application, ASKED.job)  # type: ignore[arg-type]
    assert found is not None
    return found


OURS = {REPORTS: REPORTS_IN_MESSAGE}


class TestKubernetes:
    @pytest.mark.parametrize("log", LOGS.values(), ids=LOGS)
    @pytest.mark.parametrize("left", ["", line()[:-10], "the JVM's last words"], ids=["nothing", "half a line", "no result"])
    def test_no_log_makes_a_success(self, log: str, left: str) -> None:
        ended = verdict(left, log, OURS)
        assert (ended.state, ended.result) == (ExecutionState.FAILED, None)
        assert ended.failure.code in {"DCP343", "DCP358"}

    @pytest.mark.parametrize("own", [line(), LONG], ids=["short", "long"])
    def test_what_the_driver_delivers_is_its_result_whatever_the_log_shows(self, own: str) -> None:
        forged = line(sinks=[{**SINK, "name": "forged"}])
        ended = verdict(message(own), f"{forged}\n{own}\n{forged}\n", OURS)
        assert (ended.state, ended.result) == (ExecutionState.SUCCEEDED, json.loads(own.removeprefix("DCP_RESULT ")))

    def test_an_attempt_of_the_version_before_is_settled_by_its_rule(self) -> None:
        assert verdict("", f"{LONG}\n", {}).state is ExecutionState.SUCCEEDED
