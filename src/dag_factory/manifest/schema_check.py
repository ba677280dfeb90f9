"""Checking located values against a JSON Schema: each violation becomes a problem at its own place, with a hint.

The schemas are the only source of truth for what a manifest may hold; nothing here knows a field by name.
"""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from dag_factory.manifest.mending import Fault, mend
from dag_factory.manifest.node import Node
from dag_factory.manifest.problems import Problems, did_you_mean, hint_for, nearest

_PARTIAL = "#/$defs/partial"
#: A manifest with more violations is not looked at further: each costs one more check.
_MOST_MENDED = 100

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


@functools.cache
def load_schema(name: str) -> dict[str, Any]:
    """Return one of the schemas that ship with the package.

    :param name: the file's name without ``.json``, for example ``spark_job``.
    """
    text = resources.files("dag_factory").joinpath("schemas", f"{name}.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def inlined(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return an equal schema in which what a reference names stands in its place, where nothing stands beside it.

    The validator looks a reference up each time that it comes upon it, which is most of its work.
    """
    definitions: Mapping[str, Any] = schema.get("$defs", {})
    done: dict[str, Any] = {}

    def expand(value: Any, above: tuple[str, ...]) -> Any:
        if isinstance(value, list):
            return [expand(item, above) for item in value]
        if not isinstance(value, Mapping):
            return value
        name = str(value.get("$ref", "")).removeprefix("#/$defs/")
        if name in definitions and name not in above and set(value) <= {"$ref", "description"}:
            if name not in done:
                done[name] = expand(definitions[name], (*above, name))
            return done[name]
        return {key: expand(item, above) for key, item in value.items()}

    return {
        key: {name: expand(each, (name,)) for name, each in value.items()} if key == "$defs" else expand(value, ())
        for key, value in schema.items()
    }


class SchemaChecker:
    """A schema, made ready once and used for many manifests.

    A schema may be a reference to its own ``$defs/partial`` with rules beside it. Then ``$defs/partial`` says what each value may
    be, and is what ``defaults.yaml`` must satisfy, and the rules beside it say what a whole manifest must have. One more field in a
    map must not break them; what an item of a list has may.

    :param schema: a JSON Schema of draft 2020-12.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        schema = inlined(schema)
        self._documented = dict(_documented(schema))
        self._full = Draft202012Validator(schema)
        self._values: Draft202012Validator | None = None
        self._wholeness = self._full
        if schema.get("$ref") == _PARTIAL and "partial" in schema.get("$defs", {}):
            frame = {name: value for name, value in schema.items() if name in {"$schema", "$id", "$defs"}}
            self._values = Draft202012Validator({**frame, "$ref": _PARTIAL})
            self._wholeness = Draft202012Validator({name: value for name, value in schema.items() if name != "$ref"})

    def check(self, manifest: Node, problems: Problems) -> bool:
        """Record every violation in a whole manifest; return whether there is none."""
        return self._record(self._full, manifest, problems)

    def check_values(self, part: Node, problems: Problems) -> bool:
        """Record every value in a part of a manifest that may not be so; what is missing is no violation."""
        return self._values is None or self._record(self._values, part, problems)

    def check_merged(self, manifest: Node, problems: Problems, *, base: Node, may_lack: bool) -> bool:
        """Record what a manifest lacks once overrides are merged; return whether it lacks nothing.

        :param base: the manifest before, which lacks nothing.
        :param may_lack: whether the overrides removed something or added to a list of maps. All else that they do was checked in
            the manifest and in the overrides as they stand.
        """
        if self._values is not None and not may_lack:
            return True
        return self._record(self._wholeness, manifest, problems, base)

    def mended(self, manifest: Node) -> Node | None:
        """Return a manifest without what violates the schema in it, for further checks; None when too little of it is left."""
        found: Node | None = manifest
        for _ in range(_MOST_MENDED):
            if found is None or (error := next(self._full.iter_errors(found.plain()), None)) is None:
                return found
            leaf = next(_leaves(error))
            schema = leaf.schema if isinstance(leaf.schema, Mapping) else {}
            known = frozenset(schema.get("properties", {}))
            fault = Fault(str(leaf.validator), leaf.validator_value, tuple(leaf.absolute_path), known, leaf.instance)
            found = mend(found, fault, self._documented)
        return None

    def _record(self, validator: Draft202012Validator, node: Node, problems: Problems, base: Node | None = None) -> bool:
        good = True
        for error in validator.iter_errors(node.plain()):
            good = False
            for leaf in _leaves(error):
                _explain(_Violation.of(leaf, node, self._documented, base), node, problems)
        return good


def _documented(schema: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every field that a schema knows, with what it says of it."""
    waiting = [schema]
    seen: set[int] = set()
    while waiting:
        part = waiting.pop()
        # What was inlined is one object in many places.
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, Mapping):
            yield from ((name, each) for name, each in part.get("properties", {}).items() if isinstance(each, Mapping))
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


@dataclass(frozen=True)
class _Violation:
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
    ) -> _Violation:
        """Return ``error`` of ``root``'s check in plain types."""
        schema = error.schema if isinstance(error.schema, Mapping) else {}
        path = tuple(error.absolute_path)
        keyword, rule = str(error.validator), error.validator_value
        return cls(keyword, rule, schema, path, error.message, error.instance, _written(path, root), documented, base)


def _leaves(error: ValidationError) -> Iterator[ValidationError]:
    """Yield the violations behind one of a combining keyword (``anyOf``, ``oneOf``): those of the branch that fits best."""
    if error.context and error.validator in {"anyOf", "oneOf"}:
        branches: dict[Any, list[ValidationError]] = {}
        for each in error.context:
            branches.setdefault(each.schema_path[0], []).append(each)
        best = min(branches.values(), key=lambda found: (-max(len(each.path) for each in found), len(found)))
        for each in best:
            yield from _leaves(each)
    else:
        yield error


def _explain(error: _Violation, root: Node, problems: Problems) -> None:
    explain = _EXPLANATIONS.get(error.keyword)
    node = root.nearest(error.path)
    if explain:
        explain(error, node, root, problems)
    else:
        problems.add("DCP113", f"{error.where} {_tidy(error.message)}", node.position, _example(error))


def _unknown_fields(error: _Violation, node: Node, root: Node, problems: Problems) -> None:  # noqa: ARG001 - one signature for all
    known = [name for name in error.schema.get("properties", {}) if not name.startswith("$")]
    for name, value in node.fields.items():
        if name not in error.schema.get("properties", {}):
            inside = f" in {error.where}" if error.path else ""
            problems.add(
                "DCP110", f"unknown field `{name}`{inside}", value.key_position, hint_for(name, known, "the fields here are")
            )


def _missing_field(error: _Violation, node: Node, root: Node, problems: Problems) -> None:
    missing = [name for name in error.rule if name not in node.fields]
    hint = _meant_another(error, node, root)
    for name in missing:
        # Every missing field has a violation of its own; the message names it first.
        if error.message.startswith(f"'{name}' "):
            stray = nearest(name, [each for each in node.fields if each not in error.documented])
            near = f"write `{name}` instead of `{stray}`" if stray else ""
            example = _first_example(error.documented.get(name)).removeprefix("for example ")
            wanted = f"for example {name}: {example}" if example else f"add `{name}`"
            problems.add("DCP112", f"{error.where} lacks `{name}`", node.key_position, hint or near or wanted)


def _meant_another(error: _Violation, node: Node, root: Node) -> str:
    """Return a hint when an item of a named list looks like an override whose name is misspelt."""
    name = node.get("name")
    if name is None or not name.text or not error.path:
        return ""
    if error.base is not None:
        return _not_to_override(name.text, error.path, error.base)
    others = [other for other in _names(root.nearest(error.path[:-1])) if other != name.text]
    close = difflib.get_close_matches(name.text, others, n=1, cutoff=0.7)
    return f"it is a new one; to override an existing one write its name, did you mean `{close[0]}`?" if close else ""


def _not_to_override(name: str, path: Sequence[str | int], base: Node) -> str:
    """Return what could be overridden in place of an item that ``base`` does not have, or nothing."""
    names = _names(base.get(*path[:-1]))
    if not names or name in names:
        return ""
    found = (
        f"no {str(path[-2]).removesuffix('s')} `{name}` to override; there {'are' if len(names) > 1 else 'is'}: {', '.join(names)}"
    )
    near = did_you_mean(name, names) if len(names) > 1 else ""
    return f"{found}; {near}" if near else found


def _names(items: Node | None) -> list[str]:
    return [each.fields["name"].text for each in (items.items if items else ()) if "name" in each.fields]


def _wrong_type(error: _Violation, node: Node, root: Node, problems: Problems) -> None:  # noqa: ARG001
    wanted = error.rule if isinstance(error.rule, list) else [error.rule]
    words = " or ".join(_TYPE_NAMES.get(each, str(each)) for each in wanted)
    problems.add("DCP111", f"{error.where} must be {words}, and is {_shown(node)}", node.position, _type_hint(wanted, node, error))


def _type_hint(wanted: list[str], node: Node, error: _Violation) -> str:
    if "string" in wanted and isinstance(node.value, int | float):
        if error.schema.get("examples") and (size := _SIZE.fullmatch(str(error.schema["examples"][0]))):
            return _size_hint(node, size)
        written = str(node.value).lower() if isinstance(node.value, bool) else str(node.value)
        return f'put it in quotes: "{written}"'
    if "integer" in wanted and node.text.strip().lstrip("-").isdigit():
        return f"write it without quotes: {node.text.strip()}"
    if "boolean" in wanted and node.text.lower() in {"yes", "no", "on", "off", "true", "false"}:
        return f"write {'true' if node.text.lower() in {'yes', 'on', 'true'} else 'false'}, without quotes"
    if "array" in wanted and not node.is_map:
        return "write a list: one item a line, each after `- `, or [a, b]"
    return _example(error)


def _size_hint(node: Node, usual: re.Match[str]) -> str:
    """Return how to write a number as a size; its unit is left to the reader where that of the usual size would be too large."""
    number, unit = int(usual.group(1)), usual.group(2)
    if isinstance(node.value, int) and not isinstance(node.value, bool) and 0 < node.value <= 100 * number:
        return f"write it with a unit: {node.value}{unit}"
    return f"write it with a unit, for example {usual.group()}"


def _not_among(error: _Violation, node: Node, root: Node, problems: Problems) -> None:  # noqa: ARG001
    allowed = [str(each) for each in error.rule]
    message = f"{error.where} must be one of {', '.join(allowed)}, and is {_shown(node)}"
    problems.add("DCP113", message, node.position, did_you_mean(node.text, allowed) or f"use one of: {', '.join(allowed)}")


def _not_the_one(error: _Violation, node: Node, root: Node, problems: Problems) -> None:  # noqa: ARG001
    problems.add("DCP113", f"{error.where} must be {json.dumps(error.rule)}", node.position, "write it so, or remove it")


def _excluded(error: _Violation, node: Node, root: Node, problems: Problems) -> None:  # noqa: ARG001
    # What is excluded has no name in JSON Schema; the schemas that ship describe it, and name fields that are too many.
    rule = error.rule if isinstance(error.rule, Mapping) else {}
    alternatives = rule.get("anyOf", [rule])
    extra = [name for each in alternatives for name in each.get("required", ()) if name in node.fields]
    where = node.fields[extra[-1]].key_position if extra else node.key_position
    hint = f"remove `{extra[-1]}`" if extra else "change it"
    problems.add("DCP113", f"{error.where} {rule.get('description', 'is not allowed as it is')}", where, hint)


def _bad_name(error: _Violation, node: Node, root: Node, problems: Problems) -> None:  # noqa: ARG001
    name = str(error.instance)
    found = node.fields.get(name)
    where = found.key_position if found else node.position
    problems.add("DCP113", f"`{name}` is not a name that may stand in {error.where}", where, _example(error))


def _pattern(error: _Violation, node: Node, root: Node, problems: Problems) -> None:  # noqa: ARG001
    problems.add(
        "DCP113", f"{error.where} is {_shown(node)}, which does not have the form it needs", node.position, _example(error)
    )


def _too_few(error: _Violation, node: Node, root: Node, problems: Problems) -> None:  # noqa: ARG001
    problems.add("DCP113", f"{error.where} must not be empty", node.position, _example(error))


def _bounds(error: _Violation, node: Node, root: Node, problems: Problems) -> None:  # noqa: ARG001
    word = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "more than", "exclusiveMaximum": "less than"}
    text = f"{error.where} must be {word[error.keyword]} {error.rule}, and is {_shown(node)}"
    problems.add("DCP113", text, node.position, _example(error))


def _twice(error: _Violation, node: Node, root: Node, problems: Problems) -> None:  # noqa: ARG001
    problems.add("DCP140", f"{error.where} names something twice", node.position, "remove one of them")


_EXPLANATIONS: dict[str, Callable[[_Violation, Node, Node, Problems], None]] = {
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
    if isinstance(node.value, bool):
        return f"`{str(node.value).lower()}`"
    text = str(node.value)
    kind = "the text " if isinstance(node.value, str) else ""
    return f"{kind}`{text if len(text) <= 60 else text[:57] + '...'}`"


def _example(error: _Violation) -> str:
    return _first_example(error.schema)


def _first_example(schema: Any) -> str:
    if not isinstance(schema, Mapping) or not schema.get("examples"):
        return ""
    example = schema["examples"][0]
    return f"for example {example if isinstance(example, str) else json.dumps(example)}"


def _tidy(message: str) -> str:
    return message[0].lower() + message[1:] if message else message
