"""Sources and transformations become temporary views, each seen by what comes after it."""

from __future__ import annotations

import logging

from pyspark.errors import ParseException
from pyspark.sql import DataFrame, SparkSession

from .catalogs import table_name
from .diagnosis import explained
from .faults import DriverError
from .function_options import check_options
from .reads import Reads
from .spec import Job, Source, Transformation, identifier

LOG = logging.getLogger("core_etl")


def register_views(spark: SparkSession, job: Job, reads: Reads) -> None:
    """Register every source and transformation of ``job`` as a view, in order. Nothing is computed yet.

    :param reads: checks what each query really reads.
    :raises DriverError: DCP330 or DCP331 when a source cannot be read, DCP321, DCP322 or DCP332 when a filter or query is wrong.
    """
    for source in job.sources:
        with explained(f"source `{source.name}`", reading=True):
            frame = _read(spark, source)
        if source.type != "iceberg":
            reads.add_files(frame)
        if source.filter:
            with explained(f"filter of source `{source.name}`"):
                parser = spark._jsparkSession.sessionState().sqlParser()
                check_options(parser.parseExpression(source.filter), source.filter, f"filter of source `{source.name}`")
                # Before it is analysed: that would look the tables of its subqueries up.
                reads.check_names(parser.parsePlan(f"SELECT 1 WHERE (\n{source.filter}\n)"), f"filter of source `{source.name}`")
                frame = frame.where(source.filter)
        reads.check(frame, f"source `{source.name}`")
        _register(frame, source.name, reads)
        LOG.info("source %s reads %s%s", source.name, _place(source), f" where {source.filter}" if source.filter else "")
    for step in job.transformations:
        with explained(f"transformation `{step.name}`"):
            frame = _query(spark, step, reads)
            reads.check(frame, f"transformation `{step.name}`")
            _register(frame, step.name, reads)
        LOG.info("transformation %s is analysed", step.name)


def _register(frame: DataFrame, name: str, reads: Reads) -> None:
    frame.createOrReplaceTempView(identifier(name))
    reads.add_view(name)


def _read(spark: SparkSession, source: Source) -> DataFrame:
    reader = spark.read.options(**source.options)
    if source.type == "iceberg":
        return reader.table(identifier(*table_name(spark, source)))
    return reader.format(source.type).load(source.path)


def _query(spark: SparkSession, step: Transformation, reads: Reads) -> DataFrame:
    parser = spark._jsparkSession.sessionState().sqlParser()
    parsed = parser.parsePlan(step.query)
    try:
        # Only a query can be a view. Any other statement would run here at once, without the sinks' checks and proof.
        parser.parsePlan(f"CREATE TEMPORARY VIEW a AS\n{step.query}")
    except ParseException as error:
        first = step.query.split(None, 1)[0].upper()
        raise DriverError(
            "DCP321",
            f"transformation `{step.name}` is not a query but a statement that begins with {first}; it was not run",
            "write a SELECT; tables are changed by sinks only",
        ) from error
    check_options(parsed, step.query, f"transformation `{step.name}`")
    reads.check_names(parsed, f"transformation `{step.name}`")
    return spark.sql(step.query)


def _place(source: Source) -> str:
    parts = [part for part in (source.catalog, source.database, source.table) if part]
    return ".".join(parts) if source.type == "iceberg" else f"{source.type} {source.path}"
