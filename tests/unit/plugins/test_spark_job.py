from __future__ import annotations

from pathlib import Path

import pytest

from airflow_dcp_provider.model.errors import ManifestError, Position
from airflow_dcp_provider.model.job import EngineSpec, ExecutorResources, RetryPolicy, Sink, Source
from airflow_dcp_provider.runner.identity import job_fingerprint
from dag_factory.compiled import CompiledManifest, CompileSettings, compile_manifest
from dag_factory.plugins.registry import load_registry
from dag_factory.primitives.capabilities import ActualState, Creatable, capability
from dag_factory.primitives.model import AirflowDag, ContinuousJob, CoreEtlJob, IcebergTable
from tests.unit.manifest.conftest import SPARK_JOB, Compile, compile_files

__all__ = ["compile_files"]

EXAMPLES = Path(__file__).parents[3] / "examples" / "manifests"
ENVIRONMENTS = ("local", "test", "staging", "prod")


def test_the_documents_manifest() -> None:
    compiled = compile_manifest(
        EXAMPLES / "user_features_daily" / "user-features-daily.yaml", EXAMPLES, ENVIRONMENTS, CompileSettings()
    )
    assert compiled is not None
    assert compiled.manifest_id == "data-platform/user-features-daily"
    assert compiled.warnings == ()
    job = compiled.jobs["prod"].job
    assert (job.name, job.team, job.owner) == ("user-features-daily", "feature-engineering", "feature-eng@example.com")
    assert job.labels == {"cost-center": "ml-platform", "criticality": "high"}
    assert job.engine == EngineSpec("spark-oss", "3.5", "spark-platform/3.5-oss-coreetl:2.7.0")
    assert job.resources.executor == ExecutorResources(4, "8g", 5, 1, 20)
    assert (job.core_etl.version, job.core_etl.main_class) == ("2.7.0", "com.example.coreetl.spark.Main")
    assert (job.retry_policy, job.timeout) == (RetryPolicy(3, 300.0), 3600.0)
    assert job.core_etl.job.sources == (Source("raw_events", "iceberg", "pedregal", "raw", "events", None, "ds = '{{ ds }}'"),)
    # Its sink has no input and no transformation of its own name: the last transformation is written.
    assert job.core_etl.job.sinks == (
        Sink("user_features", "pedregal", "feature_store", "user_features_daily", "aggregate_user_features", partition_by=("ds",)),
    )
    assert compiled.jobs["local"].job.resources.executor == ExecutorResources(4, "8g", 2, 1, 2)
    assert compiled.jobs["local"].job.core_etl.job.sources[0].filter == "ds = '2024-01-01' AND user_id < 1000"
    assert compiled.tables["prod"] == (
        IcebergTable("pedregal", "raw", "events", "source"),
        IcebergTable("pedregal", "feature_store", "user_features_daily", "sink", None, ("ds",)),
    )
    assert compiled.dag == AirflowDag(
        dag_id="user-features-daily",
        manifest_id="data-platform/user-features-daily",
        owner="feature-eng@example.com",
        schedule="0 6 * * *",
        start_date="2024-01-01",
        end_date="2024-12-31",
        tags=("SparkJob", "team:feature-engineering", "cost-center:ml-platform", "criticality:high"),
    )


def test_the_fingerprint_is_that_of_the_unrendered_job(compile_files: Compile) -> None:
    compiled = compile_files({"job.yaml": SPARK_JOB})
    assert compiled is not None
    job = compiled.jobs["local"]
    assert job.fingerprint == job_fingerprint(job.job.to_dict())
    assert "{{ ds }}" in str(job.job.core_etl.job.sources[0].filter)


SINK = "        - name: totals\n          database: features"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ((SINK, SINK.replace("name: totals", "name: totals\n          input: raw_events")), "raw_events"),
        (
            (
                "        - name: totals\n          query: SELECT user_id",
                "        - name: totals\n          query: SELECT 1 AS user_id\n        - name: last\n          query: SELECT user_id",
            ),
            "totals",
        ),
        ((SINK, SINK.replace("totals", "other")), "totals"),
    ],
    ids=["its input", "its own name before the last", "the last"],
)
def test_what_a_sink_writes(compile_files: Compile, change: tuple[str, str], expected: str) -> None:
    assert change[0] in SPARK_JOB
    compiled = compile_files({"job.yaml": SPARK_JOB.replace(*change)})
    assert compiled is not None
    assert compiled.jobs["local"].job.core_etl.job.sinks[0].input == expected


def test_a_sink_of_a_job_without_transformations_writes_the_only_source(compile_files: Compile) -> None:
    start, end = SPARK_JOB.index("      transformations:"), SPARK_JOB.index("      sinks:")
    compiled = compile_files({"job.yaml": SPARK_JOB[:start] + SPARK_JOB[end:]})
    assert compiled is not None
    assert compiled.jobs["local"].job.core_etl.job.sinks[0].input == "raw_events"


def test_values_reach_spark_as_texts(compile_files: Compile) -> None:
    text = SPARK_JOB.replace(
        "  coreEtl:", "  sparkConf: {spark.task.cpus: 4, spark.speculation: true, spark.memory.fraction: 0.5}\n  coreEtl:"
    )
    compiled = compile_files({"job.yaml": text})
    assert compiled is not None
    expected = {"spark.task.cpus": "4", "spark.speculation": "true", "spark.memory.fraction": "0.5"}
    assert compiled.jobs["local"].job.spark_conf == expected


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("spark.sql.catalog.x.uri", "remove it; the environment's connection says what it is"),
        ("spark.driver.memory", "write `resources.driver.memory` instead"),
    ],
)
def test_what_every_environment_refuses_in_spark_conf_is_an_error(compile_files: Compile, name: str, hint: str) -> None:
    text = SPARK_JOB.replace("  coreEtl:", f"  sparkConf: {{spark.executor.memoryOverhead: 1g, {name}: 8}}\n  coreEtl:")
    with pytest.raises(ManifestError) as error:
        compile_files({"job.yaml": text})
    (problem,) = error.value.problems
    assert (problem.code, problem.position, problem.hint) == ("DCP139", Position("job.yaml", 10, 50), hint)


@pytest.mark.parametrize("schedule", ['["iceberg://pedregal/raw/events"]', '{assets: ["iceberg://pedregal/raw/events"]}'])
def test_a_schedule_of_assets(compile_files: Compile, schedule: str) -> None:
    compiled = compile_files({"job.yaml": SPARK_JOB.replace('"0 6 * * *"', schedule)})
    assert compiled is not None
    assert compiled.dag.schedule == ("iceberg://pedregal/raw/events",)


def test_a_job_without_orchestration_has_a_dag_that_runs_when_asked(compile_files: Compile) -> None:
    compiled = compile_files({"job.yaml": SPARK_JOB[: SPARK_JOB.index("  orchestration:")]})
    assert compiled is not None
    assert compiled.dag.schedule is None


def test_the_airflow_block_and_parameters_reach_the_dag(compile_files: Compile) -> None:
    text = SPARK_JOB + (
        "    parameters: {limit: 10}\n    maxActiveRuns: 2\n    catchup: true\n"
        "    airflow: {pool: spark, queue: q, priority: 3, notifications: {onFailure: [a@example.com]}}\n"
    )
    compiled = compile_files({"job.yaml": text})
    assert compiled is not None
    assert compiled.dag.params == {"limit": 10}
    assert (compiled.dag.max_active_runs, compiled.dag.catchup) == (2, True)
    assert compiled.dag.airflow == {"pool": "spark", "queue": "q", "priority": 3, "notifications": {"onFailure": ["a@example.com"]}}


def test_a_streaming_job_passes_and_is_a_continuous_job(compile_files: Compile) -> None:
    compiled = compile_files({"job.yaml": SPARK_JOB.replace("spec:\n", "spec:\n  jobType: streaming\n")})
    assert compiled is not None
    assert compiled.jobs["local"].job.job_type == "streaming"
    primitives = load_registry().get("spark_job").primitives(compiled.plans["local"])
    assert [type(each) for each in primitives] == [IcebergTable, IcebergTable, ContinuousJob, AirflowDag]


def test_a_jvm_driver_needs_no_job_spec(compile_files: Compile) -> None:
    text = SPARK_JOB[: SPARK_JOB.index("    jobSpec:")] + '    mainClass: com.example.Main\n    arguments: ["{{ ds }}"]\n'
    compiled = compile_files({"job.yaml": text})
    assert compiled is not None
    core = compiled.jobs["local"].job.core_etl
    assert (core.main_class, core.arguments, core.job.sinks) == ("com.example.Main", ("{{ ds }}",), ())


def test_hosts_of_the_api_group_are_a_setting(compile_files: Compile) -> None:
    settings = CompileSettings(api_group_hosts=("dcp.acme.test",))
    assert compile_files({"job.yaml": SPARK_JOB.replace("dcp.example.com", "dcp.acme.test")}, settings=settings) is not None
    with pytest.raises(ManifestError) as caught:
        compile_files({"job.yaml": SPARK_JOB}, settings=settings)
    assert caught.value.code == "DCP115"


def test_tables_without_a_catalog_are_in_the_deployments_default(compile_files: Compile) -> None:
    compiled = compile_files({"job.yaml": SPARK_JOB}, settings=CompileSettings(default_catalog="lake"))
    assert compiled is not None
    assert {table.catalog for table in compiled.tables["local"]} == {"lake"}


def test_a_primitive_without_a_capability_says_so(compile_files: Compile) -> None:
    from airflow_dcp_provider.model.errors import CapabilityError

    compiled = compile_files({"job.yaml": SPARK_JOB})
    assert compiled is not None
    table: IcebergTable | CoreEtlJob = compiled.tables["local"][0]
    for wanted in (ActualState, Creatable):
        with pytest.raises(CapabilityError, match="IcebergTable is not"):
            capability(table, wanted)


def users_job(folder: Path, sql: str) -> CompiledManifest | None:
    """Compile a job whose only table is `raw.users`."""
    (folder / "job.yaml").write_text(
        "apiVersion: dcp.example.com/v1\nkind: SparkJob\nmetadata: {name: about-users, team: team-a}\nspec:\n  coreEtl:\n"
        "    jobSpec:\n      sources: [{name: users, database: raw, table: users}, {name: c, type: csv, path: /tmp/c.csv}]\n"
        f'      transformations: [{{name: t, query: "{sql}"}}]\n      sinks: [{{name: t, database: d, table: about_users}}]\n'
    )
    return compile_manifest(folder / "job.yaml", folder, ("local",), CompileSettings())


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT snapshot_id FROM raw.users.snapshots",
        "SELECT f.record_count FROM pedregal.raw.users.files f JOIN users ON true",
    ],
)
def test_metadata_of_a_sources_table_is_read_by_the_tables_own_name(tmp_path: Path, sql: str) -> None:
    compiled = users_job(tmp_path, sql)
    assert compiled is not None
    assert compiled.warnings == ()


@pytest.mark.parametrize(
    ("sql", "code", "hint"),
    [
        ("SELECT 1 AS a FROM users.snapshots", "DCP146", "write the table's own name in front of it: pedregal.raw.users.snapshots"),
        (
            "SELECT 1 AS a FROM raw.orders.snapshots",
            "DCP146",
            "declare the table itself in `sources`: {name: orders, database: raw, table: orders}",
        ),
        ("SELECT id FROM users VERSION AS OF 1", "DCP154", "read the view as it is"),
    ],
)
def test_what_a_view_has_not_is_refused_with_what_to_write(tmp_path: Path, sql: str, code: str, hint: str) -> None:
    with pytest.raises(ManifestError) as caught:
        users_job(tmp_path, sql)
    assert [(problem.code, problem.hint) for problem in caught.value.problems] == [(code, hint)]


@pytest.mark.parametrize("field", ["partitionBy: [Country, country]", "mode: merge, mergeKeys: [country, COUNTRY]"])
def test_a_column_is_named_once_whatever_its_case(tmp_path: Path, field: str) -> None:
    (tmp_path / "job.yaml").write_text(
        "apiVersion: dcp.example.com/v1\nkind: SparkJob\nmetadata: {name: twice, team: team-a}\nspec:\n  coreEtl:\n    jobSpec:\n"
        "      transformations: [{name: t, query: SELECT 'NL' AS country}]\n"
        f"      sinks: [{{name: t, database: d, table: twice, {field}}}]\n"
    )
    with pytest.raises(ManifestError) as caught:
        compile_manifest(tmp_path / "job.yaml", tmp_path, ("local",), CompileSettings())
    (problem,) = caught.value.problems
    assert problem.code == "DCP140"
    assert problem.hint.endswith("leave one of them out")


def test_only_a_result_that_is_written_has_each_column_once(tmp_path: Path) -> None:
    text = (
        "apiVersion: dcp.example.com/v1\nkind: SparkJob\nmetadata: {name: twice, team: team-a}\nspec:\n  coreEtl:\n    jobSpec:\n"
        "      transformations:\n        - {name: a, query: 'SELECT 1 AS id, 2 AS ID, 3 AS n'}\n"
        "        - {name: b, query: SELECT n FROM a}\n      sinks: [{name: s, input: b, database: d, table: twice}]\n"
    )
    (tmp_path / "job.yaml").write_text(text)
    assert compile_manifest(tmp_path / "job.yaml", tmp_path, ("local",), CompileSettings()) is not None
    (tmp_path / "job.yaml").write_text(text.replace("input: b", "input: a"))
    with pytest.raises(ManifestError) as caught:
        compile_manifest(tmp_path / "job.yaml", tmp_path, ("local",), CompileSettings())
    (problem,) = caught.value.problems
    assert (problem.code, problem.position and problem.position.line) == ("DCP140", 8)
