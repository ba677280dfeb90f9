"""Two Spark catalogs for each alias: one to read, whose tables stand still for the whole run, and one to write.

A job's SQL runs as it was written, so the alias itself is what it reads by. That catalog caches each table when it is first
loaded and never refreshes it: whoever writes meanwhile, this job's own sinks included, every query sees the snapshot that the run
began with. Targets are loaded, created and written through a second catalog with the same properties and no cache.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional, Tuple

from pyspark.sql import SparkSession

from .diagnosis import explained
from .faults import EXIT_PLATFORM, DriverError
from .spec import WRITING_PREFIX, Job, Source, identifier, writing_alias

LOG = logging.getLogger("core_etl")

_SETTING = "spark.sql.catalog."
_DEFAULT = "spark.sql.defaultCatalog"

#: Separates settings where all are fetched in one call: no value holds it.
_SEPARATOR = "\0"

#: Catalog alias, database and table.
TableName = Tuple[str, str, str]


@dataclass(frozen=True)
class Pin:
    """A table as the run reads it.

    :param java: Iceberg's ``Table``. As long as it is held, the cache cannot drop it when memory is short.
    :param snapshot_id: the snapshot that every query sees, or None for a table without one.
    """

    java: Any
    snapshot_id: Optional[int]


def prepare_catalogs(spark: SparkSession, job: Job) -> None:
    """Set up the catalogs of the job's aliases. No catalog may have been used in the session before.

    :raises DriverError: DCP337 when an alias is not configured.
    """
    configured = _catalog_settings(spark)
    # Spark starts its default catalog for every query, so it must be one that there is, also when no name needs it.
    if job.default_catalog in configured:
        spark.conf.set(_DEFAULT, job.default_catalog)
    users = {sink.catalog: f"sink `{sink.name}`" for sink in job.sinks}
    users.update({table_name(spark, source)[0]: f"source `{source.name}`" for source in job.sources if source.type == "iceberg"})
    for alias, user in sorted(users.items()):
        if alias not in configured or alias.startswith(WRITING_PREFIX):
            raise DriverError(
                "DCP337",
                f"{user}: the catalog alias `{alias}` is not configured for Spark",
                "the environment must configure every alias that the job uses; the manifest is not to blame",
                EXIT_PLATFORM,
            )
        reading, writing = f"{_SETTING}{alias}", f"{_SETTING}{writing_alias(alias)}"
        for name, value in configured[alias].items():
            _set_like_at_start(spark, f"{writing}{name}", value)
        spark.conf.set(f"{writing}.cache-enabled", "false")
        spark.conf.set(f"{reading}.cache-enabled", "true")
        spark.conf.set(f"{reading}.cache.expiration-interval-ms", "-1")


def _set_like_at_start(spark: SparkSession, name: str, value: str) -> None:
    """Set what may be a credential. Event logs hide what the context's own configuration knows, and of other settings nothing."""
    spark.sparkContext._jsc.sc().conf().set(name, value)
    spark.conf.set(name, value)


def pin_tables(spark: SparkSession, job: Job) -> Dict[TableName, Pin]:
    """Load every table that the job declares as a source, all before anything is computed, and return them.

    :raises DriverError: DCP330, DCP331 or DCP336 when a table cannot be read.
    """
    pins: Dict[TableName, Pin] = {}
    load = spark._jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergTable
    for source in job.sources:
        if source.type != "iceberg":
            continue
        name = table_name(spark, source)
        if name in pins:
            continue
        with explained(f"source `{source.name}`", reading=True):
            load_catalog(spark, name[0])
            java = load(spark._jsparkSession, identifier(*name))
            if not java.equals(load(spark._jsparkSession, identifier(*name))):
                raise DriverError(
                    "DCP337",
                    f"the catalog `{name[0]}` does not keep its tables, so {'.'.join(name)} could change while it is read",
                    "a Spark session runs one job; start another one",
                    EXIT_PLATFORM,
                )
            snapshot = java.currentSnapshot()
            pins[name] = Pin(java, None if snapshot is None else snapshot.snapshotId())
    for name, pin in pins.items():
        LOG.info("table %s is read at snapshot %s", ".".join(name), pin.snapshot_id or "none: it is empty")
    return pins


def load_catalog(spark: SparkSession, name: str) -> None:
    """Start a catalog, so that its own error is seen: a table of a catalog that does not start would merely be missing."""
    spark._jsparkSession.sessionState().catalogManager().catalog(name)


def table_name(spark: SparkSession, source: Source) -> TableName:
    """Return the full name of an Iceberg source's table."""
    return source.catalog or default_catalog(spark), source.database or "", source.table or ""


def default_catalog(spark: SparkSession) -> str:
    """Return the alias that names without a catalog mean."""
    return str(spark.conf.get(_DEFAULT, "spark_catalog"))


def _catalog_settings(spark: SparkSession) -> Mapping[str, Mapping[str, str]]:
    """Return the settings of each alias: what follows the alias in their names (``.uri``; empty for the class) -> value."""
    # One call for all: each call into the JVM takes its time, and there are hundreds of settings.
    text: str = spark._jsparkSession.sessionState().conf().getAllConfs().mkString(_SEPARATOR)
    found: Dict[str, Dict[str, str]] = {}
    for line in text.split(_SEPARATOR):
        name, _, value = line.partition(" -> ")
        if name.startswith(_SETTING):
            alias, dot, rest = name[len(_SETTING) :].partition(".")
            found.setdefault(alias, {})[f"{dot}{rest}"] = value
    return {alias: settings for alias, settings in found.items() if "" in settings}
