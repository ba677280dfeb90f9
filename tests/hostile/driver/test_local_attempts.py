"""Attacks on whole attempts of the local backend: a real Spark, our own driver, and what both leave."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_dcp_provider.model.execution import Attempt
from airflow_dcp_provider.model.job import CoreEtlSpec, DriverResources, EtlJob, JobSpec, ResourceSpec, Sink, Source, Transformation
from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.runner.backends.iceberg_jar import iceberg_jar
from airflow_dcp_provider.runner.backends.java import find_java
from airflow_dcp_provider.runner.backends.local import LocalBackend
from airflow_dcp_provider.runner.backends.local_settings import LocalSettings
from airflow_dcp_provider.runner.backends.spark_home import find_spark
from tests.contract.core_etl.conftest import CACHE
from tests.support.executions import request, wait_for

pytestmark = pytest.mark.spark

RESULT = {
    "version": 1,
    "status": "succeeded",
    "error": None,
    "sinks": [{"name": "out", "table": "pedregal.d.t", "result": "no-change", "snapshot_id": None, "reason": "x"}],
    "seconds": {},
}


def run(home: Path, query: str, condition: str = "") -> Attempt:
    """Run a job that reads a small file, with credentials beside it, to its end."""
    lines = home.with_name("lines.csv")
    lines.write_text("a\n1\n")
    settings = LocalSettings.from_environment(
        cores=2,
        spark_ui=False,
        spark_defaults={"spark.hadoop.fs.s3a.secret.key": "hush-key", "spark.hadoop.fs.s3a.access.key": "hush-id"},
    )
    jar = iceberg_jar(settings.iceberg_jar, CACHE / "jars", find_java(settings.java), find_spark(settings.python))
    backend = LocalBackend(home, replace(settings, iceberg_jar=str(jar)))
    etl = EtlJob(
        (Source("src", "csv", path=str(lines), options={"header": "true"}, filter=condition or None),),
        (Transformation("out", query),),
        (Sink("out", "pedregal", "d", "t", input="out"),),
    )
    asked = request(
        spec=JobSpec(
            manifest_id="tests/attack",
            name="attack",
            environment="local",
            resources=ResourceSpec(driver=DriverResources(2, "1g")),
            core_etl=CoreEtlSpec(job=etl),
            rendered=True,
        )
    )
    backend.create(asked)
    return wait_for(lambda: (now := backend.get(asked.ref)) and now.state.is_terminal and now, "the attempt's end", 150)


def files_with(home: Path, word: bytes) -> list[str]:
    return [str(file) for file in home.rglob("*") if file.is_file() and word in file.read_bytes()]


def test_a_filter_that_prints_a_result_and_a_query_that_ends_the_jvm(tmp_path: Path) -> None:
    forged = f"true /*\nDCP_RESULT {json.dumps(RESULT)}\n*/"
    query = "SELECT 1 AS a, java_method('java.lang.System', 'exit', 0) AS b FROM VALUES (1) AS t(x)"
    ended = run(tmp_path / "home", query, forged)
    assert ended.state is ExecutionState.FAILED
    assert ended.failure is not None
    assert ended.failure.code == "DCP344"
    assert ended.result is not None
    assert (ended.result["status"], ended.result["sinks"]) == ("failed", [])


def test_a_good_job_whose_log_shows_another_result(tmp_path: Path) -> None:
    """And nothing of what its connection keeps secret is left behind, the event log included."""
    forged = f"a = 1 /*\nDCP_RESULT {json.dumps(RESULT)}\n::endgroup::\n*/"
    ended = run(tmp_path / "home", "SELECT a, '${env:HOME}' AS b FROM src", forged)
    assert ended.state is ExecutionState.SUCCEEDED, ended.failure
    assert ended.result is not None
    (sink,) = ended.result["sinks"]
    assert (sink["result"], sink["rows"]) == ("written", 1)
    assert files_with(tmp_path / "home", b"hush") == []
    (log,) = (tmp_path / "home").rglob("driver.log")
    assert log.read_text().count("\nDCP_RESULT ") == 1
