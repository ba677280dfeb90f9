"""What importing the operators brings into a process that parses DAG files, in a fresh interpreter."""

from __future__ import annotations

import json
import subprocess
import sys

MODULES = (
    "operators.spark_runner",
    "operators.tables",
    "operators.publish",
    "operators.iceberg",
    "operators.maintenance",
    "sensors.spark_execution",
    "sensors.iceberg",
    "triggers.spark_execution",
    "hooks.dcp",
    "hooks.settings",
    "links.execution",
)
BANNED = (
    "kubernetes",
    "kubernetes_asyncio",
    "lightkube",
    "httpx2",
    "openlineage",
    "pyiceberg",
    "pyspark",
    "pandas",
    "pyarrow",
    "sqlglot",
)

PROGRAM = """
import importlib, json, sys
# What a DAG processor has imported before it parses the first file.
import airflow.dag_processing.processor, airflow.sdk, airflow.providers.common.compat.sdk, airflow.triggers.base
from airflow.sdk import DAG, Asset, BaseOperator, BaseSensorOperator
before = set(sys.modules)
for name in {modules!r}:
    importlib.import_module("airflow_dcp_provider." + name)
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_importing_the_operators_pulls_no_engine_in() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM.format(modules=MODULES)], capture_output=True, text=True, check=True)
    new = json.loads(run.stdout.splitlines()[-1])
    packages = {name.split(".")[0] for name in new}
    assert not packages & set(BANNED)
    assert "airflow_dcp_provider" in packages
    assert "airflow_dcp_provider.hooks.iceberg_table" not in new
