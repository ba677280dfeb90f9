"""Overwriting is the same when done twice, also with an empty result, and touches no other partition."""

from typing import Any

import pytest
from pyspark.sql import DataFrameWriterV2

from airflow_dcp_provider.core_etl import driver
from airflow_dcp_provider.core_etl.measure import measure

from .conftest import DAY, SPARK, Lake

pytestmark = SPARK


class CommitStateUnknownException(Exception):  # noqa: N818 -- the name is what counts
    """What Iceberg throws when a catalog does not say whether it took a commit."""


TWO_DAYS = "SELECT * FROM VALUES (1, 'a', '2013-01-05'), (2, 'b', '2013-01-06') AS t(id, word, ds)"


def test_the_own_day_is_added_and_replaced(lake: Lake) -> None:
    first = lake.run("SELECT * FROM VALUES (1, 'a'), (2, 'b') AS t(id, word)", partition_by=["ds"])
    assert (first.result, first.rows, first.added_rows, first.deleted_rows) == ("written", 2, 2, 0)
    assert first.previous_snapshot_id is None
    lake.run("SELECT 9 AS id, 'z' AS word", partition_by=["ds"], ds="2013-01-04", execution_id="before")
    again = lake.run("SELECT 3 AS id, 'c' AS word", partition_by=["ds"], attempt=2)
    assert (again.rows, again.added_rows, again.deleted_rows, again.partition) == (1, 1, 2, f"ds={DAY}")
    assert lake.rows() == [(3, "c", DAY), (9, "z", "2013-01-04")]
    newest = lake.snapshots()[-1]
    assert newest["snapshot_id"] == again.snapshot_id
    assert {key: value for key, value in newest.items() if key.startswith("dcp.")} == {
        "dcp.execution-id": "execution-1",
        "dcp.attempt": "2",
        "dcp.fingerprint": "f" * 64,
        "dcp.partition": f"ds={DAY}",
        "dcp.partitions": f'[{{"ds": "{DAY}"}}]',
        "dcp.rows": "1",
        "dcp.run": "dag/run/-1:out",
    }


def test_an_empty_result_empties_the_own_day_only(lake: Lake) -> None:
    lake.run(TWO_DAYS, partition_by=["ds"])
    emptied = lake.run("SELECT 1 AS id, 'a' AS word WHERE false", partition_by=["ds"])
    assert (emptied.result, emptied.rows, emptied.deleted_rows, emptied.partition) == ("written", 0, 1, f"ds={DAY}")
    assert lake.rows() == [(2, "b", "2013-01-06")]


def test_an_empty_first_result_makes_an_empty_table_with_a_snapshot(lake: Lake) -> None:
    done = lake.run("SELECT 1 AS id WHERE false", partition_by=["ds"])
    assert done.result == "written"
    assert lake.snapshots()[-1]["dcp.execution-id"] == "execution-1"
    assert lake.rows() == []


def test_result_days_and_the_own_day_are_replaced_in_one_commit(lake: Lake) -> None:
    lake.run(TWO_DAYS, partition_by=["ds"], ds="2013-01-06")
    lake.run("SELECT 5 AS id, 'old' AS word, '2013-01-07' AS ds", partition_by=["ds"], ds="2013-01-07")
    done = lake.run("SELECT 8 AS id, 'new' AS word, '2013-01-07' AS ds", partition_by=["ds"])
    assert (done.partition, done.deleted_rows) == (f"ds={DAY},ds=2013-01-07", 2)
    assert lake.rows() == [(2, "b", "2013-01-06"), (8, "new", "2013-01-07")]
    assert len(lake.snapshots()) == 3


def test_several_partition_columns_with_nulls(lake: Lake) -> None:
    by = ["ds", "country"]
    lake.run(
        "SELECT * FROM VALUES (1, '2013-01-05', 'US'), (2, '2013-01-05', NULL), (3, '2013-01-06', 'US'), (4, '2013-01-06', NULL), (5, NULL, 'DE')"
        " AS t(id, ds, country)",
        partition_by=by,
    )
    done = lake.run(
        "SELECT * FROM VALUES (6, '2013-01-06', CAST(NULL AS STRING)), (7, NULL, 'DE') AS t(id, ds, country)", partition_by=by
    )
    assert sorted(row[0] for row in lake.rows()) == [3, 6, 7]
    assert done.partition == f"ds={DAY},ds=null/country=DE,ds=2013-01-06/country=null"


def test_partitions_that_a_condition_cannot_spell_are_replaced_too(lake: Lake) -> None:
    by = ["ds", "share"]
    lake.run(
        "SELECT * FROM VALUES (1, '2013-01-05', 0.5D), (2, '2013-01-06', 0.1D), (3, '2013-01-06', 0.2D) AS t(id, ds, share)",
        partition_by=by,
    )
    again = lake.run("SELECT 4 AS id, '2013-01-06' AS ds, 0.1D AS share", partition_by=by, attempt=2)
    # One row by the commit that emptied the day, one by that which replaced the partition.
    assert (again.added_rows, again.deleted_rows) == (1, 2)
    assert [row[0] for row in lake.rows()] == [3, 4]
    emptying = [found for found in lake.snapshots() if "dcp.empties-for" in found]
    assert [found["dcp.empties-for"] for found in emptying] == ["execution-1"] * 2
    # An emptied day proves nothing of the run: only the second of the two commits may be taken for its work.
    assert [[key for key in found if key.startswith("dcp.")] for found in emptying] == [["dcp.empties-for"]] * 2
    assert [found.get("dcp.attempt") for found in lake.snapshots()] == [None, "1", None, "2"]


def lose_once(monkeypatch: pytest.MonkeyPatch, method: str, *, applied: bool) -> None:
    """Let the next commit by ``method`` end without an answer, after or instead of its work."""
    real = getattr(DataFrameWriterV2, method)
    lost: list[str] = []

    def call(writer: DataFrameWriterV2, *args: Any) -> None:
        if lost or applied:
            real(writer, *args)
        if not lost:
            lost.append(method)
            raise CommitStateUnknownException

    monkeypatch.setattr(DataFrameWriterV2, method, call)


@pytest.mark.parametrize(("method", "applied"), [("overwrite", True), ("overwrite", False), ("overwritePartitions", False)])
def test_an_emptied_day_is_not_taken_for_the_runs_write(
    lake: Lake, method: str, applied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    by = ["ds", "share"]
    query = "SELECT * FROM VALUES ({0}, '2013-01-05', 0.5D), ({0}, '2013-01-06', 0.1D) AS t(id, ds, share)"
    lake.run(query.format(1), partition_by=by)
    lose_once(monkeypatch, method, applied=applied)
    done = lake.run(query.format(2), partition_by=by, execution_id="execution-2")
    assert (done.result, done.rows, done.added_rows) == ("written", 2, 2)
    assert [row[0] for row in lake.rows()] == [2, 2]


def test_a_write_whose_answer_was_lost_is_found_and_not_repeated(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lose_once(monkeypatch, "overwritePartitions", applied=True)
    done = lake.run("SELECT 1 AS id, '2013-01-06' AS ds, 0.1D AS share", partition_by=["ds", "share"])
    assert (done.result, done.rows, len(lake.snapshots())) == ("written", 1, 2)


def test_without_a_day_the_partitions_of_the_result_are_replaced(lake: Lake) -> None:
    lake.run("SELECT * FROM VALUES (1, 'US'), (2, 'DE') AS t(id, country)", partition_by=["country"])
    lake.run("SELECT 3 AS id, 'US' AS country", partition_by=["country"])
    assert lake.rows() == [(2, "DE"), (3, "US")]
    unchanged = lake.run("SELECT 3 AS id, 'US' AS country WHERE false", partition_by=["country"])
    assert (unchanged.result, unchanged.snapshot_id) == ("no-change", None)
    assert "empty" in unchanged.reason
    assert lake.rows() == [(2, "DE"), (3, "US")]


def test_without_partitions_the_table_is_replaced(lake: Lake) -> None:
    lake.run("SELECT * FROM VALUES (1), (2) AS t(id)")
    lake.run("SELECT 3 AS id")
    assert lake.rows() == [(3,)]
    assert lake.run("SELECT 3 AS id WHERE false").result == "written"
    assert lake.rows() == []


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("SELECT id FROM big WHERE id > 1", False),
        ("SELECT DISTINCT id FROM big WHERE id > 1", True),
        ("SELECT id, rand() AS r FROM big WHERE id > 1", True),
    ],
)
def test_a_mere_selection_is_not_kept_in_memory(lake: Lake, query: str, kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(driver, "measure", lambda plan, keep: (asked.append(keep), measure(plan, keep))[1])
    lake.spark.sql("CREATE TABLE IF NOT EXISTS pedregal.raw.big USING iceberg AS SELECT id FROM range(5)")
    source = {"name": "big", "catalog": "pedregal", "database": "raw", "table": "big"}
    done = lake.run(query, partition_by=["ds"], sources=[source])
    assert asked == [kept]
    assert (done.rows, done.added_rows) == (3, 3)
    assert [row[0] for row in lake.rows("id")] == [2, 3, 4]
    assert lake.spark.sparkContext._jsc.getPersistentRDDs().isEmpty()


def test_many_partitions_are_counted_in_the_proof(lake: Lake) -> None:
    done = lake.run("SELECT id, CAST(id AS STRING) AS ds FROM range(15)", partition_by=["ds"], ds="0")
    assert done.partition.count("ds=") == 10
    assert done.partition.endswith(",+5 more")


def test_a_table_may_be_read_and_overwritten_by_one_job(lake: Lake) -> None:
    lake.run("SELECT 1 AS id", partition_by=["ds"])
    me = {"name": "me", "catalog": "pedregal", "database": "lake", "table": lake.table}
    lake.run("SELECT id + 1 AS id FROM me", partition_by=["ds"], sources=[me])
    assert lake.rows() == [(2, DAY)]


@pytest.mark.parametrize(
    ("kind", "value"), [("date", "2013-01-05"), ("timestamp", "2013-01-05 00:00:00"), ("timestamptz", "2013-01-05 00:00:00")]
)
def test_the_day_takes_the_type_of_the_column(lake: Lake, kind: str, value: str) -> None:
    columns = [{"name": "id", "type": "int"}, {"name": "ds", "type": kind}]
    for number in (1, 2):
        done = lake.run(f"SELECT {number} AS id", partition_by=["ds"], columns=columns)
        assert done.partition == f"ds={DAY}"
    assert lake.rows("id, CAST(ds AS STRING)") == [(2, value)]


def test_a_day_that_is_no_date_is_refused_where_a_date_is_needed(lake: Lake) -> None:
    error = lake.fail(
        "SELECT 1 AS id",
        partition_by=["ds"],
        ds="x' OR 'a",
        columns=[{"name": "id", "type": "int"}, {"name": "ds", "type": "date"}],
    )
    assert (error.code, error.exit_code) == ("DCP324", 20)
    assert "no date" in error.message


def test_a_day_column_that_cannot_hold_a_day_is_refused(lake: Lake) -> None:
    error = lake.fail("SELECT 1 AS id", partition_by=["ds"], columns=[{"name": "id", "type": "int"}, {"name": "ds", "type": "int"}])
    assert (error.code, error.exit_code) == ("DCP324", 20)
    assert "cannot hold the run's own day" in error.message


EXACT = [
    ("date", "DATE'0001-01-01'", "0001-01-01"),
    ("date", "DATE'0999-12-31'", "0999-12-31"),
    ("date", "DATE'1582-10-10'", "1582-10-10"),
    # A day that Samoa has never had.
    ("date", "DATE'2011-12-30'", "2011-12-30"),
    ("date", "DATE'+10000-01-01'", "+10000-01-01"),
    ("timestamptz", "TIMESTAMP'0001-01-01 00:00:00.000001'", "0001-01-01 00:00:00.000001"),
    ("timestamptz", "TIMESTAMP'2011-12-30 10:00:00'", "2011-12-30 10:00:00"),
    ("timestamp", "TIMESTAMP_NTZ'1582-10-10 00:00:00'", "1582-10-10 00:00:00"),
    ("decimal(12,2)", "CAST('-1.50' AS DECIMAL(12,2))", "-1.50"),
    ("long", "-9223372036854775808L", "-9223372036854775808"),
    ("boolean", "false", "false"),
    ("string", "'a\\'b/c=d,\\\\e \u00e9'", "a'b/c=d,\\e \u00e9"),
    ("double", "0.1D", "0.1"),
    ("binary", "X'00FF'", "00FF"),
]


def test_partition_values_reach_iceberg_exactly(lake: Lake) -> None:
    """Each is written twice, beside another day: a value that came out different would leave the first row there."""
    before = lake.table
    for number, (kind, value, text) in enumerate(EXACT):
        lake.table = f"{before}_{number}"
        columns = [{"name": "id", "type": "int"}, {"name": "part", "type": kind}, {"name": "ds", "type": "string"}]
        for by in (["ds", "part"], ["part"]):
            lake.spark.sql(f"DROP TABLE IF EXISTS {lake.name}")
            for attempt in (1, 2):
                query = f"SELECT {attempt} AS id, {value} AS part, '2013-01-06' AS ds UNION ALL SELECT 0, NULL, '2013-01-07'"
                done = lake.run(query, partition_by=by, columns=columns, attempt=attempt)
                assert text in done.partition
            assert sorted(row[0] for row in lake.rows("id")) == [0, 2], (kind, value, by)


@pytest.mark.parametrize("kind", ["timestamp", "timestamptz"])
def test_a_day_column_with_times_is_replaced_by_whole_days(lake: Lake, kind: str) -> None:
    columns = [{"name": "id", "type": "int"}, {"name": "ds", "type": kind}]
    first = "SELECT * FROM VALUES (1, '2013-01-05 00:00:00'), (2, '2013-01-05 23:59:59.999999'), (3, '2013-01-06 07:00:00'),"
    first += " (4, '2013-01-07 00:00:00'), (5, '2013-01-04 23:59:59.999999') AS t(id, at)"
    select = "SELECT id, CAST(at AS TIMESTAMP) AS ds FROM"
    done = lake.run(f"{select} ({first})", partition_by=["ds"], columns=columns)
    assert done.partition == "ds=2013-01-04,ds=2013-01-05,ds=2013-01-06,ds=2013-01-07"
    again = lake.run(f"{select} VALUES (6, '2013-01-06 08:00:00') AS t(id, at)", partition_by=["ds"], columns=columns, attempt=2)
    assert (again.partition, again.deleted_rows) == ("ds=2013-01-05,ds=2013-01-06", 3)
    assert [row[0] for row in lake.rows("id")] == [4, 5, 6]
    emptied = lake.run(f"{select} VALUES (6, '2013-01-06 08:00:00') AS t(id, at) WHERE false", partition_by=["ds"], ds="2013-01-06")
    assert (emptied.partition, emptied.deleted_rows) == ("ds=2013-01-06", 1)


def test_times_that_cannot_be_replaced_by_day_are_refused(lake: Lake) -> None:
    columns = [{"name": "ds", "type": "timestamp"}, {"name": "share", "type": "double"}]
    error = lake.fail("SELECT CAST('2013-01-06' AS TIMESTAMP) AS ds, 0.1D AS share", partition_by=["ds", "share"], columns=columns)
    assert (error.code, error.exit_code) == ("DCP334", 20)
    assert "`share`" in error.message


def test_a_null_in_a_text_partition_hinders_no_later_overwrite(lake: Lake) -> None:
    query = "SELECT * FROM VALUES (1, 'NL'), (2, CAST(NULL AS STRING)), (3, 'BE') AS t(id, country)"
    for by in (["country"], ["ds", "country"]):
        for number in (1, 2, 3):
            lake.run(f"SELECT id + {number * 10} AS id, country FROM ({query})", partition_by=by, attempt=number)
        assert sorted(row[0] for row in lake.rows("id")) == [31, 32, 33]
        lake.spark.sql(f"DROP TABLE {lake.name}")


@pytest.mark.parametrize("by", [["country"], ["ds"], ["ds", "country"]])
def test_files_of_older_partitions_are_replaced_or_refused(lake: Lake, by: list[str]) -> None:
    lake.spark.sql("CREATE NAMESPACE IF NOT EXISTS pedregal.lake")
    rows = f"VALUES (1, 'NL', '{DAY}'), (2, 'BE', '2013-01-06') AS t(id, country, ds)"
    lake.spark.sql(f"CREATE TABLE {lake.name} USING iceberg AS SELECT /*+ COALESCE(1) */ * FROM {rows}")
    lake.spark.sql(f"INSERT INTO {lake.name} VALUES (3, 'ZZ', '2013-02-01')")
    for column in by:
        lake.spark.sql(f"ALTER TABLE {lake.name} ADD PARTITION FIELD {column}")
    lake.spark.sql(f"INSERT INTO {lake.name} VALUES (4, 'NL', '{DAY}')")
    before = lake.rows()
    new = "SELECT {} AS id, '{}' AS country, '{}' AS ds"
    error = lake.fail(new.format(10, "NL", DAY), partition_by=by)
    assert (error.code, error.exit_code) == ("DCP334", 20)
    assert "some, but not all, rows" in error.message
    assert lake.rows() == before
    # A file that holds only rows of the partition goes, whatever partitions it was written by.
    lake.run(new.format(10, "ZZ", "2013-02-01"), partition_by=by, ds="2013-02-01")
    assert [row[0] for row in lake.rows("id")] == [1, 2, 4, 10]
    lake.spark.sql(f"CALL pedregal.system.rewrite_data_files(table => 'lake.{lake.table}', options => map('rewrite-all', 'true'))")
    lake.run(new.format(11, "NL", DAY), partition_by=by)
    assert [row[0] for row in lake.rows("id")] == [2, 10, 11]


def test_a_partition_column_may_be_spelt_in_another_case(lake: Lake) -> None:
    for number in (1, 2):
        done = lake.run(f"SELECT {number} AS id, 'NL' AS country", partition_by=["Country"])
        assert done.partition == "country=NL"
    assert lake.rows() == [(2, "NL")]


def test_a_thousand_partitions_need_no_more_memory_than_one(lake: Lake) -> None:
    """A task has one file open at a time; with one open for each partition, this would need a few gigabytes."""
    columns = ", ".join(f"repeat(cast(id AS STRING), 20) AS c{number}" for number in range(40))
    query = f"SELECT id % 1000 AS part, {columns} FROM range(4000)"
    for attempt in (1, 2):
        done = lake.run(query, partition_by=["part"], attempt=attempt)
    assert (done.rows, done.added_rows, done.deleted_rows) == (4000, 4000, 4000)
    assert done.partition.endswith("+990 more")
