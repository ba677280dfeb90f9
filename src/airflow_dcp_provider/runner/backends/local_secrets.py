"""What only the driver is to know, on its way there: files that it reads and removes before any SQL runs.

Spark's properties file would show it for as long as the attempt runs, and the JVM's system properties besides.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path

from airflow_dcp_provider.core_etl import SECRET_SETTINGS


def without_secrets(properties: Mapping[str, str], aliases: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the properties that Spark may read from its file, and those that the driver brings.

    Nothing is guessed from names: whatever a connection says of its catalogs and of Hadoop's file systems may hold a credential.

    :param aliases: of the catalogs that are described by a connection.
    """
    secret = tuple(f"spark.sql.catalog.{alias}." for alias in aliases)
    handed = {key: value for key, value in properties.items() if key.startswith((*secret, "spark.hadoop."))}
    return {key: value for key, value in properties.items() if key not in handed}, handed


def hand_over(secrets: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Write each value into a file of its own for its owner alone, and return the environment variable that tells the driver.

    :param folder: where the files go; it is made when it is missing.
    """
    if not secrets:
        return {}
    folder.mkdir(mode=0o700, exist_ok=True)
    files: dict[str, str] = {}
    for number, (setting, value) in enumerate(sorted(secrets.items())):
        file = folder / str(number)
        file.touch(mode=0o600)
        file.write_text(value, encoding="utf-8")
        files[setting] = str(file)
    return {SECRET_SETTINGS: json.dumps(files)}
