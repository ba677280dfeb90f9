"""Whatever stands in a manifest: it compiles, is foreign, or has problems. No other exception ever reaches a user."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_dcp_provider.model.error_codes import all_codes
from airflow_dcp_provider.model.errors import ManifestError, Problem
from dag_factory.compiled import CompiledManifest, CompileSettings, compile_manifest

EXAMPLES = Path(__file__).parents[3] / "examples" / "manifests"
PATHS = [path for path in sorted(EXAMPLES.rglob("*.yaml")) if path.name != "defaults.yaml"]
SOURCES = [
    (yaml.safe_load(path.read_text()), {each.name: each.read_text() for each in path.parent.glob("*.sql")}) for path in PATHS
]

#: Of problems that a schema finds, and of a name that is no environment's.
SCHEMA_CODES = {"DCP110", "DCP111", "DCP112", "DCP113", "DCP121"}

odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    st.sampled_from(
        [
            "",
            "{{",
            "{{ ds",
            "{{ x.y }}",
            "{% for %}",
            "a b",
            "SELECT",
            "SELECT * FROM",
            "'",
            "/etc/passwd",
            "../x.sql",
            ".",
            "\x00",
            "* * * * *",
            "0g",
        ]
    ),
    st.lists(st.integers() | st.text(max_size=3) | st.dictionaries(st.just("name"), st.text(max_size=3)), max_size=3),
    st.dictionaries(
        st.sampled_from(["name", "$remove", "x", "type", ""]),
        st.integers() | st.lists(st.text(max_size=3)) | st.text(max_size=3),
        max_size=3,
    ),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in below for place in places(each, (*path, key)))]


def compile_text(text: str, others: dict[str, str]) -> CompiledManifest | None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "job.yaml").write_text(text)
        for name, content in others.items():
            (root / name).write_text(content)
        return compile_manifest(root / "job.yaml", root, ("local", "prod"), CompileSettings())


def problems_of(text: str, others: dict[str, str]) -> tuple[Problem, ...]:
    try:
        compile_text(text, others)
    except ManifestError as error:
        problems = error.problems
    else:
        return ()
    assert problems
    for problem in problems:
        assert problem.code in all_codes()
        assert problem.position is not None
        assert problem.render()
    return problems


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_value_anywhere(data: st.DataObject) -> None:
    manifest, others = data.draw(st.sampled_from(SOURCES))
    changed = copy.deepcopy(manifest)
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from([place for place in places(changed) if place]))
        holder = changed
        for step in path[:-1]:
            holder = holder[step]
        if data.draw(st.booleans()):
            holder[path[-1]] = data.draw(odd)
        elif isinstance(holder, dict):
            holder[data.draw(st.sampled_from(["$remove", "name", "environments", "x"]))] = data.draw(odd)
        else:
            holder.append(data.draw(odd))
    problems_of(yaml.safe_dump(changed, sort_keys=False, default_style=data.draw(st.sampled_from([None, '"']))), others)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_what_violates_the_schema_hides_no_other_problem_and_makes_none_up(data: st.DataObject) -> None:
    manifest, others = data.draw(st.sampled_from(SOURCES))
    changed = copy.deepcopy(manifest)
    workflow = changed["workflow"] if "workflow" in changed else changed["spec"]["orchestration"]
    # Nothing is inherited here.
    workflow.pop("$remove", None)
    workflow["startDate"] = "2013-02-30"
    expected = codes_of(changed, others)
    assert "DCP133" in expected
    # Elsewhere than in what holds the other problem, which may have to be left out whole.
    paths = [path for path in places(changed) if path and path[-1] not in {"startDate", "orchestration", "workflow", "spec"}]
    path = data.draw(st.sampled_from(paths))
    holder = changed
    for step in path[:-1]:
        holder = holder[step]
    if isinstance(holder[path[-1]], dict):
        holder[path[-1]]["not_a_field"] = "x"
    elif isinstance(holder, dict) and data.draw(st.booleans()):
        holder[f"{path[-1]}_misspelt"] = holder.pop(path[-1])
    else:
        holder[path[-1]] = {"not": "so"}
    found = codes_of(changed, others)
    # Where nothing violates the schema it was a map with free names.
    assert found - SCHEMA_CODES == expected or not found & SCHEMA_CODES


def codes_of(manifest: dict[str, Any], others: dict[str, str]) -> set[str]:
    found = problems_of(yaml.safe_dump(manifest, sort_keys=False), others)
    return {problem.code for problem in found if problem.severity == "error"}


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_text_cut_and_doubled(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(PATHS))
    text = path.read_text()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    extra = data.draw(
        st.sampled_from(
            ["", ":", "- ", "\t", "'", '"', "{", "[", "&a ", "*a", "!!x ", "\n---\n", "#", "|", "{{ ds }}", text[start:end] * 2]
        )
    )
    problems_of(text[:start] + extra + text[end:], {each.name: each.read_text() for each in path.parent.glob("*.sql")})


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_sql(data: st.DataObject) -> None:
    manifest, others = SOURCES[0]
    (name, sql), *_ = others.items()
    start = data.draw(st.integers(0, len(sql)))
    end = data.draw(st.integers(start, min(len(sql), start + 15)))
    extra = data.draw(
        st.sampled_from(
            [
                "",
                "(",
                ")",
                "'",
                "`",
                "/*",
                "--",
                ";",
                ",",
                "SELECT",
                "FROM",
                "{{ ds }}",
                "{% if x %}",
                "{% endif %}",
                "{#",
                "WITH a AS (",
                "db.t",
                "*",
                "\x00",
                "é",
                "${x}",
                "@",
                ":x",
                "?",
            ]
        )
    )
    problems_of(yaml.safe_dump(manifest), {name: sql[:start] + extra + sql[end:]})
