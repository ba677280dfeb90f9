"""``ensure_table`` against a real catalog: create, change safely, refuse by name, and survive a race."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.types import DecimalType, DoubleType, LongType

from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.job import Column
from airflow_dcp_provider.tables.ensure import check_sink, check_source, ensure_namespace, ensure_table, evolve
from airflow_dcp_provider.tables.model import TableSpec

from .conftest import open_catalog

COLUMNS = (
    Column("order_id", "long", required=True, description="key of the order"),
    Column("amount", "decimal(10,2)"),
    Column("score", "float"),
    Column("tags", "list<string>"),
    Column("counts", "map<string, long>"),
    Column("ds", "string"),
)


def spec(
    columns: tuple[Column, ...] | None = COLUMNS, partition_by: tuple[str, ...] = ("ds",), table: str = "daily_orders"
) -> TableSpec:
    return TableSpec("pedregal", "derived_datasets", table, columns=columns, partition_by=partition_by, description="orders by day")


def changed(name: str, **changes: object) -> tuple[Column, ...]:
    return tuple(Column(**{**vars(column), **changes}) if column.name == name else column for column in COLUMNS)


def test_creates_the_declared_table_with_its_database(catalog: Catalog) -> None:
    assert ensure_table(catalog, spec()) == "created with 6 columns"
    table = catalog.load_table(("derived_datasets", "daily_orders"))
    assert [field.name for field in table.schema().fields] == ["order_id", "amount", "score", "tags", "counts", "ds"]
    assert table.schema().find_field("order_id").required
    assert table.schema().find_field("order_id").doc == "key of the order"
    assert [field.name for field in table.spec().fields] == ["ds"]
    assert table.properties["comment"] == "orders by day"


def test_a_second_ensure_changes_nothing(catalog: Catalog) -> None:
    ensure_table(catalog, spec())
    before = catalog.load_table(("derived_datasets", "daily_orders")).metadata_location
    assert ensure_table(catalog, spec()) == "is as declared"
    assert catalog.load_table(("derived_datasets", "daily_orders")).metadata_location == before


def test_adds_widens_and_relaxes(catalog: Catalog) -> None:
    ensure_table(catalog, spec())
    wanted = (
        Column("order_id", "long", description="the order's key"),
        Column("amount", "decimal(38,2)"),
        Column("score", "double"),
        Column("tags", "list<string>"),
        Column("counts", "map<string,long>"),
        Column("ds", "string"),
        Column("region", "string", description="where"),
    )
    said = ensure_table(catalog, spec(wanted))
    assert (
        said == "add region string, widen amount to decimal(38,2), widen score to double, make order_id optional, describe order_id"
    )
    schema = catalog.load_table(("derived_datasets", "daily_orders")).schema()
    assert schema.find_field("amount").field_type == DecimalType(38, 2)
    assert schema.find_field("score").field_type == DoubleType()
    assert not schema.find_field("order_id").required
    assert schema.find_field("order_id").doc == "the order's key"
    assert schema.find_field("region").doc == "where"


def test_what_was_written_before_a_widening_is_read_after_it(catalog: Catalog) -> None:
    wish = spec((Column("n", "int"), Column("ds", "string")))
    ensure_table(catalog, wish)
    table = catalog.load_table(wish.identifier)
    table.append(pa.table({"n": pa.array([1, 2], pa.int32()), "ds": ["2013-01-05", "2013-01-05"]}))
    evolve(catalog, spec((Column("n", "long"), Column("ds", "string"), Column("extra", "string"))))
    rows = catalog.load_table(wish.identifier).scan().to_arrow()
    assert rows.schema.field("n").type == pa.int64()
    assert sorted(rows.column("n").to_pylist()) == [1, 2]
    assert catalog.load_table(wish.identifier).schema().find_field("n").field_type == LongType()


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        (COLUMNS[1:], "column `order_id` would be dropped"),
        (changed("order_id", type="int"), "column `order_id` would change from long to int"),
        (changed("amount", type="decimal(38,4)"), r"column `amount` would change from decimal\(10, 2\) to decimal\(38, 4\)"),
        (changed("ds", type="binary"), "column `ds` would change from string to binary"),
        (changed("tags", type="list<long>"), "column `tags` would change"),
        (changed("score", required=True), "column `score` would become required"),
        ((*COLUMNS, Column("new", "string", required=True)), "column `new` is new and required"),
    ],
)
def test_refuses_by_name_what_would_lose_data(catalog: Catalog, columns: tuple[Column, ...], named: str) -> None:
    ensure_table(catalog, spec())
    before = catalog.load_table(("derived_datasets", "daily_orders")).metadata_location
    with pytest.raises(DcpEnvironmentError, match=named) as caught:
        ensure_table(catalog, spec(columns))
    assert caught.value.code == "DCP424"
    assert caught.value.hint
    assert catalog.load_table(("derived_datasets", "daily_orders")).metadata_location == before


def test_names_every_refused_change_at_once(catalog: Catalog) -> None:
    ensure_table(catalog, spec())
    with pytest.raises(DcpEnvironmentError, match="`order_id` would be dropped; column `score` would change from float to int"):
        ensure_table(catalog, spec(tuple(column for column in changed("score", type="int") if column.name != "order_id")))


@pytest.mark.parametrize("partition_by", [(), ("order_id",), ("ds", "order_id")])
def test_refuses_other_partitions(catalog: Catalog, partition_by: tuple[str, ...]) -> None:
    ensure_table(catalog, spec())
    with pytest.raises(DcpEnvironmentError, match="is partitioned by ds, but the job writes it by") as caught:
        ensure_table(catalog, spec(partition_by=partition_by))
    assert caught.value.code == "DCP423"


@pytest.mark.parametrize("text", ["decimal(39,2)", "varchar(10)", "list<>", "map<string>", "decimal", "fixed[x]", ""])
def test_refuses_what_is_no_type(catalog: Catalog, text: str) -> None:
    with pytest.raises(DcpEnvironmentError, match="is not an Iceberg type") as caught:
        ensure_table(catalog, spec((Column("a", text),), partition_by=()))
    assert caught.value.code == "DCP421"


def test_refuses_a_partition_column_that_is_no_column(catalog: Catalog) -> None:
    with pytest.raises(DcpEnvironmentError, match="partitioned by `day`") as caught:
        ensure_table(catalog, spec(partition_by=("day",)))
    assert caught.value.code == "DCP421"


def test_a_sink_without_columns_is_the_drivers_to_make(catalog: Catalog) -> None:
    assert ensure_table(catalog, spec(columns=None)) == "is made by the job from its result"
    assert ("derived_datasets",) in catalog.list_namespaces()
    ensure_table(catalog, spec())
    assert check_sink(catalog, spec(columns=None)) == "is there"
    with pytest.raises(DcpEnvironmentError, match="is partitioned by ds, but the job writes it by nothing"):
        check_sink(catalog, spec(columns=None, partition_by=()))


def test_a_missing_source_is_named_with_its_environment(catalog: Catalog) -> None:
    source = TableSpec("pedregal", "raw", "flights", role="source")
    with pytest.raises(DcpEnvironmentError, match=r"table pedregal\.raw\.flights does not exist in environment local") as caught:
        check_source(catalog, source, "local")
    assert caught.value.code == "DCP422"
    assert "pretzel data load" in caught.value.hint


def test_two_at_once_both_succeed(tmp_path: Path) -> None:
    """Eight callers with catalogs of their own make, then change, one table at the same moment."""
    open_catalog(tmp_path).close()
    gate = threading.Barrier(8)

    def run(columns: tuple[Column, ...]) -> str:
        catalog = open_catalog(tmp_path)
        try:
            gate.wait()
            return ensure_table(catalog, spec(columns))
        finally:
            catalog.close()

    wider = (*changed("score", type="double"), Column("region", "string"))
    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(run, [COLUMNS] * 8))) == 8
        assert len(list(pool.map(run, [wider] * 8))) == 8
    catalog = open_catalog(tmp_path)
    schema = catalog.load_table(("derived_datasets", "daily_orders")).schema()
    catalog.close()
    assert [field.name for field in schema.fields].count("region") == 1
    assert schema.find_field("score").field_type == DoubleType()


def test_an_unreachable_catalog_is_our_error(tmp_path: Path) -> None:
    catalog = open_catalog(tmp_path)
    catalog.destroy_tables()
    with pytest.raises(DcpEnvironmentError, match="cannot make the database raw") as caught:
        ensure_namespace(catalog, "raw")
    catalog.close()
    assert caught.value.code == "DCP420"
