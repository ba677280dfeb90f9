"""The job that the Spark Runner is asked to run: a manifest resolved for one environment, as plain values.

Follows ``JobSpec`` in the first design document. Values are JSON-ready both ways (``to_dict``/``from_dict``), because a job travels
through XCom, the backend's own record and the rendered fields of a task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_dcp_provider.model.json_ready import json_ready


@dataclass(frozen=True)
class EngineSpec:
    """Which Spark.

    :param type: ``spark-oss`` or ``spark-dbr``.
    :param version: like ``3.5``, or None for the environment's own.
    :param image: a container image, or None for the environment's own.
    """

    type: str = "spark-oss"
    version: str | None = None
    image: str | None = None


@dataclass(frozen=True)
class DriverResources:
    """Size of the driver: ``cores`` whole CPUs, ``memory`` as Spark writes it (``8g``)."""

    cores: int = 1
    memory: str = "1g"


@dataclass(frozen=True)
class ExecutorResources:
    """Size and number of executors; ``min_instances`` and ``max_instances`` turn dynamic allocation on when given."""

    cores: int = 1
    memory: str = "1g"
    instances: int = 1
    min_instances: int | None = None
    max_instances: int | None = None


@dataclass(frozen=True)
class ResourceSpec:
    """Sizes of driver and executors."""

    driver: DriverResources = field(default_factory=DriverResources)
    executor: ExecutorResources = field(default_factory=ExecutorResources)


@dataclass(frozen=True)
class Source:
    """What is read, and the view name under which SQL sees it.

    ``type`` is ``iceberg`` (then ``catalog`` alias, ``database``, ``table``) or ``parquet``, ``csv``, ``json`` (then ``path``).
    ``filter`` is an SQL condition, pushed down; ``options`` are the Spark reader's.
    """

    name: str
    type: str = "iceberg"
    catalog: str | None = None
    database: str | None = None
    table: str | None = None
    path: str | None = None
    filter: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Transformation:
    """One SQL step. ``query`` may read every source and every earlier transformation by its name."""

    name: str
    query: str
    type: str = "sql"


@dataclass(frozen=True)
class Column:
    """A column of a table: ``type`` as Iceberg spells it (``string``, ``long``, ``decimal(38,18)``, ...)."""

    name: str
    type: str
    required: bool = False
    description: str | None = None


@dataclass(frozen=True)
class Sink:
    """What is written.

    ``input`` names the transformation or source that is written. ``mode`` is ``overwrite``, ``append`` or ``merge`` (then
    ``merge_keys``). ``partition_by`` are identity partition columns. ``columns`` is the table's declared schema (a derived
    dataset) or None, when the result's own schema makes the table.
    """

    name: str
    catalog: str
    database: str
    table: str
    input: str
    type: str = "iceberg"
    mode: str = "overwrite"
    partition_by: tuple[str, ...] = ()
    merge_keys: tuple[str, ...] = ()
    columns: tuple[Column, ...] | None = None
    description: str | None = None

    @property
    def asset_uri(self) -> str:
        """``iceberg://<catalog alias>/<database>/<table>``, the table's name and URI as an Airflow asset."""
        return f"iceberg://{self.catalog}/{self.database}/{self.table}"


@dataclass(frozen=True)
class EtlJob:
    """The ``jobSpec`` of ``coreEtl``: sources, SQL transformations in order, sinks.

    :param default_catalog: the alias that a table's name without a catalog means in SQL.
    """

    sources: tuple[Source, ...] = ()
    transformations: tuple[Transformation, ...] = ()
    sinks: tuple[Sink, ...] = ()
    default_catalog: str | None = None


@dataclass(frozen=True)
class CoreEtlSpec:
    """Which driver runs the job: our own ``core_etl`` unless ``main_class`` names a JVM driver in the image."""

    version: str | None = None
    main_class: str | None = None
    job: EtlJob = field(default_factory=EtlJob)
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class RetryPolicy:
    """How often a failed Spark attempt is followed by another one, and how long after it, in seconds.

    It belongs to the execution; an Airflow task's own ``retries`` never start a Spark attempt.
    """

    max_retries: int = 0
    retry_interval: float = 60.0


@dataclass(frozen=True)
class JobSpec:
    """A manifest resolved for one environment. Text may hold Jinja templates until :attr:`rendered` is True.

    :param manifest_id: ``metadata.namespace/metadata.name`` or ``<plugin>/<name>``.
    :param timeout: seconds from the first submit that bound the whole execution, or None.
    """

    manifest_id: str
    name: str
    environment: str
    team: str = ""
    owner: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    engine: EngineSpec = field(default_factory=EngineSpec)
    job_type: str = "batch"
    resources: ResourceSpec = field(default_factory=ResourceSpec)
    spark_conf: Mapping[str, str] = field(default_factory=dict)
    core_etl: CoreEtlSpec = field(default_factory=CoreEtlSpec)
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    timeout: float | None = None
    rendered: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the job as JSON-ready values; :meth:`from_dict` reads it back to an equal value."""
        plain: dict[str, Any] = json_ready(self)
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> JobSpec:
        """Build a job from :meth:`to_dict`'s values."""
        core = data.get("core_etl") or {}
        job = core.get("job") or {}
        resources = data.get("resources") or {}
        return cls(
            **{
                **data,
                "engine": EngineSpec(**(data.get("engine") or {})),
                "resources": ResourceSpec(
                    driver=DriverResources(**(resources.get("driver") or {})),
                    executor=ExecutorResources(**(resources.get("executor") or {})),
                ),
                "core_etl": CoreEtlSpec(
                    version=core.get("version"),
                    main_class=core.get("main_class"),
                    arguments=tuple(core.get("arguments") or ()),
                    job=EtlJob(
                        sources=tuple(Source(**source) for source in job.get("sources") or ()),
                        transformations=tuple(Transformation(**step) for step in job.get("transformations") or ()),
                        sinks=tuple(_sink(sink) for sink in job.get("sinks") or ()),
                        default_catalog=job.get("default_catalog"),
                    ),
                ),
                "retry_policy": RetryPolicy(**(data.get("retry_policy") or {})),
            }
        )


def _sink(data: Mapping[str, Any]) -> Sink:
    columns = data.get("columns")
    return Sink(
        **{
            **data,
            "partition_by": tuple(data.get("partition_by") or ()),
            "merge_keys": tuple(data.get("merge_keys") or ()),
            "columns": None if columns is None else tuple(Column(**column) for column in columns),
        }
    )
