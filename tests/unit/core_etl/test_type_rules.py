"""Every pair of types, and every way to spell one: which change keeps each value, which one must be looked at, which one is refused."""

from __future__ import annotations

import pytest
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    ByteType,
    DataType,
    DateType,
    DayTimeIntervalType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    MapType,
    NullType,
    ShortType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from airflow_dcp_provider.core_etl.column_types import change, ddl, field_names, is_stored, parse_type, parts, spell
from airflow_dcp_provider.core_etl.faults import DriverError

TYPES: dict[str, DataType] = {
    "boolean": BooleanType(),
    "byte": ByteType(),
    "short": ShortType(),
    "int": IntegerType(),
    "long": LongType(),
    "float": FloatType(),
    "double": DoubleType(),
    "date": DateType(),
    "timestamp": TimestampNTZType(),
    "timestamptz": TimestampType(),
    "string": StringType(),
    "binary": BinaryType(),
    "void": NullType(),
    "decimal(10,2)": DecimalType(10, 2),
    "list<int>": ArrayType(IntegerType()),
    "list<string>": ArrayType(StringType()),
    "map<string,int>": MapType(StringType(), IntegerType()),
    "struct<a:int>": StructType([StructField("a", IntegerType())]),
}

#: All changes that lose nothing, and no other; every type also becomes itself, and `void` everything.
WIDENED = {
    "byte": "short int long float double decimal(10,2)",
    "short": "int long float double decimal(10,2)",
    "int": "long double",
    "float": "double",
    "date": "timestamp timestamptz",
    "timestamp": "timestamptz",
    "timestamptz": "timestamp",
}


@pytest.mark.parametrize("target", TYPES)
@pytest.mark.parametrize("source", TYPES)
def test_every_pair_of_types(source: str, target: str) -> None:
    if source == target:
        expected: str | None = "same"
    elif source == "void" or target in WIDENED.get(source, "").split():
        expected = "widen"
    else:
        expected = None
    assert change(TYPES[source], TYPES[target]) == expected


@pytest.mark.parametrize(
    ("source", "target", "how"),
    [
        # Whole numbers need room for all of their digits before the point.
        (ByteType(), DecimalType(3, 0), "widen"),
        (ByteType(), DecimalType(2, 0), None),
        (ByteType(), DecimalType(5, 3), None),
        (ShortType(), DecimalType(5, 0), "widen"),
        (ShortType(), DecimalType(4, 0), None),
        (IntegerType(), DecimalType(10, 0), "widen"),
        (IntegerType(), DecimalType(9, 0), None),
        (LongType(), DecimalType(19, 0), "widen"),
        (LongType(), DecimalType(18, 0), None),
        (LongType(), DecimalType(38, 19), "widen"),
        (StringType(), DecimalType(38, 0), None),
        (DoubleType(), DecimalType(38, 0), None),
        # Decimals: wider on both sides of the point, else each value is looked at.
        (DecimalType(10, 2), DecimalType(11, 2), "widen"),
        (DecimalType(10, 2), DecimalType(11, 3), "widen"),
        (DecimalType(10, 2), DecimalType(10, 3), "check"),
        (DecimalType(10, 2), DecimalType(9, 2), "check"),
        (DecimalType(10, 2), DecimalType(38, 1), "check"),
        # What is nested is only widened, never looked at.
        (ArrayType(ByteType()), ArrayType(LongType()), "widen"),
        (ArrayType(DecimalType(10, 2)), ArrayType(DecimalType(9, 2)), None),
        (ArrayType(IntegerType(), containsNull=False), ArrayType(IntegerType()), "same"),
        (ArrayType(NullType()), ArrayType(StringType()), "widen"),
        (MapType(IntegerType(), IntegerType()), MapType(LongType(), IntegerType()), "widen"),
        (MapType(IntegerType(), IntegerType()), MapType(IntegerType(), LongType()), "widen"),
        (MapType(IntegerType(), LongType()), MapType(LongType(), IntegerType()), None),
        (MapType(IntegerType(), IntegerType()), ArrayType(IntegerType()), None),
        (StructType([StructField("a", IntegerType())]), StructType([StructField("A", LongType())]), "widen"),
    ],
)
def test_changes_at_their_limits(source: DataType, target: DataType, how: str | None) -> None:
    assert change(source, target) == how


def test_fields_of_a_struct_are_matched_in_their_order() -> None:
    one = StructType([StructField("a", IntegerType()), StructField("b", IntegerType())])
    other = StructType([StructField("b", LongType()), StructField("a", LongType())])
    assert change(one, other) is None
    assert change(one, StructType([StructField("A", LongType()), StructField("b", IntegerType())])) == "widen"
    assert change(one, StructType([StructField("a", IntegerType()), StructField("b", StringType())])) is None


@pytest.mark.parametrize(
    ("text", "spark"),
    [
        ("boolean", "boolean"),
        ("int", "int"),
        ("integer", "int"),
        ("bigint", "bigint"),
        ("float", "float"),
        ("double", "double"),
        ("date", "date"),
        ("timestamp_ntz", "timestamp_ntz"),
        ("uuid", "string"),
        ("binary", "binary"),
        ("decimal(1,0)", "decimal(1,0)"),
        ("decimal(38,38)", "decimal(38,38)"),
        ("array<int>", "array<int>"),
        ("list<map<string,decimal(10,2)>>", "array<map<string,decimal(10,2)>>"),
        ("map<map<int,string>,list<int>>", "map<map<int,string>,array<int>>"),
        ("map<decimal(10,2),int>", "map<decimal(10,2),int>"),
        ("struct<a:map<int,long>,b:decimal(4,1),c:struct<d:int,e:int>>", "struct<a:map<int,bigint>,b:decimal(4,1),c:struct<d:int,e:int>>"),
    ],
)  # fmt: skip
def test_every_spelling_of_a_type(text: str, spark: str) -> None:
    assert spell(parse_type(text)) == spark


@pytest.mark.parametrize(
    "text", ["map<int,int,int>", "array<int,int>", "struct<a:int,b>", "decimal(38,39)", "decimal(0,0)", "decimal(39,0)"]
)
def test_what_is_no_type_is_named(text: str) -> None:
    with pytest.raises(DriverError) as caught:
        parse_type(text)
    assert caught.value.code == "DCP325"
    assert f"`{text}`" in caught.value.message


def test_the_innermost_wrong_type_is_named() -> None:
    with pytest.raises(DriverError, match="`wrong`"):
        parse_type("struct<a: list<wrong>>")


# What a table is made from.

NESTED = StructType(
    [
        StructField("a", ArrayType(StructType([StructField("x`y", IntegerType()), StructField("z", StringType())]))),
        StructField("b", MapType(StringType(), StructType([StructField("c d", DecimalType(4, 1))]))),
    ]
)


def test_a_type_in_a_statement_quotes_the_name_of_each_field() -> None:
    assert ddl(NESTED) == "struct<`a`:array<struct<`x``y`:int,`z`:string>>,`b`:map<string,struct<`c d`:decimal(4,1)>>>"
    assert ddl(ArrayType(LongType())) == "array<bigint>"
    assert ddl(MapType(IntegerType(), LongType())) == "map<int,bigint>"
    assert ddl(TimestampNTZType()) == "timestamp_ntz"


def test_every_part_of_a_type_is_visited_once() -> None:
    names = [type(part).__name__ for part in parts(NESTED)]
    assert names == ["StructType", "ArrayType", "StructType", "IntegerType", "StringType", "MapType", "StringType", "StructType", "DecimalType"]  # fmt: skip
    assert list(parts(LongType())) == [LongType()]


def test_the_names_of_each_struct_are_a_group() -> None:
    assert field_names(NESTED) == [["a", "b"], ["x`y", "z"], ["c d"]]
    assert field_names(MapType(StringType(), ArrayType(StringType()))) == []


@pytest.mark.parametrize("kind", [*TYPES.values(), NESTED])
def test_types_that_a_table_stores(kind: DataType) -> None:
    assert is_stored(kind)


def test_types_that_no_table_stores() -> None:
    assert not is_stored(DayTimeIntervalType())
