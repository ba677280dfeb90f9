"""``docs/connections.md`` describes every field as the form does, and each of its examples is an environment."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import BaseHook
from airflow.sdk._shared import secrets_masker
from airflow.secrets.local_filesystem import load_connections_dict

from airflow_dcp_provider.gateway.images import image_for
from airflow_dcp_provider.gateway.namespaces import namespace_for, template_fault
from airflow_dcp_provider.hooks.cluster_access import cluster_access
from airflow_dcp_provider.hooks.environment_fields import FIELDS, parse_environment
from airflow_dcp_provider.hooks.runners import spark_catalogs
from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.job import EngineSpec, JobSpec
from airflow_dcp_provider.runner.backends.kubernetes.spark_settings import spark_conf

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGE = (DOCS / "connections.md").read_text(encoding="utf-8")
BLOCKS = {next(iter(json.loads(text))): text for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)}
EXAMPLES = {conn_id: text for conn_id, text in BLOCKS.items() if conn_id.startswith("dcp_")}


def example(conn_id: str, tmp_path: Path) -> Environment:
    """Return the environment of an example, read as ``airflow connections import`` reads it."""
    file = tmp_path / "connections.json"
    file.write_text(EXAMPLES[conn_id])
    connection = load_connections_dict(str(file))[conn_id]
    assert connection.conn_type == "dcp"
    return parse_environment(conn_id.removeprefix("dcp_"), conn_id, connection.extra_dejson)


def test_every_field_is_described_as_in_the_form() -> None:
    for name, field in FIELDS.items():
        assert f"| `{name}` | {field.json_type} | {field.description} |" in PAGE
    assert len(re.findall(r"^\| `\w+` \| (?:string|integer|boolean|object|array) \|", PAGE, re.MULTILINE)) == len(FIELDS)


def test_there_is_an_example_for_each_of_the_four_and_together_they_show_every_field() -> None:
    assert list(EXAMPLES) == ["dcp_local", "dcp_test", "dcp_staging", "dcp_prod"]
    shown = {field for conn_id, text in EXAMPLES.items() for field in json.loads(text)[conn_id]["extra"]}
    assert shown == set(FIELDS)


@pytest.mark.parametrize("conn_id", EXAMPLES)
def test_an_example_gives_every_job_its_namespace_and_image(conn_id: str, tmp_path: Path) -> None:
    found = example(conn_id, tmp_path)
    assert not template_fault(found.namespace_template)
    assert set(found.catalog_secrets) == set(found.catalogs)
    team = found.teams[0] if found.teams else "growth"
    for cluster in found.clusters:
        assert namespace_for(found, cluster, team)
        for version in cluster.spark_versions or ("3.5",):
            image = image_for(JobSpec("", "", found.name, engine=EngineSpec(version=version)), found)
            assert image.startswith("registry.example.com/spark-platform/")


def test_the_connections_that_an_example_leads_to_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for conn_id, connection in json.loads(BLOCKS["k8s_test"]).items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))
    found = example("dcp_test", tmp_path)
    assert cluster_access(found.clusters[0]).in_cluster
    catalogs = spark_catalogs(found)
    uri, credential = "https://catalog.example.com/api", "ID:SECRET"
    assert catalogs == {"pedregal": {"type": "rest", "warehouse": "analytics", "uri": uri, "credential": credential}}
    # The credential has its Secret: the one that the command makes, where jobs of this environment run.
    assert credential not in spark_conf(JobSpec("", "", "test"), found, catalogs).values()
    namespace = namespace_for(found, found.clusters[0], found.teams[0])
    assert f"kubectl create secret generic iceberg-test -n {namespace} --from-literal=credential={credential}\n" in PAGE
    assert '{"credential": "iceberg-test/credential"}' in EXAMPLES["dcp_test"]


def test_airflow_hides_no_ordinary_word_because_of_an_example(monkeypatch: pytest.MonkeyPatch) -> None:
    masker = secrets_masker._secrets_masker()
    monkeypatch.setattr(masker, "patterns", set())
    monkeypatch.setattr(masker, "replacer", None)
    for text in BLOCKS.values():
        for conn_id, connection in json.loads(text).items():
            monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))
            assert BaseHook.get_connection(conn_id).extra_dejson
    line = "org.apache.spark.SparkException: token of iceberg-prod"
    assert secrets_masker.redact(line) == line
    # Airflow has seen them: it hides what is a password.
    assert secrets_masker.redact("SECRET iceberg-partners/token") == "*** ***"


def test_the_sidecar_shares_a_volume_with_the_driver_where_its_configuration_reads(tmp_path: Path) -> None:
    found = example("dcp_prod", tmp_path)
    mounts = {mount["name"]: mount["mountPath"] for mount in found.volume_mounts}
    assert set(mounts) == {volume["name"] for volume in found.volumes}
    configuration = (DOCS.parent / "deploy" / "fluent-bit.conf").read_text(encoding="utf-8")
    assert f"{mounts['logs']}/*.log" in configuration


def test_the_sandbox_goes_where_its_text_says(tmp_path: Path) -> None:
    found = example("dcp_local", tmp_path)
    assert namespace_for(found, found.clusters[0], "any", "ada") == "sjns-playground-local-ada"
    assert namespace_for(found, found.clusters[0], "any") == "sjns-playground-local-nobody"
