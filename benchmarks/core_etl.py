"""What the driver costs beside the same job as a plain hand-written PySpark script, both by spark-submit with the same settings.

python -m benchmarks.core_etl [--write] [--rounds 5]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyspark
from benchmarks._side_by_side import machine, table, write_section
from dev import data

from airflow_dcp_provider.core_etl import bundle
from airflow_dcp_provider.embedded_catalog.catalog import EmbeddedCatalog
from airflow_dcp_provider.embedded_catalog.server import CatalogServer
from airflow_dcp_provider.runner.backends.iceberg_jar import iceberg_jar
from airflow_dcp_provider.runner.backends.java import find_java

ROOT = Path(__file__).parent.parent
HOME = ROOT / ".dcp" / "benchmarks"
QUERY = (ROOT / "examples" / "manifests" / "flights" / "daily_delays.sql").read_text(encoding="utf-8")
#: What is read -> the last day of it.
SIZES = {"a quarter of the flights, into 90 partitions": "2013-03-31", "all flights, into 365 partitions": "2013-12-31"}
PLAIN, CORE_ETL = "plain PySpark script", "core_etl"

SCRIPT = f'''
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
spark.table("pedregal.raw.flights").where("@FILTER@").createOrReplaceTempView("flights")
result = spark.sql("""{QUERY}""")
spark.sql("CREATE DATABASE IF NOT EXISTS pedregal.bench")
columns = ", ".join(f"`{{field.name}}` {{field.dataType.simpleString()}}" for field in result.schema.fields)
spark.sql(f"CREATE TABLE IF NOT EXISTS pedregal.bench.plain ({{columns}}) USING iceberg PARTITIONED BY (flight_day)")
result.writeTo("pedregal.bench.plain").overwritePartitions()
'''


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--write", action="store_true", help="write the table into docs/benchmarks.md")
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    data.load(HOME)
    with tempfile.TemporaryDirectory() as temporary, CatalogServer(HOME) as server:
        folder = Path(temporary)
        rows = [(size, *_measured(server.uri, folder, f"ds <= '{day}'", given.rounds)) for size, day in SIZES.items()]
    report = f"## The driver\n\n{machine()} Wall time of the whole process, the start of Spark included.\n\n" + table(
        ("what is aggregated", f"{PLAIN} s", f"{CORE_ETL} s", "ratio"), rows
    )
    print(report)
    if given.write:
        write_section("core_etl", report)


def _measured(uri: str, folder: Path, rows: str, rounds: int) -> tuple[str, str, str]:
    """Return the medians of both in seconds, and their ratio."""
    cases = {PLAIN: _plain(folder, rows), CORE_ETL: _core_etl(folder, rows)}
    _forget_tables()
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    # The first run of each makes its table.
    for number in range(rounds + 1):
        for name, arguments in cases.items():
            start = time.perf_counter()
            _submit(uri, arguments)
            if number:
                seconds[name].append(time.perf_counter() - start)
    plain, ours = (statistics.median(seconds[name]) for name in cases)
    return f"{plain:.2f}", f"{ours:.2f}", f"{ours / plain:.2f}"


def _forget_tables() -> None:
    """Let both begin without a history: each snapshot that a table has makes its next commit longer."""
    catalog = EmbeddedCatalog(HOME).catalog()
    for name in ("bench.plain", "bench.core_etl"):
        if catalog.table_exists(name):
            catalog.drop_table(name)
    catalog.close()


def _plain(folder: Path, rows: str) -> list[str]:
    script = folder / "plain.py"
    script.write_text(SCRIPT.replace("@FILTER@", rows), encoding="utf-8")
    return [str(script)]


def _core_etl(folder: Path, rows: str) -> list[str]:
    iceberg = {"type": "iceberg", "catalog": "pedregal"}
    spec = {
        "version": 1,
        "execution_id": "benchmark",
        "attempt": 1,
        "fingerprint": "benchmark",
        "manifest_id": "benchmarks/daily-delays",
        "run_key": "benchmark",
        "ds": "2013-03-31",
        "sources": [{"name": "flights", **iceberg, "database": "raw", "table": "flights", "filter": rows}],
        "transformations": [{"name": "result", "type": "sql", "query": QUERY}],
        "sinks": [
            {
                "name": "out",
                **iceberg,
                "database": "bench",
                "table": "core_etl",
                "input": "result",
                "mode": "overwrite",
                "partition_by": ["flight_day"],
                "merge_keys": [],
                "columns": None,
                "description": None,
            }
        ],
    }
    target = folder / "job.json"
    target.write_text(json.dumps(spec), encoding="utf-8")
    return [str(bundle.lay_driver(folder)), "--job-spec", str(target)]


def _submit(uri: str, arguments: list[str]) -> None:
    java, spark_home = find_java(), Path(pyspark.__file__).parent
    jar = iceberg_jar("", HOME / "jars", java, spark_home)
    catalog = "spark.sql.catalog.pedregal"
    settings = {
        "spark.driver.extraClassPath": str(jar),
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        catalog: "org.apache.iceberg.spark.SparkCatalog",
        f"{catalog}.type": "rest",
        f"{catalog}.uri": uri,
        f"{catalog}.cache-enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "4",
        "spark.ui.enabled": "false",
    }
    command = [str(spark_home / "bin" / "spark-submit"), "--master", "local[2]", "--driver-memory", "1g"]
    command += ["--driver-java-options", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"]
    for key, value in settings.items():
        command += ["--conf", f"{key}={value}"]
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable, "JAVA_HOME": str(java.home)}
    done = subprocess.run([*command, *arguments], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"spark-submit failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")


if __name__ == "__main__":
    main()
