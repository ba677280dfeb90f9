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


class MalformedError(Exception):
    """A field's value is not what it should be; the text completes "the field `x` ..."."""


_ALIAS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def text(value: Any) -> str:
    """Read text, without the blanks around it."""
    if not isinstance(value, str):
        raise MalformedError(f"must be text, not {_kind(value)}")
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
        number = int(value) if isinstance(value, str) and value.strip().isdigit() else value
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise MalformedError(f"must be a whole number of {unit}, not {value!r}")
        return number

    return read


def truth(value: Any) -> bool:
    """Read true or false."""
    found = {"true": True, "false": False}.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise MalformedError(f"must be true or false, not {value!r}")
    return found


def url(value: Any) -> str:
    """Read an address that begins with http:// or https://."""
    found = text(value)
    if urlsplit(found).scheme not in {"http", "https"} or not urlsplit(found).netloc:
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
    except json.JSONDecodeError as error:
        raise MalformedError(f"is not JSON: {error}") from error


def _kind(value: Any) -> str:
    kinds = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return kinds.get(type(value), type(value).__name__)
