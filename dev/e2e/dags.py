"""The manifests and the DAG file that the end-to-end run lays into Airflow's DAGs folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from dev.e2e.options import Options

#: Smallest sizes that Spark accepts: 1 GiB for the driver and 896 MiB for the executor, overheads included.
RESOURCES = {"driver": {"cores": 1, "memory": "512m"}, "executor": {"cores": 1, "memory": "512m", "instances": 1}}

DAGS = """\
import json
from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_dcp_provider.operators.spark_runner import SparkRunnerSubmitOperator
from airflow_dcp_provider.sensors.spark_execution import SparkExecutionSensor

JOBS = json.loads('''{jobs}''')

for job in JOBS:
    with DAG(
        job["name"],
        schedule=None,
        start_date=datetime(2024, 1, 1),
        is_paused_upon_creation=False,
        params={{"environment": "test"}},
        default_args={{"retries": 2, "retry_delay": timedelta(seconds=1)}},
    ):
        submit = SparkRunnerSubmitOperator(task_id="submit", job=job)
        SparkExecutionSensor(task_id="wait", execution=submit.output, job=job)
"""


@dataclass(frozen=True)
class Queries:
    """The SQL of each step. All of it is worked out by the driver while it analyses the query, so that no table is needed."""

    #: Succeeds.
    good: str = "SELECT count(*) AS n FROM range(1000)"
    #: Is the user's fault; the error names :attr:`mistake`.
    wrong: str = "SELECT no_such_column FROM range(3)"
    mistake: str = "no_such_column"
    #: Needs 460 MiB in one piece: more than the first attempt's heap has.
    hungry: str = "SELECT * FROM VALUES (size(sequence(1L, 60000000L))) AS t(n)"
    #: Takes hours. Java remembers what it has tried, and so ends at once, unless the expression refers back to a group.
    endless: str = r"SELECT * FROM VALUES (repeat('a', 64) RLIKE '^(a|aa)+(\\1)?b$') AS t(n)"
    #: Ten rows for the table.
    rows: str = "SELECT id, '{{ ds }}' AS ds FROM range(10)"


def job(options: Options, what: str, query: str, *, retries: int = 0) -> dict[str, Any]:
    """Return a job without a sink, for a hand-written DAG."""
    return {
        "manifest_id": f"e2e/{options.name}-{what}",
        "name": f"{options.name}-{what}",
        "environment": "test",
        "team": "e2e",
        "owner": "e2e@example.com",
        "engine": {"type": "spark-oss", "version": options.spark_version},
        "resources": RESOURCES,
        "core_etl": {"job": {"transformations": [{"name": "result", "query": query}]}},
        "retry_policy": {"max_retries": retries, "retry_interval": 2},
        "timeout": 1800,
    }


def manifest(options: Options, what: str, query: str, *, retries: int = 0) -> str:
    """Return a manifest that writes a table; JSON is YAML too."""
    name = f"{options.name}-{what}"
    table = name.replace("-", "_")
    document = {
        "apiVersion": "dcp.example.com/v1",
        "kind": "SparkJob",
        "metadata": {"name": name, "namespace": "e2e", "team": "e2e", "owner": "e2e@example.com"},
        "spec": {
            "engine": {"type": "spark-oss", "version": options.spark_version},
            "jobType": "batch",
            "resources": RESOURCES,
            "coreEtl": {
                "jobSpec": {
                    "sources": [],
                    "transformations": [{"name": "result", "type": "sql", "query": query}],
                    "sinks": [
                        {
                            "name": "out",
                            "type": "iceberg",
                            "catalog": "pedregal",
                            "database": "e2e",
                            "table": table,
                            "mode": "overwrite",
                            "partitionBy": ["ds"],
                        }
                    ],
                }
            },
            "orchestration": {
                "schedule": "@daily",
                "startDate": "2024-01-01",
                "endDate": "2024-03-01",
                "timeout": 1800,
                "retryPolicy": {"maxRetries": retries, "retryInterval": 2},
            },
        },
    }
    return json.dumps(document, indent=2)


def tables_of(options: Options) -> list[str]:
    """Return the tables that the run's manifests make."""
    return [f"e2e.{f'{options.name}-{what}'.replace('-', '_')}" for what in ("wrong", "table")]


def dag_file(jobs: list[dict[str, Any]]) -> str:
    """Return a file with one DAG for each job: submit, wait."""
    return DAGS.format(jobs=json.dumps(jobs).replace("\\", "\\\\").replace("'", "\\'"))
