"""Numbers that no system keeps as they are: infinite ones, ones that are no numbers, and whole ones of more than 64 bits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from dag_factory.manifest.node import Node
from dag_factory.manifest.problems import Problems

#: The keyword by which a schema says that a field takes numbers as texts, as they are written.
KEEPS_SOURCE = "x-keeps-source"

_NUMBERS = frozenset({int, float})
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1


def is_in_range(value: float) -> bool:
    """Whether the number is finite and, when it is whole, has at most 64 bits."""
    return math.isfinite(value) if isinstance(value, float) else _SMALLEST <= value <= _LARGEST


def check_numbers(root: Node, schema: Mapping[str, Any], problems: Problems) -> bool:
    """Record DCP124 for each number out of range in a field that takes numbers; return whether there is none.

    :param schema: a JSON Schema; fields that it bounds on both sides, or to which it gives another type, are its own matter.
    """
    if not any(_is_out_of_range(node) for node in root.everything()):
        return True
    good = True
    definitions: Mapping[str, Any] = schema.get("$defs", {})
    waiting: list[tuple[Node, Any]] = [(root, schema)]
    while waiting:
        node, rule = waiting.pop()
        part = _followed(rule, definitions)
        if isinstance(node.value, dict):
            fields, others = part.get("properties", {}), part.get("additionalProperties")
            waiting += [(value, fields.get(name, others)) for name, value in node.value.items()]
        elif isinstance(node.value, tuple):
            waiting += [(item, part.get("items")) for item in node.value]
        elif _is_out_of_range(node) and _takes_numbers(part):
            good = False
            hint = f'where a text is meant, put it in quotes: "{node.written}"'
            problems.add("DCP124", f"the number `{_short(node.written)}` is out of range", node.position, hint)
    return good


def _is_out_of_range(node: Node) -> bool:
    return type(node.value) in _NUMBERS and not is_in_range(node.value)  # type: ignore[arg-type]


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def _followed(schema: Any, definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema with what its reference names; nothing where there is none to look at."""
    if not isinstance(schema, Mapping):
        return {}
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    return {**_followed(definitions[name], definitions), **schema} if name in definitions else schema


def _takes_numbers(schema: Mapping[str, Any]) -> bool:
    types = schema.get("type", "number")
    named = [types] if isinstance(types, str) else types
    bounded = ("minimum" in schema or "exclusiveMinimum" in schema) and "maximum" in schema
    return bool({"number", "integer"} & set(named)) and not bounded and not schema.get(KEEPS_SOURCE)
