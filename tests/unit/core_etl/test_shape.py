"""Statements, names of partitions, and where a table's columns come from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql.types import (
    ArrayType,
    ByteType,
    DataType,
    DayTimeIntervalType,
    IntegerType,
    LongType,
    MapType,
    StringType,
    StructField,
    StructType,
)

from airflow_dcp_provider.core_etl.column_types import ddl, parse_type
from airflow_dcp_provider.core_etl.faults import DriverError
from airflow_dcp_provider.core_etl.iceberg import create_statement
from airflow_dcp_provider.core_etl.proof import NAMED_PARTITIONS, named, partition_text
from airflow_dcp_provider.core_etl.shape import TargetColumn, check_columns, check_names, check_partitions, place, with_day
from airflow_dcp_provider.core_etl.spec import Sink
from airflow_dcp_provider.core_etl.write import merge_statement

SINK = Sink("out", "c", "d", "t", "result", partition_by=("ds",), description="it's")


def test_the_day_is_added_only_when_it_is_missing() -> None:
    assert with_day(["id"], SINK)
    assert not with_day(["id", "DS"], SINK)
    with pytest.raises(DriverError, match="DCP324"):
        with_day(["id"], Sink("out", "c", "d", "t", "result", partition_by=("country",)))


def test_columns_are_placed_by_name() -> None:
    targets = [TargetColumn("id", parse_type("long")), TargetColumn("gone", parse_type("string"))]
    placed = place([("ID", parse_type("int"))], targets, SINK, code="DCP326", what="table", complete=False)
    assert [(item.target.name, item.source, item.cast) for item in placed] == [("id", "ID", True), ("gone", None, False)]


def test_partitions_are_compared_without_order_and_case() -> None:
    check_partitions(["B", "a"], Sink("out", "c", "d", "t", "result", partition_by=("a", "b")))
    with pytest.raises(DriverError, match=r"partitioned by `day\(ts\)` and sink `out` by `ds`"):
        check_partitions(["day(ts)"], SINK)


def test_the_ddl_is_explicit() -> None:
    columns = [
        TargetColumn("id", parse_type("long"), required=True, description="a\\b'c"),
        TargetColumn("DS", parse_type("string")),
    ]
    assert create_statement(SINK, columns).splitlines() == [
        "CREATE TABLE IF NOT EXISTS `dcp_write_c`.`d`.`t` (",
        "  `id` bigint NOT NULL COMMENT 'a\\\\b\\'c',",
        "  `DS` string)",
        "USING iceberg",
        "PARTITIONED BY (`DS`)",
        "COMMENT 'it\\'s'",
        "TBLPROPERTIES ('format-version' = '2')",
    ]


def test_a_merge_names_its_columns_and_matches_nulls() -> None:
    statement = merge_statement("`c`.`d`.`t`", ["id", "word"], ["id"])
    assert "ON target.`id` <=> source.`id`" in statement
    assert "UPDATE SET target.`id` = source.`id`, target.`word` = source.`word`" in statement
    assert "INSERT (`id`, `word`) VALUES (source.`id`, source.`word`)" in statement


@given(st.lists(st.text("abc", min_size=1), max_size=30), st.integers(0, 100))
def test_ten_partitions_are_named_and_the_rest_counted(names: list[str], hidden: int) -> None:
    text = partition_text(names, len(names) + hidden)
    parts = text.split(",") if text else []
    more = len(names) + hidden - min(len(names), NAMED_PARTITIONS)
    assert parts[: min(len(names), NAMED_PARTITIONS)] == names[:NAMED_PARTITIONS]
    assert (parts[-1] == f"+{more} more") if more else len(parts) == len(names)


def test_a_partitions_name_has_its_values() -> None:
    assert named({"ds": "2013-01-05", "country": None}) == "ds=2013-01-05/country=null"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (ByteType(), "tinyint"),
        (
            StructType([StructField("a b`c", IntegerType()), StructField("d", ArrayType(LongType()))]),
            "struct<`a b``c`:int,`d`:array<bigint>>",
        ),
        (ArrayType(StructType([StructField("x.y", StringType())])), "array<struct<`x.y`:string>>"),
        (MapType(StringType(), StructType([StructField("1", IntegerType())])), "map<string,struct<`1`:int>>"),
    ],
)
def test_the_fields_of_a_type_are_quoted_in_statements(kind: DataType, text: str) -> None:
    assert ddl(kind) == text


def test_names_that_differ_only_by_case_are_refused_at_every_depth() -> None:
    nested = ArrayType(StructType([StructField("a", IntegerType()), StructField("A", IntegerType())]))
    for columns in ([("id", LongType()), ("ID", LongType())], [("s", nested)]):
        with pytest.raises(DriverError, match="DCP390"):
            check_names(columns, SINK, "the result")
    with pytest.raises(DriverError, match="DCP393"):
        check_columns([("took", ArrayType(DayTimeIntervalType()))], SINK, "the result")
