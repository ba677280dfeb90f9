"""From a manifest file to the error of a task: a job that asks for too much names file, line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_dcp_provider.hooks.environment_fields import parse_environment
from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.errors import DcpEnvironmentError, ManifestError
from airflow_dcp_provider.model.job import JobSpec
from airflow_dcp_provider.operators.jobs import check_job
from dag_factory.compiled import CompiledManifest, CompileSettings, compile_manifest
from dag_factory.parts import DagParts, dag_parts

DEFAULTS = """\
SparkJob:
  spec:
    sparkConf:
      spark.executor.memoryOverhead: 40g
"""

MANIFEST = """\
apiVersion: dcp.example.com/v1
kind: SparkJob
metadata:
  name: daily
  team: growth
spec:
  engine:
    image: spark:latest
  resources:
    driver: {cores: 2, memory: 8g}
    executor:
      memory: 16g
      instances: 20
  coreEtl:
    jobSpec:
      sources: [{name: flights, database: raw, table: flights}]
      transformations: [{name: daily, query: SELECT * FROM flights}]
      sinks: [{name: daily, database: out, table: daily}]
  orchestration: {schedule: "@daily"}
  environments:
    test:
      engine: {image: "spark:3.5.5"}
      resources:
        executor: {memory: 64g}
      sparkConf:
        spark.executor.memoryOverhead: 512m
"""


@pytest.fixture
def compiled(tmp_path: Path) -> CompiledManifest:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "defaults.yaml").write_text(DEFAULTS)
    (tmp_path / "jobs" / "daily.yaml").write_text(MANIFEST)
    found = compile_manifest(tmp_path / "jobs" / "daily.yaml", tmp_path, ("prod", "test"), CompileSettings("prod"))
    assert found is not None
    return found


def check(compiled: CompiledManifest, environment: Environment) -> None:
    # As the loader keeps it and a task gets it.
    parts = DagParts.from_dict(dag_parts(CompiledManifest.from_dict(compiled.to_dict()), "prod").to_dict())
    entry = parts.jobs[environment.name]
    check_job(JobSpec.from_dict({**entry["job"], "rendered": True}), environment, entry["places"])


def kubeflow(name: str, **extra: object) -> Environment:
    return parse_environment(name, f"dcp_{name}", {"backend": "kubeflow", "image_rules": {"default": "spark:3.5.5"}, **extra})


def places(error: ManifestError) -> list[str]:
    return [str(problem).splitlines()[0] for problem in error.problems]


def test_each_excess_is_named_where_it_stands(compiled: CompiledManifest) -> None:
    with pytest.raises(ManifestError) as caught:
        check(compiled, kubeflow("test"))
    lines = MANIFEST.splitlines()
    driver, executor = lines.index("    driver: {cores: 2, memory: 8g}") + 1, lines.index("      instances: 20") + 1
    override = next(number for number, line in enumerate(lines, 1) if "64g" in line)
    said = places(caught.value)
    assert [line.partition(" ")[0] for line in said] == [
        f"jobs/daily.yaml:{driver}:32:",
        f"jobs/daily.yaml:{override}:28:",
        f"jobs/daily.yaml:{executor}:18:",
    ]
    assert said[0].endswith("DCP170 the job asks for 8g, and the limit driver_memory of environment test is 4g")


def test_what_a_folders_defaults_ask_for_is_named_there(compiled: CompiledManifest) -> None:
    with pytest.raises(ManifestError) as caught:
        check(compiled, kubeflow("prod"))
    assert places(caught.value) == [
        "defaults.yaml:4:38: DCP171 the job asks for 57344m in all, and the limit executor_memory of environment prod is 32g"
    ]


def test_an_image_is_named_where_it_stands(compiled: CompiledManifest) -> None:
    environment = kubeflow("prod", limits={"executor_memory": None})
    with pytest.raises(ManifestError) as caught:
        check(compiled, environment)
    (said,) = places(caught.value)
    assert said.startswith("jobs/daily.yaml:8:12: DCP172 the image `spark:latest` is not run in environment prod")


def test_an_environment_without_limits_and_with_any_image_takes_it(compiled: CompiledManifest) -> None:
    check(compiled, Environment("prod"))
    check(compiled, kubeflow("prod", limits={"executor_memory": None}, image_policy="any"))


def test_a_team_that_is_not_served_is_refused_first(compiled: CompiledManifest) -> None:
    with pytest.raises(DcpEnvironmentError, match="does not serve the team `growth`"):
        check(compiled, kubeflow("prod", teams=["search"]))
