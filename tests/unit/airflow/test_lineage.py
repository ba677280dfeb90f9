"""OpenLineage for real: the provider's own listener sends to an HTTP server here, and injects into the job that Spark is given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from airflow_dcp_provider.hooks import lineage
from airflow_dcp_provider.model.job import Source
from tests.support.executions import job

KEY = "a-key-that-nobody-may-see"


class Backend(ThreadingHTTPServer):
    """Keeps every event and the authorization that it came with."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.events: list[dict[str, Any]] = []
        self.authorizations: set[str] = set()

    def of(self, task: str, event: str) -> dict[str, Any]:
        (found,) = [one for one in self.events if one["job"]["name"] == f"lineage.{task}" and one["eventType"] == event]
        return found


class Handler(BaseHTTPRequestHandler):
    server: Backend

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.events.append(json.loads(body))
        self.server.authorizations.add(self.headers["Authorization"])
        self.send_response(201)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Backend, Path]]:
    """The events of one whole run, and the home folder with the job that was given to Spark."""
    pytest.importorskip(
        "airflow.providers.openlineage", reason="the optional provider apache-airflow-providers-openlineage is missing"
    )
    home = tmp_path_factory.mktemp("dcp")
    with Backend() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        auth = {"type": "api_key", "apiKey": KEY}
        transport = {"type": "http", "url": f"http://127.0.0.1:{server.server_port}", "auth": auth, "compression": None}
        environment = {
            **os.environ,
            "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
            "DCP_HOME": str(home),
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
            "AIRFLOW__OPENLINEAGE__NAMESPACE": "here",
            "AIRFLOW__OPENLINEAGE__SPARK_INJECT_PARENT_JOB_INFO": "True",
            "AIRFLOW__OPENLINEAGE__SPARK_INJECT_TRANSPORT_INFO": "True",
        }
        command = [sys.executable, "-m", "tests.unit.airflow.lineage_run", str(home)]
        root = Path(__file__).parents[3]
        done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr[-4000:]
        states = json.loads((home / "states.json").read_text())
        assert states == dict.fromkeys(("ensure_tables", "submit", "wait", "publish"), "success"), done.stdout[-4000:]
        yield server, home
        server.shutdown()


def datasets(event: dict[str, Any], side: str) -> list[tuple[str, str]]:
    return [(one["namespace"], one["name"]) for one in event[side]]


READ = [("iceberg://pedregal", "raw.flights")]
WRITTEN = [("iceberg://pedregal", "flights.daily")]


def test_the_tasks_report_what_is_read_and_written(recorded: tuple[Backend, Path]) -> None:
    server, _ = recorded
    submit, wait, publish = (server.of(task, "COMPLETE") for task in ("submit", "wait", "publish"))
    assert (datasets(submit, "inputs"), datasets(submit, "outputs")) == (READ, [])
    assert (datasets(wait, "inputs"), datasets(wait, "outputs")) == (READ, WRITTEN)
    assert submit["run"]["facets"]["externalQuery"]["externalQueryId"] == wait["run"]["facets"]["externalQuery"]["externalQueryId"]
    assert datasets(publish, "outputs") == WRITTEN
    (table,) = publish["outputs"]
    assert table["outputFacets"]["outputStatistics"]["rowCount"] == 4
    assert int(table["facets"]["version"]["datasetVersion"]) > 0


def test_spark_learns_who_started_it_and_where_events_go(recorded: tuple[Backend, Path]) -> None:
    server, home = recorded
    (record,) = home.glob("executions/*/1/request.json")
    conf = json.loads(record.read_text())["job"]["spark_conf"]
    assert conf["spark.openlineage.parentJobNamespace"] == "here"
    assert conf["spark.openlineage.parentJobName"] == "lineage.submit"
    assert conf["spark.openlineage.parentRunId"] == server.of("submit", "COMPLETE")["run"]["runId"]
    assert conf["spark.openlineage.transport.type"] == "http"
    assert conf["spark.openlineage.transport.url"] == f"http://127.0.0.1:{server.server_port}"


def test_the_transports_key_reaches_the_backend_and_nothing_else(recorded: tuple[Backend, Path]) -> None:
    server, home = recorded
    assert server.authorizations == {f"Bearer {KEY}"}
    holding = [path for path in home.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert holding == []


def test_credentials_are_taken_out_wherever_a_transport_keeps_them() -> None:
    injected = {
        "spark.executor.memory": "2g",
        "spark.openlineage.parentRunId": "1",
        "spark.openlineage.transport.type": "http",
        "spark.openlineage.transport.url": f"https://me:{KEY}@lineage.example.com:5000/x",
        "spark.openlineage.transport.auth.type": "api_key",
        "spark.openlineage.transport.auth.apiKey": KEY,
        "spark.openlineage.transport.headers.X-Token": KEY,
        "spark.openlineage.transport.transports.a.url": "https://a.example.com",
        "spark.openlineage.transport.transports.a.auth.apiKey": KEY,
        "spark.openlineage.transport.transports.a.headers.X-Token": KEY,
    }
    assert lineage._without_credentials(injected, own={}) == {
        "spark.executor.memory": "2g",
        "spark.openlineage.parentRunId": "1",
        "spark.openlineage.transport.type": "http",
        "spark.openlineage.transport.url": "https://lineage.example.com:5000/x",
        "spark.openlineage.transport.transports.a.url": "https://a.example.com",
    }


def test_nothing_is_added_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lineage.with_lineage(job(), {}) == job()  # type: ignore[typeddict-item]
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__SPARK_INJECT_PARENT_JOB_INFO", "True")
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__DISABLED", "True")
    assert lineage.with_lineage(job(), {}) == job()  # type: ignore[typeddict-item]


def test_lineage_that_cannot_be_had_fails_no_job(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__SPARK_INJECT_PARENT_JOB_INFO", "True")
    monkeypatch.setitem(sys.modules, "airflow.providers.openlineage.utils.spark", None)
    with caplog.at_level("INFO"):
        assert lineage.with_lineage(job(), {}) == job()  # type: ignore[typeddict-item]
    assert "no openlineage provider" in caplog.text


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("s3a://bucket/landing/day", ("s3://bucket", "landing/day")),
        ("gs://bucket", ("gs://bucket", "/")),
        ("/data/flights.csv", ("file", "/data/flights.csv")),
        ("file:///data/flights.csv", ("file", "/data/flights.csv")),
        ("hdfs://name-node:8020/data", ("hdfs://name-node:8020", "data")),
    ],
)
def test_a_path_is_named_by_its_storage(path: str, name: tuple[str, str]) -> None:
    assert lineage.source_name(Source("s", type="csv", path=path)) == name


def test_the_manifests_own_lineage_is_kept() -> None:
    own = {"spark.openlineage.transport.auth.type": "mine"}
    assert lineage._without_credentials(own, own=own) == own
