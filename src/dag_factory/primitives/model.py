"""Primitives as values: what a LogicalPlan asks the platform for (``Primitives`` in the second design document).

Which actions a primitive can take on the platform are capabilities, in :mod:`dag_factory.primitives.capabilities`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_dcp_provider.model.job import Column, JobSpec


@dataclass(frozen=True)
class IcebergTable:
    """A table that must be there before the job runs.

    :param columns: the declared schema, or None when the driver makes the table from the analysed result.
    :param role: ``sink`` or ``source``; a source is only checked.
    """

    catalog: str
    database: str
    table: str
    role: str = "sink"
    columns: tuple[Column, ...] | None = None
    partition_by: tuple[str, ...] = ()
    description: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CoreEtlJob:
    """The Spark job, resolved for one environment, with the fingerprint of its unrendered form.

    :param places: where the manifest says what environments limit, see :mod:`dag_factory.plugins.job_places`.
    """

    job: JobSpec
    fingerprint: str
    places: Mapping[str, tuple[str, int, int]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the job as JSON-ready values."""
        places = {name: list(place) for name, place in self.places.items()}
        return {"job": self.job.to_dict(), "fingerprint": self.fingerprint, "places": places}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CoreEtlJob:
        """Build a job from :meth:`to_dict`'s values."""
        places = {name: (file, line, column) for name, (file, line, column) in data["places"].items()}
        return cls(JobSpec.from_dict(data["job"]), data["fingerprint"], places)


@dataclass(frozen=True)
class AirflowDag:
    """The scheduled DAG.

    :param schedule: a cron expression or preset, None for no schedule, or a tuple of asset URIs.
    :param start_date: ISO date or date-time (UTC), or None; likewise ``end_date``.
    :param airflow: the manifest's allow-listed Airflow settings: ``pool``, ``queue``, ``priority``, ``notifications``.
    :param params: defaults of the manifest's own parameters, for the trigger form.
    :param declared_params: declarations of those that have one, see :mod:`airflow_dcp_provider.model.parameters`.
    """

    dag_id: str
    manifest_id: str
    owner: str
    schedule: str | tuple[str, ...] | None = None
    start_date: str | None = None
    end_date: str | None = None
    catchup: bool = False
    max_active_runs: int | None = None
    tags: tuple[str, ...] = ()
    description: str = ""
    airflow: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    declared_params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class ContinuousJob:
    """A streaming job. It passes the schema; running it is not offered yet, and says so."""

    job: JobSpec
    fingerprint: str


@dataclass(frozen=True)
class KafkaTopic:
    """A topic that a manifest asks for."""

    name: str
    partitions: int = 1
    replication: int = 1


Primitive = IcebergTable | CoreEtlJob | AirflowDag | ContinuousJob | KafkaTopic
