"""Where the columns of a table come from, and that each difference is named at once."""

from __future__ import annotations

import dataclasses

import pytest
from pyspark.sql.types import (
    ArrayType,
    ByteType,
    DataType,
    DayTimeIntervalType,
    DecimalType,
    IntegerType,
    LongType,
    NullType,
    ShortType,
    StringType,
    StructField,
    StructType,
)

from airflow_dcp_provider.core_etl.faults import DriverError
from airflow_dcp_provider.core_etl.shape import (
    Placed,
    TargetColumn,
    check_columns,
    check_names,
    check_partitions,
    declared,
    from_result,
    place,
    with_day,
)
from airflow_dcp_provider.core_etl.spec import Column, Sink

SINK = Sink("out", "c", "d", "t", "result", partition_by=("ds",))
TARGETS = (
    TargetColumn("id", LongType(), required=True),
    TargetColumn("word", StringType()),
    TargetColumn("price", DecimalType(10, 2)),
)


def placed(columns: list[tuple[str, DataType]], *, complete: bool = False, code: str = "DCP326") -> tuple[Placed, ...]:
    return place(columns, TARGETS, SINK, code=code, what="table c.d.t", complete=complete)


def problem(columns: list[tuple[str, DataType]], *, complete: bool = False) -> DriverError:
    with pytest.raises(DriverError) as caught:
        placed(columns, complete=complete, code="DCP325")
    return caught.value


def test_each_column_is_placed_cast_and_checked_as_it_must_be() -> None:
    result = placed([("PRICE", DecimalType(12, 2)), ("Word", StringType()), ("id", IntegerType())])
    assert result == (
        Placed(TARGETS[0], "id", cast=True, checked=False),
        Placed(TARGETS[1], "Word", cast=False, checked=False),
        Placed(TARGETS[2], "PRICE", cast=True, checked=True),
    )


def test_optional_columns_may_be_missing_and_required_ones_not() -> None:
    assert placed([("id", LongType())]) == (
        Placed(TARGETS[0], "id"),
        Placed(TARGETS[1], None),
        Placed(TARGETS[2], None),
    )
    error = problem([("word", StringType())])
    assert "it lacks `id`" in error.message
    assert "`price`" not in error.message
    assert "it lacks `word`, `price`" in problem([("id", LongType())], complete=True).message


def test_every_difference_is_named_at_once() -> None:
    error = problem([("word", LongType()), ("price", StringType()), ("extra", LongType())])
    assert error.code == "DCP325"
    assert (
        "it lacks `id`; `extra` is not there; `word` is bigint and not string; `price` is string and not decimal(10,2)"
        in error.message
    )
    assert "table c.d.t" in error.message
    assert "`result`" in error.message
    assert "`extra`, `more` are not there" in problem([("id", LongType()), ("extra", LongType()), ("more", LongType())]).message


def test_a_column_has_no_need_unless_one_is_declared() -> None:
    assert not TargetColumn("a", LongType()).required
    assert Placed(TargetColumn("a", LongType()), "a") == Placed(TargetColumn("a", LongType()), "a", cast=False, checked=False)


def test_declared_columns_keep_what_is_declared() -> None:
    assert declared(SINK) is None
    sink = dataclasses.replace(SINK, columns=(Column("id", "long", required=True, description="key"), Column("word", "string")))
    assert declared(sink) == (TargetColumn("id", LongType(), required=True, description="key"), TargetColumn("word", StringType()))
    assert declared(dataclasses.replace(SINK, columns=())) == ()


def test_a_table_made_from_a_result_has_its_columns_as_iceberg_stores_them() -> None:
    columns = [("tiny", ByteType()), ("small", ShortType()), ("word", StringType())]
    assert from_result(columns, SINK) == (
        TargetColumn("tiny", IntegerType()),
        TargetColumn("small", IntegerType()),
        TargetColumn("word", StringType()),
    )


def test_columns_without_a_type_are_named() -> None:
    with pytest.raises(DriverError, match=r"`a`, `c` is NULL") as caught:
        from_result([("a", NullType()), ("b", StringType()), ("c", NullType())], SINK)
    assert caught.value.code == "DCP322"


def test_only_the_day_is_added() -> None:
    sink = dataclasses.replace(SINK, partition_by=("DS", "Country", "city"))
    assert with_day(["country", "CITY"], sink)
    assert not with_day(["ds", "country", "city"], sink)
    assert not with_day([], dataclasses.replace(SINK, partition_by=()))
    with pytest.raises(DriverError, match="partitioned by `Country`, `city`, which `result` does not have; it has `id`") as caught:
        with_day(["id"], sink)
    assert caught.value.code == "DCP324"
    assert "only `ds`" in caught.value.hint


@pytest.mark.parametrize(
    ("actual", "by", "words"),
    [
        ([], ("ds",), "partitioned by nothing and sink `out` by `ds`"),
        (["ds"], (), "partitioned by `ds` and sink `out` by nothing"),
        (["ds", "country"], ("ds",), "partitioned by `ds`, `country` and sink `out` by `ds`"),
    ],
)
def test_other_partitions_are_refused(actual: list[str], by: tuple[str, ...], words: str) -> None:
    with pytest.raises(DriverError, match=r"table c\.d\.t") as caught:
        check_partitions(actual, dataclasses.replace(SINK, partition_by=by))
    assert caught.value.code == "DCP326"
    assert words in caught.value.message
    check_partitions([], dataclasses.replace(SINK, partition_by=()))


def test_names_that_differ_only_by_case_are_named() -> None:
    with pytest.raises(
        DriverError, match="the result `r` has columns whose names are equal, or differ only by case: `id`, `ID`"
    ) as caught:
        check_names([("id", LongType()), ("word", StringType()), ("ID", LongType())], SINK, "the result `r`")
    assert caught.value.code == "DCP390"
    check_names([("id", LongType()), ("word", StringType())], SINK, "the result `r`")


def test_names_inside_of_a_column_are_looked_at_by_themselves() -> None:
    inner = StructType([StructField("id", LongType()), StructField("x", LongType())])
    check_names([("id", LongType()), ("s", ArrayType(inner)), ("t", inner)], SINK, "the result")
    twice = StructType([StructField("a", LongType()), StructField("A", LongType())])
    with pytest.raises(DriverError, match="`a`, `A`"):
        check_names([("id", LongType()), ("s", ArrayType(twice))], SINK, "the result")


def test_types_that_no_table_has_are_named_with_their_columns() -> None:
    interval = DayTimeIntervalType()
    columns = [("a", LongType()), ("b", interval), ("c", ArrayType(interval))]
    with pytest.raises(DriverError, match="`b` is interval day to second; `c` is array<interval day to second>") as caught:
        check_columns(columns, SINK, "the result `r`")
    assert caught.value.code == "DCP393"
    check_columns([("a", LongType()), ("d", ArrayType(StringType()))], SINK, "the result `r`")
    with pytest.raises(DriverError, match="DCP390"):
        check_columns([("a", LongType()), ("A", interval)], SINK, "the result `r`")


def test_an_empty_array_has_no_type_either() -> None:
    with pytest.raises(DriverError, match="`a` is NULL") as caught:
        from_result([("a", ArrayType(NullType())), ("b", StringType())], SINK)
    assert caught.value.code == "DCP322"
