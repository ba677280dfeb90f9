"""The ways in which a value arrives: in the manifest, from ``defaults.yaml``, by an environment's override, in both kinds."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_dcp_provider.model.errors import ManifestError, Problem
from dag_factory.compiled import CompiledManifest, CompileSettings, compile_manifest

ENVIRONMENTS = ("local", "prod")
WAYS = ("manifest", "defaults", "override")

SPARK_JOB: dict[str, Any] = {
    "apiVersion": "dcp.example.com/v1",
    "kind": "SparkJob",
    "metadata": {"name": "good-job", "namespace": "flights", "team": "team-a"},
    "spec": {
        "coreEtl": {
            "jobSpec": {
                "sources": [{"name": "src", "database": "d", "table": "t"}],
                "transformations": [{"name": "out", "query": "SELECT a FROM src"}],
                "sinks": [{"name": "out", "database": "d", "table": "out"}],
            }
        },
        "orchestration": {"schedule": "@daily", "startDate": "2013-01-01"},
    },
}
DATASET: dict[str, Any] = {
    "metadata": {"technical_owner": "team-a"},
    "dataset": {"name": "good_dataset", "fields": [{"name": "a", "type": "long"}]},
    "workflow": {"sql": "good.sql", "schedule": "@daily", "startDate": "2013-01-01"},
}
SQL = "SELECT a FROM raw.events\n"
KINDS = ("SparkJob", "DerivedDataset")

#: Where fields that both kinds have stand in each.
BLOCK = {"SparkJob": ("spec",), "DerivedDataset": ("workflow",)}
FLOW = {"SparkJob": ("spec", "orchestration"), "DerivedDataset": ("workflow",)}


def manifest(kind: str) -> dict[str, Any]:
    """Return a manifest of a kind in which nothing is wrong."""
    return copy.deepcopy(SPARK_JOB if kind == "SparkJob" else DATASET)


def put(holder: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Put a value where ``path`` leads, making the maps on the way."""
    for step in path[:-1]:
        holder = holder.setdefault(step, {})
    holder[path[-1]] = value


def ways_of(path: tuple[str, ...]) -> tuple[str, ...]:
    """Return the ways in which the field can arrive; only what runs can be overridden."""
    return WAYS if path[0] in {"spec", "workflow"} else WAYS[:2]


class Raw:
    """A scalar as it is to stand in the YAML text."""

    def __init__(self, text: str) -> None:
        self.text = text


def write(value: Any) -> str:
    """Return YAML in flow style, with texts quoted as YAML's double quotes want it and :class:`Raw` as it is."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_quoted(name)}: {write(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(write, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return _quoted(value) if isinstance(value, str) else str(value)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(char if " " <= char <= "~" else f"\\U{ord(char):08x}" for char in escaped) + '"'


def top(value: Mapping[str, Any]) -> str:
    """Return a map as YAML with its fields at the top in lines of their own."""
    return "".join(f"{name}: {write(each)}\n" for name, each in value.items())


def place(folder: Path, kind: str, path: tuple[str, ...], value: Any, way: str) -> Path:
    """Write a manifest whose field at ``path`` has a value, by one of the ways; return its path."""
    content = manifest(kind)
    if way == "manifest":
        put(content, path, value)
    elif way == "defaults":
        section: dict[str, Any] = {}
        put(section, path, value)
        _taken_out(content, path)
        (folder / "defaults.yaml").write_text(top({kind: section}))
    elif kind == "SparkJob":
        put(content, ("spec", "environments", "prod", *path[1:]), value)
    else:
        put(content, ("environments", "prod", *path), value)
    (folder / "good.sql").write_text(SQL)
    file = folder / "job.yaml"
    file.write_text(top(content))
    return file


def _taken_out(holder: dict[str, Any], path: tuple[str, ...]) -> None:
    for step in path[:-1]:
        holder = holder.get(step, {})
    holder.pop(path[-1], None)


def compiled(file: Path) -> CompiledManifest | None:
    return compile_manifest(file, file.parent, ENVIRONMENTS, CompileSettings())


def problems_of(file: Path) -> tuple[Problem, ...]:
    """Return what is wrong with a manifest."""
    try:
        compiled(file)
    except ManifestError as error:
        caught = error
    else:
        return ()
    assert caught.problems
    assert len(str(caught)) <= 50_000
    return caught.problems


def codes_of(file: Path) -> set[str]:
    return {problem.code for problem in problems_of(file) if problem.severity == "error"}


def every_way(fields: Mapping[str, tuple[tuple[str, ...], ...]]) -> list[tuple[str, tuple[str, ...], str]]:
    """Return kind, path and way of each field in every way."""
    return [(kind, path, way) for kind, paths in fields.items() for path in paths for way in ways_of(path)]
