"""What importing the operators costs a process that parses DAG files; measured in fresh interpreters."""

from __future__ import annotations

import json
import subprocess
import sys

MODULES = (
    "operators.spark_runner",
    "operators.tables",
    "operators.publish",
    "operators.iceberg",
    "sensors.spark_execution",
    "sensors.iceberg",
    "triggers.spark_execution",
    "hooks.dcp",
    "hooks.settings",
    "links.execution",
)
BANNED = ("kubernetes", "kubernetes_asyncio", "pyiceberg", "pyspark", "pandas", "pyarrow", "sqlglot")

PROGRAM = """
import importlib, json, sys, time
# What a DAG processor has imported before it parses the first file.
import airflow.dag_processing.processor, airflow.sdk, airflow.providers.common.compat.sdk, airflow.triggers.base
from airflow.sdk import DAG, Asset, BaseOperator, BaseSensorOperator
before = set(sys.modules)
start = time.process_time()
for name in {modules!r}:
    importlib.import_module("airflow_dcp_provider." + name)
print(json.dumps({{"seconds": time.process_time() - start, "new": sorted(set(sys.modules) - before)}}))
"""


def test_importing_the_operators_is_cheap_and_pulls_no_engine_in() -> None:
    found = []
    for _ in range(3):
        run = subprocess.run([sys.executable, "-c", PROGRAM.format(modules=MODULES)], capture_output=True, text=True, check=True)
        found.append(json.loads(run.stdout.splitlines()[-1]))
    new = {name.split(".")[0] for name in found[0]["new"]}
    assert not new & set(BANNED)
    assert "airflow_dcp_provider" in new
    assert "airflow_dcp_provider.hooks.iceberg_table" not in found[0]["new"]
    # The quickest of three: the others may have shared the processor with something else.
    assert min(one["seconds"] for one in found) < 0.1
