"""The proof of a run against real snapshots."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.table import Table

from airflow_dcp_provider.model import proof as keys
from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.job import Column
from airflow_dcp_provider.model.proof import Proof
from airflow_dcp_provider.tables.ensure import ensure_table
from airflow_dcp_provider.tables.model import TableSpec
from airflow_dcp_provider.tables.partitions import PartitionRows, partitions
from airflow_dcp_provider.tables.snapshots import snapshots
from airflow_dcp_provider.tables.verify import verify

NAME = ("flights", "daily")


@pytest.fixture
def table(catalog: Catalog) -> Table:
    columns = (Column("n", "long"), Column("ds", "string"))
    ensure_table(catalog, TableSpec("pedregal", *NAME, columns=columns, partition_by=("ds",)))
    return catalog.load_table(NAME)


def write(table: Table, ds: str, values: list[int], execution_id: str, attempt: int = 1) -> int:
    """Overwrite one day as a run does, with the run's marks in the summary."""
    marks = {
        keys.EXECUTION_ID: execution_id,
        keys.ATTEMPT: str(attempt),
        keys.FINGERPRINT: "f",
        keys.PARTITION: f"ds={ds}",
        keys.ROWS: str(len(values)),
    }
    table.append(pa.table({"n": values, "ds": [ds] * len(values)}), snapshot_properties=marks)
    snapshot = table.current_snapshot()
    assert snapshot is not None
    return snapshot.snapshot_id


def test_finds_the_runs_snapshot_below_newer_ones(catalog: Catalog, table: Table) -> None:
    first = write(table, "2013-01-05", [1, 2, 3], "run-a")
    second = write(table, "2013-01-06", [4], "run-b", attempt=2)
    write(table, "2013-01-07", [5], "run-c")
    found = verify(catalog, NAME, "run-b", alias="pedregal", sink="daily_flights")
    assert found is not None
    assert found.committed_at is not None
    assert found == Proof(
        result="written",
        sink="daily_flights",
        table="pedregal.flights.daily",
        asset_uri="iceberg://pedregal/flights/daily",
        execution_id="run-b",
        attempt=2,
        snapshot_id=second,
        previous_snapshot_id=first,
        operation="append",
        partition="ds=2013-01-06",
        rows=1,
        added_rows=1,
        deleted_rows=0,
        total_rows=4,
        committed_at=found.committed_at,
    )
    assert Proof.from_dict(found.to_dict()) == found


def test_the_newest_of_two_attempts_counts(catalog: Catalog, table: Table) -> None:
    write(table, "2013-01-05", [1], "run-a", attempt=1)
    second = write(table, "2013-01-05", [1], "run-a", attempt=2)
    found = verify(catalog, NAME, "run-a")
    assert found is not None
    assert (found.snapshot_id, found.attempt) == (second, 2)


def test_another_runs_snapshot_proves_nothing(catalog: Catalog, table: Table) -> None:
    assert verify(catalog, NAME, "run-a") is None
    write(table, "2013-01-05", [1], "run-a")
    assert verify(catalog, NAME, "run-b") is None


def test_a_snapshot_that_was_rolled_back_proves_nothing(catalog: Catalog, table: Table) -> None:
    first = write(table, "2013-01-05", [1], "run-a")
    write(table, "2013-01-06", [2], "run-b")
    table.manage_snapshots().rollback_to_snapshot(first).commit()
    assert verify(catalog, NAME, "run-b") is None
    assert [one.snapshot_id for one in snapshots(catalog, NAME)] == [first]
    second = write(table, "2013-01-06", [2], "run-b", attempt=2)
    found = verify(catalog, NAME, "run-b")
    assert found is not None
    assert (found.snapshot_id, found.previous_snapshot_id) == (second, first)


def test_a_branchs_snapshot_proves_nothing(catalog: Catalog, table: Table) -> None:
    first = write(table, "2013-01-05", [1], "run-a")
    table.manage_snapshots().create_branch(first, "aside").commit()
    rows = pa.table({"n": [2], "ds": ["2013-01-06"]})
    table.append(rows, snapshot_properties={keys.EXECUTION_ID: "run-b"}, branch="aside")
    assert verify(catalog, NAME, "run-b") is None
    assert [one.snapshot_id for one in snapshots(catalog, NAME)] == [first]


def test_a_missing_table_is_our_error(catalog: Catalog) -> None:
    with pytest.raises(DcpEnvironmentError, match=r"cannot read the snapshots of flights\.nothing"):
        verify(catalog, ("flights", "nothing"), "run-a")


def test_partition_values_are_spelled_as_the_driver_spells_them(catalog: Catalog) -> None:
    columns = (Column("ds", "string"), Column("country", "string"), Column("late", "boolean"))
    ensure_table(catalog, TableSpec("pedregal", *NAME, columns=columns, partition_by=("ds", "country", "late")))
    rows = pa.table({"ds": ["2013-01-05"], "country": pa.array([None], pa.string()), "late": [True]})
    catalog.load_table(NAME).append(rows)
    (one,) = partitions(catalog, NAME)
    assert one.partition == "ds=2013-01-05/country=null/late=true"
    assert one.values == {"ds": "2013-01-05", "country": None, "late": "true"}


def test_a_partitions_text_is_not_taken_apart(catalog: Catalog) -> None:
    columns = (Column("ds", "string"), Column("at", "timestamptz"))
    ensure_table(catalog, TableSpec("pedregal", *NAME, columns=columns, partition_by=("ds", "at")))
    moment = dt.datetime(2013, 1, 5, 23, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    rows = pa.table({"ds": ["a/ds=b,c"], "at": pa.array([moment], pa.timestamp("us", "UTC"))})
    catalog.load_table(NAME).append(rows)
    (one,) = partitions(catalog, NAME)
    assert one.values == {"ds": "a/ds=b,c", "at": "2013-01-05 21:00:00"}
    assert one.is_in("at=2013-01-05 21:00:00")
    assert not one.is_in("ds=b,c")


def test_lists_snapshots_and_partitions(catalog: Catalog, table: Table) -> None:
    assert snapshots(catalog, NAME) == []
    assert partitions(catalog, NAME) == []
    first = write(table, "2013-01-06", [1, 2], "run-a")
    second = write(table, "2013-01-05", [3], "run-b")
    assert [one.snapshot_id for one in snapshots(catalog, NAME)] == [second, first]
    assert [one.summary[keys.EXECUTION_ID] for one in snapshots(catalog, "flights.daily")] == ["run-b", "run-a"]
    assert partitions(catalog, NAME) == [PartitionRows("ds=2013-01-05", 1, 1), PartitionRows("ds=2013-01-06", 2, 1)]
    table.delete("ds = '2013-01-05'")
    assert partitions(catalog, NAME) == [PartitionRows("ds=2013-01-06", 2, 1)]


def test_names_of_columns_are_equal_whatever_their_case(catalog: Catalog) -> None:
    columns = (Column("id", "long"), Column("country", "string"))
    spec = TableSpec("pedregal", *NAME, columns=columns, partition_by=("Country",))
    ensure_table(catalog, spec)
    table = catalog.load_table(NAME)
    assert [field.name for field in table.spec().fields] == ["country"]
    other = TableSpec(
        "pedregal", *NAME, columns=(Column("ID", "long", description="key"), Column("Country", "string")), partition_by=("COUNTRY",)
    )
    ensure_table(catalog, other)
    schema = catalog.load_table(NAME).schema()
    assert [(field.name, field.doc) for field in schema.fields] == [("id", "key"), ("country", None)]
    assert ensure_table(catalog, TableSpec("pedregal", *NAME, partition_by=("Country",))) == "is there"
