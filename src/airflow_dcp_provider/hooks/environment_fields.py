"""The fields of a connection of type ``dcp``: one table for the form, the provider's metadata and the parser. No Airflow import.

Values come as JSON (a connection's extra) or, from older forms, as text that holds JSON.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from airflow_dcp_provider.model.environment import DEFAULT_CATALOG, CatalogRef, Environment
from airflow_dcp_provider.model.errors import DcpEnvironmentError

#: Backends that a connection may name. Which of them this version can run jobs on is the hook's to say.
BACKENDS = ("local", "kubeflow", "apache")


class _MalformedError(Exception):
    """A field's value is not what it should be; the text completes "the field `x` ..."."""


_ALIAS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Field:
    """One field: its label and description in the form, the JSON type of its value, and what reads the value.

    :param json_type: ``string``, ``integer``, ``object`` or ``array``.
    :param read: returns the value as :class:`Environment` keeps it; its error completes the sentence "the field `x` ...".
    """

    label: str
    description: str
    json_type: str
    read: Callable[[Any], Any]
    choices: tuple[str, ...] = ()


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _MalformedError(f"must be text, not {_kind(value)}")
    return value.strip()


def _backend(value: Any) -> str:
    text = _text(value)
    if text not in BACKENDS:
        raise _MalformedError(f"names the unknown backend `{text}`; the backends are {', '.join(BACKENDS)}")
    return text


def _seconds(value: Any) -> int:
    number = int(value) if isinstance(value, str) and value.strip().isdigit() else value
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise _MalformedError(f"must be a whole number of seconds, not {value!r}")
    return number


def _url(value: Any) -> str:
    text = _text(value)
    if urlsplit(text).scheme not in {"http", "https"} or not urlsplit(text).netloc:
        raise _MalformedError(f"must be an address that begins with http:// or https://, not `{text}`")
    return text


def _texts(value: Any) -> tuple[str, ...]:
    # Older forms have only text fields; there a list is written with commas.
    items = (
        [part.strip() for part in value.split(",")]
        if isinstance(value, str) and not value.lstrip().startswith("[")
        else _json(value)
    )
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise _MalformedError('must be a list of texts, for example ["growth", "search"]')
    return tuple(item for item in items if item)


def _text_map(value: Any) -> dict[str, str]:
    items = _json(value)
    if not isinstance(items, Mapping) or not all(isinstance(item, str | int | float | bool) for item in items.values()):
        raise _MalformedError('must be an object of texts, for example {"key": "value"}')
    # Spark and Kubernetes write booleans in lower case.
    return {str(key): str(item).lower() if isinstance(item, bool) else str(item) for key, item in items.items()}


def _clusters(value: Any) -> tuple[Mapping[str, Any], ...]:
    items = _json(value)
    form = 'must be a list of objects, for example [{"name": "eu-1", "connection": "k8s_eu_1", "region": "eu", "weight": 1}]'
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        raise _MalformedError(form)
    for item in items:
        if unknown := set(item) - {"name", "connection", "region", "weight"}:
            raise _MalformedError(f"has a cluster with the unknown key `{min(unknown)}`; {form}")
        if not isinstance(item.get("name"), str) or not isinstance(item.get("connection"), str):
            raise _MalformedError(f"has a cluster without `name` or `connection`; {form}")
        weight = item.get("weight", 1)
        if not isinstance(weight, int | float) or isinstance(weight, bool) or weight < 0:
            raise _MalformedError(f"has a cluster whose weight is {weight!r}; a weight is a number from 0")
    return tuple(dict(item) for item in items)


def _catalogs(value: Any) -> dict[str, CatalogRef]:
    items = _json(value)
    form = 'must be an object like {"pedregal": {"connection": "iceberg_prod", "mode": "write"}}'
    if not isinstance(items, Mapping):
        raise _MalformedError(form)
    found = {}
    for alias, leads_to in items.items():
        if not _ALIAS.fullmatch(alias):
            raise _MalformedError(f"has the alias `{alias}`, which is no SQL identifier")
        target = {"connection": leads_to} if isinstance(leads_to, str) else leads_to
        if not isinstance(target, Mapping) or set(target) - {"connection", "mode"} or not isinstance(target.get("connection"), str):
            raise _MalformedError(f"leads the alias `{alias}` to {json.dumps(leads_to)}; it {form}")
        mode = target.get("mode", "write")
        if mode not in {"read", "write"}:
            raise _MalformedError(f"gives the alias `{alias}` the mode {mode!r}; a mode is read or write")
        found[alias] = CatalogRef(connection=target["connection"], mode=mode)
    return found


def _json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        raise _MalformedError(f"is not JSON: {error}") from error


def _kind(value: Any) -> str:
    kinds = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return kinds.get(type(value), type(value).__name__)


#: Every field, in the form's order.
FIELDS: dict[str, Field] = {
    "backend": Field("Backend", "Where jobs run: local, kubeflow or apache.", "string", _backend, BACKENDS),
    "clusters": Field("Clusters", "A Kubernetes connection each, with name, region and weight.", "array", _clusters),
    "namespace_template": Field("Namespace template", "For example sjns-{team}-{environment}.", "string", _text),
    "teams": Field("Teams", "Teams that the environment serves; empty means every team.", "array", _texts),
    "catalogs": Field("Catalogs", "Alias -> connection of type iceberg and mode (read or write).", "object", _catalogs),
    "write_catalog": Field("Catalog written to", "The alias that jobs write to.", "string", _text),
    "image_registry": Field("Image registry", "Registry from which images are pulled.", "string", _text),
    "image_rules": Field("Image rules", "Engine and version -> image.", "object", _text_map),
    "service_account": Field("Service account", "Of driver and executors.", "string", _text),
    "limits": Field("Limits", "Largest values that a job may ask for, for example memory and instances.", "object", _text_map),
    "ttl_seconds": Field("Time to live", "Seconds after which a finished application is removed.", "integer", _seconds),
    "event_log_dir": Field("Event log folder", "Where Spark writes its event logs.", "string", _text),
    "history_server_url": Field("History server", "Address of the Spark History Server.", "string", _url),
    "spark_defaults": Field("Spark defaults", "Spark configuration below the manifests' own.", "object", _text_map),
    "node_selector": Field("Node selector", "Labels of the nodes that run jobs.", "object", _text_map),
    "labels": Field("Labels", "Labels that every resource gets.", "object", _text_map),
    "user": Field("User", "The user of a playground.", "string", _text),
}

#: Those that are fields of :class:`Environment`; the others are kept in its ``extra``.
_OWN = ("backend", "teams", "catalogs", "write_catalog", "spark_defaults")


def parse_environment(name: str, connection: str, extra: Mapping[str, Any]) -> Environment:
    """Return the environment that a connection's extra describes. Empty fields count as absent.

    :param name: the environment's name.
    :param connection: the connection's id, for messages.
    :raises DcpEnvironmentError: DCP413 for an unknown field, DCP412 for a malformed one; both name field and connection.
    """
    values: dict[str, Any] = {}
    for key, value in extra.items():
        field = FIELDS.get(key)
        if field is None:
            near = difflib.get_close_matches(key, FIELDS, 1)
            raise DcpEnvironmentError(
                f"connection {connection} has the unknown field `{key}`",
                code="DCP413",
                hint=f"did you mean `{near[0]}`?" if near else f"the fields are: {', '.join(FIELDS)}",
            )
        if value is None or value in ("", [], {}):
            continue
        try:
            values[key] = field.read(value)
        except _MalformedError as error:
            raise DcpEnvironmentError(
                f"connection {connection}: the field `{key}` {error}", code="DCP412", hint=f"{field.label}: {field.description}"
            ) from error
    _check_write_catalog(connection, values)
    own = {key: values.pop(key) for key in _OWN if key in values}
    return Environment(name=name, extra=values, **own)


def _check_write_catalog(connection: str, values: Mapping[str, Any]) -> None:
    catalogs: Mapping[str, CatalogRef] = values.get("catalogs", {})
    alias = values.get("write_catalog", DEFAULT_CATALOG)
    if not catalogs:
        return
    if alias not in catalogs or catalogs[alias].mode != "write":
        raise DcpEnvironmentError(
            f"connection {connection}: the field `write_catalog` is `{alias}`, which is no catalog with the mode write",
            code="DCP412",
            hint=f"the catalogs are: {', '.join(f'{name} ({ref.mode})' for name, ref in catalogs.items())}",
        )


def conn_fields() -> dict[str, dict[str, Any]]:
    """Return the form's fields as a provider's metadata describes them (``conn-fields``)."""
    found: dict[str, dict[str, Any]] = {}
    for name, field in FIELDS.items():
        schema: dict[str, Any] = {"type": [field.json_type, "null"]}
        if field.choices:
            schema["enum"] = [*field.choices, None]
        found[name] = {"label": field.label, "description": field.description, "schema": schema}
    return found


def field_behaviour() -> dict[str, Any]:
    """Return which of a connection's standard fields the form hides, with Python's keys."""
    return {
        "hidden_fields": ["host", "port", "schema", "login", "password"],
        "relabeling": {},
        "placeholders": {"extra": '{"backend": "local"}'},
    }
