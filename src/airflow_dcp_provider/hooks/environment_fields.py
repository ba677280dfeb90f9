"""The fields of a connection of type ``dcp``: one table for the form, the provider's metadata and the parser. No Airflow import."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from airflow_dcp_provider.hooks.cluster_fields import catalog_secrets, catalogs, clusters, limits
from airflow_dcp_provider.hooks.field_readers import (
    MalformedError,
    choice,
    dns_name,
    labels,
    object_list,
    setting_names,
    text,
    text_map,
    texts,
    truth,
    url,
    whole_number,
)
from airflow_dcp_provider.model.environment import DEFAULT_CATALOG, KUBERNETES_BACKENDS, CatalogRef, Environment
from airflow_dcp_provider.model.environment_defaults import environment_defaults
from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.images import IMAGE_POLICIES

#: Backends that a connection may name. Which of them this version can run jobs on is the hook's to say.
BACKENDS = ("local", *KUBERNETES_BACKENDS)


@dataclass(frozen=True)
class Field:
    """One field: its label and description in the form, the JSON type of its value, and what reads the value.

    :param json_type: ``string``, ``integer``, ``boolean``, ``object`` or ``array``.
    :param read: one of :mod:`airflow_dcp_provider.hooks.field_readers`.
    :param choices: the values of a list to choose from; the first is the default.
    """

    label: str
    description: str
    json_type: str
    read: Callable[[Any], Any]
    choices: tuple[str, ...] = ()


#: Every field, in the form's order.
FIELDS: dict[str, Field] = {
    "backend": Field("Backend", "Where jobs run: local, kubeflow or apache.", "string", choice(BACKENDS, "backend"), BACKENDS),
    "clusters": Field(
        "Clusters",
        "Each with name, connection (of type kubernetes), and as wanted region, weight, spark_versions, namespace.",
        "array",
        clusters,
    ),
    "namespace_template": Field(
        "Namespace template", "Kubernetes namespace, for example sjns-{team}-{environment}; {user} is known too.", "string", text
    ),
    "teams": Field("Teams", "Teams that the environment serves; empty means every team.", "array", texts),
    "catalogs": Field("Catalogs", "Alias -> connection of type iceberg and mode (read or write).", "object", catalogs),
    "write_catalog": Field("Catalog written to", "The alias that jobs write to.", "string", text),
    "catalog_secrets": Field(
        "Catalogs' Secrets",
        "Alias -> property -> Secret/key: the name of a Kubernetes Secret and its key, for credentials in pods.",
        "object",
        catalog_secrets,
    ),
    "image_registry": Field("Image registry", "Put before images that name no registry of their own.", "string", text),
    "image_rules": Field("Image rules", "Engine version, type/version, or default -> image.", "object", text_map),
    "spark_version": Field(
        "Spark version",
        "Of manifests that name none, for example 4.0; else 3.5, on the backend local what is installed.",
        "string",
        text,
    ),
    "image_policy": Field(
        "Image policy",
        "any, tag (a tag that is not latest, or a digest) or digest.",
        "string",
        choice(IMAGE_POLICIES, "policy"),
        IMAGE_POLICIES,
    ),
    "allowed_registries": Field("Allowed registries", "Where images may come from; empty means anywhere.", "array", texts),
    "image_core_etl": Field(
        "Images have core_etl", "Whether core_etl is in the images; otherwise it is sent along.", "boolean", truth
    ),
    # In one word: what stands below `service_account` is hidden by Airflow in all logs, so that org.apache.spark would be too.
    "serviceaccount": Field("Service account", "Of driver and executors.", "string", dns_name),
    "limits": Field(
        "Limits",
        "Most that a job gets: driver_cores, driver_memory, executor_cores, executor_memory, max_executors, max_executions.",
        "object",
        limits,
    ),
    "ttl_seconds": Field(
        "Time to live", "Seconds after which a finished application is removed.", "integer", whole_number("seconds")
    ),
    "start_timeout_seconds": Field(
        "Start time-out",
        "Seconds that an attempt may wait for its driver to start; 0 for ever.",
        "integer",
        whole_number("seconds"),
    ),
    "event_log_dir": Field("Event log folder", "Where Spark writes its event logs.", "string", text),
    "history_server_url": Field("History server", "Address of the Spark History Server.", "string", url),
    "spark_defaults": Field("Spark defaults", "Spark configuration below the manifests' own.", "object", text_map),
    "allowed_spark_conf": Field(
        "Allowed Spark settings",
        "Spark settings that manifests may set besides those of every environment: names, or prefix.*",
        "array",
        setting_names,
    ),
    "node_selector": Field("Node selector", "Labels of the nodes that run jobs.", "object", text_map),
    "tolerations": Field("Tolerations", "Kubernetes tolerations of driver and executors.", "array", object_list),
    "labels": Field("Labels", "Labels that every resource gets.", "object", labels),
    "priority_class": Field("Priority class", "Kubernetes PriorityClass of driver and executors.", "string", dns_name),
    "batch_scheduler": Field("Batch scheduler", "For example volcano, where the operator has it enabled.", "string", text),
    "volumes": Field("Volumes", "Kubernetes volumes of driver and executors.", "array", object_list),
    "volume_mounts": Field("Volume mounts", "Where driver and executors see the volumes.", "array", object_list),
    "opentelemetry_agent": Field("OpenTelemetry agent", "Path of OpenTelemetry's Java agent in the image.", "string", text),
    "fluent_bit": Field("Fluent Bit", "Image of a fluent-bit sidecar of the driver.", "string", text),
    "live_logs": Field(
        "Live logs", "How many driver logs one triggerer follows at once; 0 for none.", "integer", whole_number("logs")
    ),
    "sweep": Field("Sweep", "Whether the maintenance DAG sweeps this environment.", "boolean", truth),
    "user": Field("User", "Stands for {user} where nobody triggered the run.", "string", text),
}

#: Fields of the connection that make up one value of :class:`Environment`, connection's name -> the value's.
_IMAGE_FIELDS = {
    "image_registry": "registry",
    "image_rules": "rules",
    "image_policy": "policy",
    "allowed_registries": "allowed_registries",
    "image_core_etl": "core_etl",
}


def parse_environment(name: str, connection: str, extra: Mapping[str, Any]) -> Environment:
    """Return the environment that a connection's extra describes. Empty fields count as absent.

    On a Kubernetes backend what is absent has the defaults of :mod:`airflow_dcp_provider.model.environment_defaults`; of ``limits``
    and ``spark_defaults``, each key by itself.

    :param name: the environment's name.
    :param connection: the connection's id, for messages.
    :raises DcpEnvironmentError: DCP413 for an unknown field, DCP412 for a malformed one; both name field and connection.
    """
    values = {
        key: _read(key, value, connection) for key, value in extra.items() if _known(key, connection) and not _is_empty(value)
    }
    _check_write_catalog(connection, values)
    defaults = environment_defaults(name, values.get("backend", "local"))
    images = {_IMAGE_FIELDS[key]: values.pop(key) for key in _IMAGE_FIELDS if key in values}
    if "serviceaccount" in values:
        values["service_account"] = values.pop("serviceaccount")
    values["images"] = replace(defaults.images, **images)
    values["limits"] = replace(defaults.limits, **values.get("limits", {}))
    values["spark_defaults"] = {**defaults.spark_defaults, **values.get("spark_defaults", {})}
    return replace(defaults, name=name, **values)


def _known(key: str, connection: str) -> bool:
    if key not in FIELDS:
        near = difflib.get_close_matches(key, FIELDS, 1)
        raise DcpEnvironmentError(
            f"connection {connection} has the unknown field `{key}`",
            code="DCP413",
            hint=f"did you mean `{near[0]}`?" if near else f"the fields are: {', '.join(FIELDS)}",
        )
    return True


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", [], {})


def _read(key: str, value: Any, connection: str) -> Any:
    field = FIELDS[key]
    try:
        return field.read(value)
    except MalformedError as error:
        raise DcpEnvironmentError(
            f"connection {connection}: the field `{key}` {error}", code="DCP412", hint=f"{field.label}: {field.description}"
        ) from error


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
            # Without a default the form offers the word null.
            schema |= {"enum": [*field.choices, None], "default": field.choices[0]}
        if field.json_type == "array" and field.read not in (texts, setting_names):
            # Without this the form asks for one text a line, and no object can be entered.
            schema["items"] = {"type": "object"}
        found[name] = {"label": field.label, "description": field.description, "schema": schema}
    return found


def field_behaviour() -> dict[str, Any]:
    """Return which of a connection's standard fields the form hides, with Python's keys."""
    return {
        "hidden_fields": ["host", "port", "schema", "login", "password"],
        "relabeling": {},
        "placeholders": {"extra": '{"backend": "local"}'},
    }
