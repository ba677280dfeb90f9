"""The shipped JSON Schemas by kind, each as one document that stands alone, as editors need it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

_FILES = ("spark_job.json", "derived_dataset.json")


def shipped_schemas() -> dict[str, dict[str, Any]]:
    """Return the schemas by title (``SparkJob``), with the definitions that one takes from another copied into it."""
    files = {name: _read(name) for name in _FILES}
    return {schema["title"]: _alone(schema, files) for schema in files.values()}


def _read(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(resources.files("dag_factory").joinpath("schemas", name).read_text(encoding="utf-8"))
    return schema


def _alone(schema: dict[str, Any], files: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    definitions: dict[str, Any] = dict(schema.get("$defs", {}))
    todo = [(target, file) for target, file in _references({**schema}) if file]
    while todo:
        name, file = todo.pop()
        if name not in definitions:
            definitions[name] = files[file]["$defs"][name]
            # What the copied definition refers to in its own file comes along.
            todo += [(inner, other or file) for inner, other in _references(definitions[name])]
    alone: dict[str, Any] = _localized({**schema, "$defs": definitions})
    return alone


def _references(value: Any) -> Iterator[tuple[str, str]]:
    """Yield each ``$ref`` to a definition as its name and its file, which is empty for the same file."""
    if isinstance(value, Mapping):
        if isinstance(value.get("$ref"), str):
            file, _, pointer = value["$ref"].partition("#/$defs/")
            yield pointer, file
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _localized(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: f"#/$defs/{item.partition('#/$defs/')[2]}" if key == "$ref" and isinstance(item, str) else _localized(item)
            for key, item in value.items()
        }
    return [_localized(item) for item in value] if isinstance(value, list) else value
