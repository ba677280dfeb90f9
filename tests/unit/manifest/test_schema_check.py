from __future__ import annotations

import pytest

from airflow_dcp_provider.model.errors import ManifestError, Problem
from dag_factory.manifest.problems import Problems
from dag_factory.manifest.schema_check import SchemaChecker
from dag_factory.manifest.settings import CompileSettings
from dag_factory.manifest.yaml_reader import read_yaml
from tests.unit.manifest.conftest import SPARK_JOB, Compile

SIZE = {"type": "string", "examples": ["8g"]}
VERSION = {"type": "string", "examples": ["3.5"]}
CHECKER = SchemaChecker({"type": "object", "properties": {"size": SIZE, "version": VERSION}})


def found(text: str) -> tuple[Problem, ...]:
    node = read_yaml(text, "f.yaml", CompileSettings())
    assert node is not None
    problems = Problems()
    CHECKER.check(node, problems)
    return problems.sorted()


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("size: 16", "write it with a unit: 16g"),
        ("size: 800", "write it with a unit: 800g"),
        # Nobody means 2048g.
        ("size: 2048", "write it with a unit, for example 8g"),
        ("size: 0", "write it with a unit, for example 8g"),
        ("size: -1", "write it with a unit, for example 8g"),
        ("size: 1.5", "write it with a unit, for example 8g"),
        ("size: true", "write it with a unit, for example 8g"),
        ("version: 3.5", 'put it in quotes: "3.5"'),
        ("version: true", 'put it in quotes: "true"'),
    ],
)
def test_what_to_write_in_place_of_a_number(text: str, hint: str) -> None:
    (problem,) = found(text)
    assert (problem.code, problem.hint) == ("DCP111", hint)


USERS = "        - {name: users, database: raw, table: users}\n      transformations:"


@pytest.mark.parametrize(
    ("changes", "override", "hint"),
    [
        ({}, "{name: raw_event}", "no source `raw_event` to override; there is: raw_events"),
        ({}, "{name: clicks}", "no source `clicks` to override; there is: raw_events"),
        ({"      transformations:": USERS}, "{name: clicks}", "no source `clicks` to override; there are: raw_events, users"),
        (
            {"      transformations:": USERS},
            "{name: user}",
            "no source `user` to override; there are: raw_events, users; did you mean `users`?",
        ),
        ({}, "{name: raw_events, $remove: [table]}", "for example table: events"),
    ],
)
def test_an_override_of_what_is_not_there_is_told_what_is(
    compile_files: Compile, changes: dict[str, str], override: str, hint: str
) -> None:
    text = f"{SPARK_JOB}  environments:\n    test:\n      coreEtl: {{jobSpec: {{sources: [{override}]}}}}\n"
    for old, new in changes.items():
        text = text.replace(old, new)
    with pytest.raises(ManifestError) as error:
        compile_files({"job.yaml": text})
    assert {(problem.code, problem.hint) for problem in error.value.problems} == {("DCP112", hint)}


@pytest.mark.parametrize(
    ("written", "hint"), [("2.0", "write 2"), ("1e1", "write 10"), ('"2"', "write it without quotes: 2"), ("2.5", "for example 4")]
)
def test_a_whole_number_is_written_as_one(compile_files: Compile, written: str, hint: str) -> None:
    with pytest.raises(ManifestError) as caught:
        compile_files({"job.yaml": SPARK_JOB.replace("cores: 2", f"cores: {written}")})
    (problem,) = caught.value.problems
    assert (problem.code, problem.hint) == ("DCP111", hint)
