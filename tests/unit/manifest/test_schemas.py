from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from dag_factory.manifest.schema_check import inlined, load_schema

NAMES = ("spark_job", "derived_dataset")
EXAMPLES = Path(__file__).parents[3] / "examples" / "manifests"
MANIFESTS = sorted(path for path in EXAMPLES.rglob("*.yaml") if path.name != "defaults.yaml")


def fields(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field that a schema's definitions describe; rules about fields elsewhere only say which must be there."""
    if isinstance(schema, dict):
        for name, value in schema.get("properties", {}).items():
            yield f"{path}.{name}", value
        for key, value in schema.items():
            if key not in {"if", "then", "else", "not", "examples"}:
                yield from fields(value, f"{path}.{key}")
    if isinstance(schema, list):
        for item in schema:
            yield from fields(item, path)


@pytest.mark.parametrize("name", NAMES)
def test_is_a_json_schema(name: str) -> None:
    Draft202012Validator.check_schema(load_schema(name))


@pytest.mark.parametrize("name", NAMES)
def test_every_field_is_described_with_valid_examples(name: str) -> None:
    schema = load_schema(name)
    definitions = schema["$defs"]
    seen = 0
    for path, field in fields(definitions):
        described = definitions[field["$ref"].removeprefix("#/$defs/")] if "$ref" in field else field
        assert described.get("description"), path
        seen += 1
        for example in described.get("examples", []):
            Draft202012Validator({**described, "$defs": definitions}).validate(example)
        # Maps and lists are described by what is in them, markers by their description; every scalar shows an example.
        if isinstance(described.get("type"), str) and described["type"] not in {"array", "object"}:
            assert described.get("examples"), path
    assert seen > 20


def test_what_both_kinds_have_is_described_alike() -> None:
    first, second = (load_schema(name)["$defs"] for name in NAMES)
    shared = {
        "schedule",
        "startDate",
        "endDate",
        "catchup",
        "retryPolicy",
        "timeout",
        "maxActiveRuns",
        "parameters",
        "airflow",
        "emails",
        "engine",
        "resources",
        "cores",
        "memory",
    }
    assert {name for name in shared if first[name] == second[name]} == shared


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_the_examples_satisfy_their_schema_for_any_validator(path: Path) -> None:
    # With a stock YAML reader and validator, as an editor has them.
    value = yaml.safe_load(path.read_text())
    schema = load_schema("spark_job" if "kind" in value else "derived_dataset")
    Draft202012Validator(schema).validate(json.loads(json.dumps(value, default=str)))


@pytest.mark.parametrize("name", NAMES)
def test_inlining_changes_no_verdict(name: str) -> None:
    schema = load_schema(name)
    short = inlined(schema)
    assert "$ref" in json.dumps(schema["$defs"])
    value = yaml.safe_load(
        next(path for path in MANIFESTS if ("kind" in yaml.safe_load(path.read_text())) == (name == "spark_job")).read_text()
    )
    broken = json.loads(json.dumps(value, default=str))
    broken["metadata"]["nonsense"] = {"a": 1}
    for candidate in (value, broken, {}, {"spec": {"environments": {"local": {"environments": {}, "jobType": "x"}}}}):
        plain = json.loads(json.dumps(candidate, default=str))
        verdicts = [
            sorted((error.json_path, error.message) for error in Draft202012Validator(each).iter_errors(plain))
            for each in (schema, short)
        ]
        assert verdicts[0] == verdicts[1]
