"""The rules of types and schemas: what a declared type means, and which changes of a table keep every value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import BucketTransform, DayTransform, IdentityTransform, VoidTransform
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FixedType,
    FloatType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    MapType,
    NestedField,
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
    TimeType,
    UUIDType,
)

from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.job import Column
from airflow_dcp_provider.tables.schema import Evolution, iceberg_schema, parse_type, partition_spec, plan_evolution, spec_names

PRIMITIVES: dict[str, IcebergType] = {
    "boolean": BooleanType(),
    "int": IntegerType(),
    "long": LongType(),
    "float": FloatType(),
    "double": DoubleType(),
    "date": DateType(),
    "time": TimeType(),
    "timestamp": TimestampType(),
    "timestamptz": TimestamptzType(),
    "string": StringType(),
    "uuid": UUIDType(),
    "binary": BinaryType(),
    "fixed[16]": FixedType(16),
    "decimal(10,2)": DecimalType(10, 2),
    "decimal(11,2)": DecimalType(11, 2),
    "decimal(10,3)": DecimalType(10, 3),
    "decimal(9,2)": DecimalType(9, 2),
}

#: Iceberg's own promotions, and no other.
PROMOTIONS = {
    ("int", "long"),
    ("float", "double"),
    ("decimal(10,2)", "decimal(11,2)"),
    ("decimal(9,2)", "decimal(10,2)"),
    ("decimal(9,2)", "decimal(11,2)"),
}


def shape(kind: IcebergType) -> object:
    """A type without the ids inside it."""
    if isinstance(kind, ListType):
        return ("list", shape(kind.element_type))
    if isinstance(kind, MapType):
        return ("map", shape(kind.key_type), shape(kind.value_type))
    if isinstance(kind, StructType):
        return ("struct", *((field.name, shape(field.field_type)) for field in kind.fields))
    return str(kind)


def table(*columns: Column) -> Schema:
    """A table's schema as a catalog returns it: every nested id is another than a parsed type's."""
    return Schema(
        *(
            NestedField(number, column.name, parse_type(column.type), column.required, doc=column.description)
            for number, column in enumerate(columns, start=501)
        )
    )


# What a declared type means.


@pytest.mark.parametrize("text", PRIMITIVES)
def test_primitives_are_those_of_iceberg(text: str) -> None:
    assert parse_type(text) == PRIMITIVES[text]
    assert parse_type(f"  {text}\n") == PRIMITIVES[text]


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("list<string>", ("list", "string")),
        (" list < long > ", ("list", "long")),
        ("list\n<\nint\n>", ("list", "int")),
        ("list<decimal(10,2)>", ("list", "decimal(10, 2)")),
        ("list<list<int>>", ("list", ("list", "int"))),
        ("map<string,long>", ("map", "string", "long")),
        ("map<decimal(10,2), decimal(4,1)>", ("map", "decimal(10, 2)", "decimal(4, 1)")),
        ("map<map<int,long>,string>", ("map", ("map", "int", "long"), "string")),
        ("map<string, map<int, list<map<long, decimal(4,1)>>>>", ("map", "string", ("map", "int", ("list", ("map", "long", "decimal(4, 1)"))))),
        ("list<map<string, list<double>>>", ("list", ("map", "string", ("list", "double")))),
        ("struct<a: int>", ("struct", ("a", "int"))),
        (" struct < a:int , b : decimal(4,1) > ", ("struct", ("a", "int"), ("b", "decimal(4, 1)"))),
        ("struct<a: struct<b: int, c: map<int,long>>, d: list<int>>", ("struct", ("a", ("struct", ("b", "int"), ("c", ("map", "int", "long")))), ("d", ("list", "int")))),
        ("list<struct<a: int, b: long>>", ("list", ("struct", ("a", "int"), ("b", "long")))),
    ],
)  # fmt: skip
def test_commas_within_brackets_belong_to_the_inner_type(text: str, meaning: object) -> None:
    assert shape(parse_type(text)) == meaning


def test_every_nested_type_has_an_id_of_its_own() -> None:
    outer = parse_type("map<list<int>, map<string, list<long>>>")
    assert isinstance(outer, MapType)
    assert isinstance(outer.key_type, ListType)
    assert isinstance(outer.value_type, MapType)
    assert isinstance(outer.value_type.value_type, ListType)
    ids = [
        outer.key_id,
        outer.value_id,
        outer.key_type.element_id,
        outer.value_type.key_id,
        outer.value_type.value_id,
        outer.value_type.value_type.element_id,
    ]
    assert ids == list(range(1000, 1006))


def test_what_a_list_or_map_holds_may_be_null() -> None:
    assert parse_type("list<int>") == ListType(1000, IntegerType(), element_required=False)
    assert parse_type("map<int,long>") == MapType(1000, IntegerType(), 1001, LongType(), value_required=False)


def test_the_fields_of_a_struct_may_be_null_and_have_ids_of_their_own() -> None:
    assert parse_type("struct<a: int, b: list<long>>") == StructType(
        NestedField(1000, "a", IntegerType(), required=False),
        NestedField(1001, "b", ListType(1002, LongType(), element_required=False), required=False),
    )


def test_no_two_columns_have_ids_in_common() -> None:
    schema = iceberg_schema([Column("a", "struct<x: int, y: int>"), Column("b", "map<int,int>"), Column("c", "list<int>")])
    assert sorted(schema._lazy_id_to_field) == list(range(1, 9))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "varchar(3)",
        "text",
        "bigint",
        "list",
        "list<>",
        "list<int,int>",
        "list<varchar>",
        "map<string>",
        "map<string,int,int>",
        "map<string,>",
        "struct<>",
        "struct<a>",
        "struct<a int>",
        "struct<a: int, b>",
        "struct<a: varchar>",
        "struct<a: int,>",
        "map<varchar,int>",
        "map<int,varchar>",
        "fixed[x]",
        "decimal",
        "decimal(0,0)",
        "decimal(39,0)",
        "decimal(10,11)",
        "list<decimal(39,2)>",
    ],
)
def test_what_is_no_type_is_refused_by_name(text: str) -> None:
    with pytest.raises(DcpEnvironmentError, match="is not an Iceberg type") as caught:
        parse_type(text)
    assert caught.value.code == "DCP421"
    assert caught.value.hint


@pytest.mark.parametrize("text", ["decimal(1,0)", "decimal(1,1)", "decimal(38,0)", "decimal(38,38)", "decimal(38,18)"])
def test_decimals_reach_to_38_digits(text: str) -> None:
    assert str(parse_type(text)).replace(" ", "") == text


# A schema and its partitions.


def test_columns_keep_their_order_need_and_description() -> None:
    schema = iceberg_schema([Column("id", "long", required=True, description="the key"), Column("tags", "list<string>")])
    assert [(field.field_id, field.name, str(field.field_type), field.required, field.doc) for field in schema.fields] == [
        (1, "id", "long", True, "the key"),
        (2, "tags", "list<string>", False, None),
    ]


def test_partitions_are_by_identity_in_the_order_declared() -> None:
    schema = iceberg_schema([Column("id", "long"), Column("country", "string"), Column("ds", "date")])
    spec = partition_spec(schema, ["ds", "country"], "a.b.c")
    assert [(field.source_id, field.field_id, field.name, str(field.transform)) for field in spec.fields] == [
        (3, 1000, "ds", "identity"),
        (2, 1001, "country", "identity"),
    ]
    assert spec_names(schema, spec) == ("ds", "country")
    assert partition_spec(schema, [], "a.b.c").is_unpartitioned()


def test_a_partition_column_that_is_not_declared_is_refused() -> None:
    schema = iceberg_schema([Column("id", "long"), Column("ds", "date")])
    with pytest.raises(DcpEnvironmentError, match=r"table a\.b\.c is to be partitioned by `country`") as caught:
        partition_spec(schema, ["ds", "country"], "a.b.c")
    assert caught.value.code == "DCP421"
    assert "id, ds" in str(caught.value.hint)


def test_partition_names_show_the_transform_and_leave_out_what_was_dropped() -> None:
    schema = iceberg_schema([Column("id", "long"), Column("ts", "timestamp"), Column("ds", "date"), Column("old", "string")])
    spec = PartitionSpec(
        PartitionField(4, 1000, VoidTransform(), "old"),
        PartitionField(2, 1001, DayTransform(), "ts_day"),
        PartitionField(3, 1002, IdentityTransform(), "another_name"),
        PartitionField(1, 1003, BucketTransform(16), "id_bucket"),
    )
    assert spec_names(schema, spec) == ("day(ts)", "ds", "bucket[16](id)")


# Which changes of a table lose nothing.


@pytest.mark.parametrize("new", PRIMITIVES)
@pytest.mark.parametrize("old", PRIMITIVES)
def test_a_column_becomes_another_type_only_as_iceberg_promotes(old: str, new: str) -> None:
    if old == new:
        assert not plan_evolution(table(Column("c", old)), [Column("c", new)], "a.b.c")
    elif (old, new) in PROMOTIONS:
        assert plan_evolution(table(Column("c", old)), [Column("c", new)], "a.b.c") == Evolution(widened=(Column("c", new),))
    else:
        with pytest.raises(DcpEnvironmentError, match="column `c` would change from") as caught:
            plan_evolution(table(Column("c", old)), [Column("c", new)], "a.b.c")
        assert caught.value.code == "DCP424"


@given(st.integers(1, 38), st.integers(0, 38), st.integers(1, 38), st.integers(0, 38))
def test_a_decimal_is_widened_only_when_each_value_stays_what_it_is(p1: int, s1: int, p2: int, s2: int) -> None:
    s1, s2 = min(s1, p1), min(s2, p2)
    old, new = Column("c", f"decimal({p1},{s1})"), Column("c", f"decimal({p2},{s2})")
    try:
        evolution = plan_evolution(table(old), [new], "a.b.c")
    except DcpEnvironmentError:
        assert s1 != s2 or p2 < p1
    else:
        assert (s1, p1) == (s2, p2) if not evolution else s1 == s2 and p1 < p2


@pytest.mark.parametrize(
    "text",
    ["list<string>", "list<list<int>>", "map<string,long>", "map<list<int>,map<int,string>>", "list<map<string,decimal(4,1)>>",
     "struct<a: int, b: struct<c: list<int>>>", "list<struct<a: int>>"],
)  # fmt: skip
def test_a_nested_type_is_itself_whatever_ids_the_catalog_gave(text: str) -> None:
    there = Schema(
        NestedField(1, "first", parse_type("map<string,list<int>>"), required=False),
        NestedField(2, "c", _renumbered(parse_type(text)), required=False),
    )
    wanted = [Column("first", "map<string,list<int>>"), Column("c", text)]
    assert _renumbered(parse_type(text)) != parse_type(text)
    assert not plan_evolution(there, wanted, "a.b.c")


def _renumbered(kind: IcebergType) -> IcebergType:
    if isinstance(kind, ListType):
        return ListType(kind.element_id + 700, _renumbered(kind.element_type), element_required=False)
    if isinstance(kind, MapType):
        return MapType(
            kind.key_id + 700, _renumbered(kind.key_type), kind.value_id + 700, _renumbered(kind.value_type), value_required=False
        )
    if isinstance(kind, StructType):
        return StructType(
            *(NestedField(field.field_id + 700, field.name, _renumbered(field.field_type), required=False) for field in kind.fields)
        )
    return kind


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("list<int>", "list<string>"),
        ("list<int>", "int"),
        ("int", "list<int>"),
        ("list<list<int>>", "list<int>"),
        ("map<string,int>", "map<string,string>"),
        ("map<string,int>", "map<int,int>"),
        ("map<string,int>", "map<int,string>"),
        ("map<int,int>", "list<int>"),
        ("list<int>", "map<int,int>"),
        ("map<int,list<int>>", "map<int,list<string>>"),
        ("map<list<int>,int>", "map<list<string>,int>"),
        ("struct<a: int>", "struct<a: string>"),
        ("struct<a: int>", "struct<b: int>"),
        ("struct<a: int>", "struct<a: int, b: int>"),
        ("struct<a: int, b: int>", "struct<a: int>"),
        ("struct<a: int, b: long>", "struct<b: long, a: int>"),
        ("struct<a: int, b: int>", "struct<a: int, b: string>"),
        ("struct<a: int>", "list<int>"),
        ("list<struct<a: int>>", "list<struct<a: long>>"),
    ],
)
def test_a_nested_type_does_not_become_another(old: str, new: str) -> None:
    with pytest.raises(DcpEnvironmentError, match="column `c` would change from"):
        plan_evolution(table(Column("c", old)), [Column("c", new)], "a.b.c")


def test_every_kind_of_harmless_change_is_planned() -> None:
    there = table(
        Column("same", "int", description="as before"),
        Column("id", "int", required=True, description="old words"),
        Column("score", "float"),
        Column("key", "long", required=True),
    )
    wanted = [
        Column("new", "string", description="where"),
        Column("id", "long", description="new words"),
        Column("score", "double"),
        Column("key", "long", required=True),
        Column("same", "int"),
        Column("more", "list<int>"),
    ]
    evolution = plan_evolution(there, wanted, "a.b.c")
    assert evolution == Evolution(
        added=(wanted[0], wanted[5]), widened=(wanted[1], wanted[2]), relaxed=("id",), described=(wanted[1],)
    )
    assert str(evolution) == (
        "add new string, add more list<int>, widen id to long, widen score to double, make id optional, describe id"
    )


@pytest.mark.parametrize(
    "evolution",
    [
        Evolution(added=(Column("c", "int"),)),
        Evolution(widened=(Column("c", "int"),)),
        Evolution(relaxed=("c",)),
        Evolution(described=(Column("c", "int"),)),
    ],
)
def test_each_kind_of_change_counts_as_one(evolution: Evolution) -> None:
    assert evolution
    assert "c" in str(evolution)


def test_nothing_to_change_says_so() -> None:
    evolution = plan_evolution(table(Column("c", "int", required=True)), [Column("c", "int", required=True)], "a.b.c")
    assert not evolution
    assert str(evolution) == "nothing to change"


def test_every_change_that_loses_something_is_named_at_once() -> None:
    there = table(Column("gone", "int"), Column("c", "long"), Column("free", "int"), Column("kept", "int"))
    wanted = [
        Column("c", "int"),
        Column("needed", "int", required=True),
        Column("free", "int", required=True),
        Column("kept", "int"),
        Column("also", "int"),
    ]
    with pytest.raises(DcpEnvironmentError) as caught:
        plan_evolution(there, wanted, "a.b.c")
    assert caught.value.code == "DCP424"
    message = str(caught.value)
    assert "table a.b.c" in message
    for part in (
        "column `gone` would be dropped",
        "column `c` would change from long to int",
        "column `needed` is new and required",
        "column `free` would become required",
    ):
        assert part in message
    assert "kept" not in message
    assert "also" not in message


def test_what_comes_after_a_new_column_is_looked_at_too() -> None:
    with pytest.raises(DcpEnvironmentError, match="column `c` would change"):
        plan_evolution(table(Column("c", "long")), [Column("new", "int"), Column("c", "int")], "a.b.c")
