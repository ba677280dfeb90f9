"""One table of types: what a manifest may write, Iceberg's spelling, and how driver and catalogs read that."""

from __future__ import annotations

import pytest
from pyiceberg.schema import Schema, assign_fresh_schema_ids

from airflow_dcp_provider.core_etl import column_types
from airflow_dcp_provider.model.job import Column
from airflow_dcp_provider.tables import schema
from dag_factory.manifest.types import TYPE_NAMES, iceberg_type

#: What is written, Iceberg's spelling, Spark's name of the type, and pyiceberg's without ids.
TYPES = [
    ("string", "string", "string", "string"),
    ("INT", "int", "int", "int"),
    ("integer", "int", "int", "int"),
    ("bigint", "long", "bigint", "long"),
    ("float", "float", "float", "float"),
    ("double", "double", "double", "double"),
    ("Boolean", "boolean", "boolean", "boolean"),
    ("date", "date", "date", "date"),
    ("timestamp", "timestamp", "timestamp_ntz", "timestamp"),
    ("timestamp_ntz", "timestamp", "timestamp_ntz", "timestamp"),
    ("timestamptz", "timestamptz", "timestamp", "timestamptz"),
    ("binary", "binary", "binary", "binary"),
    ("uuid", "uuid", "string", "uuid"),
    ("decimal", "decimal(38,18)", "decimal(38,18)", "decimal(38, 18)"),
    ("decimal( 10 , 2 )", "decimal(10,2)", "decimal(10,2)", "decimal(10, 2)"),
    ("list<string>", "list<string>", "array<string>", "list<string>"),
    ("Array< INT >", "list<int>", "array<int>", "list<int>"),
    ("map<string,long>", "map<string, long>", "map<string,bigint>", "map<string, long>"),
    ("map<string, decimal(10,2)>", "map<string, decimal(10,2)>", "map<string,decimal(10,2)>", "map<string, decimal(10, 2)>"),
    ("struct<a:int>", "struct<a: int>", "struct<a:int>", "struct<a: int>"),
    (
        "struct<Lat: double, lon:double,tags: map<string, decimal(4,1)>>",
        "struct<Lat: double, lon: double, tags: map<string, decimal(4,1)>>",
        "struct<Lat:double,lon:double,tags:map<string,decimal(4,1)>>",
        "struct<Lat: double, lon: double, tags: map<string, decimal(4, 1)>>",
    ),
    (
        "list<struct<id: long, parts: list<struct<name: string, at: timestamp>>>>",
        "list<struct<id: long, parts: list<struct<name: string, at: timestamp>>>>",
        "array<struct<id:bigint,parts:array<struct<name:string,at:timestamp_ntz>>>>",
        "list<struct<id: long, parts: list<struct<name: string, at: timestamp>>>>",
    ),
    (
        "map<struct<a: int, b: int>, list<map<string, int>>>",
        "map<struct<a: int, b: int>, list<map<string, int>>>",
        "map<struct<a:int,b:int>,array<map<string,int>>>",
        "map<struct<a: int, b: int>, list<map<string, int>>>",
    ),
]


def bare(kind: object) -> str:
    """pyiceberg's spelling without the ids and words that a manifest does not write."""
    import re

    return re.sub(r"\d+: (\w+): (optional|required) ", r"\1: ", str(kind))


@pytest.mark.parametrize(("written", "spelled", "spark", "iceberg"), TYPES)
def test_manifest_driver_and_catalogs_read_a_type_alike(written: str, spelled: str, spark: str, iceberg: str) -> None:
    assert iceberg_type(written) == spelled
    assert iceberg_type(spelled) == spelled
    assert column_types.spell(column_types.parse_type(spelled)) == spark
    assert bare(schema.parse_type(spelled)) == iceberg


@pytest.mark.parametrize(
    "written",
    [
        "",
        "strng",
        "varchar(3)",
        "time",
        "list<>",
        "list<string, int>",
        "map<string>",
        "map<string, int, int>",
        "struct<>",
        "struct<a>",
        "struct<a int>",
        "struct<a: int, A: long>",
        "struct<a: int,>",
        "struct<a b: int>",
        "struct<`a`: int>",
        "list<string",
        "list<list<string>",
        "list<string>>",
        "decimal(39,1)",
        "list<decimal(4,5)>",
        "decimal(0)",
        "list<" * 17 + "int" + ">" * 17,
        "list<" * 3000 + "int" + ">" * 3000,
    ],
)
def test_what_is_no_type(written: str) -> None:
    with pytest.raises(ValueError, match=r"type|field|digits|list|map|struct|nests"):
        iceberg_type(written)


def test_the_deepest_type_is_read_by_all() -> None:
    written = "list<" * 16 + "int" + ">" * 16
    assert column_types.spell(column_types.parse_type(iceberg_type(written))) == "array<" * 16 + "int" + ">" * 16
    schema.parse_type(iceberg_type(written))


def test_every_name_that_a_hint_lists_is_a_type() -> None:
    assert all(iceberg_type(name) for name in TYPE_NAMES if "type" not in name and "(" not in name)


def test_nested_columns_have_ids_of_their_own() -> None:
    columns = [Column(f"c{number}", iceberg_type(written)) for number, (written, *_) in enumerate(TYPES)]
    made = schema.iceberg_schema(columns)
    fresh: Schema = assign_fresh_schema_ids(made)
    assert len(set(made.field_ids)) == len(set(fresh.field_ids))
    assert not schema.plan_evolution(fresh, columns, "d.t")
    changed = [*columns[:-1], Column(columns[-1].name, "map<struct<a: int, c: int>, list<map<string, int>>>")]
    with pytest.raises(Exception, match="would change from"):
        schema.plan_evolution(fresh, changed, "d.t")
