"""Reading JSON values into frozen ones: each field's own type says what it takes, and everything else is refused by name."""

from __future__ import annotations

import json
import math
from dataclasses import MISSING, fields
from typing import Any, Callable, Dict, List, Mapping, Tuple, Type, TypeVar

#: Longest document, in characters, and longest number in it, in digits: Python takes quadratic time for a long one.
_TEXT_LIMIT = 64 * 1024 * 1024
_DIGITS = 20

#: How a value is read: from JSON's, with what it is for the message.
Reader = Callable[[Any, str], Any]

_Value = TypeVar("_Value")


class FieldError(ValueError):
    """A value that does not fit its field; the message says which and why."""


def document(text: str) -> Dict[str, Any]:
    """Return the JSON object that ``text`` is.

    :raises FieldError: when it is none, is too large or too deep, or names a field twice.
    """
    if len(text) > _TEXT_LIMIT:
        raise FieldError(f"it has {len(text)} characters, more than {_TEXT_LIMIT}")
    try:
        data = json.loads(text, parse_int=_integer, parse_constant=_no_number, object_pairs_hook=_object)
    except FieldError:
        raise
    except (ValueError, RecursionError) as error:
        raise FieldError(f"it is not JSON ({error})") from error
    if not isinstance(data, dict):
        raise FieldError("it is not a JSON object")
    return data


def text(value: Any, what: str) -> str:
    """Return a text.

    :raises FieldError: when it is something else, or cannot be encoded.
    """
    if not isinstance(value, str):
        raise FieldError(f"{what} is {_kind(value)} and not a text")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise FieldError(f"{what} holds half a character") from error
    return value


def optional(reader: Reader) -> Reader:
    """Return a reader that also takes null."""
    return lambda value, what: None if value is None else reader(value, what)


def items(reader: Reader) -> Reader:
    """Return a reader of a list; null is an empty one."""

    def read(value: Any, what: str) -> Tuple[Any, ...]:
        if value is not None and not isinstance(value, list):
            raise FieldError(f"{what} is {_kind(value)} and not a list")
        return tuple(reader(item, f"item {number} of {what}") for number, item in enumerate(value or (), 1))

    return read


def flag(value: Any, what: str) -> bool:
    """Return true or false.

    :raises FieldError: when it is something else.
    """
    if not isinstance(value, bool):
        raise FieldError(f"{what} is {_kind(value)} and neither true nor false")
    return value


def number(value: Any, what: str) -> int:
    """Return a whole number from 1.

    :raises FieldError: when it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise FieldError(f"{what} is {value if isinstance(value, int) else _kind(value)} and not a number from 1")
    return value


def options(value: Any, what: str) -> Dict[str, str]:
    """Return a map of texts; numbers, true and false become the texts that Spark reads.

    :raises FieldError: when it is something else.
    """
    if not isinstance(value, dict):
        raise FieldError(f"{what} is {_kind(value)} and not a map")
    return {text(key, f"a key of {what}"): _option(item, f"`{key}` of {what}") for key, item in value.items()}


#: A dataclass's annotations and how they are read. Classes that nest are added by who defines them.
READERS: Dict[str, Reader] = {
    "str": text,
    "bool": flag,
    "int": number,
    "Optional[str]": optional(text),
    "Optional[int]": optional(number),
    "Tuple[str, ...]": items(text),
    "Optional[Tuple[str, ...]]": optional(items(text)),
    "Mapping[str, str]": options,
}


def build(kind: Type[_Value], value: Any, what: str) -> _Value:
    """Return a dataclass from a JSON object that has its fields and no others.

    :raises FieldError: when the object has another field, lacks one, or holds a value of another type.
    """
    if not isinstance(value, dict):
        raise FieldError(f"{what} is {_kind(value)} and not a JSON object")
    name = value.get("name")
    title = f"{kind.__name__.lower()} `{name}`" if isinstance(name, str) and name else what
    known = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]
    unknown = ", ".join(f"`{key}`" for key in value if key not in known)
    if unknown:
        raise FieldError(f"{title} has fields that this driver does not know: {unknown}")
    needed = [key for key, item in known.items() if item.default is MISSING and item.default_factory is MISSING]
    for key in needed:
        if key not in value:
            raise FieldError(f"{title} has no {key}")
    if name == "":
        raise FieldError(f"the name of {title} is empty")
    return kind(**{key: READERS[str(known[key].type)](item, f"the {key} of {title}") for key, item in value.items()})


def _option(value: Any, what: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)
    return text(value, what)


def _integer(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise FieldError(f"it holds a number of {len(digits)} digits")
    return int(digits)


def _no_number(word: str) -> float:
    raise FieldError(f"it holds {word}, which is not JSON")


def _object(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        names = [key for key, _ in pairs]
        raise FieldError(f"it has `{next(key for key in names if names.count(key) > 1)}` twice in one object")
    for key, value in pairs:
        if isinstance(value, float) and not math.isfinite(value):
            raise FieldError(f"`{key}` is larger than any number")
    return data


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    names: Mapping[type, str] = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list"}
    return names.get(type(value), "a map")
