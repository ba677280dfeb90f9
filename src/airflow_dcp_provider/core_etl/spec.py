"""The job as the driver is given it: one JSON document, read into frozen values.

The fields are those of ``airflow_dcp_provider.model.job``; they are repeated here because the driver runs without that package.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Sequence, Tuple

from . import VERSION
from .faults import DriverError, quoted
from .fields import READERS, FieldError, build, document, items, number, optional, text

FILE_TYPES = ("parquet", "csv", "json")
MODES = ("overwrite", "append", "merge")

#: Longest id of an execution, and longest of the other texts that name a run, in characters.
_ID_LIMIT = 200
_NAME_LIMIT = 1_000
#: Begins the names of the catalogs that the driver writes through; no alias may begin with it.
WRITING_PREFIX = "dcp_write_"


@dataclass(frozen=True)
class Source:
    """What is read, and the name of the view under which SQL sees it."""

    name: str
    type: str = "iceberg"
    catalog: Optional[str] = None
    database: Optional[str] = None
    table: Optional[str] = None
    path: Optional[str] = None
    filter: Optional[str] = None
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Transformation:
    """One SQL query, seen by later ones under its name."""

    name: str
    query: str
    type: str = "sql"


@dataclass(frozen=True)
class Column:
    """A declared column; ``type`` as Iceberg spells it."""

    name: str
    type: str
    required: bool = False
    description: Optional[str] = None


@dataclass(frozen=True)
class Sink:
    """What is written: the view ``input`` into an Iceberg table."""

    name: str
    catalog: str
    database: str
    table: str
    input: str
    type: str = "iceberg"
    mode: str = "overwrite"
    partition_by: Tuple[str, ...] = ()
    merge_keys: Tuple[str, ...] = ()
    columns: Optional[Tuple[Column, ...]] = None
    description: Optional[str] = None

    @property
    def full_name(self) -> str:
        """``<alias>.<database>.<table>``, for people."""
        return f"{self.catalog}.{self.database}.{self.table}"

    @property
    def identifier(self) -> str:
        """The table as the driver writes it, quoted for SQL: in the catalog without a cache."""
        return identifier(writing_alias(self.catalog), self.database, self.table)


@dataclass(frozen=True)
class Job:
    """The whole document. ``ds`` is the run's own day, ``run_key`` names the run for appends that must happen once for it.

    ``spark_version`` is the Spark that the manifest names, or empty for any.
    :param default_catalog: the alias that a table's name without a catalog means in SQL, or None for Spark's own default.
    """

    execution_id: str
    attempt: int
    fingerprint: str
    manifest_id: str
    run_key: str
    ds: str
    sources: Tuple[Source, ...]
    transformations: Tuple[Transformation, ...]
    sinks: Tuple[Sink, ...]
    spark_version: str = ""
    default_catalog: Optional[str] = None

    def run_of(self, sink: Sink) -> str:
        """Return what names this run's writing of ``sink`` in a snapshot: the run, whatever its execution, and the sink."""
        return f"{self.run_key or self.execution_id}:{sink.name}"


def writing_alias(alias: str) -> str:
    """Return the name of the catalog that the driver writes through for ``alias``."""
    return f"{WRITING_PREFIX}{alias}"


def identifier(*parts: str) -> str:
    """Return the parts of a name, each quoted for SQL, joined by dots."""
    return ".".join("`" + part.replace("`", "``") + "`" for part in parts)


READERS["Optional[Tuple[Column, ...]]"] = optional(items(lambda value, what: build(Column, value, what)))


def parse_job(content: str) -> Job:
    """Read a job spec.

    :param content: the JSON document.
    :raises DriverError: DCP320, when it is no job spec that this driver understands.
    """
    try:
        data = document(content)
        _check_version(data.get("version"))
        job = Job(
            execution_id=_text(data, "execution_id", _ID_LIMIT),
            attempt=number(data.get("attempt", 1), "its attempt"),
            fingerprint=_text(data, "fingerprint"),
            manifest_id=_text(data, "manifest_id"),
            run_key=_text(data, "run_key"),
            ds=_text(data, "ds"),
            sources=_all(Source, data, "sources"),
            transformations=_all(Transformation, data, "transformations"),
            sinks=_all(Sink, data, "sinks"),
            spark_version=_text(data, "spark_version"),
            default_catalog=_text(data, "default_catalog") or None,
        )
    except FieldError as error:
        raise _broken(str(error)) from error
    _check(job)
    return job


def _check_version(version: Any) -> None:
    if type(version) is not int or version != VERSION:
        raise FieldError(f"its version is {version!r} and this driver reads version {VERSION}")


def _check(job: Job) -> None:
    """Raise for what no step of the driver could carry out."""
    if not job.execution_id:
        raise _broken("it has no execution_id")
    for source in job.sources:
        _check_source(source)
    for step in job.transformations:
        if step.type != "sql":
            raise _broken(f"transformation `{step.name}` is of type `{step.type}`, not sql")
    views = [source.name for source in job.sources] + [step.name for step in job.transformations]
    for sink in job.sinks:
        _check_sink(sink, views)


def _check_source(source: Source) -> None:
    if source.type == "iceberg" and not (source.database and source.table):
        raise _broken(f"source `{source.name}` names no database and table")
    if source.type in FILE_TYPES and not source.path:
        raise _broken(f"source `{source.name}` has no path")
    if source.type != "iceberg" and source.type not in FILE_TYPES:
        raise _broken(f"source `{source.name}` is of type `{source.type}`, not one of iceberg, {', '.join(FILE_TYPES)}")


def _check_sink(sink: Sink, views: Sequence[str]) -> None:
    if sink.type != "iceberg":
        raise _broken(f"sink `{sink.name}` is of type `{sink.type}`, not iceberg")
    if sink.mode not in MODES:
        raise _broken(f"sink `{sink.name}` has mode `{sink.mode}`, not one of {', '.join(MODES)}")
    if sink.mode == "merge" and not sink.merge_keys:
        raise _broken(f"sink `{sink.name}` merges but names no merge keys")
    if sink.input not in views:
        raise DriverError(
            "DCP329",
            f"sink `{sink.name}` writes `{sink.input}`, which is no source or transformation",
            f"the job has: {quoted(views)}" if views else "give the job a source or a transformation",
        )


def _all(kind: Any, data: Mapping[str, Any], key: str) -> Tuple[Any, ...]:
    return tuple(items(lambda value, what: build(kind, value, what))(data.get(key), f"its {key}"))


def _text(data: Mapping[str, Any], key: str, limit: int = _NAME_LIMIT) -> str:
    value = text("" if data.get(key) is None else data[key], f"its {key}")
    if len(value) > limit:
        raise FieldError(f"its {key} has {len(value)} characters, more than {limit}")
    return value


def _broken(what: str) -> DriverError:
    return DriverError("DCP320", f"the job spec cannot be used: {what}", "the driver and what submits to it must be of one version")
