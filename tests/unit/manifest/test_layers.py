from __future__ import annotations

import pytest

from airflow_dcp_provider.model.errors import ManifestError
from dag_factory.compiled import CompileSettings
from tests.unit.manifest.conftest import SPARK_JOB, Compile

OVERRIDES = """\
  environments:
    local:
      resources:
        executor: {instances: 1}
      coreEtl:
        jobSpec:
          sources:
            - name: raw_events
              filter: user_id < 1000
    playground:
      sparkConf: {spark.task.cpus: 1, spark.task.maxFailures: 1}
    playground_ada:
      sparkConf: {spark.task.maxFailures: 2}
    production:
      orchestration:
        timeout: 60
"""


def test_each_environment_has_its_own_job(compile_files: Compile) -> None:
    compiled = compile_files({"job.yaml": SPARK_JOB + OVERRIDES}, ("local", "test", "prod", "playground_ada", "playground_bob"))
    assert compiled is not None
    jobs = {name: job.job for name, job in compiled.jobs.items()}
    assert list(jobs) == ["local", "test", "prod", "playground_ada", "playground_bob"]
    assert [jobs[name].resources.executor.instances for name in ("local", "test", "prod")] == [1, 2, 2]
    local, test = jobs["local"].core_etl.job.sources[0], jobs["test"].core_etl.job.sources[0]
    assert (local.filter, test.filter) == ("user_id < 1000", "ds = '{{ ds }}'")
    # The override names the filter alone; the table stays.
    assert (local.database, local.table) == ("raw", "events")
    assert (jobs["prod"].timeout, jobs["test"].timeout) == (60.0, None)
    assert jobs["playground_ada"].spark_conf == {"spark.task.cpus": "1", "spark.task.maxFailures": "2"}
    assert jobs["playground_bob"].spark_conf == {"spark.task.cpus": "1", "spark.task.maxFailures": "1"}
    assert all(job.environment == name for name, job in jobs.items())
    assert len({job.fingerprint for job in compiled.jobs.values()}) == 5


def test_the_dag_is_that_of_the_deployments_environment(compile_files: Compile) -> None:
    text = SPARK_JOB + "  environments:\n    prod:\n      orchestration: {schedule: '@hourly'}\n"
    local = compile_files({"job.yaml": text})
    prod = compile_files({"job.yaml": text}, ("local",), CompileSettings(deployment_environment="prod"))
    assert local is not None
    assert prod is not None
    assert (local.dag.schedule, prod.dag.schedule) == ("0 6 * * *", "@hourly")
    assert set(prod.jobs) == {"local", "prod"}


DEFAULTS = """\
SparkJob:
  metadata:
    team: {team}
    labels: {{from: {team}}}
  spec:
    orchestration:
      timeout: {timeout}
    environments:
      test:
        orchestration: {{timeout: {test}}}
DerivedDataset:
  workflow: {{timeout: 1}}
"""


def test_the_nearest_defaults_win_and_the_manifest_wins_over_all(compile_files: Compile) -> None:
    files = {
        "a/b/job.yaml": SPARK_JOB.replace("  team: testing\n", "  labels: {own: x}\n"),
        "defaults.yaml": DEFAULTS.format(team="far", timeout=10, test=11),
        "a/b/defaults.yaml": DEFAULTS.format(team="near", timeout=20, test=21),
    }
    compiled = compile_files(files)
    assert compiled is not None
    assert compiled.jobs["local"].job.team == "near"
    assert compiled.jobs["local"].job.labels == {"from": "near", "own": "x"}
    assert (compiled.jobs["local"].job.timeout, compiled.jobs["test"].job.timeout) == (20.0, 21.0)
    assert compiled.files == ("a/b/defaults.yaml", "a/b/job.yaml", "defaults.yaml")
    assert compiled.absent == ("a/defaults.yaml",)


def test_a_manifests_override_wins_over_inherited_ones(compile_files: Compile) -> None:
    files = {
        "job.yaml": SPARK_JOB + "  environments:\n    test:\n      orchestration: {timeout: 5}\n",
        "defaults.yaml": DEFAULTS.format(team="far", timeout=10, test=11),
    }
    compiled = compile_files(files)
    assert compiled is not None
    assert (compiled.jobs["local"].job.timeout, compiled.jobs["test"].job.timeout) == (10.0, 5.0)


def test_a_manifest_can_refuse_what_it_would_inherit(compile_files: Compile) -> None:
    files = {
        "job.yaml": SPARK_JOB.replace("  orchestration:\n", "  orchestration:\n    $remove: [timeout]\n"),
        "defaults.yaml": DEFAULTS.format(team="far", timeout=10, test=11),
    }
    compiled = compile_files(files)
    assert compiled is not None
    assert compiled.jobs["local"].job.timeout is None


def problems_of(compile_files: Compile, files: dict[str, str]) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        compile_files(files)
    return [f"{problem.position} {problem.code}" for problem in caught.value.problems]


def test_a_wrong_inherited_value_is_shown_where_it_stands(compile_files: Compile) -> None:
    defaults = "SparkJob:\n  spec:\n    resources:\n      driver: {memory: lots}\n"
    assert problems_of(compile_files, {"job.yaml": SPARK_JOB, "defaults.yaml": defaults}) == ["defaults.yaml:4:24 DCP130"]


def test_a_wrong_default_is_found_even_where_the_manifest_overrides_it(compile_files: Compile) -> None:
    defaults = "SparkJob:\n  metadata: {team: 7}\n"
    assert problems_of(compile_files, {"job.yaml": SPARK_JOB, "defaults.yaml": defaults}) == ["defaults.yaml:2:20 DCP111"]


def test_broken_defaults_do_not_hide_what_is_wrong_with_the_manifest(compile_files: Compile) -> None:
    files = {"job.yaml": SPARK_JOB.replace("team:", "teem:"), "defaults.yaml": "SparkJob: [\n"}
    assert problems_of(compile_files, files) == ["defaults.yaml:2:1 DCP104", "job.yaml:6:3 DCP110"]


def test_foreign_defaults_are_left_alone(compile_files: Compile) -> None:
    assert compile_files({"job.yaml": SPARK_JOB, "defaults.yaml": "default_args:\n  owner: me\n"}) is not None


def test_a_wrong_override_is_found_though_no_deployment_has_its_environment(compile_files: Compile) -> None:
    text = SPARK_JOB + "  environments:\n    staging:\n      resources: {driver: {memory: lots}}\n"
    with pytest.raises(ManifestError) as caught:
        compile_files({"job.yaml": text}, ("local",))
    assert [problem.code for problem in caught.value.problems] == ["DCP130"]


def test_a_file_is_relative_to_the_file_that_names_it(compile_files: Compile) -> None:
    query = "          query: SELECT user_id, COUNT(*) AS events FROM raw_events GROUP BY user_id\n"
    defaults = (
        "SparkJob:\n  spec:\n    coreEtl:\n      jobSpec:\n        transformations:\n"
        "          - {name: totals, file: shared/totals.sql}\n"
    )
    files = {
        "a/job.yaml": SPARK_JOB.replace(query, ""),
        "defaults.yaml": defaults,
        "shared/totals.sql": "SELECT 7 AS user_id FROM raw_events",
    }
    compiled = compile_files(files)
    assert compiled is not None
    assert compiled.jobs["local"].job.core_etl.job.transformations[0].query == "SELECT 7 AS user_id FROM raw_events"
    assert "shared/totals.sql" in compiled.files
