"""How a driver on a cluster gets the credentials of catalogs: from Secrets, as files of its own container. Pure functions.

In an application's resource they would be read by many, and in the driver's environment by any code in its JVM.
"""

from __future__ import annotations

import json
import re
from typing import Any

from airflow_dcp_provider.core_etl import SECRET_SETTINGS
from airflow_dcp_provider.model.environment import Environment, SecretKey

#: Where the driver sees the files, and the volume that they come in.
SECRETS_MOUNT = "/etc/dcp-secrets"
_SECRETS_VOLUME = "dcp-secrets"


def secret_variables(environment: Environment, *, by_file: bool) -> list[dict[str, Any]]:
    """Return the driver's environment variables about its credentials: what they mean, and for a JVM driver also their values.

    :param by_file: the credentials come in files (:func:`secret_volumes`) and not as variables.
    """
    secrets = _secrets(environment)
    if not secrets:
        return []
    found: list[dict[str, Any]] = []
    if not by_file:
        found = [
            {"name": name, "valueFrom": {"secretKeyRef": {"name": source.secret, "key": source.key}}}
            for name, (_, source) in secrets.items()
        ]
    means = {setting: f"{SECRETS_MOUNT}/{name}" if by_file else name for name, (setting, _) in secrets.items()}
    return [*found, {"name": SECRET_SETTINGS, "value": json.dumps(means, sort_keys=True)}]


def secret_volumes(environment: Environment) -> list[dict[str, Any]]:
    """Return the volume of the driver's credentials, each in a file of its own; none where the environment names no Secrets."""
    sources = [
        {"secret": {"name": source.secret, "items": [{"key": source.key, "path": name}]}}
        for name, (_, source) in _secrets(environment).items()
    ]
    return [{"name": _SECRETS_VOLUME, "projected": {"sources": sources}}] if sources else []


def secret_mounts(environment: Environment) -> list[dict[str, Any]]:
    """Return where the driver's container has :func:`secret_volumes`."""
    return [{"name": _SECRETS_VOLUME, "mountPath": SECRETS_MOUNT, "readOnly": True}] if _secrets(environment) else []


def _secrets(environment: Environment) -> dict[str, tuple[str, SecretKey]]:
    """Return a name for each credential, with its Spark setting and where it is kept."""
    found: dict[str, tuple[str, SecretKey]] = {}
    for alias, properties in sorted(environment.catalog_secrets.items()):
        for name, source in sorted(properties.items()):
            variable = re.sub(r"[^A-Z0-9]", "_", f"DCP_CATALOG_{alias}_{name}".upper())
            # `lake` and `s3.token` come to the same as `lake_s3` and `token`.
            while variable in found:
                variable += "_"
            found[variable] = (f"spark.sql.catalog.{alias}.{name}", source)
    return found
