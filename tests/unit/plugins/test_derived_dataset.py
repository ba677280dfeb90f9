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
    assert job.core_etl.job.transformations[0].query == SQL.replace("datalake.raw_orders", "raw_orders")
    assert job.core_etl.job.sinks == (
        Sink("daily_orders", "pedregal", "derived_datasets", "daily_orders", "daily_orders", columns=columns),
    )
    assert (compiled.dag.dag_id, compiled.dag.schedule, compiled.dag.owner) == ("daily_orders_dag", "0 * * * *", "logistics-de")
    assert compiled.dag.tags == ("DerivedDataset", "team:logistics-de", "tier:1")
    assert [warning.code for warning in compiled.warnings] == ["DCP153"]


@pytest.mark.parametrize(
    ("sql", "views", "query"),
    [
        ("SELECT a FROM db.t", {"t": "pedregal.db.t"}, "SELECT a FROM t"),
        ("SELECT a FROM lake.db.t", {"t": "lake.db.t"}, "SELECT a FROM t"),
        ("SELECT t.a, db.t.b FROM `db`.`t`", {"t": "pedregal.db.t"}, "SELECT t.a, t.b FROM t"),
        ("SELECT lake.db.t.b FROM lake.db.t", {"t": "lake.db.t"}, "SELECT t.b FROM t"),
        (
            "SELECT x.a, t.b FROM one.t x JOIN two.t ON x.i = t.i",
            {"one__t": "pedregal.one.t", "two__t": "pedregal.two.t"},
            "SELECT x.a, t.b FROM one__t x JOIN two__t AS t ON x.i = t.i",
        ),
        (
            "WITH t AS (SELECT * FROM db.t) SELECT a FROM t",
            {"db__t": "pedregal.db.t"},
            "WITH t AS (SELECT * FROM db__t AS t) SELECT a FROM t",
        ),
        ("SELECT a FROM db.t JOIN db.t u ON t.i = u.i", {"t": "pedregal.db.t"}, "SELECT a FROM t JOIN t u ON t.i = u.i"),
        (
            "SELECT a -- from db.t\nFROM db.t /* db.t */ WHERE s = 'db.t' AND ds = '{{ ds }}'",
            {"t": "pedregal.db.t"},
            "SELECT a -- from db.t\nFROM t /* db.t */ WHERE s = 'db.t' AND ds = '{{ ds }}'",
        ),
        (
            "SELECT a FROM db.t {% if params.environment == 'prod' %}WHERE b IN (SELECT b FROM db.u){% endif %} LIMIT {{ 3 }}",
            {"t": "pedregal.db.t", "u": "pedregal.db.u"},
            "SELECT a FROM t {% if params.environment == 'prod' %}WHERE b IN (SELECT b FROM u){% endif %} LIMIT {{ 3 }}",
        ),
        (
            "SELECT 'é' AS e, a FROM db.t WHERE c = '😀' AND db.t.a > 1",
            {"t": "pedregal.db.t"},
            "SELECT 'é' AS e, a FROM t WHERE c = '😀' AND t.a > 1",
        ),
        (
            "SELECT a FROM db.t\r\nJOIN db.u USING (i)\r\n",
            {"t": "pedregal.db.t", "u": "pedregal.db.u"},
            "SELECT a FROM t\r\nJOIN u USING (i)\r\n",
        ),
    ],
)
def test_tables_become_sources_and_the_rest_of_the_sql_stays(sql: str, views: dict[str, str], query: str) -> None:
    derived = derive(sql, {}, "pedregal")
    assert {source["name"]: f"{source['catalog']}.{source['database']}.{source['table']}" for source in derived.sources} == views
    assert derived.query == query


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
