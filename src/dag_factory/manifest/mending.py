"""A manifest that violates its schema, mended so far that later checks see the rest of it: all problems are told at once.

Nothing that is made here is ever run. A value that may not be so is left out, and a value that is missing is made up from what the
schema says of it; what is made up stands in no file, so that nobody is told of a mistake in it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from dag_factory.manifest.node import Node

#: The file of values that are made up.
NOWHERE = ""
#: How items of named lists say which they are; a name cannot be made up, since it could be another's.
_NAME = "name"
_OF_TYPE: dict[str, Any] = {"object": {}, "array": [], "integer": 1, "number": 1, "boolean": True}

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Fault:
    """One violation of a schema.

    :param keyword: the schema's keyword that is violated, ``rule`` its value.
    :param path: names and places that lead to the value.
    :param known: the names of the fields that the value may have.
    :param instance: the value, or the name that may not stand in a map.
    """

    keyword: str
    rule: Any
    path: Path
    known: frozenset[str]
    instance: Any


def mend(root: Node, fault: Fault, documented: Mapping[str, Mapping[str, Any]]) -> Node | None:
    """Return ``root`` without ``fault``, or None when nothing of it would be left.

    :param documented: what the schema says of each field that it knows.
    """
    node = root.get(*fault.path)
    if node is None:
        return None
    if unwanted := _unwanted(fault, node):
        return _put(root, fault.path, _left(node, unwanted))
    if fault.keyword == "required" and (better := _completed(fault, node, documented)):
        return _put(root, fault.path, better)
    if node.file == NOWHERE and (better := _as_wanted(fault)):
        return _put(root, fault.path, better)
    return _drop(root, fault.path)


def _unwanted(fault: Fault, node: Node) -> Collection[str]:
    """Return the fields of a map that may not be there."""
    match fault.keyword:
        case "additionalProperties":
            return {name for name in node.fields if name not in fault.known}
        case "propertyNames":
            return [str(fault.instance)]
        case "not":
            alternatives = fault.rule.get("anyOf", [fault.rule]) if isinstance(fault.rule, Mapping) else []
            return [name for each in alternatives for name in each.get("required", ()) if name in node.fields][-1:]
        case _:
            return []


def _left(node: Node, unwanted: Collection[str]) -> Node:
    return replace(node, value={name: each for name, each in node.fields.items() if name not in unwanted})


def _completed(fault: Fault, node: Node, documented: Mapping[str, Mapping[str, Any]]) -> Node | None:
    missing = [name for name in fault.rule if name not in node.fields]
    if _NAME in missing and isinstance(fault.path[-1] if fault.path else None, int) and node.file != NOWHERE:
        return None
    return replace(node, value={**node.fields, **{name: _made_up(documented.get(name, {})) for name in missing}})


def _as_wanted(fault: Fault) -> Node | None:
    """Return a made-up value that does not violate what another did, or None."""
    match fault.keyword, fault.rule:
        case "enum", [first, *_]:
            return _node(first)
        case "minItems", _:
            return _node(["x"])
        case "type", str() as wanted if wanted in _OF_TYPE:
            return _node(_OF_TYPE[wanted])
        case _:
            return None


def _drop(root: Node, path: Path) -> Node | None:
    if not path:
        return None
    *above, last = path
    holder = root.nearest(above)
    if isinstance(last, int):
        left: Any = holder.items[:last] + holder.items[last + 1 :]
    else:
        left = {name: each for name, each in holder.fields.items() if name != last}
    return _put(root, tuple(above), replace(holder, value=left))


def _put(node: Node, path: Path, value: Node) -> Node:
    if not path:
        return value
    first, rest = path[0], path[1:]
    if isinstance(first, int):
        items = node.items
        return replace(node, value=(*items[:first], _put(items[first], rest, value), *items[first + 1 :]))
    return replace(node, value={**node.fields, first: _put(node.fields[first], rest, value)})


def _made_up(schema: Mapping[str, Any]) -> Node:
    """Return a value for a field; where ``schema`` does not allow it, the next check tells."""
    for keyword in ("examples", "enum"):
        if schema.get(keyword):
            return _node(schema[keyword][0])
    return _node("x")


def _node(value: Any) -> Node:
    if isinstance(value, Mapping):
        return Node({str(name): _node(each) for name, each in value.items()}, NOWHERE, 0, 0)
    if isinstance(value, list):
        return Node(tuple(_node(each) for each in value), NOWHERE, 0, 0)
    return Node(value, NOWHERE, 0, 0)
