"""The quick answer that a value satisfies a schema is the library's answer, or none."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import FormatChecker

from dag_factory.manifest.acceptance import acceptance
from dag_factory.manifest.recognition import top_fields
from dag_factory.manifest.schema_check import _FORMATS, _MOST_COMPARED, _Validator, inlined, load_schema
from dag_factory.manifest.settings import CompileSettings
from dag_factory.manifest.yaml_reader import read_yaml
from dag_factory.plugins.registry import load_registry

EXAMPLES = Path(__file__).parents[3] / "examples" / "manifests"
SCHEMAS = ("spark_job", "derived_dataset")

#: What may come in the place of any value.
OTHERS: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        1.0,
        0.5,
        float("nan"),
        float("inf"),
        2**70,
        "",
        "x",
        "\n",
        "a\u2028b",
        "x" * 20_000,
        "2024-01-01",
    ),
    *([], ["a", "a"], ["a"] * 2_001, [1, True], [{}], {}, {"x-own": 1}, {"unknown": 1}, {"$remove": True}, {"$remove": ["a", "a"]}),
    *({"$remove": 1}, {"environments": {}}, {"name": "x"}),
)


def accepts(schema: Any, value: Any, formats: FormatChecker | None = _FORMATS) -> bool:
    return acceptance(schema, formats, _MOST_COMPARED)(value)


def library_accepts(schema: Any, value: Any) -> bool:
    return bool(_Validator(schema, format_checker=_FORMATS).is_valid(value))


def manifests(kind: str) -> list[Any]:
    """Return the examples of a plugin."""
    values = []
    for path in sorted(EXAMPLES.rglob("*.yaml")):
        node = read_yaml(path.read_text(encoding="utf-8"), path.name, CompileSettings())
        plugins = load_registry().matching(top_fields(node)) if node else ()
        values += [node.plain() for plugin in plugins if node and plugin.get_manifest_type() == kind]
    return values


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in children:
        yield from places(each, (*path, key))


def changed(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    whole = copy.deepcopy(value)
    if not path:
        return other
    holder = whole
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = other
    return whole


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_is_accepted_of_changed_manifests_the_library_accepts(name: str) -> None:
    schema = inlined(load_schema(name))
    quick, library = acceptance(schema, _FORMATS, _MOST_COMPARED), _Validator(schema, format_checker=_FORMATS)
    choose = random.Random(name)
    both = 0
    for manifest in manifests(name):
        for path in places(manifest):
            variants = [changed(manifest, path, other) for other in choose.sample(OTHERS, 4)]
            if path and isinstance(path[-1], str):
                without = copy.deepcopy(manifest)
                holder = without
                for step in path[:-1]:
                    holder = holder[step]
                del holder[path[-1]]
                variants.append(without)
            for each in variants:
                accepted = quick(each)
                assert not accepted or library.is_valid(each), path
                both += accepted
    assert both > 0


@pytest.mark.parametrize("name", SCHEMAS)
def test_good_manifests_are_accepted_without_the_library(name: str) -> None:
    schema = inlined(load_schema(name))
    accepted = [accepts(schema, each) for each in manifests(name)]
    assert accepted == [library_accepts(schema, each) for each in manifests(name)]
    assert any(accepted)


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({"type": "integer"}, True, False),
        ({"type": "integer"}, 1.0, False),
        ({"type": ["integer", "null"]}, None, True),
        ({"type": "number"}, True, False),
        ({"const": True}, True, True),
        ({"const": True}, 1, False),
        ({"enum": ["a", 1]}, "a", True),
        ({"enum": ["a", 1]}, True, False),
        ({"enum": ["a"]}, None, False),
        ({"minLength": 2}, "a", False),
        ({"maxLength": 2}, [1, 2, 3], True),
        ({"minimum": 1}, 0, False),
        ({"exclusiveMinimum": 0}, 0, False),
        ({"maximum": 1}, "x", True),
        ({"uniqueItems": True}, ["a", "a"], False),
        ({"uniqueItems": True}, ["a"] * 3_000, True),
        ({"items": False}, [], True),
        ({"items": False}, [1], False),
        ({"not": {"required": ["a"]}}, {"a": 1}, False),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 1, False),
        ({"if": {"type": "string"}, "then": {"minLength": 1}, "else": {"type": "null"}}, "", False),
        ({"if": {"type": "string"}, "then": {"minLength": 1}, "else": {"type": "null"}}, None, True),
        ({"patternProperties": {"^x-": True}, "additionalProperties": False}, {"x-a": 1}, True),
        ({"patternProperties": {"^x-": True}, "additionalProperties": False}, {"a": 1}, False),
        ({"properties": {"x-a": {"type": "null"}}, "patternProperties": {"^x-": {"type": "string"}}}, {"x-a": None}, False),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#/$defs/a"}, "type": "array"}}}, [[[]]], True),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#/$defs/a"}, "type": "array"}}}, [[1]], False),
        ({"format": "line"}, "a\nb", False),
    ],
)
def test_keywords_mean_what_they_mean_to_the_library(schema: dict[str, Any], value: Any, *, expected: bool) -> None:
    assert library_accepts(schema, value) is expected
    assert accepts(schema, value) is expected


@pytest.mark.parametrize(
    "schema",
    [
        {"multipleOf": 2},
        {"oneOf": [True]},
        {"prefixItems": [True]},
        {"unevaluatedProperties": False},
        {"not": {"dependentRequired": {"a": ["b"]}}},
        {"$ref": "https://example.com/other.json"},
        {"properties": {"a": {"$id": "https://example.com/part", "type": "null"}}},
        {"not": {"enum": [1]}},
        {"pattern": "("},
    ],
)
def test_what_is_not_known_is_left_to_the_library(schema: dict[str, Any]) -> None:
    assert not accepts(schema, True)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, 1.0, 0.5]) | st.sampled_from(["", "a", "b"]),
        lambda each: st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "x-c"]), each, max_size=3),
        max_leaves=6,
    ),
    st.sampled_from(
        [
            {"enum": [0, "a", None, True]},
            {"not": {"enum": [0, "a"]}},
            {"type": ["integer", "array"], "uniqueItems": True, "maxItems": 2},
            {"properties": {"a": {"const": 1}}, "additionalProperties": {"type": "string"}, "maxProperties": 2},
            {
                "if": {"properties": {"a": {"const": 1}}, "required": ["a"]},
                "then": {"required": ["b"]},
                "else": {"minProperties": 1},
            },
        ]
    ),
)
def test_nothing_is_accepted_that_the_library_refuses(value: Any, schema: dict[str, Any]) -> None:
    assert not accepts(schema, value) or library_accepts(schema, value)
