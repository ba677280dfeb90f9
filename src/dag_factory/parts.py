"""What a DAG is made of, as one JSON-ready value between compiling and building. Knows no Airflow."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_dcp_provider.model.json_ready import json_ready
from dag_factory.primitives.model import AirflowDag

if TYPE_CHECKING:
    from airflow_dcp_provider.model.job import JobSpec
    from dag_factory.compiled import CompiledManifest


@dataclass(frozen=True)
class DagParts:
    """What one DAG is made of: JSON-ready values only.

    :param path: the manifest's path relative to its folder.
    :param dag: :class:`~dag_factory.primitives.model.AirflowDag` as a mapping.
    :param jobs: environment -> ``{"job": ..., "fingerprint": ..., "places": ...}``.
    :param tables: environment -> tables to make sure of.
    :param inlets: asset URIs that the deployment's environment reads; ``outlets`` likewise those that it writes.
    """

    manifest_id: str
    kind: str
    path: str
    text: str
    dag: Mapping[str, Any]
    jobs: Mapping[str, Mapping[str, Any]]
    tables: Mapping[str, Sequence[Mapping[str, Any]]]
    inlets: tuple[str, ...] = ()
    outlets: tuple[str, ...] = ()

    @property
    def dag_id(self) -> str:
        """The DAG's id."""
        return str(self.dag["dag_id"])

    def to_dict(self) -> dict[str, Any]:
        """Return the parts as JSON-ready values; :meth:`from_dict` reads them back."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DagParts:
        """Build the parts from :meth:`to_dict`'s values, also after a way through JSON.

        :raises TypeError: when a value is missing, unknown or of another kind; other versions may have written them.
        """
        parts = cls(**{**data, "inlets": tuple(data["inlets"]), "outlets": tuple(data["outlets"])})
        texts = (parts.manifest_id, parts.kind, parts.path, parts.text, *parts.inlets, *parts.outlets)
        maps = (parts.dag, parts.jobs, parts.tables)
        if not all(isinstance(text, str) for text in texts) or not all(isinstance(each, Mapping) for each in maps):
            raise TypeError("a part of the DAG is of another kind")
        if missing := _dag_fields() - set(parts.dag):
            raise TypeError(f"the DAG lacks {', '.join(sorted(missing))}")
        return parts


@functools.cache
def _dag_fields() -> frozenset[str]:
    return frozenset(AirflowDag.__dataclass_fields__)


def dag_parts(compiled: CompiledManifest, deployment_environment: str) -> DagParts:
    """Return what the DAG of ``compiled`` is made of.

    :param deployment_environment: the environment whose tables are the DAG's assets.
    """
    deployed = compiled.jobs.get(deployment_environment)
    inlets, outlets = _asset_uris(deployed.job) if deployed else ((), ())
    # As JSON has it, so that a DAG is the same whether its parts were compiled just now or kept.
    return DagParts(
        manifest_id=compiled.manifest_id,
        kind=compiled.kind,
        path=compiled.path,
        text=compiled.text,
        dag=json_ready(compiled.dag),
        jobs={name: job.to_dict() for name, job in compiled.jobs.items()},
        tables={name: json_ready(tables) for name, tables in compiled.tables.items()},
        inlets=inlets,
        outlets=outlets,
    )


def _asset_uris(job: JobSpec) -> tuple[tuple[str, ...], tuple[str, ...]]:
    etl = job.core_etl.job
    read = (f"iceberg://{source.catalog}/{source.database}/{source.table}" for source in etl.sources if source.type == "iceberg")
    written = (sink.asset_uri for sink in etl.sinks if sink.type == "iceberg")
    return tuple(dict.fromkeys(read)), tuple(dict.fromkeys(written))
