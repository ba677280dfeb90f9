from __future__ import annotations

from pathlib import Path

import pytest

from airflow_dcp_provider.model.errors import ManifestError
from airflow_dcp_provider.model.job import Column, Sink, Source
from dag_factory.compiled import CompileSettings, compile_manifest
from dag_factory.plugins.derived_sources import derive
from dag_factory.primitives.model import IcebergTable
from tests.unit.manifest.conftest import Compile, compile_files

__all__ = ["compile_files"]

EXAMPLES = Path(__file__).parents[3] / "examples" / "manifests"
SQL = "SELECT\n  order_id,\n  SUM(amount) as total_amount\nFROM datalake.raw_orders\nGROUP BY order_id\n"


def test_the_documents_manifest() -> None:
    compiled = compile_manifest(
        EXAMPLES / "derived_dataset" / "daily_orders.yaml", EXAMPLES, ("local", "playground_user123"), CompileSettings()
    )
    assert compiled is not None
    plan = compiled.plans["playground_user123"].to_dict()
    assert (plan["plugin_type"], plan["id"], plan["environment"]) == (
        "DERIVED_DATASET",
        "derived_dataset/daily_orders",
        "playground_user123",
    )
    spec = plan["plugin_spec"]
    assert {key: spec[key] for key in ("table_name", "sql", "schedule", "owner_team")} == {
        "table_name": "daily_orders",
        "sql": SQL,
        "schedule": "0 * * * *",
        "owner_team": "logistics-de",
    }
    columns = (Column("order_id", "string"), Column("total_amount", "decimal(38,18)"))
    assert compiled.tables["local"] == (
        IcebergTable("pedregal", "datalake", "raw_orders", "source"),
        IcebergTable("pedregal", "derived_datasets", "daily_orders", "sink", columns),
    )
    job = compiled.jobs["local"].job
    assert (job.name, job.team, job.owner) == ("daily_orders_job", "logistics-de", "logistics-de")
    assert job.core_etl.job.sources == (Source("raw_orders", catalog="pedregal", database="datalake", table="raw_orders"),)
    assert job.core_etl.job.transformations[0].query == SQL
    assert job.core_etl.job.default_catalog == "pedregal"
    assert job.core_etl.job.sinks == (
        Sink("daily_orders", "pedregal", "derived_datasets", "daily_orders", "daily_orders", columns=columns),
    )
    assert (compiled.dag.dag_id, compiled.dag.schedule, compiled.dag.owner) == ("daily_orders_dag", "0 * * * *", "logistics-de")
    assert compiled.dag.tags == ("DerivedDataset", "team:logistics-de", "tier:1")
    assert [warning.code for warning in compiled.warnings] == ["DCP153"]


@pytest.mark.parametrize(
    ("sql", "sources"),
    [
        ("SELECT a FROM db.t", {"t": "pedregal.db.t"}),
        ("SELECT a FROM lake.db.t JOIN pedregal.db.t", {"t": "lake.db.t", "db__t": "pedregal.db.t"}),
        ("SELECT a FROM db.t JOIN pedregal.db.t u", {"t": "pedregal.db.t"}),
        ("SELECT t.a, db.t.b FROM `db`.`t`", {"t": "pedregal.db.t"}),
        ("SELECT x.a, t.b FROM one.t x JOIN two.t ON x.i = t.i", {"t": "pedregal.one.t", "two__t": "pedregal.two.t"}),
        (
            "SELECT 1 FROM a.t, b.t, x.a.t, x.b.T",
            {"t": "pedregal.a.t", "b__t": "pedregal.b.t", "a__t": "x.a.t", "x__b__T": "x.b.T"},
        ),
        ("WITH t AS (SELECT * FROM db.t) SELECT a FROM t", {"t": "pedregal.db.t"}),
        (
            "SELECT a FROM db.t {% if environment == 'prod' %}WHERE b IN (SELECT b FROM db.u){% endif %}",
            {"t": "pedregal.db.t", "u": "pedregal.db.u"},
        ),
        ("SELECT 1 AS a", {}),
    ],
)
def test_the_tables_of_the_sql_are_the_sources(sql: str, sources: dict[str, str]) -> None:
    derived = derive(sql, {}, "pedregal")
    assert {source["name"]: f"{source['catalog']}.{source['database']}.{source['table']}" for source in derived} == sources


DATASET = """\
metadata: {technical_owner: logistics-de}
dataset:
  name: daily_orders
  fields:
    - {name: order_id, type: string, required: true, description: key}
    - {name: ds, type: string}
  partitioning: [ds]
workflow:
  schedule: "@daily"
  sql: q.sql
environments:
  prod:
    workflow: {timeout: 60, resources: {executor: {instances: 9}}}
"""


def test_a_partition_column_ds_need_not_be_in_the_result(compile_files: Compile) -> None:
    compiled = compile_files({"orders.yaml": DATASET, "q.sql": "SELECT order_id FROM datalake.raw_orders WHERE ds = '{{ ds }}'"})
    assert compiled is not None
    sink = compiled.jobs["local"].job.core_etl.job.sinks[0]
    assert sink.partition_by == ("ds",)
    assert sink.columns == (Column("order_id", "string", True, "key"), Column("ds", "string"))


def test_names_of_columns_are_equal_whatever_their_case(compile_files: Compile) -> None:
    dataset = DATASET.replace("partitioning: [ds]", "partitioning: [DS]").replace("{name: ds,", "{name: Ds,")
    compiled = compile_files({"orders.yaml": dataset, "q.sql": "SELECT Order_ID FROM datalake.raw_orders WHERE ds = '{{ ds }}'"})
    assert compiled is not None
    assert compiled.jobs["local"].job.core_etl.job.sinks[0].partition_by == ("DS",)


def test_a_partition_column_is_named_once_whatever_its_case(compile_files: Compile) -> None:
    dataset = DATASET.replace("partitioning: [ds]", "partitioning: [ds, DS]")
    with pytest.raises(ManifestError) as caught:
        compile_files({"orders.yaml": dataset, "q.sql": "SELECT order_id, ds FROM datalake.raw_orders"})
    assert {problem.code for problem in caught.value.problems} == {"DCP140"}


@pytest.mark.parametrize(
    "sql", ["SELECT order_id, ds, 1 AS DS FROM d.t", "SELECT order_id, ds, ds FROM d.t UNION ALL SELECT 1, 2, 3"]
)
def test_a_result_has_each_column_once_whatever_its_case(compile_files: Compile, sql: str) -> None:
    with pytest.raises(ManifestError) as caught:
        compile_files({"orders.yaml": DATASET, "q.sql": sql})
    assert [(problem.code, problem.position and problem.position.file) for problem in caught.value.problems] == [
        ("DCP140", "q.sql")
    ]


@pytest.mark.parametrize("version", ["VERSION AS OF 7", "VERSION AS OF 'audited'", "TIMESTAMP AS OF '2013-01-05'"])
def test_an_older_version_of_a_table_may_be_read(compile_files: Compile, version: str) -> None:
    sql = f"SELECT o.order_id FROM datalake.raw_orders {version} AS o JOIN datalake.raw_orders n ON n.order_id = o.order_id"
    compiled = compile_files({"orders.yaml": DATASET, "q.sql": sql})
    assert compiled is not None
    assert [source.table for source in compiled.jobs["local"].job.core_etl.job.sources] == ["raw_orders"]


@pytest.mark.parametrize("name", ['"a\\0b"', "x" * 5000, '"."', '"../"', "/etc", '"q.sql/x"', '" "'])
def test_what_cannot_be_a_file_is_a_problem(compile_files: Compile, name: str) -> None:
    with pytest.raises(ManifestError) as caught:
        compile_files({"orders.yaml": DATASET.replace("q.sql", name), "q.sql": "SELECT 1 AS order_id"})
    assert [problem.code for problem in caught.value.problems] in (["DCP160"], ["DCP161"], ["DCP123"], ["DCP125"])


def test_overrides_by_environment(compile_files: Compile) -> None:
    compiled = compile_files({"orders.yaml": DATASET, "q.sql": "SELECT order_id FROM datalake.raw_orders"})
    assert compiled is not None
    assert (compiled.jobs["prod"].job.timeout, compiled.jobs["local"].job.timeout) == (60.0, None)
    assert compiled.jobs["prod"].job.resources.executor.instances == 9


def test_a_playground_reads_and_writes_the_alias_that_its_connection_resolves(compile_files: Compile) -> None:
    compiled = compile_files(
        {"orders.yaml": DATASET, "q.sql": "SELECT order_id FROM datalake.raw_orders"}, ("prod", "playground_ada")
    )
    assert compiled is not None
    assert compiled.tables["prod"] == compiled.tables["playground_ada"]


BRANCHES = "SELECT id\nFROM {% if environment == 'prod' %}raw.events_full{% else %}raw.events{% endif %}\n"
CHOICES = (
    "SELECT id FROM {% if params.parameters.all %}raw.events_full{% else %}raw.events{% endif %} JOIN raw.{{ 'users' }} USING (id)"
)


@pytest.mark.parametrize(
    ("sql", "environment", "read"),
    [
        (BRANCHES, "local", ["pedregal.raw.events"]),
        (BRANCHES, "prod", ["pedregal.raw.events_full"]),
        ("SELECT id FROM {{ 'raw.a' if params.environment == 'prod' else 'raw.b' }}", "local", ["pedregal.raw.b"]),
        (CHOICES, "local", ["pedregal.raw.events_full", "pedregal.raw.events", "pedregal.raw.users"]),
        ("SELECT * FROM raw.events.snapshots JOIN raw.events", "local", ["pedregal.raw.events"]),
        ("SELECT * FROM pedregal.raw.files", "local", ["pedregal.raw.files"]),
        ("SELECT id FROM raw.events WHERE a IN {{ params.parameters.l | sql }}", "local", ["pedregal.raw.events"]),
        (
            "SELECT id FROM raw.a{% for n in params.parameters.l %} JOIN raw.b b{{ loop.index }}{% endfor %}",
            "prod",
            ["pedregal.raw.a", "pedregal.raw.b"],
        ),
    ],
)
def test_the_sources_are_those_of_every_branch_that_the_environment_can_take(
    compile_files: Compile, sql: str, environment: str, read: list[str]
) -> None:
    manifest = """\
metadata: {technical_owner: team-a}
dataset: {name: daily, fields: [{name: id, type: long}]}
workflow: {sql: daily.sql, schedule: "@daily", startDate: "2024-01-01", parameters: {all: false, l: [x, y]}}
"""
    compiled = compile_files({"daily.yaml": manifest, "daily.sql": sql}, ("local", "prod"))
    assert compiled is not None
    sources = [table for table in compiled.tables[environment] if table.role == "source"]
    assert [f"{table.catalog}.{table.database}.{table.table}" for table in sources] == read
