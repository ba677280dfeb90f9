"""The embedded catalog under a real Spark: every kind of change that Spark makes, and two servers of one catalog at once."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from pyiceberg.catalog.rest import RestCatalog
from pyspark.sql import SparkSession

from airflow_dcp_provider.core_etl.driver import run_job
from airflow_dcp_provider.core_etl.report import Report
from airflow_dcp_provider.core_etl.spec import parse_job
from airflow_dcp_provider.embedded_catalog.server import CatalogServer

from .conftest import SPARK, Lake

pytestmark = SPARK


def test_spark_makes_changes_and_replaces_tables(spark: SparkSession) -> None:
    def rows(query: str) -> list[tuple[object, ...]]:
        return sorted(tuple(row) for row in spark.sql(query).collect())

    spark.sql("CREATE NAMESPACE pedregal.sql WITH DBPROPERTIES ('colour' = 'red')")
    assert ("sql",) in rows("SHOW NAMESPACES IN pedregal")
    table = "pedregal.sql.t"
    spark.sql(f"CREATE TABLE {table} USING iceberg PARTITIONED BY (ds) AS SELECT 1 AS id, 'a' AS ds UNION ALL SELECT 2, 'b'")
    spark.sql(f"INSERT INTO {table} VALUES (3, 'b')")
    spark.sql(f"UPDATE {table} SET id = 30 WHERE id = 3")
    spark.sql(f"DELETE FROM {table} WHERE id = 1")
    spark.sql(f"MERGE INTO {table} t USING (SELECT 2 AS id) s ON t.id = s.id WHEN MATCHED THEN UPDATE SET ds = 'c'")
    assert rows(f"SELECT * FROM {table}") == [(2, "c"), (30, "b")]
    spark.sql(f"ALTER TABLE {table} ADD COLUMN word STRING")
    spark.sql(f"ALTER TABLE {table} RENAME COLUMN id TO number")
    spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ('colour' = 'blue')")
    spark.sql(f"ALTER TABLE {table} ADD PARTITION FIELD word")
    assert rows(f"SELECT number, word FROM {table}") == [(2, None), (30, None)]
    assert ("colour", "blue") in rows(f"SHOW TBLPROPERTIES {table}")
    assert len(rows(f"SELECT snapshot_id FROM {table}.snapshots")) == 5
    assert rows(f"SELECT count(*) FROM {table}.files")[0][0] >= 2
    spark.sql(
        "CALL pedregal.system.expire_snapshots(table => 'sql.t', older_than => TIMESTAMP '2099-01-01 00:00:00', retain_last => 1)"
    )
    assert len(rows(f"SELECT snapshot_id FROM {table}.snapshots")) == 1
    spark.sql(f"CREATE OR REPLACE TABLE {table} USING iceberg AS SELECT 'x' AS only")
    assert rows(f"SELECT * FROM {table}") == [("x",)]
    spark.sql(f"ALTER TABLE {table} WRITE ORDERED BY only")
    spark.sql(f"ALTER TABLE {table} RENAME TO sql.renamed")
    assert [row[1] for row in rows("SHOW TABLES IN pedregal.sql")] == ["renamed"]
    assert [row for row in rows("SHOW VIEWS IN pedregal.sql") if row[0]] == []
    spark.sql("DROP TABLE pedregal.sql.renamed PURGE")
    spark.sql("DROP NAMESPACE pedregal.sql")
    assert ("sql",) not in rows("SHOW NAMESPACES IN pedregal")


@pytest.fixture
def second_server(server: CatalogServer) -> Iterator[str]:
    """The URI of a second server, in a process of its own, over the same catalog."""
    command = [sys.executable, "-m", "airflow_dcp_provider.embedded_catalog", "--home", str(server.embedded.home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.terminate()


def test_runs_through_two_servers_at_once_lose_nothing(lake: Lake, second_server: str) -> None:
    lake.run("SELECT 0 AS id", partition_by=["ds"], ds="2013-01-01")

    def run(day: int) -> Report:
        session = lake.spark.newSession()
        settings = {"": "org.apache.iceberg.spark.SparkCatalog", ".type": "rest", ".uri": second_server, ".cache-enabled": "false"}
        for key, value in settings.items():
            session.conf.set(f"spark.sql.catalog.second{key}", value)
        document = lake.spec(f"SELECT {day} AS id", partition_by=["ds"], ds=f"2013-02-0{day}", run_key=f"day {day}")
        document["sinks"][0]["catalog"] = ("pedregal", "second")[day % 2]
        report = Report()
        run_job(session, parse_job(json.dumps(document)), report)
        return report

    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(run, range(1, 7)))
    assert [report.sinks[0].result for report in reports] == ["written"] * 6
    assert [row[0] for row in lake.rows()] == [0, 1, 2, 3, 4, 5, 6]
    assert len({report.sinks[0].snapshot_id for report in reports}) == 6


def test_a_commit_whose_answer_is_lost_is_found_again(lake: Lake, server: CatalogServer, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.run("SELECT 1 AS id", mode="append", run_key="first")
    assert server._server
    catalog = server._server.service.result().catalog
    real, lost = catalog.commit_table, []

    def commit_and_lose_the_answer(*arguments: object) -> object:
        answer = real(*arguments)
        if not lost:
            lost.append(answer)
            raise RuntimeError("the answer is lost")
        return answer

    monkeypatch.setattr(catalog, "commit_table", commit_and_lose_the_answer)
    done = lake.run("SELECT 2 AS id", mode="append", run_key="second")
    assert lost
    assert done.result == "written"
    assert lake.rows() == [(1,), (2,)]


def test_pyiceberg_reads_what_the_driver_wrote(lake: Lake, server: CatalogServer) -> None:
    lake.run("SELECT id, CAST(id AS DECIMAL(10,2)) AS price FROM range(3)", partition_by=["ds"])
    with RestCatalog("reader", uri=server.uri) as catalog:
        found = catalog.load_table(("lake", lake.table)).scan().to_arrow()
    assert sorted(found["id"].to_pylist()) == [0, 1, 2]
    assert set(found["ds"].to_pylist()) == {"2013-01-05"}
