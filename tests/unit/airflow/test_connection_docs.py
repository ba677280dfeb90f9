"""``docs/connections.md`` describes every field as the form does, and each of its examples is an environment."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from airflow.secrets.local_filesystem import load_connections_dict

from airflow_dcp_provider.gateway.images import image_for
from airflow_dcp_provider.gateway.namespaces import namespace_for, template_fault
from airflow_dcp_provider.hooks.environment_fields import FIELDS, parse_environment
from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.job import EngineSpec, JobSpec

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "connections.md").read_text(encoding="utf-8")
EXAMPLES = {next(iter(json.loads(text))): text for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)}


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


def test_the_sandbox_goes_where_its_text_says(tmp_path: Path) -> None:
    found = example("dcp_local", tmp_path)
    assert namespace_for(found, found.clusters[0], "any", "ada") == "sjns-playground-local-ada"
    assert namespace_for(found, found.clusters[0], "any") == "sjns-playground-local-nobody"
