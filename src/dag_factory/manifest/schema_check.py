"""Checking located values against a JSON Schema: each violation becomes a problem at its own place, with a hint.

The schemas are the only source of truth for what a manifest may hold; nothing here knows a field by name.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, validators
from jsonschema.exceptions import ValidationError

from airflow_dcp_provider.model.texts import is_one_line
from dag_factory.manifest.acceptance import acceptance
from dag_factory.manifest.mending import Fault, mend
from dag_factory.manifest.node import Node
from dag_factory.manifest.numbers import check_numbers
from dag_factory.manifest.problems import Problems
from dag_factory.manifest.violations import Violation, explain

_PARTIAL = "#/$defs/partial"
#: A manifest with more violations is not looked at further: each costs one more check of all of it.
_MOST_MENDED = 100
#: The same for large ones: the number of checks times that of values.
_MOST_CHECKED = 50_000

#: Longer lists are not searched for what they name twice, which can cost the square of their length. Schemas bound them.
_MOST_COMPARED = 2_000

#: Formats that the schemas name and JSON Schema does not define. ``line``: a text in one line.
_FORMATS = FormatChecker(formats=())
_FORMATS.checks("line")(lambda value: not isinstance(value, str) or is_one_line(value))


def _unique_items(validator: Any, rule: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, list) and len(instance) <= _MOST_COMPARED:
        yield from Draft202012Validator.VALIDATORS["uniqueItems"](validator, rule, instance, schema)


def _is_whole_number(_: Any, value: Any) -> bool:
    # JSON Schema takes 1.0 for a whole number; what gets it would not.
    return isinstance(value, int) and not isinstance(value, bool)


_Validator: Any = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {"uniqueItems": _unique_items},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_whole_number),
)


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


class _Rules:
    """A schema that values are checked against."""

    def __init__(self, schema: Mapping[str, Any], formats: FormatChecker | None) -> None:
        self._accepts = acceptance(schema, formats, _MOST_COMPARED)
        self._validator: Any = _Validator(schema, format_checker=formats)

    def errors(self, value: Any) -> Iterator[ValidationError]:
        """Yield every violation in a value."""
        if not self._accepts(value):
            yield from self._validator.iter_errors(value)


class SchemaChecker:
    """A schema, made ready once and used for many manifests.

    A schema may be a reference to its own ``$defs/partial`` with rules beside it. Then ``$defs/partial`` says what each value may
    be, and is what ``defaults.yaml`` must satisfy, and the rules beside it say what a whole manifest must have. One more field in a
    map must not break them; what an item of a list has may.

    :param schema: a JSON Schema of draft 2020-12.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        schema = inlined(schema)
        # What each value may be, without the rules of whole manifests beside it.
        self._parts = {**schema.get("$defs", {}).get("partial", schema), "$defs": schema.get("$defs", {})}
        self._documented = dict(_documented(schema))
        self._full = _Rules(schema, _FORMATS)
        self._values: _Rules | None = None
        self._wholeness = self._full
        if schema.get("$ref") == _PARTIAL and "partial" in schema.get("$defs", {}):
            frame = {name: value for name, value in schema.items() if name in {"$schema", "$id", "$defs"}}
            self._values = _Rules({**frame, "$ref": _PARTIAL}, _FORMATS)
            self._wholeness = _Rules({name: value for name, value in schema.items() if name != "$ref"}, None)

    def check(self, manifest: Node, problems: Problems) -> bool:
        """Record every violation in a whole manifest; return whether there is none."""
        good = check_numbers(manifest, self._parts, problems)
        return self._record(self._full, manifest, problems) and good

    def check_values(self, part: Node, problems: Problems) -> bool:
        """Record every value in a part of a manifest that may not be so; what is missing is no violation."""
        good = check_numbers(part, self._parts, problems)
        return (self._values is None or self._record(self._values, part, problems)) and good

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
        for _ in range(min(_MOST_MENDED, max(1, _MOST_CHECKED // manifest.size()))):
            if found is None or (error := next(self._full.errors(found.plain()), None)) is None:
                return found
            leaf = next(_leaves(error))
            schema = leaf.schema if isinstance(leaf.schema, Mapping) else {}
            known = frozenset(schema.get("properties", {}))
            fault = Fault(str(leaf.validator), leaf.validator_value, tuple(leaf.absolute_path), known, leaf.instance)
            found = mend(found, fault, self._documented)
        return None

    def _record(self, rules: _Rules, node: Node, problems: Problems, base: Node | None = None) -> bool:
        good = True
        for error in rules.errors(node.plain()):
            good = False
            for leaf in _leaves(error):
                explain(Violation.of(leaf, node, self._documented, base), node, problems)
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
