"""OpenLineage: what a Spark application learns of the task that started it, and what our tasks report as read and written.

Everything here is for the optional openlineage provider. Without it, or where its configuration does not ask for something,
nothing is added and nothing is reported.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import conf

from airflow_dcp_provider.model.job import JobSpec, Sink, Source
from airflow_dcp_provider.model.proof import Proof

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage  # type: ignore[import-not-found, unused-ignore]
    from airflow.sdk import Context

log = logging.getLogger(__name__)

_TRANSPORT = "spark.openlineage.transport."


def with_lineage(job: JobSpec, context: Context) -> JobSpec:
    """Return the job with the parent run and the transport in its Spark configuration, as ``[openlineage]`` asks for them.

    The options are ``spark_inject_parent_job_info`` and ``spark_inject_transport_info``, as for Livy and EMR. What the manifest
    says itself is kept. A transport's credentials stay out, because whoever sees a Spark application reads its configuration; they
    come from a file that the environment mounts (``docs/operating.md``). Lineage that cannot be injected fails no job.
    """
    properties = dict(job.spark_conf)
    try:
        if _asked("spark_inject_parent_job_info"):
            from airflow.providers.openlineage.utils.spark import inject_parent_job_information_into_spark_properties

            properties = inject_parent_job_information_into_spark_properties(properties, context)
        if _asked("spark_inject_transport_info"):
            from airflow.providers.openlineage.utils.spark import inject_transport_information_into_spark_properties

            properties = _without_credentials(
                inject_transport_information_into_spark_properties(properties, context), own=job.spark_conf
            )
    except ImportError:
        log.info("[openlineage] asks for lineage in Spark, but this Airflow has no openlineage provider that offers it")
    except Exception as error:  # noqa: BLE001 - whatever ails the lineage backend's configuration, the job goes on
        log.warning("OpenLineage's configuration could not be added to the job: %s", error)
    return replace(job, spark_conf={key: str(value) for key, value in properties.items()})


def _asked(option: str) -> bool:
    wanted = conf.getboolean("openlineage", option, fallback=False)
    return bool(wanted and not conf.getboolean("openlineage", "disabled", fallback=False))


def _without_credentials(properties: Mapping[str, Any], own: Mapping[str, str]) -> dict[str, Any]:
    """Return the properties without what a transport authenticates itself with: its ``auth``, its headers, a password in its URL.

    :param own: the manifest's own configuration, which is not touched.
    """
    kept: dict[str, Any] = {}
    for key, value in properties.items():
        words = key.removeprefix(_TRANSPORT).split(".")
        if key in own or not key.startswith(_TRANSPORT):
            kept[key] = value
        elif not {"auth", "headers"} & set(words):
            kept[key] = _without_password(str(value)) if words[-1] == "url" else value
    if len(kept) < len(properties):
        log.info("The OpenLineage transport's credentials stay out of the Spark application; it reads them from a mounted file")
    return kept


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def execution_lineage(job: JobSpec, execution_id: str, *, written: bool) -> OperatorLineage[Any, Any]:
    """Return what an execution reads and, once it has succeeded, what it wrote. Only the openlineage provider calls for it.

    :param written: whether the sinks are outputs by now.
    """
    from airflow.providers.common.compat.openlineage.facet import ExternalQueryRunFacet, OutputDataset
    from airflow.providers.openlineage.extractors import OperatorLineage

    sinks = job.core_etl.job.sinks if written else ()
    return OperatorLineage(
        inputs=_inputs(job),
        outputs=[OutputDataset(namespace=namespace, name=name) for namespace, name in map(sink_name, sinks)],
        run_facets={"externalQuery": ExternalQueryRunFacet(externalQueryId=execution_id, source=f"dcp://{job.environment}")},
    )


def proved_lineage(job: JobSpec, proofs: Sequence[Proof]) -> OperatorLineage[Any, Any]:
    """Return the tables that an execution provably wrote, each with its snapshot and the rows written into it."""
    from airflow.providers.common.compat.openlineage.facet import OutputDataset, OutputStatisticsOutputDatasetFacet
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.generated.dataset_version_dataset import (  # type: ignore[import-not-found, unused-ignore]
        DatasetVersionDatasetFacet,
    )

    names = {sink.name: sink_name(sink) for sink in job.core_etl.job.sinks}
    outputs = [
        OutputDataset(
            namespace=names[proof.sink][0],
            name=names[proof.sink][1],
            facets={"version": DatasetVersionDatasetFacet(datasetVersion=str(proof.snapshot_id))},
            outputFacets={"outputStatistics": OutputStatisticsOutputDatasetFacet(rowCount=proof.rows)},
        )
        for proof in proofs
        if proof.snapshot_id is not None
    ]
    return OperatorLineage(inputs=_inputs(job), outputs=outputs)


def sink_name(sink: Sink) -> tuple[str, str]:
    """Return namespace and name of a written table, as its asset's are: ``iceberg://<catalog alias>``, ``<database>.<table>``."""
    return f"iceberg://{sink.catalog}", f"{sink.database}.{sink.table}"


def source_name(source: Source) -> tuple[str, str]:
    """Return namespace and name of what is read: a table as :func:`sink_name`, a path by its storage and its place in it."""
    if not source.path:
        return f"iceberg://{source.catalog}", f"{source.database}.{source.table}"
    parts = urlsplit(source.path)
    if parts.scheme in {"", "file"}:
        return "file", parts.path
    # Hadoop's names of one storage are one namespace.
    scheme = {"s3a": "s3", "s3n": "s3"}.get(parts.scheme, parts.scheme)
    return f"{scheme}://{parts.netloc}", parts.path.strip("/") or "/"


def _inputs(job: JobSpec) -> list[Any]:
    from airflow.providers.common.compat.openlineage.facet import InputDataset

    names = dict.fromkeys(source_name(source) for source in job.core_etl.job.sources)
    return [InputDataset(namespace=namespace, name=name) for namespace, name in names]
