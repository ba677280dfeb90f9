"""The command line, properties and environment of one local Spark, as a pure function of the job and the machine's settings."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from airflow_dcp_provider.model.execution import AttemptRequest
from airflow_dcp_provider.model.job import EtlJob, JobSpec
from airflow_dcp_provider.model.quantities import memory_bytes, memory_text
from airflow_dcp_provider.runner.backends.local_files import EVENTS, JOB_SPEC, PROPERTIES, SCRATCH
from airflow_dcp_provider.runner.backends.local_processes import MARK
from airflow_dcp_provider.runner.backends.local_settings import LocalSettings
from airflow_dcp_provider.runner.spark_conf import check_job
from airflow_dcp_provider.runner.spark_guards import DEFAULTS, guards

_LOG_CONFIGURATION = Path(__file__).with_name("log4j2.properties")
_ICEBERG_EXTENSIONS = "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"
_SPARK_CATALOG = "org.apache.iceberg.spark.SparkCatalog"

#: Halve the start of a small JVM. A job that computes for long would want the second compiler, but not on a laptop's Spark.
_SMALL_JVM = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")

#: Below everything else: what suits a few thousand to a few million rows in one process.
_DEFAULTS = {
    **DEFAULTS,
    "spark.sql.shuffle.partitions": "4",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.catalogImplementation": "in-memory",
    "spark.eventLog.enabled": "true",
    # One file of plain lines, whatever a version of Spark has for its default.
    "spark.eventLog.rolling.enabled": "false",
    "spark.eventLog.compress": "false",
}


@dataclass(frozen=True)
class Places:
    """Where things are on this machine, for one attempt.

    :param folder: the attempt's folder.
    :param spark_home: pyspark's folder.
    :param jar: the Iceberg runtime.
    :param main: the driver's main file, with the zip that it starts beside it.
    :param catalog_uri: where the embedded catalog answers; empty when no alias is the embedded catalog.
    :param ui_port: port of Spark's web page, or 0 for none.
    :param archive_options: JVM options for the class archive.
    """

    folder: Path
    spark_home: Path
    java_home: Path
    jar: Path
    main: Path
    cores: int
    catalog_uri: str = ""
    ui_port: int = 0
    archive_options: tuple[str, ...] = ()


@dataclass(frozen=True)
class SparkCommand:
    """What is started: ``argv``, the Spark ``properties`` that it reads from a file, variables added to the environment."""

    argv: tuple[str, ...]
    properties: Mapping[str, str]
    environment: Mapping[str, str] = field(default_factory=dict)


def spark_command(request: AttemptRequest, settings: LocalSettings, places: Places) -> SparkCommand:
    """Return the command that runs the attempt. Credentials of catalogs are among the properties, never among the arguments.

    :raises ExecutionError: DCP311 for what the environment leaves to no manifest.
    """
    job = JobSpec.from_dict(request.job)
    check_job(job, settings.allowed_spark_conf)
    properties = {
        **_DEFAULTS,
        **settings.spark_defaults,
        **job.spark_conf,
        **_catalog_properties(job.core_etl.job, settings, places),
        "spark.master": f"local[{places.cores}]",
        "spark.submit.deployMode": "client",
        "spark.app.name": request.ref.name,
        "spark.driver.memory": driver_memory(job, settings),
        "spark.driver.defaultJavaOptions": shlex.join(_java_options(places)),
        "spark.driver.extraClassPath": _joined(
            ":", str(places.jar), settings.spark_defaults.get("spark.driver.extraClassPath", "")
        ),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.warehouse.dir": (places.folder / SCRATCH / "warehouse").as_uri(),
        "spark.eventLog.dir": (places.folder / EVENTS).as_uri(),
        "spark.sql.extensions": _joined(",", _ICEBERG_EXTENSIONS, settings.spark_defaults.get("spark.sql.extensions", "")),
        "spark.sql.defaultCatalog": settings.write_catalog,
        "spark.ui.enabled": str(places.ui_port > 0).lower(),
        **guards(),
    }
    if places.ui_port:
        properties["spark.ui.port"] = str(places.ui_port)
    argv = (
        *(settings.spark_submit or (str(places.spark_home / "bin" / "spark-submit"),)),
        "--properties-file",
        str(places.folder / PROPERTIES),
        str(places.main),
        "--job-spec",
        str(places.folder / JOB_SPEC),
    )
    environment = {
        MARK: str(places.folder),
        "JAVA_HOME": str(places.java_home),
        "SPARK_HOME": str(places.spark_home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        # The property of the same meaning makes Spark warn at every start.
        "SPARK_LOCAL_DIRS": str(places.folder / SCRATCH),
        "SPARK_LAUNCHER_OPTS": " ".join(_SMALL_JVM),
        "PYSPARK_PYTHON": settings.driver_python,
        "PYSPARK_DRIVER_PYTHON": settings.driver_python,
        "PYTHONUNBUFFERED": "1",
    }
    return SparkCommand(argv, properties, environment)


def driver_memory(job: JobSpec, settings: LocalSettings) -> str:
    """Return the memory of the one process: the driver's as the job asks for it, at most the machine's limit."""
    limit = settings.memory_limit_bytes()
    asked = job.resources.driver.memory
    return asked if memory_bytes(asked) <= limit else memory_text(limit - limit % 2**20)


def embedded_aliases(job: EtlJob, settings: LocalSettings) -> tuple[str, ...]:
    """Return the aliases of the job that lead to the embedded catalog, sorted."""
    return tuple(alias for alias in _aliases(job, settings) if not settings.catalogs.get(alias))


def driver_job_spec(request: AttemptRequest) -> dict[str, Any]:
    """Return the JSON document that the driver reads (``The driver's contract`` in ``docs/architecture.md``)."""
    job = JobSpec.from_dict(request.job)
    return {
        "version": 1,
        "execution_id": request.ref.execution_id,
        "attempt": request.ref.attempt,
        "fingerprint": request.fingerprint,
        "manifest_id": request.manifest_id,
        "run_key": request.run_key,
        "ds": request.ds,
        **({"spark_version": job.engine.version} if job.engine.version else {}),
        **asdict(job.core_etl.job),
    }


def properties_text(properties: Mapping[str, str]) -> str:
    """Return properties in Java's file format, sorted by key; every value reads back as it is."""
    return "".join(f"{_escaped(key, key=True)}={_escaped(properties[key])}\n" for key in sorted(properties))


def _java_options(places: Places) -> tuple[str, ...]:
    return (
        *_SMALL_JVM,
        "-XX:+ExitOnOutOfMemoryError",
        # An archive that does not fit is left aside without a word: it saves seconds, it must not cost a run.
        "-Xshare:auto",
        "-Xlog:disable",
        *places.archive_options,
        f"-Djava.io.tmpdir={places.folder / SCRATCH}",
        f"-Dlog4j2.configurationFile={_LOG_CONFIGURATION.as_uri()}",
    )


def _aliases(job: EtlJob, settings: LocalSettings) -> tuple[str, ...]:
    used = {source.catalog for source in job.sources if source.catalog} | {sink.catalog for sink in job.sinks}
    return tuple(sorted(used | {settings.write_catalog}))


def _catalog_properties(job: EtlJob, settings: LocalSettings, places: Places) -> dict[str, str]:
    properties: dict[str, str] = {}
    for alias in _aliases(job, settings):
        own = settings.catalogs.get(alias) or {"type": "rest", "uri": places.catalog_uri}
        prefix = f"spark.sql.catalog.{alias}"
        properties[prefix] = _SPARK_CATALOG
        # A cached table would hide what another run commits meanwhile.
        properties[f"{prefix}.cache-enabled"] = "false"
        properties.update({f"{prefix}.{key}": value for key, value in own.items()})
    return properties


def _joined(separator: str, *parts: str) -> str:
    return separator.join(part for part in parts if part)


def _escaped(text: str, *, key: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    # Java reads the file as ISO 8859-1; what lies beyond is written as UTF-16 escapes.
    text = "".join(char if " " <= char <= "~" else _unicode_escapes(char) for char in text)
    if key:
        return "".join(f"\\{char}" if char in " :=#!" else char for char in text)
    return f"\\{text}" if text.startswith(" ") else text


def _unicode_escapes(char: str) -> str:
    units = char.encode("utf-16-be")
    return "".join(f"\\u{int.from_bytes(units[index : index + 2]):04x}" for index in range(0, len(units), 2))
