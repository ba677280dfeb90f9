"""The local backend with a real Spark, the embedded catalog and our own driver.

``make test-spark`` runs it for each version of Spark; the version is one that the manifest names, and the backend must find it.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_dcp_provider.embedded_catalog.catalog import EmbeddedCatalog
from airflow_dcp_provider.model.execution import Attempt, FailureKind
from airflow_dcp_provider.model.job import (
    CoreEtlSpec,
    DriverResources,
    EngineSpec,
    EtlJob,
    JobSpec,
    ResourceSpec,
    Sink,
    Source,
    Transformation,
)
from airflow_dcp_provider.model.states import ExecutionState as State
from airflow_dcp_provider.runner.backends.iceberg_jar import iceberg_jar
from airflow_dcp_provider.runner.backends.java import find_java
from airflow_dcp_provider.runner.backends.local import LocalBackend
from airflow_dcp_provider.runner.backends.local_processes import processes_of
from airflow_dcp_provider.runner.backends.local_settings import LocalSettings
from airflow_dcp_provider.runner.backends.spark_home import choose_spark
from tests.support.executions import request, wait_for

pytestmark = pytest.mark.spark

CACHE = Path(__file__).resolve().parents[3] / ".dcp" / "cache"
#: What the job's manifest says; without it, nothing.
VERSION = os.environ.get("DCP_TEST_SPARK")
SECRET = "é 🚀 \\path\\ = : # !"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a name that needs quoting everywhere."""
    folder = tmp_path / "my höme"
    folder.mkdir()
    return folder


@pytest.fixture
def backend(home: Path) -> LocalBackend:
    settings = LocalSettings.from_environment(
        cores=2, spark_defaults={"spark.app.dcp.test": SECRET, "spark.app.dcp.password": "hush"}
    )
    spark = choose_spark(VERSION or "", settings.python, settings.spark_homes)
    jar = iceberg_jar(settings.iceberg_jar, CACHE / "jars", find_java(settings.java), spark.home)
    return LocalBackend(home, replace(settings, iceberg_jar=str(jar)))


def etl(query: str, memory: str, *sources: Source) -> JobSpec:
    sink = Sink("out", "pedregal", "mart", "days", input="days", partition_by=("ds",))
    return JobSpec(
        manifest_id="team/days",
        name="days",
        environment="local",
        engine=EngineSpec(version=VERSION),
        resources=ResourceSpec(driver=DriverResources(2, memory)),
        core_etl=CoreEtlSpec(job=EtlJob(sources, (Transformation("days", query),), (sink,))),
        rendered=True,
    )


def run(backend: LocalBackend, spec: JobSpec) -> Attempt:
    asked = request(spec=spec)
    backend.create(asked)
    seen = wait_for(lambda: (now := backend.get(asked.ref)) and now.state is not State.PENDING and now, "Spark to start", 120)
    assert seen.state is State.RUNNING
    assert seen.spark_ui_url.startswith("http://127.0.0.1:")
    return wait_for(lambda: (now := backend.get(asked.ref)) and now.state.is_terminal and now, "Spark's end", 120)


def test_a_job_writes_its_table(backend, home, tmp_path):
    flights = tmp_path / "flights.csv"
    flights.write_text("carrier,delay\nUA,3\nUA,5\nB6,7\n")
    source = Source("flights", "csv", path=str(flights), options={"header": "true"})
    query = "SELECT carrier, CAST(count(*) AS BIGINT) AS flights FROM flights GROUP BY carrier"
    done = run(backend, etl(query, "1g", source))
    log, _ = backend.read_log(done.ref)
    assert done.state is State.SUCCEEDED, log
    assert f"version {VERSION or ''}" in log
    (sink,) = done.result["sinks"]
    assert (sink["table"], sink["result"], sink["rows"]) == ("pedregal.mart.days", "written", 2)

    table = EmbeddedCatalog(home).catalog().load_table("mart.days")
    assert sorted(table.scan().to_arrow().to_pylist(), key=lambda row: row["carrier"]) == [
        {"carrier": "B6", "flights": 1, "ds": "2013-01-05"},
        {"carrier": "UA", "flights": 2, "ds": "2013-01-05"},
    ]
    assert table.current_snapshot().summary["dcp.execution-id"] == done.ref.execution_id

    # The log is for people: no word of warning, and no Spark is left.
    assert " WARN " not in log
    folder = home / "executions" / done.ref.execution_id / "1"
    assert processes_of(folder) == []
    # Properties arrive as they were given, credentials do not stay.
    assert _spark_properties(folder)["spark.app.dcp.test"] == SECRET
    assert not (folder / "spark.properties").exists()
    assert not (folder / "settings.json").exists()
    assert not (folder / "scratch").exists()


def test_running_out_of_memory_is_told_apart(backend):
    """The JVM ends itself (exit 3); what the driver could say is lost with it."""
    query = "SELECT sort_array(collect_list(repeat(md5(CAST(id AS STRING)), 40))) AS all_of_them FROM range(4000000)"
    done = run(backend, etl(query, "512m"))
    assert done.state is State.FAILED
    assert (done.failure.kind, done.failure.code) == (FailureKind.RESOURCES, "DCP351"), done.failure
    assert "OutOfMemoryError" in done.failure.log_tail


def _spark_properties(folder: Path) -> dict[str, str]:
    (events,) = (folder / "events").iterdir()
    with events.open(encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            if event["Event"] == "SparkListenerEnvironmentUpdate":
                return dict(event["Spark Properties"])
    raise AssertionError("the event log has no properties")
