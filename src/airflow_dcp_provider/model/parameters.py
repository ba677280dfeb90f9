"""Parameters of a manifest: plain values, or declared with a type, and what every door holds a run's values against.

A declared parameter is a map like ``{type: integer, default: 10, minimum: 1}``, a few words of JSON Schema. There is no
``pattern``: an author's regular expression would run in Airflow's API server. The doors are the trigger form, Airflow's API,
``pretzel`` and the task.
"""

from __future__ import annotations

import datetime as dt
import difflib
import json
import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from airflow_dcp_provider.model.errors import UsageError

#: The words of a declaration, and the types that it may name.
WORDS = ("type", "default", "description", "enum", "minimum", "maximum", "minLength", "maxLength", "format")
TYPES = ("string", "integer", "number", "boolean")
FORMATS = ("date", "date-time")
_EXAMPLES = {"date": "2024-01-31", "date-time": "2024-01-31T06:00:00Z"}

#: Words that belong to values of some types only.
_WORDS_OF_KINDS = {
    "minimum": ("integer", "number"),
    "maximum": ("integer", "number"),
    "minLength": ("string",),
    "maxLength": ("string",),
    "format": ("string",),
}

#: The names of the trigger form's own fields.
RESERVED = ("environment", "parameters")

#: Most bytes of a run's parameters as JSON, and their deepest nesting.
MOST_BYTES, DEEPEST = 65_536, 10

_INT64 = 2**63


def is_declared(value: Any) -> bool:
    """Whether a parameter in a manifest says what it is, and is not a plain value."""
    return isinstance(value, Mapping)


def defaults_of(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of each parameter for runs that are given no other."""
    return {name: value.get("default") if is_declared(value) else value for name, value in parameters.items()}


def declared_of(parameters: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the declarations among the parameters of a manifest."""
    return {name: dict(value) for name, value in parameters.items() if is_declared(value)}


def declaration_fault(name: str, declared: Mapping[str, Any]) -> str:
    """Return what is wrong with the declaration of a parameter, as the rest of a sentence; empty when nothing is."""
    return next((fault for faults in (_form_faults, _value_faults) for fault in faults(name, declared)), "")


def _form_faults(name: str, declared: Mapping[str, Any]) -> Iterator[str]:
    if name in RESERVED:
        yield f"has the name of a field of the trigger form ({', '.join(RESERVED)})"
    for word in sorted(set(declared) - set(WORDS)):
        yield f"is declared with the unknown word `{word}`; the words are {', '.join(WORDS)}"
    kind = declared.get("type")
    if kind not in TYPES:
        yield f"needs a `type`: {', '.join(TYPES)}"
    if "default" not in declared:
        yield "needs a `default`, which scheduled runs have"
    for word, kinds in _WORDS_OF_KINDS.items():
        if word in declared and kind not in kinds:
            yield f"is of type {kind}, which has no `{word}`"
        if word in declared and word != "format" and not _is_number(declared[word]):
            yield f"has a `{word}` that is not a number"


def _value_faults(_: str, declared: Mapping[str, Any]) -> Iterator[str]:
    if declared.get("format", FORMATS[0]) not in FORMATS:
        yield f"has an unknown `format`; there are {', '.join(FORMATS)}"
    choices = declared.get("enum", [declared["default"]])
    if not isinstance(choices, list | tuple) or not choices:
        yield "has an `enum` that lists nothing"
    for choice in choices:
        if fault := value_fault(choice, {**declared, "enum": None}):
            yield f"has a value that {fault}"
    if fault := value_fault(declared["default"], declared):
        yield f"has a `default` that {fault}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def value_fault(value: Any, declared: Mapping[str, Any]) -> str:
    """Return why a value is not one of a declared parameter, as the rest of a sentence; empty when it is."""
    kind = declared.get("type")
    fits = {
        "string": isinstance(value, str),
        "boolean": isinstance(value, bool),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "number": _is_number(value),
    }
    if not fits.get(str(kind), False):
        return f"is not of type {kind}"
    if declared.get("enum") is not None and not any(value == one and type(value) is type(one) for one in declared["enum"]):
        return f"is not one of {', '.join(str(one) for one in list(declared['enum'])[:10])}"
    measured, low, high, what = (
        (len(value), "minLength", "maxLength", "characters") if isinstance(value, str) else (value, "minimum", "maximum", "")
    )
    if low in declared and measured < declared[low]:
        return f"is below the `{low}` {declared[low]} {what}".rstrip()
    if high in declared and measured > declared[high]:
        return f"is above the `{high}` {declared[high]} {what}".rstrip()
    if declared.get("format") and not _is_moment(value, declared["format"]):
        return f"is not a {declared['format']}, such as {_EXAMPLES[declared['format']]}"
    return ""


def _is_moment(text: str, form: str) -> bool:
    try:
        if form == "date":
            return len(text) == 10 and dt.date.fromisoformat(text).isoformat() == text
        return "T" in text and dt.datetime.fromisoformat(text) is not None
    except ValueError:
        return False


def value_of_text(text: str, declared: Mapping[str, Any] | None) -> Any:
    """Return the value that a text on the command line stands for.

    :param declared: the parameter's declaration; of another parameter what is JSON is taken as such, and anything else is text.
    """
    if declared is not None and declared.get("type") == "string":
        return text
    try:
        return json.loads(text, parse_constant=lambda _: text)
    except (ValueError, RecursionError):
        return text


def check_values(values: Mapping[str, Any], parameters: Collection[str], declared: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse a run's values that its manifest does not know, or that are not what it declares.

    :param parameters: the names that the manifest gives a value.
    :raises UsageError: DCP219 for an unknown name, DCP220 for a value that its parameter cannot have.
    """
    for name in values:
        if name not in parameters:
            near = difflib.get_close_matches(str(name)[:100], [str(each) for each in parameters], 1)
            names = ", ".join(sorted(parameters))
            known = f"the manifest's parameters are {names}" if names else "the manifest has no parameters"
            hint = f"did you mean `{near[0]}`?" if near else known
            raise UsageError(f"there is no parameter {str(name)[:100]!r}", code="DCP219", hint=hint)
    if fault := bound_fault(values):
        raise UsageError(f"the run's parameters {fault}", code="DCP220", hint="put large values into a table or a file")
    for name, declaration in declared.items():
        if name in values and (fault := value_fault(values[name], declaration)):
            raise UsageError(f"the parameter `{name}` {fault}", code="DCP220", hint=str(declaration.get("description") or ""))


def bound_fault(value: Any) -> str:
    """Return why values are too much for a run, as the rest of a sentence; empty when they are not."""
    pending: list[tuple[Any, int]] = [(value, 0)]
    while pending:
        item, depth = pending.pop()
        if depth > DEEPEST:
            return f"nest deeper than {DEEPEST} levels"
        if isinstance(item, int) and not -_INT64 <= item < _INT64:
            return "hold a number of more than 64 bits"
        if isinstance(item, float) and not math.isfinite(item):
            return "hold a number that is not finite"
        if isinstance(item, str) and ("\0" in item or any("\ud800" <= character <= "\udfff" for character in item)):
            return "hold a text with a character that cannot be stored"
        if isinstance(item, Mapping):
            pending += [(each, depth + 1) for pair in item.items() for each in pair]
        elif isinstance(item, list | tuple):
            pending += [(each, depth + 1) for each in item]
    size = len(json.dumps(value, default=str))
    return f"have {size} bytes as JSON, and {MOST_BYTES} are allowed" if size > MOST_BYTES else ""


def form_schema(declared: Mapping[str, Any]) -> dict[str, Any]:
    """Return a declaration as the JSON Schema of a field of Airflow's trigger form, without its default and description."""
    return {word: value for word, value in declared.items() if word not in {"default", "description"}}
