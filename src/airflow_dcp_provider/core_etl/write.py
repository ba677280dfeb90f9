"""Writing a measured result, so that doing it twice for one run leaves the same table.

Overwrite, when `ds` partitions the table: one commit replaces the run's own day, whole, and every other partition that the result
has rows of. It is one condition over the partition columns as long as there are at most ``PARTITION_LIMIT`` partitions whose values
can be written exactly in a condition; beyond, the own day is emptied in a commit before the one that replaces partitions,
and only the latter proves the run.
Without `ds`, the partitions of the result are replaced; without partitions, the whole table.

Append happens once for a run: the summary of the snapshot names the run. Merge matches keys by ``<=>``, so a null key is a key
like any other and a second run does not insert its row again.
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any, List, Optional, Sequence, Tuple

from pyspark.sql import Column, DataFrame, DataFrameWriterV2, SparkSession
from pyspark.sql import functions as F  # noqa: N812 -- as Spark's own documents name it

from .commits import commit_with_retries
from .diagnosis import explained
from .faults import EXIT_CRASH, DriverError
from .iceberg import Table, commit_properties, create_table
from .measure import PARTITION_LIMIT, Measured, spelled
from .plan import SinkPlan, day_literal
from .proof import ATTEMPT, EMPTIES_FOR, EXECUTION_ID, PARTITION, ROWS, partition_text, summary
from .report import SinkResult, unchanged, written
from .spec import Job, identifier

LOG = logging.getLogger("core_etl")

_MERGE_SOURCE = "__core_etl_merge_source"


def already_done(plan: SinkPlan, job: Job) -> Optional[SinkResult]:
    """Return the result of an append that this run made before, or None.

    An earlier attempt of this very execution has written; for a later execution of the same run there is nothing left to do.
    """
    if plan.done is None:
        return None
    before = plan.done.summary
    partition, rows = before.get(PARTITION, ""), int(before.get(ROWS, 0))
    if before.get(EXECUTION_ID) == job.execution_id:
        reason = f"attempt {before.get(ATTEMPT)} of this execution has appended already"
        return written(plan.sink, plan.done, partition, rows, reason)
    reason = f"this run has appended already, in snapshot {plan.done.id}"
    return unchanged(plan.sink, reason, partition)


def write(spark: SparkSession, job: Job, measured: Measured) -> SinkResult:
    """Write one sink and return what became of it.

    :raises DriverError: DCP335 and others, when it could not be written.
    """
    plan = measured.plan
    sink = plan.sink
    if measured.count == 0 and not _replaces_when_empty(plan):
        return unchanged(sink, f"the result `{sink.input}` is empty")
    partition = _partition(job, measured)
    properties = summary(job, sink, partition, measured.count)
    with explained(f"sink `{sink.name}`"):
        table = plan.table or _create(spark, plan)
        LOG.info("sink %s: %s of %s rows into %s %s", sink.name, sink.mode, measured.count, sink.full_name, partition)

        def commit() -> None:
            if sink.mode == "merge":
                with commit_properties(spark, properties):
                    _merge(spark, measured)
                return
            writer = measured.rows.writeTo(sink.identifier)
            for key, value in properties.items():
                writer = writer.option(f"snapshot-property.{key}", value)
            if sink.mode == "append":
                writer.append()
            else:
                _overwrite(job, measured, writer)

        def find_own() -> Any:
            table.refresh()
            return table.find_own(job, sink)

        commit_with_retries(commit, find_own, f"sink `{sink.name}`")
        snapshot = find_own()
    if snapshot is None:
        raise DriverError(
            "DCP348",
            f"sink `{sink.name}`: the write to {sink.full_name} ended well but its snapshot is not in the table",
            "another writer may have rolled the table back; run again",
            EXIT_CRASH,
        )
    return written(sink, snapshot, partition, measured.count)


def _replaces_when_empty(plan: SinkPlan) -> bool:
    """Whether an empty result still means a change: old rows of the own day, or of the whole table, must go."""
    return plan.sink.mode == "overwrite" and (not plan.sink.partition_by or plan.day_column is not None)


def _create(spark: SparkSession, plan: SinkPlan) -> Table:
    LOG.info("sink %s: table %s is made", plan.sink.name, plan.sink.full_name)
    create_table(spark, plan.sink, plan.columns)
    table = Table.load(spark, plan.sink)
    if table is None:
        raise DriverError("DCP348", f"table {plan.sink.full_name} was made and is gone again", "run again", EXIT_CRASH)
    return table


def _partition(job: Job, measured: Measured) -> str:
    """Return the partitions that are written, as text; the own day is among them when it is replaced."""
    plan = measured.plan
    names = plan.sink.partition_by
    texts = ["/".join(f"{name}={spelled(value[index])}" for index, name in enumerate(names)) for value in measured.partitions]
    total = measured.partition_count
    day = plan.day_column
    own = f"{day.name}={job.ds}" if day else ""
    if day and not any(own in text.split("/") for text in texts) and (plan.sink.mode == "overwrite" or plan.day_is_own):
        return partition_text([own, *texts], total + 1)
    return partition_text(texts, total)


def _overwrite(job: Job, measured: Measured, writer: DataFrameWriterV2) -> None:
    plan = measured.plan
    day = plan.day_column
    if not plan.sink.partition_by:
        writer.overwrite(F.lit(True))
        return
    if day is None:
        writer.overwritePartitions()
        return
    own_day = F.col(identifier(day.name)) == day_literal(job, plan.sink, day.kind)
    if plan.day_is_own:
        writer.overwrite(own_day)
        return
    if measured.partition_count <= PARTITION_LIMIT and all(_is_exact(value) for row in measured.partitions for value in row):
        writer.overwrite(own_day | condition(plan.sink.partition_by, measured.partitions))
        return
    LOG.info("sink %s: %s partitions, so the own day is emptied first", plan.sink.name, measured.partition_count)
    # It carries nothing of the proof: whoever looks for the run's snapshot must not take an emptied day for it.
    emptying = measured.rows.limit(0).writeTo(plan.sink.identifier)
    emptying.option(f"snapshot-property.{EMPTIES_FOR}", job.execution_id).overwrite(own_day)
    writer.overwritePartitions()


def _is_exact(value: Any) -> bool:
    """Whether a partition value can be written in a condition without any loss."""
    return value is None or isinstance(value, (str, bool, int)) or type(value) is dt.date


def condition(names: Sequence[str], partitions: Sequence[Tuple[Any, ...]]) -> Column:
    """Return the condition that is true for the rows of ``partitions`` only.

    It nests by column (``a = 1 AND b IN (2, 3) OR ...``), so that it stays small when partitions share values.

    :param names: the partition columns, ``partitions`` their values in the same order.
    """
    column = F.col(identifier(names[0]))
    values = list(dict.fromkeys(row[0] for row in partitions))
    if len(names) == 1:
        some = [value for value in values if value is not None]
        terms = [column.isin(some)] if some else []
        return _any([*terms, *([column.isNull()] if None in values else [])])
    terms = []
    for value in values:
        rest = condition(names[1:], [row[1:] for row in partitions if row[0] == value])
        terms.append((column.isNull() if value is None else column == F.lit(value)) & rest)
    return _any(terms)


def _any(terms: List[Column]) -> Column:
    """Return the disjunction as a balanced tree: a chain of a thousand would overflow the analyser's stack."""
    if not terms:
        return F.lit(False)
    if len(terms) == 1:
        return terms[0]
    middle = len(terms) // 2
    return _any(terms[:middle]) | _any(terms[middle:])


def _merge(spark: SparkSession, measured: Measured) -> None:
    rows: DataFrame = measured.rows
    sink = measured.plan.sink
    rows.createOrReplaceTempView(_MERGE_SOURCE)
    try:
        spark.sql(merge_statement(sink.identifier, rows.columns, sink.merge_keys))
    finally:
        spark.catalog.dropTempView(_MERGE_SOURCE)


def merge_statement(target: str, columns: Sequence[str], keys: Sequence[str]) -> str:
    """Return the MERGE of the view of new rows into ``target``.

    Columns are named one by one: those that the result lacks keep their values.
    """
    matches = " AND ".join(f"target.{identifier(key)} <=> source.{identifier(key)}" for key in keys)
    sets = ", ".join(f"target.{identifier(name)} = source.{identifier(name)}" for name in columns)
    names = ", ".join(identifier(name) for name in columns)
    values = ", ".join(f"source.{identifier(name)}" for name in columns)
    return (
        f"MERGE INTO {target} AS target USING {_MERGE_SOURCE} AS source ON {matches}\n"  # noqa: S608 -- every name is quoted
        f"WHEN MATCHED THEN UPDATE SET {sets}\nWHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})"
    )
