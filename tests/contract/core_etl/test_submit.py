"""The driver as it is shipped: a zip and a script, started by spark-submit where the project is not installed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_dcp_provider.core_etl.bundle import lay_driver
from airflow_dcp_provider.embedded_catalog.server import CatalogServer
from airflow_dcp_provider.runner.backends.java import find_java
from airflow_dcp_provider.runner.backends.spark_home import find_spark

from .conftest import DAY, spark_properties

pytestmark = pytest.mark.spark

#: A Python that sees pyspark and nothing else that is installed here: no site-packages (-S), no PYTHONPATH but pyspark's own.
BARE_PYTHON = """#!/bin/sh
unset PYTHONHOME
exec "{python}" -S -P "$@"
"""


def submit(folder: Path, server: CatalogServer, jar: Path, spec: dict[str, Any]) -> tuple[int, dict[str, Any], str]:
    """Run the driver in a process of its own and return its exit code, its result and its output."""
    (folder / "spec.json").write_text(json.dumps(spec))
    python = folder / "python"
    python.write_text(BARE_PYTHON.format(python=sys.executable))
    python.chmod(0o755)
    spark_home = find_spark()
    properties = {key: value for key, value in spark_properties(server.uri, jar, folder).items() if ".codegen." not in key}
    done = subprocess.run(
        [
            spark_home / "bin" / "spark-submit",
            *(word for key, value in properties.items() for word in ("--conf", f"{key}={value}")),
            *(lay_driver(folder), "--job-spec", folder / "spec.json"),
        ],
        env={
            "PATH": os.environ["PATH"],
            "JAVA_HOME": str(find_java().home),
            "SPARK_HOME": str(spark_home),
            "PYSPARK_PYTHON": str(python),
            "PYSPARK_DRIVER_PYTHON": str(python),
            "SPARK_LOCAL_IP": "127.0.0.1",
        },
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert lines, done.stderr
    assert lines[-1].startswith("DCP_RESULT "), done.stdout + done.stderr
    return done.returncode, json.loads(lines[-1].removeprefix("DCP_RESULT ")), done.stdout


def document(query: str, table: str) -> dict[str, Any]:
    sink = {"name": "out", "catalog": "pedregal", "database": "shipped", "table": table, "input": "result", "partition_by": ["ds"]}
    return {
        "version": 1, "execution_id": "e", "attempt": 1, "fingerprint": "f", "manifest_id": "tests/shipped", "run_key": "r", "ds": DAY,
        "sources": [], "transformations": [{"name": "result", "query": query}], "sinks": [sink],
    }  # fmt: skip


def test_the_zip_runs_without_the_project(tmp_path: Path, server: CatalogServer, jar: Path) -> None:
    query = "SELECT id, id * 2 AS twice FROM range(10)"
    code, result, output = submit(tmp_path, server, jar, document(query, "good"))
    assert code == 0, output
    assert result["status"] == "succeeded"
    assert result["error"] is None
    (sink,) = result["sinks"]
    assert (sink["table"], sink["result"], sink["rows"], sink["partition"]) == ("pedregal.shipped.good", "written", 10, f"ds={DAY}")
    assert set(result["seconds"]) == {"start", "analyse", "compute", "write", "total"}
    assert "transformation result is analysed" in output
    assert f"snapshot {sink['snapshot_id']}" in output


def test_a_users_fault_has_its_exit_code(tmp_path: Path, server: CatalogServer, jar: Path) -> None:
    code, result, output = submit(tmp_path, server, jar, {**document("SELECT 1", "bad"), "sinks": [{"name": "out"}]})
    assert (code, result["status"], result["error"]["code"], result["sinks"]) == (20, "failed", "DCP320", [])
    assert "Traceback" not in output


def test_a_job_for_another_spark_is_not_run(tmp_path: Path, server: CatalogServer, jar: Path) -> None:
    code, result, output = submit(tmp_path, server, jar, {**document("SELECT 1 AS id", "other"), "spark_version": "9.9"})
    assert (code, result["status"], result["error"]["code"], result["sinks"]) == (20, "failed", "DCP436", [])
    assert "is analysed" not in output
