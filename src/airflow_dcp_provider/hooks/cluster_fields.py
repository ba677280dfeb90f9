"""Readers of the fields of a connection of type ``dcp`` that say where jobs run and with how much. No Airflow import."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_dcp_provider.hooks.field_readers import MalformedError, alias, dns_name, parsed, shown, text, texts, whole_number
from airflow_dcp_provider.model.cluster import Cluster
from airflow_dcp_provider.model.environment import CatalogRef, SecretKey
from airflow_dcp_provider.model.names import is_dns_label
from airflow_dcp_provider.model.quantities import memory_bytes

_CLUSTER_KEYS = ("name", "connection", "region", "weight", "spark_versions", "namespace")
_CLUSTER_FORM = 'must be a list of objects, for example [{"name": "eu-1", "connection": "k8s_eu_1", "region": "eu", "weight": 1}]'

#: <name of a Kubernetes Secret>/<one of its keys>
_SECRET_KEY = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/[-._a-zA-Z0-9]{1,253}")

_LARGEST_WEIGHT = 1_000_000
_MEMORY_LIMITS = ("driver_memory", "executor_memory")
_NUMBER_LIMITS = ("driver_cores", "executor_cores", "max_executors", "max_executions")


def clusters(value: Any) -> tuple[Cluster, ...]:
    """Read the list of clusters; each has a name of its own."""
    items = parsed(value)
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        raise MalformedError(_CLUSTER_FORM)
    found = tuple(_cluster(item) for item in items)
    names = [cluster.name for cluster in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise MalformedError(f"has the cluster `{twice[0]}` twice; executions remember their cluster by its name")
    return found


def _cluster(item: Mapping[str, Any]) -> Cluster:
    if unknown := set(item) - set(_CLUSTER_KEYS):
        raise MalformedError(
            f"has a cluster with the unknown key `{min(unknown)}`; a cluster's keys are {', '.join(_CLUSTER_KEYS)}"
        )
    name, connection = item.get("name"), item.get("connection")
    if not isinstance(name, str) or not isinstance(connection, str) or not name or not connection:
        raise MalformedError(f"has a cluster without `name` or `connection`; it {_CLUSTER_FORM}")
    weight = item.get("weight", 1)
    if not isinstance(weight, int | float) or isinstance(weight, bool) or not 0 <= weight <= _LARGEST_WEIGHT:
        raise MalformedError(f"has a cluster whose weight is {shown(weight)}; a weight is a number from 0 to {_LARGEST_WEIGHT}")
    namespace = text(item.get("namespace") or "")
    if namespace and not is_dns_label(namespace):
        raise MalformedError(f"gives the cluster `{name}` the namespace `{namespace}`, which is no Kubernetes namespace")
    return Cluster(
        name=dns_name(name),
        connection=connection,
        region=text(item.get("region") or ""),
        weight=float(weight),
        spark_versions=texts(item.get("spark_versions") or []),
        namespace=namespace,
    )


def limits(value: Any) -> dict[str, Any]:
    """Read the limits that the connection sets, for :class:`~airflow_dcp_provider.model.limits.Limits`; null lifts a default."""
    items = parsed(value)
    if not isinstance(items, Mapping):
        raise MalformedError('must be an object like {"driver_cores": 4, "driver_memory": "8g", "max_executors": 10}')
    return {str(name): _limit(str(name), item) for name, item in items.items()}


def _limit(name: str, value: Any) -> int | str | None:
    if name in _NUMBER_LIMITS:
        return None if value is None else whole_number(f"`{name}`")(value)
    if name not in _MEMORY_LIMITS:
        raise MalformedError(f"has the unknown limit `{name}`; the limits are {', '.join((*_NUMBER_LIMITS, *_MEMORY_LIMITS))}")
    if value is None:
        return ""
    try:
        memory_bytes(text(value))
    except ValueError as error:
        raise MalformedError(f"has the limit `{name}`: {error}") from error
    return text(value)


def catalogs(value: Any) -> dict[str, CatalogRef]:
    """Read alias -> where it leads."""
    items = parsed(value)
    form = 'must be an object like {"pedregal": {"connection": "iceberg_prod", "mode": "write"}}'
    if not isinstance(items, Mapping):
        raise MalformedError(form)
    found = {}
    for name, leads_to in items.items():
        target = {"connection": leads_to} if isinstance(leads_to, str) else leads_to
        key = alias(name)
        if not isinstance(target, Mapping) or set(target) - {"connection", "mode"} or not isinstance(target.get("connection"), str):
            raise MalformedError(f"leads the alias `{key}` to {shown(leads_to)}; it {form}")
        mode = target.get("mode", "write")
        if not isinstance(mode, str) or mode not in {"read", "write"}:
            raise MalformedError(f"gives the alias `{key}` the mode {shown(mode)}; a mode is read or write")
        found[key] = CatalogRef(connection=target["connection"], mode=mode)
    return found


def catalog_secrets(value: Any) -> dict[str, dict[str, SecretKey]]:
    """Read alias -> property of its catalog -> the Kubernetes Secret and its key.

    No value is shown: somebody may have written the credential itself. Each is one text, because Airflow hides in all logs
    whatever stands below keys such as ``token`` and ``secret``: alone, the words `token` or `iceberg-prod` would go with it.
    """
    form = 'must be an object like {"pedregal": {"credential": "<Secret>/<key>"}}'
    items = parsed(value)
    if not isinstance(items, Mapping):
        raise MalformedError(form)
    found: dict[str, dict[str, SecretKey]] = {}
    for name, properties in items.items():
        if not isinstance(properties, Mapping) or not properties or not all(map(_is_secret_key, properties.values())):
            raise MalformedError(f"describes the alias `{alias(name)}` wrongly; it {form}")
        found[alias(name)] = {str(key): SecretKey(*text(item).split("/")) for key, item in properties.items()}
    return found


def _is_secret_key(value: Any) -> bool:
    return isinstance(value, str) and bool(_SECRET_KEY.fullmatch(value.strip()))
