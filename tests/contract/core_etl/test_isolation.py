"""Every sink sees the tables as they were when the run began, whoever writes meanwhile; and the run has one moment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_dcp_provider.core_etl import driver
from airflow_dcp_provider.core_etl.catalogs import pin_tables, prepare_catalogs
from airflow_dcp_provider.core_etl.faults import DriverError
from airflow_dcp_provider.core_etl.measure import measure
from airflow_dcp_provider.core_etl.spec import parse_job

from .conftest import SPARK, Lake, fresh

pytestmark = SPARK


def source(lake: Lake, name: str, **more: str) -> dict[str, str]:
    return {"name": name, "catalog": "pedregal", "database": "lake", "table": f"{lake.table}_{name}", **more}


def test_each_sink_sees_the_tables_as_they_were_at_first(lake: Lake) -> None:
    lake.spark.sql("CREATE NAMESPACE IF NOT EXISTS pedregal.lake")
    lake.spark.sql(
        f"CREATE TABLE {lake.name}_stock USING iceberg AS SELECT * FROM VALUES ('a', 10), ('b', 20), ('c', 30) AS t(sku, qty)"
    )
    document = lake.spec("", sources=[source(lake, "stock")])
    document["transformations"] = [
        {"name": "new_stock", "query": "SELECT sku, qty + 1000 AS qty FROM stock"},
        {"name": "before_change", "query": "SELECT sku, qty AS old_qty FROM stock"},
        {"name": "totals", "query": "SELECT count(*) AS n, sum(qty) AS total FROM stock"},
        {"name": "versions", "query": f"SELECT count(*) AS n FROM pedregal.lake.{lake.table}_stock.snapshots"},
        {"name": "merged", "query": "SELECT sku, qty FROM stock JOIN totals ON qty < total"},
    ]
    modes = {"new_stock": "overwrite", "before_change": "append", "totals": "overwrite", "versions": "append", "merged": "merge"}
    document["sinks"] = [
        {
            **document["sinks"][0],
            "name": name,
            "input": name,
            "mode": mode,
            "table": f"{lake.table}_{'stock' if name == 'new_stock' else name}",
            "merge_keys": ["sku"] if mode == "merge" else [],
        }
        for name, mode in modes.items()
    ]
    (snapshot,) = lake.spark.sql(f"SELECT snapshot_id FROM {lake.name}_stock.snapshots").first()
    report = lake.run_spec(document)
    assert report.reads == {f"{lake.name}_stock": snapshot}
    assert [sink.rows for sink in report.sinks] == [3, 3, 1, 1, 3]

    def rows(name: str) -> list[tuple[object, ...]]:
        return sorted(tuple(row) for row in lake.spark.table(f"{lake.name}_{name}").collect())

    assert rows("stock") == [("a", 1010), ("b", 1020), ("c", 1030)]
    assert rows("before_change") == [("a", 10), ("b", 20), ("c", 30)]
    assert rows("totals") == [(3, 60)]
    assert rows("versions") == [(1,)]
    assert rows("merged") == [("a", 10), ("b", 20), ("c", 30)]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT id, day FROM big WHERE id > 0",
        "SELECT id, day FROM pedregal.lake.{table}_big WHERE id > 0",
        "SELECT id, max(day) AS day FROM big GROUP BY id",
    ],
)
def test_what_is_written_meanwhile_is_neither_counted_nor_written(lake: Lake, query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.spark.sql("CREATE NAMESPACE IF NOT EXISTS pedregal.lake")
    lake.spark.sql(f"CREATE TABLE {lake.name}_big USING iceberg AS SELECT 1 AS id, '2013-01-05' AS day")

    def measured(plan, keep):  # type: ignore[no-untyped-def]
        done = measure(plan, keep)
        lake.spark.sql(f"INSERT INTO {lake.name}_big VALUES (2, '2013-01-06')")
        return done

    monkeypatch.setattr(driver, "measure", measured)
    for attempt in (1, 2):
        done = lake.run(query.format(table=lake.table), sources=[source(lake, "big")], partition_by=["day"], attempt=attempt)
        assert (done.rows, done.added_rows) == (attempt, attempt)
        assert len(lake.rows()) == attempt


def test_a_source_that_is_read_twice_is_one_state(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Views of a table are analysed one after the other; another writer may come between any two of them."""
    lake.spark.sql("CREATE NAMESPACE IF NOT EXISTS pedregal.lake")
    lake.spark.sql(f"CREATE TABLE {lake.name}_twice USING iceberg AS SELECT 1 AS id")
    real = driver.pin_tables

    def pinned(spark, job):  # type: ignore[no-untyped-def]
        pins = real(spark, job)
        lake.spark.sql(f"INSERT INTO {lake.name}_twice VALUES (2)")
        return pins

    monkeypatch.setattr(driver, "pin_tables", pinned)
    table = f"pedregal.lake.{lake.table}_twice"
    lake.run(
        f"SELECT (SELECT count(*) FROM {table}) AS a, (SELECT count(*) FROM twice) AS b, (SELECT count(*) FROM again) AS c,"
        f" (SELECT count(*) FROM {table}.snapshots) AS d",
        sources=[source(lake, "twice"), {**source(lake, "twice"), "name": "again", "filter": "id > 0"}],
    )
    assert lake.rows() == [(1, 1, 1, 1)]


def test_a_session_that_has_used_its_catalogs_is_refused(lake: Lake) -> None:
    lake.spark.sql("CREATE TABLE IF NOT EXISTS pedregal.raw.precious (id INT) USING iceberg")
    session = fresh(lake.spark)
    session.table("pedregal.raw.precious")
    precious = {"name": "p", "catalog": "pedregal", "database": "raw", "table": "precious"}
    job = parse_job(json.dumps(lake.spec("SELECT 1 AS id", sources=[precious])))
    prepare_catalogs(session, job)
    with pytest.raises(DriverError, match="DCP337"):
        pin_tables(session, job)


def test_a_run_has_one_moment(lake: Lake) -> None:
    document = lake.spec("")
    moment = "current_timestamp() AS a, now() AS b, current_timestamp AS c, localtimestamp() AS d, (SELECT now()) AS e"
    document["transformations"] = [
        {"name": "one", "query": f"SELECT {moment}"},
        {"name": "two", "query": "SELECT *, now() AS f FROM one"},
        {"name": "three", "query": f"WITH x AS (SELECT {moment}) SELECT * FROM x WHERE a = (SELECT max(b) FROM one)"},
    ]
    document["sinks"] = [
        {**document["sinks"][0], "name": name, "input": name, "table": f"{lake.table}_{name}"} for name in ("one", "two", "three")
    ]
    lake.run_spec(document)
    values = set()
    for name in ("one", "two", "three"):
        (row,) = lake.spark.table(f"{lake.name}_{name}").collect()
        values |= set(row)
    # pyspark gives local times without a zone and those in UTC alike here, because the session's zone is UTC.
    assert len({value.replace(tzinfo=None) for value in values}) == 1


def test_texts_that_mean_the_present_moment_have_one_value(lake: Lake) -> None:
    lake.spark.sql("CREATE NAMESPACE IF NOT EXISTS pedregal.lake")
    lake.spark.sql(f"CREATE TABLE {lake.name}_ids USING iceberg AS SELECT id FROM range(3)")
    at = ", ".join(
        f"date_format({moment}, 'yyyyMMddHHmmssSSSSSS') AS {name}"
        for name, moment in {
            "at": "CAST('now' AS TIMESTAMP)",
            "b": "to_timestamp('now')",
            "c": "CAST(concat('n', 'ow') AS TIMESTAMP)",
        }.items()
    )
    query = f"SELECT id, {at}, CAST('today' AS DATE) = current_date() AND to_date('today') = current_date() AS same FROM ids"
    done = lake.run(query, sources=[source(lake, "ids")], partition_by=["at"])
    assert (done.rows, done.added_rows) == (3, 3)
    assert {f"at={row[1]}" for row in lake.rows()} == {done.partition}
    assert {row[4] for row in lake.rows()} == {True}
    assert len({row[2:4] for row in lake.rows()}) == 1


def test_a_selection_by_the_present_moment_is_counted_and_written_alike(lake: Lake) -> None:
    lake.spark.sql("CREATE NAMESPACE IF NOT EXISTS pedregal.lake")
    lake.spark.sql(f"CREATE TABLE {lake.name}_ids USING iceberg AS SELECT id FROM range(3)")
    done = lake.run(
        "SELECT id, date_format(now(), 'yyyyMMddHHmmssSSSSSS') AS at FROM ids", sources=[source(lake, "ids")], partition_by=["at"]
    )
    assert (done.rows, done.added_rows) == (3, 3)
    assert {f"at={row[1]}" for row in lake.rows()} == {done.partition}


def test_a_snapshot_whose_files_are_removed_meanwhile_is_the_platforms_fault(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.spark.sql("CREATE NAMESPACE IF NOT EXISTS pedregal.lake")
    lake.spark.sql(f"CREATE TABLE {lake.name}_old USING iceberg AS SELECT 1 AS id")
    files = [row.file_path for row in lake.spark.sql(f"SELECT file_path FROM {lake.name}_old.files").collect()]
    real = driver.pin_tables

    def pinned(spark, job):  # type: ignore[no-untyped-def]
        pins = real(spark, job)
        lake.spark.sql(f"DELETE FROM {lake.name}_old WHERE true")
        for file in files:
            Path(file.removeprefix("file:")).unlink(missing_ok=True)
        return pins

    monkeypatch.setattr(driver, "pin_tables", pinned)
    error = lake.fail("SELECT id FROM old", sources=[source(lake, "old")])
    assert (error.code, error.exit_code) == ("DCP333", 22)
    # The next attempt reads the table as it is now.
    monkeypatch.setattr(driver, "pin_tables", real)
    assert lake.run("SELECT id FROM old", sources=[source(lake, "old")], attempt=2).rows == 0
