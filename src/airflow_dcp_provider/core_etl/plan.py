"""Checking a sink before anything is written, and deciding how it will be.

Everything here is analysis: no Spark job runs and nothing changes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 -- as Spark's own documents name it
from pyspark.sql.types import DataType, DateType, StringType, TimestampNTZType, TimestampType

from .column_types import spell
from .diagnosis import explained
from .faults import DriverError, quoted
from .iceberg import Table
from .partition_values import PartitionColumn, literal
from .proof import Snapshot
from .shape import (
    DAY_COLUMN,
    Placed,
    TargetColumn,
    check_columns,
    check_names,
    check_partitions,
    declared,
    from_result,
    place,
    with_day,
)
from .spec import Job, Sink, identifier

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class SinkPlan:
    """A sink that has passed every check that needs no data.

    :param result: the result with the partition column that was missing, before any cast.
    :param table: the table that is there, or None when it must be made from ``columns``.
    :param placed: the table's columns and where their values come from.
    :param day_is_own: whether every row of the result is of the run's own day, because the driver set it.
    :param done: this run's snapshot, when the sink appends and it is there already.
    """

    sink: Sink
    result: DataFrame
    table: Optional[Table]
    columns: Tuple[TargetColumn, ...]
    placed: Tuple[Placed, ...]
    day_is_own: bool
    done: Optional[Snapshot] = None

    @property
    def day_column(self) -> Optional[TargetColumn]:
        """The table's partition column that holds the run's day, or None."""
        if DAY_COLUMN not in [name.lower() for name in self.sink.partition_by]:
            return None
        return next(column for column in self.columns if column.name.lower() == DAY_COLUMN)

    @property
    def partition_columns(self) -> Tuple[PartitionColumn, ...]:
        """The table's partition columns, in the sink's order and spelt as the table has them."""
        by_name = {column.name.lower(): column for column in self.columns}
        return tuple(PartitionColumn.of(by_name[name.lower()], name.lower() == DAY_COLUMN) for name in self.sink.partition_by)

    def rows(self) -> DataFrame:
        """Return the result as the table's rows: its columns, in its order and types.

        A merge leaves columns that the result lacks as they are, so they are left out; else they are null.
        """
        return self.result.select(*[_value(item) for item in self.placed if item.source is not None or self.sink.mode != "merge"])


def _value(item: Placed) -> Column:
    column = F.lit(None) if item.source is None else F.col(identifier(item.source))
    wants_cast = item.cast or item.source is None
    return (column.cast(item.target.kind) if wants_cast else column).alias(item.target.name)


def plan_sink(spark: SparkSession, job: Job, sink: Sink, result: DataFrame) -> SinkPlan:
    """Check that ``sink`` can be written and return how.

    :param result: what is written.
    :raises DriverError: DCP322, DCP324 to DCP328 for what the manifest must change; nothing was written.
    """
    with explained(f"sink `{sink.name}`"):
        table = Table.load(spark, sink)
        there = table.columns() if table else None
        wanted = declared(sink)
        columns_of(result, sink)
        result, day_is_own = _with_own_day(result, job, sink, there or wanted)
        found = columns_of(result, sink)
        check_columns(found, sink, f"the result `{sink.input}`")
        if there is not None:
            check_names([(item.name, item.kind) for item in there], sink, f"table {sink.full_name}")
        placed = None
        if wanted is not None:
            placed = place(found, wanted, sink, code="DCP325", what="its declared columns", complete=True)
        if there is not None:
            placed = place(found, there, sink, code="DCP326", what=f"table {sink.full_name}", complete=False)
        columns = there or wanted or from_result(found, sink)
        if placed is None:
            placed = place(found, columns, sink, code="DCP326", what="its table", complete=True)
        if table:
            check_partitions(table.partition_fields(), sink)
        _check_merge_keys([name for name, _ in found], sink)
        done = table.find_run(job.run_of(sink)) if table and sink.mode == "append" else None
    return SinkPlan(sink, result, table, columns, placed, day_is_own, done)


def columns_of(result: DataFrame, sink: Sink) -> List[Tuple[str, DataType]]:
    """Return names and types of a result's columns.

    :raises DriverError: DCP393 for a type that only Spark's Java side has.
    """
    try:
        return [(item.name, item.dataType) for item in result.schema.fields]
    except ValueError as error:
        types = result._jdf.schema().simpleString()
        raise DriverError(
            "DCP393",
            f"the result `{sink.input}` has a column of a type that no Iceberg table has (sink `{sink.name}`): {types}",
            "CAST it, for example an interval to STRING",
        ) from error


def _with_own_day(result: DataFrame, job: Job, sink: Sink, columns: Optional[Tuple[TargetColumn, ...]]) -> Tuple[DataFrame, bool]:
    """Add the partition column `ds` when the result lacks it, in the type that the table has."""
    if not with_day(result.columns, sink):
        return result, False
    known = next((column for column in columns or () if column.name.lower() == DAY_COLUMN), None)
    kind = known.kind if known else StringType()
    name = next(name for name in sink.partition_by if name.lower() == DAY_COLUMN)
    return result.withColumn(name, day_literal(job, sink, kind)), True


def day_literal(job: Job, sink: Sink, kind: DataType) -> Column:
    """Return the run's own day as a literal of a partition column's type.

    :raises DriverError: DCP324 when the run has no day, or the type cannot hold one.
    """
    if not isinstance(kind, (StringType, DateType, TimestampType, TimestampNTZType)):
        raise DriverError(
            "DCP324",
            f"sink `{sink.name}`: partition column `{DAY_COLUMN}` is {spell(kind)}, which cannot hold the run's own day",
            f"make `{DAY_COLUMN}` a string or a date",
        )
    if not job.ds:
        raise DriverError(
            "DCP324",
            f"sink `{sink.name}` is partitioned by `{DAY_COLUMN}`, and the run has no day",
            f"give the run its `{DAY_COLUMN}`",
        )
    if isinstance(kind, StringType):
        return F.lit(job.ds)
    if not _DAY.fullmatch(job.ds):
        raise DriverError(
            "DCP324",
            f"sink `{sink.name}`: the run's day is `{job.ds}`, which is no date",
            "give the job spec a day like 2013-01-05",
        )
    return literal(job.ds, kind)


def _check_merge_keys(names: Sequence[str], sink: Sink) -> None:
    given = {name.lower() for name in names}
    missing = [key for key in sink.merge_keys if key.lower() not in given]
    if sink.mode == "merge" and missing:
        raise DriverError(
            "DCP328",
            f"sink `{sink.name}` merges by {quoted(missing)}, which `{sink.input}` does not have; its columns are {quoted(names)}",
            f"select the merge keys in `{sink.input}`",
        )
