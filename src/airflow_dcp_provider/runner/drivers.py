"""Which driver a job asks for, and which jobs cannot be run here. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal

from airflow_dcp_provider.model.errors import ExecutionError
from airflow_dcp_provider.model.job import CoreEtlSpec, JobSpec
from airflow_dcp_provider.runner.spark_conf import check_job

#: Both become part of a command line and of a path in the image.
_CLASS = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*(\.[A-Za-z_$][A-Za-z0-9_$]*)*")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,62}")

#: Ends of class names that mean our own ``core_etl`` driver: the documents' manifests name its JVM ancestor.
CORE_ETL_MAIN_CLASSES = (".coreetl.spark.Main",)


def driver_of(core_etl: CoreEtlSpec, core_etl_main_classes: Collection[str] = CORE_ETL_MAIN_CLASSES) -> Literal["core_etl", "jvm"]:
    """Return ``core_etl`` for a job that our own driver runs, ``jvm`` for one that names a main class of its own.

    :param core_etl_main_classes: ends of class names that mean ``core_etl``.
    """
    main_class = core_etl.main_class
    if not main_class or any(f".{main_class}".endswith(end) for end in core_etl_main_classes):
        return "core_etl"
    return "jvm"


def unsupported(
    job: JobSpec,
    backend: str,
    core_etl_main_classes: Collection[str] = CORE_ETL_MAIN_CLASSES,
    allowed_spark_conf: Collection[str] = (),
) -> ExecutionError | None:
    """Return why ``job`` cannot be run by ``backend``, or None when it can.

    :param backend: the backend's name, for example ``local``.
    :param allowed_spark_conf: settings that the environment leaves to manifests besides those of every environment.
    """
    if not job.rendered:
        return ExecutionError(
            f"the job of {job.manifest_id} still holds templates",
            code="DCP308",
            hint="render the job for its DAG run before it is submitted",
        )
    if job.engine.type == "spark-dbr":
        return ExecutionError(
            f"{job.manifest_id} asks for the engine spark-dbr, which no backend here offers",
            code="DCP306",
            hint="set spec.engine.type to spark-oss",
        )
    if job.job_type == "streaming":
        return ExecutionError(
            f"{job.manifest_id} is a streaming job; only batch jobs can be run",
            code="DCP307",
            hint="set spec.jobType to batch",
        )
    if backend == "local" and driver_of(job.core_etl, core_etl_main_classes) == "jvm":
        return ExecutionError(
            f"{job.manifest_id} names the main class {job.core_etl.main_class}, which is not offered by the local backend: "
            "it has no image that could hold the class's jar",
            code="DCP305",
            hint="leave spec.coreEtl.mainClass out to use core_etl, or run the manifest in an environment with a cluster",
        )
    return _forbidden(job, allowed_spark_conf)


def _forbidden(job: JobSpec, allowed_spark_conf: Collection[str]) -> ExecutionError | None:
    if fault := _program_fault(job.core_etl):
        return ExecutionError(
            f"{job.manifest_id} {fault}",
            code="DCP311",
            hint="a class is named as Java names it; a version is letters, digits, `.`, `_`, `+` and `-`, at most 63",
        )
    try:
        check_job(job, allowed_spark_conf)
    except ExecutionError as error:
        return error
    return None


def _program_fault(core_etl: CoreEtlSpec) -> str:
    if core_etl.main_class and not _CLASS.fullmatch(core_etl.main_class):
        return f"names the main class {core_etl.main_class[:100]!r}, which is not a class name"
    if core_etl.version and not _VERSION.fullmatch(core_etl.version):
        return f"names the driver's version {core_etl.version[:100]!r}, which is not a version"
    return ""
