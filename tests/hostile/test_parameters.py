"""Parameters: declared ones are fields of the trigger form, and every door refuses what the manifest does not know or allow."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ParamValidationError
from airflow.sdk import DAG
from airflow.sdk.definitions.param import process_params

from airflow_dcp_provider.model.errors import ManifestError, UsageError
from airflow_dcp_provider.operators.run_context import _parameters, check_parameters
from dag_factory.cli.manifests import parameters_of
from dag_factory.compiled import CompiledManifest, CompileSettings, compile_manifest
from dag_factory.dag import build_dag
from tests.hostile.full_manifests import KINDS, nested, orchestration_path, write_with

PARAMETERS = {
    "limit": {"type": "integer", "default": 10, "minimum": 1, "maximum": 1000, "description": "How many"},
    "day": {"type": "string", "format": "date", "default": "2024-01-31"},
    "mode": {"type": "string", "enum": ["full", "part"], "default": "full"},
    "share": {"type": "number", "default": 0.5},
    "dry": {"type": "boolean", "default": False},
    "plain": "text",
}


def compiled(
    tmp_path: Path, kind: str = "spark_job", parameters: dict[str, Any] | None = None, way: str = "manifest"
) -> CompiledManifest:
    values = nested((*orchestration_path(kind), "parameters"), PARAMETERS if parameters is None else parameters)
    path = write_with(tmp_path, kind, way, values)
    manifest = compile_manifest(path, tmp_path, ("local", "prod"), CompileSettings())
    assert manifest is not None
    return manifest


def dag_of(manifest: CompiledManifest) -> DAG:
    return build_dag(manifest, ("local", "prod"), "local")


def run_of(dag: DAG, conf: dict[str, Any]) -> dict[str, Any]:
    """A task's context, with the run's parameters as Airflow computes them."""
    params = process_params(dag, dag.get_task("submit"), conf, suppress_exception=False)
    return {"params": params, "dag": dag, "dag_run": SimpleNamespace(conf=conf)}


@pytest.mark.parametrize("way", ["manifest", "defaults", "override"])
@pytest.mark.parametrize("kind", KINDS)
def test_declared_parameters_are_fields_of_the_trigger_form(tmp_path: Path, kind: str, way: str) -> None:
    params = dag_of(compiled(tmp_path, kind, way=way)).params
    limit = params.get_param("limit")
    assert (limit.value, limit.schema["type"], limit.schema["minimum"], limit.description) == (10, "integer", 1, "How many")
    assert params.get_param("mode").schema["enum"] == ["full", "part"]
    assert params.get_param("day").schema["format"] == "date"
    assert params.get_param("parameters").value == {"plain": "text"}


DEFAULTS = {"limit": 10, "day": "2024-01-31", "mode": "full", "share": 0.5, "dry": False, "plain": "text"}


@pytest.mark.parametrize(
    ("conf", "changed"),
    [
        ({}, {}),
        ({"limit": 20}, {"limit": 20}),
        ({"parameters": {"limit": 20}}, {"limit": 20}),
        ({"parameters": {"plain": "x"}, "dry": True}, {"plain": "x", "dry": True}),
        ({"parameters": {**DEFAULTS, "limit": 7}}, {"limit": 7}),
        ({"limit": 5, "parameters": {"limit": 20}}, {"limit": 5}),
    ],
)
def test_templates_read_them_all_in_one_map(tmp_path: Path, conf: dict[str, Any], changed: dict[str, Any]) -> None:
    context: Any = run_of(dag_of(compiled(tmp_path)), conf)
    check_parameters(context)
    assert _parameters(context) == {**DEFAULTS, **changed}


@pytest.mark.parametrize(
    "conf",
    [
        {"limit": 0},
        {"limit": "1; DROP TABLE x"},
        {"limit": 1.5},
        {"mode": "other"},
        {"day": "today"},
        {"dry": "yes"},
        {"parameters": {"limit": "1"}},
        {"parameters": {"unknown": 1}},
    ],
)
def test_airflow_refuses_a_value_of_another_kind(tmp_path: Path, conf: dict[str, Any]) -> None:
    with pytest.raises(ParamValidationError):
        run_of(dag_of(compiled(tmp_path)), conf)


@pytest.mark.parametrize(
    ("conf", "code", "text"),
    [
        ({"limt": 5}, "DCP219", "did you mean `limit`?"),
        ({"anything": 5}, "DCP219", "there is no parameter 'anything'"),
        ({"parameters": {"plain": "x" * 70_000}}, "DCP220", "65536 are allowed"),
        ({"parameters": {"plain": 2**63}}, "DCP220", "more than 64 bits"),
        ({"parameters": {"plain": [[[[[[[[[[[[1]]]]]]]]]]]]}}, "DCP220", "deeper than 10 levels"),
        ({"parameters": {"plain": float("nan")}}, "DCP220", "not finite"),
        ({"parameters": {"plain": "a\0b"}}, "DCP220", "cannot be stored"),
    ],
)
def test_a_task_refuses_what_airflow_lets_pass(tmp_path: Path, conf: dict[str, Any], code: str, text: str) -> None:
    context: Any = run_of(dag_of(compiled(tmp_path)), conf)
    with pytest.raises(UsageError, match=text) as caught:
        check_parameters(context)
    assert caught.value.code == code


def test_the_command_line_reads_each_by_its_type(tmp_path: Path) -> None:
    dag = compiled(tmp_path, parameters={**PARAMETERS, "code": {"type": "string", "default": ""}}).dag
    given = ["limit=20", "code=007", "share=1", "dry=true", "plain=[1]", "day=2024-02-01"]
    assert parameters_of(given, dag) == {"limit": 20, "code": "007", "share": 1, "dry": True, "plain": [1], "day": "2024-02-01"}


@pytest.mark.parametrize(
    ("given", "code", "text"),
    [
        ("limit=x", "DCP220", "the parameter `limit` is not of type integer"),
        ("limit=1.5", "DCP220", "is not of type integer"),
        ("limit=0", "DCP220", "is below the `minimum` 1"),
        ("limit=NaN", "DCP220", "is not of type integer"),
        ("limit=" + "9" * 5000, "DCP220", "is not of type integer|more than 64 bits"),
        ("mode=other", "DCP220", "is not one of full, part"),
        ("day=2024-1-1", "DCP220", "is not a date"),
        ("dry=yes", "DCP220", "is not of type boolean"),
        ("limt=5", "DCP219", "did you mean `limit`?"),
        ("environment=prod", "DCP219", "there is no parameter 'environment'"),
    ],
)
def test_the_command_line_refuses_the_same(tmp_path: Path, given: str, code: str, text: str) -> None:
    with pytest.raises(UsageError, match=text) as caught:
        parameters_of([given], compiled(tmp_path).dag)
    assert caught.value.code == code


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "declared",
    [
        {"type": "integer"},
        {"default": 1},
        {"type": "integer", "default": "x"},
        {"type": "integer", "default": True},
        {"type": "integer", "default": 1, "minimum": 2},
        {"type": "integer", "default": 1, "minLength": 2},
        {"type": "string", "default": "a", "enum": ["b"]},
        {"type": "string", "default": "a", "enum": []},
        {"type": "string", "default": "a", "enum": ["a", 1]},
        {"type": "string", "default": "a", "format": "regex"},
        {"type": "string", "default": "a", "pattern": "(a+)+$"},
        {"type": "string", "default": "a", "$ref": "file:///etc/passwd"},
        {"type": "object", "default": "a"},
        {"type": ["string"], "default": "a"},
        {"type": "string", "default": {"a": 1}},
        {},
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(tmp_path: Path, kind: str, declared: dict[str, Any]) -> None:
    with pytest.raises(ManifestError) as caught:
        compiled(tmp_path, kind, {"limit": declared})
    assert {problem.code[:4] for problem in caught.value.problems} == {"DCP1"}


@pytest.mark.parametrize("name", ["environment", "parameters", "a b", "1a", "{{ds}}", "x" * 101, "a-b"])
def test_a_name_that_no_template_can_read_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ManifestError) as caught:
        compiled(tmp_path, parameters={name: {"type": "integer", "default": 1}})
    assert "DCP192" in {problem.code for problem in caught.value.problems}
