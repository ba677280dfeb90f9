"""Values as YAML with their places: what is written reads back as what it was."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from dag_factory.cli.located_yaml import origins, to_located_yaml, to_written_yaml, to_yaml
from dag_factory.manifest.node import Node
from dag_factory.manifest.settings import CompileSettings
from dag_factory.manifest.yaml_reader import read_yaml

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]))
    | st.sampled_from(["a\nb", "a\n  b\n", "a: b # c", "- x", "|", " lead", "trail ", "\n", "it's", "{{ ds }}"])
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc#: ", min_size=1, max_size=4), inner, max_size=3),
    max_leaves=8,
)


def located(value: Any, counter: list[int]) -> Node:
    """Every value on a line of its own."""
    counter[0] += 1
    line = counter[0]
    if isinstance(value, dict):
        return Node({key: located(item, counter) for key, item in value.items()}, "m.yaml", line, 1)
    if isinstance(value, list):
        return Node(tuple(located(item, counter) for item in value), "m.yaml", line, 1)
    return Node(value, "m.yaml", line, 1)


@given(_VALUES)
def test_what_is_written_reads_back(value: Any):
    assert yaml.safe_load(to_yaml(value)) == value


@given(_VALUES)
def test_comments_change_no_value(value: Any):
    node = located(value, [0])
    assert yaml.safe_load(to_located_yaml(node)) == value


def test_each_value_has_its_own_place_behind_it():
    node = located({"a": 1, "b": ["x", {"c": "one\ntwo"}], "d": {}}, [0])
    lines = to_located_yaml(node).splitlines()
    assert [(line.split("#")[0].rstrip(), line.partition("# ")[2]) for line in lines] == [
        ("a: 1", "m.yaml:2:1"),
        ("b:", ""),
        ("- x", "m.yaml:4:1"),
        ("- c: |-", "m.yaml:6:1"),
        ("    one", ""),
        ("    two", ""),
        ("d: {}", "m.yaml:7:1"),
    ]
    assert origins(node) == {"a": "m.yaml:2:1", "b[0]": "m.yaml:4:1", "b[1].c": "m.yaml:6:1", "d": "m.yaml:7:1"}


def test_numbers_are_written_as_in_the_manifest() -> None:
    node = read_yaml('{a: 3.10, b: 01234, c: 1e6, d: True, e: "01", f: ~, h: [1.50]}', "f.yaml", CompileSettings())
    assert node is not None
    assert to_written_yaml(node) == "a: 3.10\nb: 01234\nc: 1e6\nd: True\ne: '01'\nf: ~\nh:\n- 1.50\n"
