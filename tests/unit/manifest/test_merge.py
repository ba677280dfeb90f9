from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dag_factory.manifest.merge import merge, settled
from dag_factory.manifest.node import Node
from dag_factory.manifest.problems import Problems
from dag_factory.manifest.settings import CompileSettings
from dag_factory.manifest.yaml_reader import read_yaml


def node(value: Any, file: str = "base.yaml") -> Node:
    found = read_yaml(yaml.safe_dump(value, sort_keys=False), file, CompileSettings())
    assert found is not None
    return found


def merged(base: Any, override: Any) -> tuple[Any, list[str]]:
    problems = Problems()
    result = merge(node(base), node(override, "override.yaml"), problems)
    return result.plain(), [problem.code for problem in problems.sorted()]


def test_maps_merge_deep() -> None:
    assert merged({"a": {"b": 1, "c": 2}}, {"a": {"c": 3, "d": 4}}) == ({"a": {"b": 1, "c": 3, "d": 4}}, [])


def test_named_lists_merge_by_name_and_keep_their_order() -> None:
    base = {"sources": [{"name": "x", "table": "t"}, {"name": "y", "table": "u"}]}
    override = {"sources": [{"name": "y", "filter": "f"}, {"name": "z", "table": "v"}]}
    assert merged(base, override) == (
        {"sources": [{"name": "x", "table": "t"}, {"name": "y", "table": "u", "filter": "f"}, {"name": "z", "table": "v"}]},
        [],
    )


def test_other_lists_are_replaced() -> None:
    assert merged({"a": [1, 2]}, {"a": [3]}) == ({"a": [3]}, [])
    assert merged({"a": [{"x": 1}]}, {"a": [{"x": 2}]}) == ({"a": [{"x": 2}]}, [])
    assert merged({"a": [{"name": "x"}]}, {"a": []}) == ({"a": []}, [])


def test_null_is_a_value() -> None:
    assert merged({"schedule": "@daily"}, {"schedule": None}) == ({"schedule": None}, [])


def test_remove_an_item_and_fields() -> None:
    base = {"sources": [{"name": "x"}, {"name": "y", "filter": "f"}], "end": 1, "start": 2}
    override = {"sources": [{"name": "x", "$remove": True}, {"name": "y", "$remove": ["filter"]}], "$remove": ["end"]}
    assert merged(base, override) == ({"sources": [{"name": "y"}], "start": 2}, [])


def test_removed_and_given_again_starts_afresh() -> None:
    assert merged({"a": {"b": 1, "c": 2}}, {"$remove": ["a"], "a": {"d": 3}}) == ({"a": {"d": 3}}, [])


def test_what_removes_in_vain_is_an_error() -> None:
    assert merged({"a": 1}, {"$remove": ["b"]})[1] == ["DCP120"]
    assert merged({"l": [{"name": "x"}]}, {"l": [{"name": "y", "$remove": True}]})[1] == ["DCP120"]
    assert merged({"a": 1}, {"b": {"$remove": ["c"]}})[1] == ["DCP120"]
    problems = Problems()
    assert settled(node({"a": {"$remove": ["b"], "c": 1}}), problems).plain() == {"a": {"c": 1}}
    assert [problem.code for problem in problems.sorted()] == ["DCP120"]


def test_an_item_without_a_name_among_named_ones_is_an_error() -> None:
    assert merged({"l": [{"name": "x"}]}, {"l": [{"filter": "f"}]})[1] == ["DCP122"]


def test_a_name_twice_in_an_override_is_an_error() -> None:
    assert merged({"l": [{"name": "x"}]}, {"l": [{"name": "x", "a": 1}, {"name": "x", "b": 1}]})[1] == ["DCP140"]


def test_merged_values_know_where_they_come_from() -> None:
    base = node({"a": {"kept": 1, "changed": 2}, "l": [{"name": "x", "kept": 1, "changed": 2}]})
    override = node({"a": {"changed": 3, "added": 4}, "l": [{"name": "x", "changed": 3}]}, "override.yaml")
    result = merge(base, override, Problems())

    def file_of(*path: str | int) -> str:
        found = result.get(*path)
        assert found is not None
        assert found.key_position.file == found.position.file
        return found.file

    assert file_of("a") == "override.yaml"
    assert file_of("a", "kept") == "base.yaml"
    assert file_of("a", "changed") == "override.yaml"
    assert file_of("a", "added") == "override.yaml"
    assert file_of("l", 0, "kept") == "base.yaml"
    assert file_of("l", 0, "changed") == "override.yaml"


names = st.sampled_from(["a", "b", "c", "d"])
scalars = st.integers(0, 9) | st.sampled_from(["x", "y"]) | st.none()
#: Every name always leads to a value of one form, as a schema makes sure of; only then can merging be associative.
maps = st.fixed_dictionaries(
    {},
    optional={
        "number": scalars,
        "map": st.dictionaries(names, scalars, max_size=3),
        "numbers": st.lists(st.integers(0, 9), max_size=3),
        "named": st.lists(names, unique=True, min_size=1, max_size=3).flatmap(
            lambda chosen: st.tuples(
                *[st.fixed_dictionaries({"name": st.just(name)}, optional={"v": scalars, "w": scalars}) for name in chosen]
            ).map(list)
        ),
    },
)


def over(base: Node, override: Node) -> Node:
    problems = Problems()
    result = merge(base, override, problems)
    assert problems.sorted() == ()
    return result


@settings(deadline=None)
@given(maps)
def test_merging_nothing_changes_nothing(value: Any) -> None:
    assert over(node(value), node({}, "o.yaml")).fields == node(value).fields
    assert over(node({}), node(value, "o.yaml")).plain() == value


@settings(deadline=None)
@given(maps)
def test_merging_a_value_with_itself_changes_nothing(value: Any) -> None:
    assert over(node(value), node(value)) == node(value)


@settings(deadline=None)
@given(maps, maps, maps)
def test_merging_is_associative_places_included(first: Any, second: Any, third: Any) -> None:
    a, b, c = node(first, "1.yaml"), node(second, "2.yaml"), node(third, "3.yaml")
    assert over(over(a, b), c) == over(a, over(b, c))


@settings(deadline=None)
@given(maps, maps)
def test_every_merged_scalar_stands_where_it_says(first: Any, second: Any) -> None:
    files = {"1.yaml": yaml.safe_dump(first, sort_keys=False), "2.yaml": yaml.safe_dump(second, sort_keys=False)}
    result = over(node(first, "1.yaml"), node(second, "2.yaml"))
    for text in result.texts():
        line = files[text.file].splitlines()[text.line - 1]
        assert line[text.column - 1 :].startswith((text.text, f"'{text.text}"))
