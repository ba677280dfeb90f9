from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_dcp_provider.model.errors import ManifestError
from dag_factory.manifest.settings import CompileSettings
from dag_factory.manifest.yaml_reader import read_yaml

SETTINGS = CompileSettings()


def plain(text: str) -> object:
    node = read_yaml(text, "f.yaml", SETTINGS)
    assert node is not None
    return node.plain()


def codes(text: str, settings: CompileSettings = SETTINGS) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        read_yaml(text, "f.yaml", settings)
    return [problem.code for problem in caught.value.problems]


def test_scalars_follow_yaml_1_2() -> None:
    text = (
        "a: on\nb: no\nc: 2024-01-01\nd: 12:30:45\ne: true\nf: 010\ng: 1.5\nh: ~\ni:\nj: '1'\nk: 1e3\nl: !!str 5\nm: 0x10\nn: -3\n"
    )
    assert plain(text) == {
        "a": "on",
        "b": "no",
        "c": "2024-01-01",
        "d": "12:30:45",
        "e": True,
        "f": 10,
        "g": 1.5,
        "h": None,
        "i": None,
        "j": "1",
        "k": 1000.0,
        "l": "5",
        "m": "0x10",
        "n": -3,
    }


def test_every_value_knows_its_place_and_that_of_its_name() -> None:
    node = read_yaml("a:\n  - b: x\n    c: [1, 2]\n", "f.yaml", SETTINGS)
    assert node is not None
    b, second = node.get("a", 0, "b"), node.get("a", 0, "c", 1)
    assert b is not None
    assert second is not None
    assert (str(b.key_position), str(b.position)) == ("f.yaml:2:5", "f.yaml:2:8")
    assert str(second.position) == "f.yaml:3:12"
    assert str(second.key_position) == "f.yaml:3:12"


def test_an_alias_keeps_the_place_of_its_anchor_and_the_name_that_it_has_here() -> None:
    node = read_yaml("a: &x {b: 1}\nc: *x\n", "f.yaml", SETTINGS)
    assert node is not None
    c = node.get("c")
    assert c is not None
    assert (str(c.position), str(c.key_position)) == ("f.yaml:1:4", "f.yaml:2:1")


def test_merge_keys_give_way_to_own_fields() -> None:
    assert plain("base: &b {x: 1, y: 2}\nown:\n  <<: *b\n  y: 3\n") == {"base": {"x": 1, "y": 2}, "own": {"x": 1, "y": 3}}
    assert plain("p: &p {x: 1}\nq: &q {x: 2, z: 3}\nr: {<<: [*p, *q]}\n")["r"] == {"x": 1, "z": 3}  # type: ignore[index]


def test_all_duplicate_keys_are_found() -> None:
    assert codes("a: 1\nb: 2\na: 3\nb: 4\n") == ["DCP105", "DCP105"]


def test_empty_text_is_no_document() -> None:
    assert read_yaml("", "f.yaml", SETTINGS) is None
    assert read_yaml("# only a comment\n", "f.yaml", SETTINGS) is None


@pytest.mark.parametrize(
    "text",
    ["[" * 300_000, "a: " + "{a: " * 50_000, "- " * 100_000, "&a [*a]", "a: &a\n  b: *a\n", "a: *nothing\n"],
)
def test_what_nests_without_end_is_refused_at_once(text: str) -> None:
    began = time.process_time()
    assert codes(text) == ["DCP106"]
    assert time.process_time() - began < 2


def test_aliases_of_aliases_are_counted_as_if_written_out() -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 9)]
    began = time.process_time()
    assert codes("\n".join(["l0: &l0 [x, x]", *levels])) == ["DCP106"]
    assert time.process_time() - began < 2


def test_a_plain_large_file_is_bounded_too() -> None:
    assert codes("a: [" + "1, " * 200 + "]", CompileSettings(max_nodes=100)) == ["DCP106"]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a: b: c\n", "f.yaml:1:5"),
        ("a: [1,\nb: c\n", "f.yaml:3:1"),
        ("a: 'x\n", "f.yaml:2:1"),
        ("a:\n\t- b\n", "f.yaml:2:1"),
        ("é: \x07\n", "f.yaml:1:4"),
    ],
)
def test_broken_yaml_has_a_place_and_a_hint(text: str, where: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read_yaml(text, "f.yaml", SETTINGS)
    (problem,) = caught.value.problems
    assert problem.code == "DCP104"
    assert str(problem.position) == where
    assert problem.hint


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**6)
    | st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdef", min_size=1, max_size=3), inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(values)
def test_reads_json_as_it_is(value: object) -> None:
    assert plain(json.dumps({"value": value}, ensure_ascii=False)) == {"value": value}


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ("a: {name: total, type: decimal(10,2)}", "f.yaml:1:24", 'type: "decimal(10,2)"'),
        ("a: {type: decimal(10, 2), name: total}", "f.yaml:1:11", 'type: "decimal(10, 2)"'),
        ("a: {type: map<string, decimal(10,2)>}", "f.yaml:1:11", 'type: "map<string, decimal(10,2)>"'),
        ("a: {type: decimal(10,\n  2)}", "f.yaml:1:11", 'type: "decimal(10, 2)"'),
        ("a: {query: SELECT coalesce(a, b, c) AS d FROM t}", "f.yaml:1:12", 'query: "SELECT coalesce(a, b, c) AS d FROM t"'),
        ('a: {filter: x = "a(b, c\'s)"}', "f.yaml:1:13", "filter: 'x = \"a(b, c''s)\"'"),
    ],
)
def test_a_comma_that_splits_a_value_in_braces_is_one_mistake(text: str, place: str, hint: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read_yaml(text, "f.yaml", SETTINGS)
    (problem,) = caught.value.problems
    assert (problem.code, str(problem.position)) == ("DCP104", place)
    assert problem.hint == f"a comma ends a value inside {{ }}; write {hint}"


def test_two_values_that_a_comma_splits_are_two_mistakes() -> None:
    assert codes("a: [{type: decimal(10,2)}, {type: decimal(12,2)}]") == ["DCP104", "DCP104"]
    assert codes("a: {b: decimal(10,2), c: decimal(12,2)}") == ["DCP104", "DCP104"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{a: "decimal(10", 2)}', {"a": "decimal(10", "2)": None}),
        ("{a: decimal(10, b: c}", {"a": "decimal(10", "b": "c"}),
        ("{a: decimal(10, b: , c: )}", {"a": "decimal(10", "b": None, "c": ")"}),
        ("{a: decimal(10), 2)}", {"a": "decimal(10)", "2)": None}),
        ("a: decimal(10\nb:\nc): 1\nd):\n", {"a": "decimal(10", "b": None, "c)": 1, "d)": None}),
    ],
)
def test_what_no_comma_split_stays(text: str, value: object) -> None:
    assert plain(text) == value
