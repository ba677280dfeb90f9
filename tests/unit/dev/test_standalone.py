"""The Airflow that demo and tests start: its processes and the client of its REST API."""

from __future__ import annotations

import http.server
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from dev import standalone
from dev.airflow_api import wait_until
from dev.standalone import StandaloneAirflow

#: Stands in for the command `airflow`: a component waits to be killed; `standalone` leaves a child that was killed and is not waited
#: for, and starts the components after it.
COMMAND = """#!{python}
import subprocess, sys, time

if sys.argv[1] == "standalone":
    killed = subprocess.Popen(["sleep", "100"])
    killed.kill()
    running = [subprocess.Popen([sys.argv[0], name]) for name in ("scheduler", "triggerer", "dag-processor")]
time.sleep(100)
"""


class _Server(http.server.ThreadingHTTPServer):
    """Answers the first ``failing`` requests after the login with 500."""

    failing = 0
    failure: object = "Internal Server Error"
    requests = 0

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        #: Backfills that there are.
        self.backfills: list[dict[str, object]] = []
        #: What was written: method, path and body of each request.
        self.written: list[tuple[str, str, dict[str, object]]] = []


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        if self.command == "GET" and self.path.startswith("/api/v2/backfills?"):
            self._answer(200, {"backfills": self.server.backfills})
            return
        self.server.requests += 1
        good = self.server.requests > self.server.failing
        self._answer(*((200, {"id": 3, "dag_run_id": "manual"}) if good else (500, self.server.failure)))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/auth/token":
            self._answer(201, {"access_token": "token"})
        else:
            self.server.written.append((self.command, self.path.removeprefix("/api/v2/"), body))
            self.do_GET()

    do_PUT = do_POST  # noqa: N815 - as http.server names it

    def _answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def airflow(server: _Server, tmp_path: Path) -> StandaloneAirflow:
    airflow = StandaloneAirflow(tmp_path / "airflow", tmp_path / "dags")
    airflow.url = f"http://127.0.0.1:{server.server_port}"
    return airflow


def test_reading_is_tried_again_while_the_server_fails(airflow: StandaloneAirflow, server: _Server) -> None:
    server.failing = 2
    assert airflow.request("GET", "dags")["id"] == 3
    assert server.requests == 3


def test_writing_is_sent_once(airflow: StandaloneAirflow, server: _Server) -> None:
    server.failing = 2
    with pytest.raises(requests.HTTPError, match="POST backfills: 500"):
        airflow.request("POST", "backfills", json={})
    assert server.requests == 1


@pytest.mark.parametrize("failing", [0, 1])
def test_a_run_and_a_backfill_are_asked_for_again_when_the_database_was_locked(
    airflow: StandaloneAirflow, server: _Server, failing: int
) -> None:
    server.failing, server.failure = failing, {"detail": {"reason": "Database error"}}
    assert airflow.trigger("flights") == "manual"
    assert server.requests == failing + 1
    server.failing += server.requests
    assert airflow.backfill("flights", "2013-01-04", "2013-01-05") == 3


def test_a_backfill_that_was_made_half_is_ended_before_it_is_asked_for_again(airflow: StandaloneAirflow, server: _Server) -> None:
    server.failing, server.failure = 1, {"detail": {"reason": "Database error"}}
    server.backfills = [{"id": 6, "completed_at": "2013-01-06"}, {"id": 7, "completed_at": None}]
    assert airflow.backfill("flights", "2013-01-04", "2013-01-05") == 3
    assert [(method, path) for method, path, _ in server.written] == [
        ("POST", "backfills"),
        ("PUT", "backfills/7/cancel"),
        ("POST", "backfills"),
    ]
    assert [body.get("reprocess_behavior") for _, _, body in server.written] == ["none", None, "completed"]


def test_a_run_that_the_server_fails_at_is_asked_for_once(airflow: StandaloneAirflow, server: _Server) -> None:
    server.failing = 1
    with pytest.raises(requests.HTTPError, match="POST dags/flights/dagRuns: 500"):
        airflow.trigger("flights")
    assert server.requests == 1


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandaloneAirflow]:
    command = tmp_path / "bin" / "airflow"
    command.parent.mkdir()
    command.write_text(COMMAND.format(python=sys.executable))
    command.chmod(0o755)
    monkeypatch.setattr(standalone, "BIN", command.parent)
    airflow = StandaloneAirflow(tmp_path / "airflow", tmp_path / "dags")
    airflow.pause = 0.05
    airflow.start_component("standalone")
    yield airflow
    airflow.stop()


def _running(airflow: StandaloneAirflow, name: str) -> psutil.Process:
    found: psutil.Process = wait_until(lambda: airflow.component(name), name, 30, 0.05)
    return found


def test_a_killed_child_that_nobody_waits_for_hides_no_component(started: StandaloneAirflow) -> None:
    assert len({_running(started, name).pid for name in standalone.KEPT}) == 3


def test_what_dies_starts_again_and_what_is_killed_stays_down_until_it_is_started(started: StandaloneAirflow) -> None:
    first = {name: _running(started, name) for name in standalone.KEPT}
    started.kill("scheduler")
    started.keep_components()
    first["triggerer"].kill()
    wait_until(lambda: _running(started, "triggerer") != first["triggerer"], "another triggerer", 30, 0.05)
    assert started.component("scheduler") is None
    with pytest.raises(LookupError, match="no scheduler is running"):
        started.kill("scheduler")
    started.start_component("scheduler")
    assert _running(started, "scheduler") != first["scheduler"]
    assert started.component("dag-processor") == first["dag-processor"]
