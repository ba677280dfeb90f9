"""The configuration section ``[dcp]``, read as one value. Light: it is read when DAG files are parsed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from airflow.providers.common.compat.sdk import AirflowConfigException, conf

from airflow_dcp_provider.model.environment import DEFAULT_CATALOG, canonical_environment
from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.home import dcp_home
from airflow_dcp_provider.model.team_folders import TeamFolders, parse_team_folders

SECTION = "dcp"


@dataclass(frozen=True)
class DcpSettings:
    """What the deployment says.

    :param environment: the deployment's own environment; assets are announced for its tables only.
    :param environments: every environment that a run may choose.
    :param catalog: the alias of manifests that name none.
    :param home: where this machine's own files are (``DCP_HOME``).
    :param iceberg_jar: path, package or Maven coordinate of Spark's Iceberg runtime, or empty for the built-in choice.
    :param java_home: the Java that local Spark uses, or empty to find one.
    :param max_local_executions: how many local Spark processes run at once.
    :param allowed_spark_conf: Spark settings that manifests may set in some environment besides those of every environment: lint
        and the reading of manifests know no connections.
    :param team_folders: folder of manifests -> the teams that they may name, see :mod:`airflow_dcp_provider.model.team_folders`.
    :param maintenance_schedule: when the maintenance DAG runs: a cron expression, ``@hourly`` and its like; empty for no such DAG.
    :param spark_homes: where local Sparks of other versions are, a list like PATH.
    :param store_conn_id: connection of the history's database; where it is not defined, a SQLite file in ``home``.
    """

    environment: str
    environments: tuple[str, ...]
    catalog: str
    home: Path
    iceberg_jar: str
    java_home: str
    max_local_executions: int
    store_conn_id: str
    maintenance_schedule: str = ""
    spark_homes: str = ""
    allowed_spark_conf: tuple[str, ...] = ()
    team_folders: TeamFolders = ()


def read_settings() -> DcpSettings:
    """Read ``[dcp]``.

    :raises DcpEnvironmentError: DCP417 when an option does not hold what it should, DCP410 for an unknown environment.
    """
    environment = canonical_environment(_text("environment", "local"))
    names = [part.strip() for part in _text("environments", environment).split(",") if part.strip()]
    environments = tuple(dict.fromkeys(canonical_environment(name) for name in names))
    if environment not in environments:
        raise DcpEnvironmentError(
            f"[dcp] environment is {environment}, which is not among [dcp] environments ({', '.join(environments)})",
            code="DCP417",
            hint="add it to [dcp] environments",
        )
    return DcpSettings(
        environment=environment,
        environments=environments,
        catalog=_text("catalog", DEFAULT_CATALOG),
        home=home(),
        iceberg_jar=_text("iceberg_jar", ""),
        java_home=_text("java_home", ""),
        max_local_executions=_positive("max_local_executions", 2),
        store_conn_id=_text("store_conn_id", "dcp_store"),
        maintenance_schedule=_text("maintenance_schedule", ""),
        spark_homes=_text("spark_homes", ""),
        allowed_spark_conf=_setting_names("allowed_spark_conf"),
        team_folders=_team_folders(),
    )


def home() -> Path:
    """Return ``DCP_HOME``, else ``[dcp] home``, else what :func:`dcp_home` says. The folder is not created."""
    configured = "" if os.environ.get("DCP_HOME") else _text("home", "")
    return Path(configured).expanduser().resolve() if configured else dcp_home()


def _text(option: str, default: str) -> str:
    return (conf.get(SECTION, option, fallback=default) or default).strip()


def _setting_names(option: str) -> tuple[str, ...]:
    text = _text(option, "")
    if not text:
        return ()
    from airflow_dcp_provider.runner.spark_conf import entries_of, entry_fault

    entries = entries_of(text)
    for entry in entries:
        if fault := entry_fault(entry):
            raise DcpEnvironmentError(
                f"[dcp] {option} has the entry `{entry}`, which {fault}",
                code="DCP417",
                hint="write names of Spark settings, or prefix.*, with commas between them",
            )
    return entries


def _team_folders() -> TeamFolders:
    try:
        return parse_team_folders(_text("team_folders", ""))
    except ValueError as error:
        raise DcpEnvironmentError(f"[dcp] team_folders {error}", code="DCP417", hint="see docs/operating.md") from error


def _positive(option: str, default: int) -> int:
    try:
        number = int(conf.getint(SECTION, option, fallback=default))
    except (AirflowConfigException, ValueError) as error:
        raise DcpEnvironmentError(
            f"[dcp] {option} is not a whole number", code="DCP417", hint=f"write for example {default}"
        ) from error
    if number < 1:
        raise DcpEnvironmentError(f"[dcp] {option} is {number}", code="DCP417", hint="write a number from 1")
    return number
