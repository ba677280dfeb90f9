"""What another writer may do to a table that a run wrote: the next run's rows and report are right, or it is refused and says why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog import Catalog, load_catalog

from airflow_dcp_provider.core_etl import driver
from airflow_dcp_provider.core_etl import write as writing
from airflow_dcp_provider.core_etl.faults import DriverError
from airflow_dcp_provider.core_etl.report import SinkResult
from airflow_dcp_provider.embedded_catalog.server import CatalogServer
from airflow_dcp_provider.tables.verify import verify

from .conftest import DAY, SPARK, Lake

pytestmark = SPARK

NEXT = "2013-01-06"
FIRST = f"SELECT * FROM VALUES (1, 'a', '{DAY}'), (2, 'b', '{DAY}'), (3, 'c', '{NEXT}') AS t(id, word, ds)"
#: Every refusal that a change of the table itself may lead to.
SCHEMA_CODES = {"DCP324", "DCP325", "DCP326", "DCP328"}
#: Some files of older partitions hold rows that must go beside rows that must stay.
MIXED_FILES = "DCP334"


@pytest.fixture(scope="package")
def catalog(server: CatalogServer) -> Iterator[Catalog]:
    opened = load_catalog("pedregal", type="rest", uri=server.uri)
    yield opened
    opened.close()


@pytest.fixture
def table(lake: Lake) -> Lake:
    """A table of two days, as a run has written it."""
    lake.run(FIRST, partition_by=["ds"], execution_id="first", run_key="first")
    return lake


def rows(catalog: Catalog, lake: Lake, *names: str) -> list[tuple[Any, ...]]:
    """The table's rows as pyiceberg reads them."""
    scan = catalog.load_table(("lake", lake.table)).scan(selected_fields=names or ("id", "word", "ds"))
    read = [tuple(row[name] for name in names or ("id", "word", "ds")) for row in scan.to_arrow().to_pylist()]
    return sorted(read, key=lambda row: [(value is None, value) for value in row])


def is_proved(catalog: Catalog, lake: Lake, done: SinkResult, execution: str) -> None:
    """Check that the report, the snapshot and the proof agree."""
    current = catalog.load_table(("lake", lake.table)).current_snapshot()
    assert current is not None
    assert current.summary is not None
    assert (done.result, done.snapshot_id) == ("written", current.snapshot_id)
    assert done.previous_snapshot_id == current.parent_snapshot_id
    assert current.summary.additional_properties["dcp.execution-id"] == execution
    assert current.summary.additional_properties["dcp.rows"] == str(done.rows)
    proof = verify(catalog, ("lake", lake.table), execution)
    assert proof is not None
    assert (proof.snapshot_id, proof.rows) == (done.snapshot_id, done.rows)


def overwrites(catalog: Catalog, lake: Lake, **changes: Any) -> SinkResult:
    """Overwrite one day of :func:`table`'s rows and check what is there then."""
    done = lake.run("SELECT 9 AS id, 'z' AS word", partition_by=["ds"], execution_id="second", run_key="second", **changes)
    assert rows(catalog, lake) == [(3, "c", NEXT), (9, "z", DAY)]
    assert (done.rows, done.added_rows, done.deleted_rows, done.partition) == (1, 1, 2, f"ds={DAY}")
    is_proved(catalog, lake, done, "second")
    return done


def goes_on(catalog: Catalog, lake: Lake) -> None:
    """Overwrite, append and merge, and check each."""
    overwrites(catalog, lake)
    by = {"partition_by": ["ds"]}
    for attempt in (1, 2):
        appended = lake.run(
            "SELECT 4 AS id, 'd' AS word", mode="append", execution_id="third", run_key="third", attempt=attempt, **by
        )
        assert (appended.result, appended.rows) == ("written", 1)
        assert rows(catalog, lake) == [(3, "c", NEXT), (4, "d", DAY), (9, "z", DAY)]
    query = f"SELECT * FROM VALUES (3, 'C', '{NEXT}'), (5, 'e', '{NEXT}') AS t(id, word, ds)"
    merged = lake.run(query, mode="merge", merge_keys=["id"], execution_id="fourth", run_key="fourth", **by)
    assert rows(catalog, lake) == [(3, "C", NEXT), (4, "d", DAY), (5, "e", NEXT), (9, "z", DAY)]
    assert (merged.rows, merged.added_rows - merged.deleted_rows) == (2, 1)
    is_proved(catalog, lake, merged, "fourth")


def refused(
    lake: Lake, catalog: Catalog, codes: set[str], *words: str, query: str = "SELECT 9 AS id, 'z' AS word", **changes: Any
) -> None:
    """Check that a run is refused for one of ``codes``, in ``words``, and leaves the table as it is."""
    before = catalog.load_table(("lake", lake.table)).current_snapshot()
    with pytest.raises(DriverError) as caught:
        lake.run(query, **{"partition_by": ["ds"], "execution_id": "second", "run_key": "second", **changes})
    assert caught.value.code in codes, caught.value
    for word in words:
        assert word in caught.value.message
    after = catalog.load_table(("lake", lake.table)).current_snapshot()
    assert (before and before.snapshot_id) == (after and after.snapshot_id)


# What changes no row: sort orders, properties, comments, layouts of files, references.


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param(["ALTER TABLE {t} WRITE ORDERED BY id DESC NULLS LAST"], id="sort order"),
        pytest.param(["ALTER TABLE {t} WRITE LOCALLY ORDERED BY word", "ALTER TABLE {t} WRITE UNORDERED"], id="sort order dropped"),
        *(
            pytest.param([f"ALTER TABLE {{t}} SET TBLPROPERTIES ('{key}' = '{value}')"], id=f"{key}={value}")
            for key, value in {
                "write.distribution-mode": "range",
                "write.format.default": "orc",
                "write.metadata.metrics.default": "none",
                "write.object-storage.enabled": "true",
                "write.spark.fanout.enabled": "true",
                "write.merge.mode": "merge-on-read",
                "write.update.isolation-level": "snapshot",
                "write.wap.enabled": "true",
                "commit.manifest.min-count-to-merge": "2",
            }.items()
        ),
        pytest.param(["ALTER TABLE {t} UNSET TBLPROPERTIES IF EXISTS ('format-version')"], id="property removed"),
        pytest.param(
            ["COMMENT ON TABLE {t} IS 'theirs'", "ALTER TABLE {t} ALTER COLUMN word COMMENT 'their\\'s'"], id="comments"
        ),
        pytest.param(["ALTER TABLE {t} ALTER COLUMN ds FIRST", "ALTER TABLE {t} ALTER COLUMN id AFTER word"], id="columns moved"),
        pytest.param(["ALTER TABLE {t} CREATE TAG before", "ALTER TABLE {t} CREATE BRANCH aside"], id="branch and tag"),
        pytest.param(
            ["ALTER TABLE {t} CREATE BRANCH aside", "INSERT INTO {t}.branch_aside VALUES (7, 'aside', '2013-01-05')"],
            id="rows on a branch",
        ),
        pytest.param(
            ["CALL pedregal.system.rewrite_data_files(table => '{n}', options => map('rewrite-all', 'true'))"], id="compaction"
        ),
        pytest.param(["CALL pedregal.system.rewrite_manifests('{n}')"], id="manifests rewritten"),
        pytest.param(
            [
                "INSERT INTO {t} VALUES (7, 'x', '2013-01-05')",
                "CALL pedregal.system.rollback_to_snapshot('{n}', {first})",
            ],
            id="rollback",
        ),
        pytest.param(
            [
                "INSERT INTO {t} VALUES (7, 'x', '2013-01-05')",
                "DELETE FROM {t} WHERE id = 7",
                "CALL pedregal.system.expire_snapshots(table => '{n}', older_than => TIMESTAMP '2999-01-01', retain_last => 1)",
            ],
            id="expired snapshots",
        ),
        pytest.param(["ALTER TABLE {t} ADD COLUMN more STRING AFTER id"], id="column added"),
        pytest.param(["ALTER TABLE {t} ADD COLUMN more STRING", "ALTER TABLE {t} DROP COLUMN more"], id="column added and dropped"),
        pytest.param(["ALTER TABLE {t} ALTER COLUMN id TYPE BIGINT"], id="type widened"),
        pytest.param(
            ["ALTER TABLE {t} RENAME COLUMN word TO other", "ALTER TABLE {t} RENAME COLUMN other TO word"], id="renamed and back"
        ),
        pytest.param(
            ["ALTER TABLE {t} ADD PARTITION FIELD word", "ALTER TABLE {t} DROP PARTITION FIELD word"], id="partition added and dropped"
        ),
        pytest.param(
            ["ALTER TABLE {t} DROP PARTITION FIELD ds", "ALTER TABLE {t} ADD PARTITION FIELD ds"], id="partition dropped and added"
        ),
    ],
)  # fmt: skip
def test_what_changes_no_row_changes_no_result(table: Lake, catalog: Catalog, statements: list[str]) -> None:
    first = table.snapshots()[-1]["snapshot_id"]
    for statement in statements:
        table.spark.sql(statement.format(t=table.name, n=f"lake.{table.table}", first=first))
    goes_on(catalog, table)


# Columns.


def test_a_renamed_column_is_missed_under_its_old_name(table: Lake, catalog: Catalog) -> None:
    table.spark.sql(f"ALTER TABLE {table.name} RENAME COLUMN word TO text")
    refused(table, catalog, {"DCP326"}, "`word`", "not there")
    done = table.run("SELECT 9 AS id, 'z' AS text", partition_by=["ds"], execution_id="second", run_key="second")
    assert rows(catalog, table, "id", "text", "ds") == [(3, "c", NEXT), (9, "z", DAY)]
    is_proved(catalog, table, done, "second")


def test_a_dropped_column_is_missed(table: Lake, catalog: Catalog) -> None:
    table.spark.sql(f"ALTER TABLE {table.name} DROP COLUMN word")
    refused(table, catalog, {"DCP326"}, "`word`", "not there")


def test_a_column_dropped_and_added_again_has_none_of_the_old_values(table: Lake, catalog: Catalog) -> None:
    table.spark.sql(f"ALTER TABLE {table.name} DROP COLUMN word")
    table.spark.sql(f"ALTER TABLE {table.name} ADD COLUMN word STRING")
    table.run("SELECT 9 AS id, 'z' AS word", partition_by=["ds"], execution_id="second", run_key="second")
    assert rows(catalog, table) == [(3, None, NEXT), (9, "z", DAY)]


def test_a_renamed_partition_column_is_refused(table: Lake, catalog: Catalog) -> None:
    table.spark.sql(f"ALTER TABLE {table.name} RENAME COLUMN ds TO day")
    refused(table, catalog, SCHEMA_CODES, "`ds`")


def test_a_merge_keeps_the_values_of_a_column_that_another_writer_added(table: Lake, catalog: Catalog) -> None:
    table.spark.sql(f"ALTER TABLE {table.name} ADD COLUMN price INT")
    table.spark.sql(f"UPDATE {table.name} SET price = id * 10")
    query = f"SELECT * FROM VALUES (3, 'C', '{NEXT}'), (5, 'e', '{NEXT}') AS t(id, word, ds)"
    table.run(query, mode="merge", merge_keys=["id"], partition_by=["ds"], execution_id="second", run_key="second")
    assert rows(catalog, table, "id", "word", "price") == [(1, "a", 10), (2, "b", 20), (3, "C", 30), (5, "e", None)]


def test_columns_that_pyiceberg_adds_and_widens(table: Lake, catalog: Catalog) -> None:
    from pyiceberg.types import LongType, StringType

    with catalog.load_table(("lake", table.table)).update_schema() as update:
        update.add_column("note", StringType(), doc="theirs")
        update.update_column("id", field_type=LongType())
    goes_on(catalog, table)


# Partitions.


def test_another_partition_column_is_refused_by_name(table: Lake, catalog: Catalog) -> None:
    table.spark.sql(f"ALTER TABLE {table.name} ADD PARTITION FIELD word")
    refused(table, catalog, {"DCP326"}, "partitioned by `ds`, `word`")


@pytest.mark.parametrize("change", ["DROP PARTITION FIELD ds", "REPLACE PARTITION FIELD ds WITH bucket(4, ds)"])
def test_a_table_without_its_day_is_refused(table: Lake, catalog: Catalog, change: str) -> None:
    table.spark.sql(f"ALTER TABLE {table.name} {change}")
    refused(table, catalog, {"DCP326"}, "is partitioned by")


def test_files_of_an_older_partition_spec_are_replaced_too(lake: Lake, catalog: Catalog) -> None:
    lake.run(FIRST, execution_id="first", run_key="first")
    lake.spark.sql(f"ALTER TABLE {lake.name} ADD PARTITION FIELD ds")
    lake.spark.sql(f"INSERT INTO {lake.name} VALUES (4, 'd', '{DAY}'), (5, 'e', '{NEXT}')")
    right_or_refused(
        lake, catalog, "SELECT 9 AS id, 'z' AS word", [(3, "c", NEXT), (5, "e", NEXT), (9, "z", DAY)], partition_by=["ds"]
    )


def test_files_of_an_older_spec_without_a_day(lake: Lake, catalog: Catalog) -> None:
    lake.run("SELECT * FROM VALUES (1, 'NL'), (2, 'DE') AS t(id, word)", execution_id="first", run_key="first")
    lake.spark.sql(f"ALTER TABLE {lake.name} ADD PARTITION FIELD word")
    query = "SELECT 10 AS id, 'NL' AS word"
    right_or_refused(lake, catalog, query, [(2, "DE"), (10, "NL")], names=("id", "word"), partition_by=["word"])


def test_a_finer_partition_that_came_later(table: Lake, catalog: Catalog) -> None:
    table.spark.sql(f"ALTER TABLE {table.name} ADD PARTITION FIELD word")
    done = table.run("SELECT 9 AS id, 'z' AS word", partition_by=["ds", "word"], execution_id="second", run_key="second")
    assert rows(catalog, table) == [(3, "c", NEXT), (9, "z", DAY)]
    is_proved(catalog, table, done, "second")
    # The file of the next day is not divided by word: only a part of it would have to go.
    table.spark.sql(f"INSERT INTO {table.name} VALUES (5, 'e', '{NEXT}')")
    query = f"SELECT 10 AS id, 'c' AS word, '{NEXT}' AS ds"
    right_or_refused(table, catalog, query, [(5, "e", NEXT), (10, "c", NEXT)], partition_by=["ds", "word"], execution_id="third")


def right_or_refused(
    lake: Lake,
    catalog: Catalog,
    query: str,
    expected: list[tuple[Any, ...]],
    names: tuple[str, ...] = ("id", "word", "ds"),
    **changes: Any,
) -> None:
    """Check that a run's rows are right, or that it is the user who is told why and nothing is written."""
    before = rows(catalog, lake, *names)
    done = ending(lake, query, **{"execution_id": "second", "run_key": "second", **changes})
    if isinstance(done, DriverError):
        assert done.code == MIXED_FILES, done
        assert "partition" in done.message + done.hint
        assert rows(catalog, lake, *names) == before
    else:
        assert rows(catalog, lake, *names) == expected
        assert (done.rows, done.added_rows - done.deleted_rows) == (1, len(expected) - len(before))


def ending(lake: Lake, query: str, **changes: Any) -> SinkResult | DriverError:
    """Run a job and return what it reports, or why it failed."""
    try:
        return lake.run(query, **changes)
    except DriverError as error:
        return error


# Rows: those of other writers are rows like any other, and a run's own may have gone.


def test_rows_that_pyiceberg_wrote_are_replaced_with_their_day(table: Lake, catalog: Catalog) -> None:
    loaded = catalog.load_table(("lake", table.table))
    loaded.append(arrow((7, "p", DAY), (8, "q", NEXT)))
    done = table.run("SELECT 9 AS id, 'z' AS word", partition_by=["ds"], execution_id="second", run_key="second")
    assert rows(catalog, table) == [(3, "c", NEXT), (8, "q", NEXT), (9, "z", DAY)]
    assert done.deleted_rows == 3
    is_proved(catalog, table, done, "second")


def test_files_without_field_ids_are_replaced_with_their_day(table: Lake, catalog: Catalog, tmp_path: Path) -> None:
    pq.write_table(arrow((7, "p", DAY), (8, "q", DAY)), tmp_path / "theirs.parquet")
    catalog.load_table(("lake", table.table)).add_files([f"file://{tmp_path}/theirs.parquet"])
    assert len(rows(catalog, table)) == 5
    done = table.run("SELECT 9 AS id, 'z' AS word", partition_by=["ds"], execution_id="second", run_key="second")
    assert rows(catalog, table) == [(3, "c", NEXT), (9, "z", DAY)]
    assert done.deleted_rows == 4


def arrow(*read: tuple[Any, ...]) -> pa.Table:
    ids, words, days = zip(*read, strict=True)
    return pa.table({"id": pa.array(ids, pa.int32()), "word": pa.array(words), "ds": pa.array(days)})


def merge_on_read(lake: Lake) -> None:
    lake.spark.sql(
        f"ALTER TABLE {lake.name} SET TBLPROPERTIES ('write.delete.mode' = 'merge-on-read',"
        " 'write.merge.mode' = 'merge-on-read', 'write.update.mode' = 'merge-on-read')"
    )


def test_rows_deleted_by_position_stay_deleted(table: Lake, catalog: Catalog) -> None:
    merge_on_read(table)
    table.spark.sql(f"DELETE FROM {table.name} WHERE id = 1")
    assert table.spark.sql(f"SELECT * FROM {table.name}.delete_files").count() == 1
    appended = table.run("SELECT 4 AS id, 'd' AS word", mode="append", partition_by=["ds"], execution_id="second", run_key="second")
    assert table.rows() == [(2, "b", DAY), (3, "c", NEXT), (4, "d", DAY)]
    assert (appended.added_rows, appended.deleted_rows) == (1, 0)
    merged = table.run(
        f"SELECT * FROM VALUES (1, 'A', '{DAY}'), (2, 'B', '{DAY}') AS t(id, word, ds)",
        mode="merge", merge_keys=["id"], partition_by=["ds"], execution_id="third", run_key="third",
    )  # fmt: skip
    assert table.rows() == [(1, "A", DAY), (2, "B", DAY), (3, "c", NEXT), (4, "d", DAY)]
    assert (merged.rows, merged.added_rows - merged.deleted_rows) == (2, 1)
    done = table.run("SELECT 9 AS id, 'z' AS word", partition_by=["ds"], execution_id="fourth", run_key="fourth")
    assert table.rows() == [(3, "c", NEXT), (9, "z", DAY)]
    # Three rows were there to delete: those that had gone before are not deleted again.
    assert (done.added_rows, done.deleted_rows) == (1, 3)
    proof = verify(catalog, ("lake", table.table), "fourth")
    assert proof is not None
    assert (proof.deleted_rows, proof.total_rows) == (3, 2)


def test_rows_deleted_by_equality_stay_deleted(table: Lake, catalog: Catalog) -> None:
    delete_by_equality(table, "id", 1, DAY)
    assert table.rows() == [(2, "b", DAY), (3, "c", NEXT)]
    query = f"SELECT * FROM VALUES (1, 'A', '{DAY}'), (3, 'C', '{NEXT}') AS t(id, word, ds)"
    table.run(query, mode="merge", merge_keys=["id"], partition_by=["ds"], execution_id="second", run_key="second")
    assert table.rows() == [(1, "A", DAY), (2, "b", DAY), (3, "C", NEXT)]
    table.run("SELECT 9 AS id, 'z' AS word", partition_by=["ds"], execution_id="third", run_key="third")
    assert table.rows() == [(3, "C", NEXT), (9, "z", DAY)]


def delete_by_equality(lake: Lake, name: str, value: int, day: str) -> None:
    """Delete rows as Flink does: by a file that names the values, without looking for the rows."""
    jvm, gateway = lake.spark._jvm, lake.spark.sparkContext._gateway
    java = jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergTable(lake.spark._jsparkSession, lake.name)
    number = java.schema().findField(name).fieldId()
    column = pa.field(name, pa.int32(), metadata={"PARQUET:field_id": str(number)})
    path = lake.folder / "deletes.parquet"
    pq.write_table(pa.table([pa.array([value], pa.int32())], pa.schema([column])), path)
    ids = gateway.new_array(gateway.jvm.int, 1)
    ids[0] = number
    deletes = jvm.org.apache.iceberg.FileMetadata.deleteFileBuilder(java.spec()).ofEqualityDeletes(ids)
    deletes = deletes.withPath(f"file://{path}").withFormat(jvm.org.apache.iceberg.FileFormat.PARQUET)
    deletes = deletes.withPartitionPath(f"ds={day}").withRecordCount(1).withFileSizeInBytes(path.stat().st_size)
    java.newRowDelta().addDeletes(deletes.build()).commit()


def test_a_run_that_was_rolled_back_proves_nothing(table: Lake, catalog: Catalog) -> None:
    first = table.snapshots()[-1]["snapshot_id"]
    overwrites(catalog, table)
    table.spark.sql(f"CALL pedregal.system.rollback_to_snapshot('lake.{table.table}', {first})")
    assert verify(catalog, ("lake", table.table), "second") is None
    overwrites(catalog, table)


def test_a_compaction_hides_no_proof_and_no_append(table: Lake, catalog: Catalog) -> None:
    done = table.run("SELECT 4 AS id, 'd' AS word", mode="append", partition_by=["ds"], execution_id="second", run_key="second")
    table.spark.sql(
        f"CALL pedregal.system.rewrite_data_files(table => 'lake.{table.table}', options => map('rewrite-all', 'true'))"
    )
    proof = verify(catalog, ("lake", table.table), "second")
    assert proof is not None
    assert proof.snapshot_id == done.snapshot_id
    again = table.run("SELECT 4 AS id, 'd' AS word", mode="append", partition_by=["ds"], execution_id="later", run_key="second")
    assert again.result == "no-change"
    assert len(rows(catalog, table)) == 4


def test_an_append_whose_snapshot_was_expired_is_made_again(table: Lake, catalog: Catalog) -> None:
    table.run("SELECT 4 AS id, 'd' AS word", mode="append", partition_by=["ds"], execution_id="second", run_key="second")
    table.spark.sql(f"INSERT INTO {table.name} VALUES (5, 'e', '{DAY}')")
    table.spark.sql(
        f"CALL pedregal.system.expire_snapshots(table => 'lake.{table.table}', older_than => TIMESTAMP '2999-01-01', retain_last => 1)"
    )
    assert verify(catalog, ("lake", table.table), "second") is None
    again = table.run("SELECT 4 AS id, 'd' AS word", mode="append", partition_by=["ds"], execution_id="later", run_key="second")
    assert again.result == "written"
    is_proved(catalog, table, again, "later")


# The table itself.


def test_a_renamed_table_keeps_its_rows_and_its_old_name_is_free(table: Lake, catalog: Catalog) -> None:
    table.spark.sql(f"ALTER TABLE {table.name} RENAME TO lake.{table.table}_moved")
    done = table.run("SELECT 9 AS id, 'z' AS word", partition_by=["ds"], execution_id="second", run_key="second")
    assert rows(catalog, table) == [(9, "z", DAY)]
    assert (done.previous_snapshot_id, done.deleted_rows) == (None, 0)
    assert len(catalog.load_table(("lake", f"{table.table}_moved")).scan().to_arrow()) == 3


@pytest.mark.parametrize("mode", ["overwrite", "append"])
def test_a_table_dropped_and_made_again_has_no_history(table: Lake, catalog: Catalog, mode: str) -> None:
    run = {"mode": mode, "partition_by": ["ds"], "execution_id": "second", "run_key": "second"}
    table.run("SELECT 9 AS id, 'z' AS word", **run)
    table.spark.sql(f"DROP TABLE {table.name} PURGE")
    table.spark.sql(f"CREATE TABLE {table.name} (id INT, word STRING, ds STRING) USING iceberg PARTITIONED BY (ds)")
    done = table.run("SELECT 9 AS id, 'z' AS word", **run)
    assert rows(catalog, table) == [(9, "z", DAY)]
    is_proved(catalog, table, done, "second")


def test_a_replaced_table_has_none_of_what_was_appended(table: Lake, catalog: Catalog) -> None:
    run = {"mode": "append", "partition_by": ["ds"], "execution_id": "second", "run_key": "second"}
    table.run("SELECT 9 AS id, 'z' AS word", **run)
    table.spark.sql(f"CREATE OR REPLACE TABLE {table.name} USING iceberg PARTITIONED BY (ds) AS {FIRST}")
    done = table.run("SELECT 9 AS id, 'z' AS word", **run)
    assert rows(catalog, table) == [(1, "a", DAY), (2, "b", DAY), (3, "c", NEXT), (9, "z", DAY)]
    is_proved(catalog, table, done, "second")


def test_a_table_made_again_with_other_columns_is_refused(table: Lake, catalog: Catalog) -> None:
    table.spark.sql(f"DROP TABLE {table.name} PURGE")
    table.spark.sql(f"CREATE TABLE {table.name} (id STRING, ds STRING) USING iceberg PARTITIONED BY (ds)")
    refused(table, catalog, {"DCP326"}, "`word`", "`id` is int and not string")


# While a run is at work: between its checks and its commit.

DURING = {
    "column added": ["ALTER TABLE {t} ADD COLUMN more STRING"],
    "column dropped": ["ALTER TABLE {t} DROP COLUMN word"],
    "column renamed": ["ALTER TABLE {t} RENAME COLUMN word TO text"],
    "columns swapped": [
        "ALTER TABLE {t} ADD COLUMN text STRING",
        "ALTER TABLE {t} RENAME COLUMN word TO old",
        "ALTER TABLE {t} RENAME COLUMN text TO word",
    ],
    "column replaced": ["ALTER TABLE {t} DROP COLUMN word", "ALTER TABLE {t} ADD COLUMN word STRING"],
    "type widened": ["ALTER TABLE {t} ALTER COLUMN id TYPE BIGINT"],
    "columns moved": ["ALTER TABLE {t} ALTER COLUMN word FIRST"],
    "partition added": ["ALTER TABLE {t} ADD PARTITION FIELD word"],
    "partition dropped": ["ALTER TABLE {t} DROP PARTITION FIELD ds"],
    "rows added": ["INSERT INTO {t} VALUES (7, 'x', '2013-01-05'), (8, 'y', '2013-01-06')"],
    "rows deleted": ["DELETE FROM {t} WHERE id IN (2, 3)"],
    "compaction": ["CALL pedregal.system.rewrite_data_files(table => '{n}', options => map('rewrite-all', 'true'))"],
    "table dropped": ["DROP TABLE {t} PURGE"],
    "table made again": [
        "DROP TABLE {t} PURGE",
        "CREATE TABLE {t} (id INT, word STRING, ds STRING) USING iceberg PARTITIONED BY (ds)",
        "INSERT INTO {t} VALUES (7, 'x', '2013-01-05'), (8, 'y', '2013-01-06')",
    ],
    "table made again otherwise": [
        "DROP TABLE {t} PURGE",
        "CREATE TABLE {t} (word STRING, ds STRING, id INT) USING iceberg PARTITIONED BY (word)",
    ],
}


@pytest.mark.parametrize(
    ("mode", "point"), [("overwrite", "count"), ("overwrite", "write"), ("append", "write"), ("merge", "write")]
)
@pytest.mark.parametrize("change", DURING)
def test_what_changes_during_a_run(
    table: Lake, catalog: Catalog, change: str, point: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other() -> None:
        for statement in DURING[change]:
            table.spark.sql(statement.format(t=table.name, n=f"lake.{table.table}"))

    before_step(monkeypatch, point, other)
    keys = ["id"] if mode == "merge" else []
    query = f"SELECT 9 AS id, 'z' AS word, '{DAY}' AS ds"
    run = {"mode": mode, "merge_keys": keys, "partition_by": ["ds"], "execution_id": "second", "run_key": "second"}
    done = ending(table, query, **run)
    if change.startswith("table made again"):
        # Its outcome is unknown: the write may have gone to the new table. The next attempt finds out, or does it again.
        assert isinstance(done, DriverError)
        assert (done.code, done.exit_code) == ("DCP335", 22)
        done = ending(table, query, attempt=2, **run)
    if isinstance(done, DriverError):
        # A crash would be tried again for nothing, and would blame nobody.
        assert done.code in {*SCHEMA_CODES, "DCP322", "DCP330", "DCP348"}, done
        if not change.startswith("table"):
            assert verify(catalog, ("lake", table.table), "second") is None
        return
    is_proved(catalog, table, done, "second")
    names = [field.name for field in catalog.load_table(("lake", table.table)).schema().fields]
    written = [dict(zip(names, row, strict=True)) for row in rows(catalog, table, *names)]
    own = [row for row in written if row["id"] == 9]
    # Each value stands in the column that bears its name, at the time of the commit.
    assert [(row["ds"], row.get("word", "z")) for row in own] == [(DAY, "z")]
    assert (done.rows, done.partition) == (1, f"ds={DAY}")
    assert sorted(row["id"] for row in written if row["id"] != 9) == expected_others(change, mode)


def expected_others(change: str, mode: str) -> list[int]:
    """The ids of the rows of others, as they must be when the other writer was first and the run second."""
    days = {1: DAY, 2: DAY, 3: NEXT}
    if change == "rows added":
        days |= {7: DAY, 8: NEXT}
    elif change == "rows deleted":
        days = {1: DAY}
    elif change == "table made again":
        days = {7: DAY, 8: NEXT}
    elif change.startswith("table"):
        days = {}
    return sorted(number for number, day in days.items() if mode != "overwrite" or day != DAY)


def before_step(monkeypatch: pytest.MonkeyPatch, point: str, action: Callable[[], None]) -> None:
    """Let something happen before the first count, or the first write, of a run."""
    holder, name = (driver, "measure") if point == "count" else (writing, "commit_with_retries")
    real = getattr(holder, name)
    waiting = [action]

    def step(*args: Any, **kwargs: Any) -> Any:
        if waiting:
            waiting.pop()()
        return real(*args, **kwargs)

    monkeypatch.setattr(holder, name, step)
