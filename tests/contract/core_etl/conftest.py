"""One real Spark for all tests of the driver, on the embedded catalog."""

from __future__ import annotations

import gc
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pyspark import SparkContext
from pyspark.sql import DataFrame, SparkSession

from airflow_dcp_provider.core_etl.driver import run_job
from airflow_dcp_provider.core_etl.faults import DriverError
from airflow_dcp_provider.core_etl.report import Report, SinkResult
from airflow_dcp_provider.core_etl.spec import parse_job
from airflow_dcp_provider.embedded_catalog.server import CatalogServer
from airflow_dcp_provider.runner.backends.iceberg_jar import iceberg_jar
from airflow_dcp_provider.runner.backends.java import find_java
from airflow_dcp_provider.runner.backends.local_settings import LocalSettings
from airflow_dcp_provider.runner.backends.spark_home import find_spark

CACHE = Path(__file__).resolve().parents[3] / ".dcp" / "cache"
DAY = "2013-01-05"

#: The marks of every test here. py4j leaves closing its sockets to the garbage collector.
SPARK = [pytest.mark.spark, pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")]


def spark_properties(uri: str, jar: Path, folder: Path) -> dict[str, str]:
    """What whoever starts the driver gives to Spark."""
    return {
        "spark.master": "local[2]",
        "spark.driver.memory": "1g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraClassPath": str(jar),
        "spark.driver.extraJavaOptions": f"-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Djava.io.tmpdir={folder}",
        "spark.local.dir": str(folder),
        "spark.sql.warehouse.dir": str(folder / "spark-warehouse"),
        "spark.sql.catalog.pedregal": "org.apache.iceberg.spark.SparkCatalog",
        "spark.sql.catalog.pedregal.type": "rest",
        "spark.sql.catalog.pedregal.uri": uri,
        "spark.sql.catalog.pedregal.cache-enabled": "false",
        "spark.sql.defaultCatalog": "pedregal",
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.shuffle.partitions": "1",
        "spark.ui.enabled": "false",
        # Generating and compiling code costs more than it saves on a few rows.
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    }


@pytest.fixture(scope="package")
def jar() -> Path:
    settings = LocalSettings.from_environment()
    return iceberg_jar(settings.iceberg_jar, CACHE / "jars", find_java(settings.java), find_spark(settings.python))


@pytest.fixture(scope="package")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DCP_HOME with the embedded catalog."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="package")
def server(home: Path) -> Iterator[CatalogServer]:
    with CatalogServer(home) as running:
        yield running


@pytest.fixture(scope="package")
def spark(server: CatalogServer, jar: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    builder = SparkSession.builder
    for key, value in spark_properties(server.uri, jar, tmp_path_factory.mktemp("spark")).items():
        builder = builder.config(key, value)
    before = os.environ.pop("PYSPARK_SUBMIT_ARGS", None)
    session = builder.getOrCreate()
    session.sql("CREATE NAMESPACE pedregal.raw")
    yield session
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        _stop(session)
        gc.collect()
    if before is not None:
        os.environ["PYSPARK_SUBMIT_ARGS"] = before


def _stop(session: SparkSession) -> None:
    """Stop Spark and its JVM, and forget the gateway, so that a later test could start another."""
    session.stop()
    gateway = session.sparkContext._gateway
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait(30)
    SparkContext._gateway = SparkContext._jvm = None


def fresh(spark: SparkSession) -> SparkSession:
    """A session as the driver has it: with the settings of ``spark``, and catalogs that nobody has used yet."""
    return SparkSession(spark.sparkContext, spark._jsparkSession.cloneSession())


@dataclass
class Lake:
    """Runs jobs on the shared Spark and looks at what they left. ``table`` is the test's own."""

    spark: SparkSession
    table: str
    folder: Path
    identity: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"pedregal.lake.{self.table}"

    def spec(self, query: str, **changes: Any) -> dict[str, Any]:
        """A job that writes the rows of ``query`` into the test's table."""
        sink_fields = {"mode", "partition_by", "merge_keys", "columns", "description"}
        sink = {"name": "out", "catalog": "pedregal", "database": "lake", "table": self.table, "input": "result"}
        sink.update({key: value for key, value in changes.items() if key in sink_fields})
        document = {
            "version": 1,
            "execution_id": "execution-1",
            "attempt": 1,
            "fingerprint": "f" * 64,
            "manifest_id": "tests/job",
            "run_key": "dag/run/-1",
            "ds": DAY,
            "sources": [],
            "transformations": [{"name": "result", "type": "sql", "query": query}],
            "sinks": [sink],
        }
        document.update({key: value for key, value in changes.items() if key not in sink_fields})
        return document

    def run_spec(self, document: Mapping[str, Any]) -> Report:
        report = Report()
        run_job(fresh(self.spark), parse_job(json.dumps(document)), report)
        return report

    def run(self, query: str, **changes: Any) -> SinkResult:
        """Run a job and return its only sink's result."""
        (result,) = self.run_spec(self.spec(query, **changes)).sinks
        return result

    def fail(self, query: str, **changes: Any) -> DriverError:
        """Run a job that must fail and return its error."""
        with pytest.raises(DriverError) as caught:
            self.run(query, **changes)
        return caught.value

    def rows(self, columns: str = "*") -> list[tuple[Any, ...]]:
        found = [tuple(row) for row in self.spark.sql(f"SELECT {columns} FROM {self.name}").collect()]
        return sorted(found, key=lambda row: [(value is None, value) for value in row])

    def exists(self) -> bool:
        return bool(self.spark.catalog.tableExists(self.name))

    def snapshots(self) -> list[dict[str, str]]:
        """The summaries of the table's snapshots, oldest first."""
        found: DataFrame = self.spark.sql(
            f"SELECT snapshot_id, operation, summary FROM {self.name}.snapshots ORDER BY committed_at"
        )
        return [{**row.summary, "operation": row.operation, "snapshot_id": row.snapshot_id} for row in found.collect()]


@pytest.fixture
def lake(spark: SparkSession, request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    name = "".join(char if char.isalnum() else "_" for char in request.node.name)
    return Lake(spark, name, tmp_path)


@pytest.fixture(autouse=True)
def _nothing_is_left_in_memory(spark: SparkSession) -> Iterator[None]:
    """Whatever a run keeps for its write, it lets go, also when it fails."""
    yield
    assert spark.sparkContext._jsc.getPersistentRDDs().isEmpty()
