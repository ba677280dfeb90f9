"""Reading types as Iceberg spells them, and which changes of type lose nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_dcp_provider.core_etl.column_types import CHECK, SAME, WIDEN, change, parse_type, spell, stored_type
from airflow_dcp_provider.core_etl.faults import DriverError


@pytest.mark.parametrize(
    ("text", "spark"),
    [
        ("long", "bigint"),
        (" INT ", "int"),
        ("decimal", "decimal(38,18)"),
        ("decimal(10, 2)", "decimal(10,2)"),
        ("timestamp", "timestamp_ntz"),
        ("timestamptz", "timestamp"),
        ("list<string>", "array<string>"),
        ("map<string, list<long>>", "map<string,array<bigint>>"),
        ("struct<1: Lat: optional double, lon: double, tags: map<string,decimal(4,1)>>", "struct<Lat:double,lon:double,tags:map<string,decimal(4,1)>>"),
    ],
)  # fmt: skip
def test_types_are_read(text: str, spark: str) -> None:
    assert spell(parse_type(text)) == spark


@pytest.mark.parametrize("text", ["", "varchar(3)", "decimal(39,1)", "decimal(4,5)", "decimal(0,0)", "list<string,int>", "map<string>", "time", "struct<>", "struct<a>"])  # fmt: skip
def test_other_types_are_refused_by_name(text: str) -> None:
    with pytest.raises(DriverError, match="DCP325") as caught:
        parse_type(text)
    assert caught.value.exit_code == 20


@pytest.mark.parametrize(
    ("given", "wanted", "how"),
    [
        ("int", "int", SAME),
        ("int", "long", WIDEN),
        ("long", "int", None),
        ("float", "double", WIDEN),
        ("double", "float", None),
        ("int", "double", WIDEN),
        ("long", "double", None),
        ("int", "decimal(10,0)", WIDEN),
        ("int", "decimal(10,2)", None),
        ("long", "decimal(19,0)", WIDEN),
        ("long", "decimal(18,0)", None),
        ("double", "decimal", None),
        ("decimal(10,2)", "decimal(12,4)", WIDEN),
        ("decimal(10,2)", "decimal(10,4)", CHECK),
        ("decimal(20,2)", "decimal(10,2)", CHECK),
        ("decimal(10,2)", "long", None),
        ("string", "long", None),
        ("long", "string", None),
        ("date", "timestamp", WIDEN),
        ("timestamp", "date", None),
        ("timestamp", "timestamptz", WIDEN),
        ("list<int>", "list<long>", WIDEN),
        ("list<long>", "list<int>", None),
        ("list<decimal(20,2)>", "list<decimal(10,2)>", None),
        ("map<string,int>", "map<string,long>", WIDEN),
        ("struct<a: int>", "struct<A: long>", WIDEN),
        ("struct<a: int>", "struct<b: int>", None),
        ("struct<a: int>", "struct<a: int, b: int>", None),
        ("boolean", "int", None),
    ],
)
def test_changes(given: str, wanted: str, how: str) -> None:
    assert change(parse_type(given), parse_type(wanted)) == how


@given(st.integers(1, 38), st.integers(0, 38), st.integers(1, 38), st.integers(0, 38), st.data())
def test_a_widened_decimal_keeps_every_value(p1: int, s1: int, p2: int, s2: int, data: st.DataObject) -> None:
    s1, s2 = min(s1, p1), min(s2, p2)
    if change(parse_type(f"decimal({p1},{s1})"), parse_type(f"decimal({p2},{s2})")) in (SAME, WIDEN):
        value = data.draw(st.integers(-(10**p1) + 1, 10**p1 - 1))
        assert abs(value) * 10 ** (s2 - s1) < 10**p2


def test_small_integers_are_stored_as_iceberg_can() -> None:
    from pyspark.sql.types import ByteType, LongType, ShortType

    assert [spell(stored_type(kind)) for kind in (ByteType(), ShortType(), LongType())] == ["int", "int", "bigint"]
