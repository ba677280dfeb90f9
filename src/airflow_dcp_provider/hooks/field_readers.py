"""What reads the value of one field of a connection of type ``dcp``. No Airflow import.

Values come as JSON (a connection's extra) or, from older forms, as text that holds JSON. Each reader returns the value as
:class:`~airflow_dcp_provider.model.environment.Environment` keeps it and raises :class:`MalformedError`, whose text completes the
sentence "the field `x` ...".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from airflow_dcp_provider.model.names import is_own_mark, label_value
from airflow_dcp_provider.model.parameters import bound_fault
from airflow_dcp_provider.model.texts import is_one_line


class MalformedError(Exception):
    """A field's value is not what it should be; the text completes "the field `x` ..."."""


#: Largest whole number, its digits, and most characters of a text.
_LARGEST, _MOST_DIGITS, _LONGEST = 2**31 - 1, 10, 4096

_ALIAS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def text(value: Any) -> str:
    """Read text, without the blanks around it."""
    if not isinstance(value, str):
        raise MalformedError(f"must be text, not {_kind(value)}")
    if not is_one_line(value.strip()) or len(value) > _LONGEST:
        raise MalformedError(f"must be a text of one line, without control characters, of at most {_LONGEST} characters")
    return value.strip()


def choice(choices: tuple[str, ...], what: str) -> Callable[[Any], str]:
    """Return a reader of one of ``choices``; ``what`` they are is said in the error."""

    def read(value: Any) -> str:
        found = text(value)
        if found not in choices:
            raise MalformedError(f"names the unknown {what} `{found}`; choose one of {', '.join(choices)}")
        return found

    return read


def whole_number(unit: str) -> Callable[[Any], int]:
    """Return a reader of a whole number from 0 of ``unit``."""

    def read(value: Any) -> int:
        # Digits of other scripts, such as a superscript two, are digits to Python and no numbers.
        written = value.strip() if isinstance(value, str) else ""
        number = int(written) if written.isascii() and written.isdecimal() and len(written) <= _MOST_DIGITS else value
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= _LARGEST:
            raise MalformedError(f"must be a whole number of {unit} up to {_LARGEST}, not {shown(value)}")
        return number

    return read


def shown(value: Any) -> str:
    """Return a value as a message shows it."""
    try:
        text = repr(value)
    except ValueError:
        # A number of more digits than Python writes.
        return _kind(value)
    return text if len(text) <= 100 else f"{text[:100]}..."


def truth(value: Any) -> bool:
    """Read true or false."""
    found = {"true": True, "false": False}.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise MalformedError(f"must be true or false, not {shown(value)}")
    return found


def url(value: Any) -> str:
    """Read an address that begins with http:// or https://."""
    found = text(value)
    try:
        parts = urlsplit(found)
    except ValueError as error:
        raise MalformedError(f"is not an address: {error}") from error
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise MalformedError(f"must be an address that begins with http:// or https://, not `{found}`")
    return found


def dns_name(value: Any) -> str:
    """Read the name of a Kubernetes object."""
    found = text(value)
    if len(found) > 253 or not _DNS_SUBDOMAIN.fullmatch(found):
        raise MalformedError(f"must be the name of a Kubernetes object (lower case letters, digits, `-`, `.`), not `{found}`")
    return found


def texts(value: Any) -> tuple[str, ...]:
    """Read a list of texts; older forms have only text fields, there a list is written with commas."""
    items = (
        [part.strip() for part in value.split(",")]
        if isinstance(value, str) and not value.lstrip().startswith("[")
        else parsed(value)
    )
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise MalformedError('must be a list of texts, for example ["growth", "search"]')
    return tuple(item for item in items if item)


def setting_names(value: Any) -> tuple[str, ...]:
    """Read names of Spark settings that manifests may set; a name may end in ``.*``."""
    # This module is imported with `airflow` itself.
    from airflow_dcp_provider.runner.spark_conf import entry_fault

    entries = texts(value)
    for entry in entries:
        if fault := entry_fault(entry):
            raise MalformedError(f"has the entry `{entry}`, which {fault}")
    return entries


def text_map(value: Any) -> dict[str, str]:
    """Read an object whose values are texts, numbers or booleans."""
    items = parsed(value)
    if not isinstance(items, Mapping) or not all(isinstance(item, str | int | float | bool) for item in items.values()):
        raise MalformedError('must be an object of texts, for example {"key": "value"}')
    if fault := bound_fault(items):
        raise MalformedError(f"must have texts and numbers that can be stored; they {fault}")
    # Spark and Kubernetes write booleans in lower case.
    return {str(key): str(item).lower() if isinstance(item, bool) else str(item) for key, item in items.items()}


def labels(value: Any) -> dict[str, str]:
    """Read Kubernetes labels; those of the Spark Runner, of operators, Spark and Kubernetes are refused."""
    found = text_map(value)
    for key, item in found.items():
        if is_own_mark(key):
            raise MalformedError(f"sets the label `{key}`, which the Spark Runner, an operator, Spark or Kubernetes sets itself")
        if not _LABEL_KEY.fullmatch(key):
            raise MalformedError(f"has the label `{key}`; a label's name has letters, digits, `-`, `_` and `.`, at most 63")
        if label_value(item) != item:
            raise MalformedError(f"gives the label `{key}` the value `{item}`; it has letters, digits, `-`, `_`, `.`, at most 63")
    return found


def object_list(value: Any) -> tuple[Mapping[str, Any], ...]:
    """Read a list of objects as Kubernetes spells them; the API server checks what is in them."""
    items = parsed(value)
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        raise MalformedError("must be a list of objects as Kubernetes spells them")
    if fault := bound_fault(items):
        raise MalformedError(f"must be objects as Kubernetes spells them; they {fault}")
    return tuple(dict(item) for item in items)


def alias(name: Any) -> str:
    """Read a catalog's alias."""
    if not isinstance(name, str) or not _ALIAS.fullmatch(name):
        raise MalformedError(f"has the alias `{name}`, which is no SQL identifier")
    return name


def parsed(value: Any) -> Any:
    """Return a value, parsed as JSON where it is text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"is not JSON: {error}") from error


def _kind(value: Any) -> str:
    kinds = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return kinds.get(type(value), type(value).__name__)
