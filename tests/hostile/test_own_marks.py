"""Marks that are ours alone: labels, tags and properties that would make a pod or a snapshot pass for another run's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from airflow_dcp_provider.hooks.environment_fields import parse_environment
from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.errors import DcpEnvironmentError, ManifestError
from airflow_dcp_provider.model.names import is_own_mark
from airflow_dcp_provider.runner.backends.kubernetes.apache_application import apache_application
from airflow_dcp_provider.runner.backends.kubernetes.names import labels
from airflow_dcp_provider.runner.backends.kubernetes.spark_application import spark_application
from airflow_dcp_provider.runner.spark_conf import reserved_settings
from airflow_dcp_provider.runner.spark_options import OPTIONS, option_refusals
from dag_factory.compiled import CompileSettings, compile_manifest
from tests.hostile.manifests import WAYS
from tests.support.executions import job, request

OURS = [
    *("dcp.run", "dcp.execution-id", "dcp.attempt", "DCP.run", "Dcp.Run", "dcp/run", "dcp:run"),
    *("spark-runner/execution-id", "spark-runner/kind", "spark-runner/anything", "Spark-Runner/attempt", "spark-runner.x"),
    *("spark-role", "spark-app-selector", "spark-app-name", "spark-exec-id", "spark-exec-resourceprofile-id", "SPARK-ROLE"),
    *("sparkoperator.k8s.io/app-name", "sparkoperator.k8s.io/submission-id", "spark.operator/spark-app-name"),
    *(
        "app.kubernetes.io/name",
        "kubernetes.io/hostname",
        "node.kubernetes.io/x",
        "x.y.k8s.io/z",
        "k8s.io/x",
        "App.Kubernetes.IO/name",
    ),
    *("spark.apache.org/version", " dcp.run", "dcp.run "),
]
FREE = [
    "cost-center",
    "tier",
    "example.com/team",
    "dcpx",
    "spark",
    "sparkling",
    "my-kubernetes.io.example.com/x",
    "notk8s.io/x",
    "a.dcp.b",
]


@pytest.mark.parametrize("key", OURS)
def test_they_are_known_in_any_spelling(key: str) -> None:
    assert is_own_mark(key)


@pytest.mark.parametrize("key", FREE)
def test_others_are_free(key: str) -> None:
    assert not is_own_mark(key)


def manifest(kind: str, way: str, key: str, folder: Path) -> Path:
    job_text = "apiVersion: dcp.example.com/v1\nkind: SparkJob\nmetadata:\n  name: marks\n  team: a\n{labels}spec:\n  coreEtl:\n    jobSpec:\n"
    job_text += "      sources: [{{name: s, database: d, table: t}}]\n      sinks: [{{name: o, database: d, table: o}}]\n{override}"
    derived = "metadata:\n  technical_owner: a\n{labels}dataset: {{name: marks, fields: [{{name: a, type: string}}]}}\n"
    derived += "workflow: {{schedule: '@daily', sql: q.sql}}\n{override}"
    given = f"  labels: {{'{key}': x}}\n"
    place = {"manifest": {"labels": given, "override": ""}, "defaults": {"labels": "", "override": ""}}
    if way == "defaults":
        whose = "SparkJob" if kind == "SparkJob" else "DerivedDataset"
        (folder / "defaults.yaml").write_text(f"{whose}:\n  metadata:\n  {given}")
    path = folder / "marks.yaml"
    (folder / "q.sql").write_text("SELECT a FROM d.t")
    path.write_text((job_text if kind == "SparkJob" else derived).format(**place[way]))
    return path


# Labels have no overrides: an environment overrides what runs and not whose it is.
@pytest.mark.parametrize("way", [way for way in WAYS if way != "override"])
@pytest.mark.parametrize("kind", ["SparkJob", "derived_dataset"])
@pytest.mark.parametrize("key", [*OURS, *FREE])
def test_a_manifests_labels_are_none_of_them(tmp_path: Path, kind: str, way: str, key: str) -> None:
    path = manifest(kind, way, key, tmp_path)
    if key in FREE:
        compiled = compile_manifest(path, tmp_path, ("local",), CompileSettings("local"))
        assert compiled is not None
        assert f"{key}:x" in compiled.dag.tags
        return
    with pytest.raises(ManifestError) as error:
        compile_manifest(path, tmp_path, ("local",), CompileSettings("local"))
    assert {problem.code for problem in error.value.problems} == {"DCP138"}


@pytest.mark.parametrize("key", OURS)
def test_nor_are_those_of_a_job_that_was_never_linted(key: str) -> None:
    asked = request(spec=replace(job(), labels={key: "forged", "cost-center": "x"}))
    environment = Environment("test", "kubeflow")
    ours = labels(asked)
    application = spark_application(asked, environment, image="spark:3.5.7")
    spec = application["spec"]
    apache = apache_application(application, environment)["spec"]
    found = [application["metadata"]["labels"], spec["driver"]["labels"], spec["executor"]["labels"]]
    found += [apache[role]["podTemplateSpec"]["metadata"]["labels"] for role in ("driverSpec", "executorSpec")]
    for each in found:
        assert each == {**ours, "cost-center": "x"}
    assert all(name.startswith("spark-runner/") for name in application["metadata"]["annotations"])


@pytest.mark.parametrize("key", [key for key in OURS if key == key.strip()])
def test_nor_are_those_of_a_connection(key: str) -> None:
    with pytest.raises(DcpEnvironmentError, match="sets itself"):
        parse_environment("test", "dcp_test", {"labels": {key: "x"}})


@pytest.mark.parametrize("key", OURS)
def test_no_setting_and_no_option_leads_into_a_snapshots_summary(key: str) -> None:
    for name in (f"spark.sql.iceberg.snapshot-property.{key.strip()}", f"spark.sql.catalog.pedregal.table-override.{key.strip()}"):
        assert reserved_settings({name: "x"}, (name, "spark.sql.iceberg.*")) == [name]
    for kind in OPTIONS:
        for name in (key, f"snapshot-property.{key}", f"SNAPSHOT-PROPERTY.{key}"):
            assert option_refusals(kind, {name: "x"})
