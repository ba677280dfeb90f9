"""Violations of a schema, explained: what is wrong in a reader's words, where, and what to write instead."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jsonschema.exceptions import ValidationError

from airflow_dcp_provider.model.texts import character_name, cut, first_not_in_line
from dag_factory.manifest.node import Node
from dag_factory.manifest.problems import Problems, did_you_mean, hint_for, listed, nearest

#: An example of a field that is a number with a unit, as 8g.
_SIZE = re.compile(r"(\d+)([A-Za-z]+)")

_TYPE_NAMES = {
    "object": "a map",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}


@dataclass(frozen=True)
class Violation:
    """One violation, in plain types.

    :param keyword: the schema's keyword that is violated, ``rule`` its value, ``schema`` the object that holds it.
    :param path: names and places that lead to the value, ``where`` as a reader writes it.
    :param documented: what the whole schema says of each field that it knows.
    :param base: the manifest that was merged with the overrides of an environment; None when it was not.
    """

    keyword: str
    rule: Any
    schema: Mapping[str, Any]
    path: tuple[str | int, ...]
    message: str
    instance: Any
    where: str
    documented: Mapping[str, Mapping[str, Any]]
    base: Node | None = None

    @classmethod
    def of(
        cls, error: ValidationError, root: Node, documented: Mapping[str, Mapping[str, Any]], base: Node | None = None
    ) -> Violation:
        """Return ``error`` of ``root``'s check in plain types."""
        schema = error.schema if isinstance(error.schema, Mapping) else {}
        path = tuple(error.absolute_path)
        keyword, rule = str(error.validator), error.validator_value
        return cls(keyword, rule, schema, path, error.message, error.instance, _written(path, root), documented, base)


def explain(error: Violation, root: Node, problems: Problems) -> None:
    """Record a violation of ``root`` as a problem."""
    explain = _EXPLANATIONS.get(error.keyword)
    node = root.nearest(error.path)
    if explain:
        explain(error, node, root, problems)
    else:
        problems.add("DCP113", f"{error.where} {_tidy(error.message)}", node.position, _example(error))


def _unknown_fields(error: Violation, node: Node, root: Node, problems: Problems) -> None:  # noqa: ARG001 - one signature for all
    known = [name for name in error.schema.get("properties", {}) if not name.startswith("$")]
    left_alone = tuple(error.schema.get("patternProperties", {}))
    for name, value in node.fields.items():
        if name not in error.schema.get("properties", {}) and not any(re.search(pattern, name) for pattern in left_alone):
            inside = f" in {error.where}" if error.path else ""
            hint = functools.partial(hint_for, name, known, "the fields here are")
            problems.add("DCP110", f"unknown field `{cut(name, 80)}`{inside}", value.key_position, hint)


def _missing_field(error: Violation, node: Node, root: Node, problems: Problems) -> None:
    for name in error.rule:
        # Every missing field has a violation of its own; the message names it first.
        if name not in node.fields and error.message.startswith(f"'{name}' "):
            hint = functools.partial(_how_to_add, name, error, node, root)
            problems.add("DCP112", f"{error.where} lacks `{name}`", node.key_position, hint)


def _how_to_add(name: str, error: Violation, node: Node, root: Node) -> str:
    if hint := _meant_another(error, node, root):
        return hint
    if stray := nearest(name, [each for each in node.fields if each not in error.documented]):
        return f"write `{name}` instead of `{stray}`"
    example = _first_example(error.documented.get(name)).removeprefix("for example ")
    return f"for example {name}: {example}" if example else f"add `{name}`"


def _meant_another(error: Violation, node: Node, root: Node) -> str:
    """Return a hint when an item of a named list looks like an override whose name is misspelt."""
    name = node.get("name")
    if name is None or not name.text or not error.path:
        return ""
    if error.base is not None:
        return _not_to_override(name.text, error.path, error.base)
    others = [other for other in _names(root.nearest(error.path[:-1])) if other != name.text]
    close = nearest(name.text, others, cutoff=0.7)
    return f"it is a new one; to override an existing one write its name, did you mean `{close}`?" if close else ""


def _not_to_override(name: str, path: Sequence[str | int], base: Node) -> str:
    """Return what could be overridden in place of an item that ``base`` does not have, or nothing."""
    names = _names(base.get(*path[:-1]))
    if not names or name in names:
        return ""
    text = f"no {str(path[-2]).removesuffix('s')} `{name}` to override; there {'are' if len(names) > 1 else 'is'}: {listed(names)}"
    near = did_you_mean(name, names) if len(names) > 1 else ""
    return f"{text}; {near}" if near else text


def _names(items: Node | None) -> list[str]:
    return [each.fields["name"].text for each in (items.items if items else ()) if "name" in each.fields]


def _wrong_type(error: Violation, node: Node, root: Node, problems: Problems) -> None:  # noqa: ARG001
    wanted = error.rule if isinstance(error.rule, list) else [error.rule]
    words = " or ".join(_TYPE_NAMES.get(each, str(each)) for each in wanted)
    hint = functools.partial(_type_hint, wanted, node, error)
    problems.add("DCP111", f"{error.where} must be {words}, and is {_shown(node)}", node.position, hint)


def _type_hint(wanted: list[str], node: Node, error: Violation) -> str:
    if "string" in wanted and isinstance(node.value, int | float):
        if error.schema.get("examples") and (size := _SIZE.fullmatch(str(error.schema["examples"][0]))):
            return _size_hint(node, size)
        return f'put it in quotes: "{node.written}"'
    if "integer" in wanted and (whole := _whole_number(node)):
        return whole
    if "boolean" in wanted and node.text.lower() in {"yes", "no", "on", "off", "true", "false"}:
        return f"write {'true' if node.text.lower() in {'yes', 'on', 'true'} else 'false'}, without quotes"
    if "array" in wanted and not node.is_map:
        return "write a list: one item a line, each after `- `, or [a, b]"
    return _example(error)


def _whole_number(node: Node) -> str:
    """Return how to write a value as the whole number that it stands for, or nothing when it stands for none."""
    if isinstance(node.value, float) and node.value.is_integer():
        return f"write {int(node.value)}"
    text = node.text.strip()
    return f"write it without quotes: {text}" if text.lstrip("-").isdecimal() else ""


def _size_hint(node: Node, usual: re.Match[str]) -> str:
    """Return how to write a number as a size; its unit is left to the reader where that of the usual size would be too large."""
    number, unit = int(usual.group(1)), usual.group(2)
    if isinstance(node.value, int) and not isinstance(node.value, bool) and 0 < node.value <= 100 * number:
        return f"write it with a unit: {node.value}{unit}"
    return f"write it with a unit, for example {usual.group()}"


def _not_among(error: Violation, node: Node, root: Node, problems: Problems) -> None:  # noqa: ARG001
    allowed = [str(each) for each in error.rule]
    message = f"{error.where} must be one of {', '.join(allowed)}, and is {_shown(node)}"
    problems.add("DCP113", message, node.position, did_you_mean(node.text, allowed) or f"use one of: {', '.join(allowed)}")


def _not_the_one(error: Violation, node: Node, root: Node, problems: Problems) -> None:  # noqa: ARG001
    problems.add("DCP113", f"{error.where} must be {json.dumps(error.rule)}", node.position, "write it so, or remove it")


def _excluded(error: Violation, node: Node, root: Node, problems: Problems) -> None:  # noqa: ARG001
    # What is excluded has no name in JSON Schema; the schemas that ship describe it, and name fields that are too many.
    rule = error.rule if isinstance(error.rule, Mapping) else {}
    alternatives = rule.get("anyOf", [rule])
    extra = [name for each in alternatives for name in each.get("required", ()) if name in node.fields]
    where = node.fields[extra[-1]].key_position if extra else node.key_position
    hint = f"remove `{extra[-1]}`" if extra else "change it"
    problems.add("DCP113", f"{error.where} {rule.get('description', 'is not allowed as it is')}", where, hint)


def _bad_name(error: Violation, node: Node, root: Node, problems: Problems) -> None:  # noqa: ARG001
    name = str(error.instance)
    found = node.fields.get(name)
    where = found.key_position if found else node.position
    problems.add("DCP113", f"`{name}` is not a name that may stand in {error.where}", where, _example(error))


def _pattern(error: Violation, node: Node, root: Node, problems: Problems) -> None:  # noqa: ARG001
    problems.add(
        "DCP113", f"{error.where} is {_shown(node)}, which does not have the form it needs", node.position, _example(error)
    )


def _too_few(error: Violation, node: Node, root: Node, problems: Problems) -> None:  # noqa: ARG001
    problems.add("DCP113", f"{error.where} must not be empty", node.position, _example(error))


def _bounds(error: Violation, node: Node, root: Node, problems: Problems) -> None:  # noqa: ARG001
    word = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "more than", "exclusiveMaximum": "less than"}
    text = f"{error.where} must be {word[error.keyword]} {error.rule}, and is {_shown(node)}"
    problems.add("DCP113", text, node.position, _example(error))


def _too_long(error: Violation, node: Node, root: Node, problems: Problems) -> None:  # noqa: ARG001
    text = f"{error.where} has {len(node.text)} characters, and may have {error.rule}"
    problems.add("DCP125", text, node.position, "make it shorter")


def _too_many(error: Violation, node: Node, root: Node, problems: Problems) -> None:  # noqa: ARG001
    count = len(node.items) or len(node.fields)
    hint = "make several manifests of it" if node.items else "remove what is not needed"
    problems.add("DCP127", f"{error.where} has {count} items, and may have {error.rule}", node.position, hint)


def _bad_format(error: Violation, node: Node, root: Node, problems: Problems) -> None:
    if error.rule != "line":
        _pattern(error, node, root, problems)
        return
    place = first_not_in_line(node.text) or 0
    text = f"{error.where} must be one line, and holds the character {character_name(node.text[place])}"
    problems.add("DCP123", text, node.position, "write it in one line; a block (`|`, `>`) ends in a line end, `|-` and `>-` do not")


def _twice(error: Violation, node: Node, root: Node, problems: Problems) -> None:  # noqa: ARG001
    problems.add("DCP140", f"{error.where} names something twice", node.position, "remove one of them")


_EXPLANATIONS: dict[str, Callable[[Violation, Node, Node, Problems], None]] = {
    "additionalProperties": _unknown_fields,
    "required": _missing_field,
    "type": _wrong_type,
    "enum": _not_among,
    "const": _not_the_one,
    "not": _excluded,
    "pattern": _pattern,
    "propertyNames": _bad_name,
    "minItems": _too_few,
    "minLength": _too_few,
    "minProperties": _too_few,
    "minimum": _bounds,
    "maximum": _bounds,
    "exclusiveMinimum": _bounds,
    "uniqueItems": _twice,
    "maxLength": _too_long,
    "maxItems": _too_many,
    "maxProperties": _too_many,
    "format": _bad_format,
}


def _written(path: Sequence[str | int], root: Node) -> str:
    """Return a path as a reader writes it: ``spec.resources.driver.cores``, ``sources[raw_events].type``."""
    text = ""
    for depth, step in enumerate(path):
        name = root.get(*path[: depth + 1], "name") if isinstance(step, int) else None
        text += f"[{name.text if name and name.text else step}]" if isinstance(step, int) else f".{step}"
    return f"`{text.lstrip('.')}`" if text else "the manifest"


def _shown(node: Node) -> str:
    if node.value is None:
        return "empty"
    if node.is_map:
        return "a map"
    if node.is_list:
        return "a list"
    text = node.written
    kind = "the text " if isinstance(node.value, str) else ""
    return f"{kind}`{text if len(text) <= 60 else text[:57] + '...'}`"


def _example(error: Violation) -> str:
    return _first_example(error.schema)


def _first_example(schema: Any) -> str:
    if not isinstance(schema, Mapping) or not schema.get("examples"):
        return ""
    example = schema["examples"][0]
    return f"for example {example if isinstance(example, str) else json.dumps(example)}"


def _tidy(message: str) -> str:
    return message[0].lower() + message[1:] if message else message
