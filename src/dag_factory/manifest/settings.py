"""What a deployment decides about manifests."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_dcp_provider.model.environment import DEFAULT_CATALOG
from airflow_dcp_provider.model.team_folders import TeamFolders

#: Largest manifest or SQL file that a deployment reads, in bytes.
MOST_BYTES = 1_048_576


@dataclass(frozen=True)
class CompileSettings:
    """Settings of a deployment that decide how manifests are read.

    :param deployment_environment: the environment whose resolution makes the DAG (its schedule, dates and tags).
    :param default_catalog: the catalog alias of tables that name none.
    :param api_group_hosts: hosts that ``apiVersion: <host>/v1`` may name; empty means any host.
    :param allowed_spark_conf: Spark settings that some environment's connection leaves to manifests, besides those of every
        environment: names, or ``prefix.*``.
    :param team_folders: folder -> the teams that its manifests may name.
    :param max_file_bytes: largest manifest or SQL file, in bytes.
    :param max_nodes: most values that a file may hold with its aliases written out.
    :param max_depth: deepest nesting of maps and lists.
    :param max_text: most characters of a text that is not SQL.
    """

    deployment_environment: str = "local"
    default_catalog: str = DEFAULT_CATALOG
    api_group_hosts: tuple[str, ...] = ()
    max_file_bytes: int = MOST_BYTES
    allowed_spark_conf: tuple[str, ...] = ()
    team_folders: TeamFolders = ()
    max_nodes: int = 50_000
    max_depth: int = 40
    max_text: int = 16_384
