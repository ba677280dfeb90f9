"""Writing a measured result, so that doing it twice for one run leaves the same table.

Overwrite, when `ds` partitions the table: one commit replaces the run's own day, whole, and every other partition that the result
has rows of. It is one condition over the partition columns as long as there are at most ``PARTITION_LIMIT`` partitions whose values
can be written exactly in a condition; beyond, the own day is emptied in a commit before the one that replaces partitions,
and only the latter proves the run. Where `ds` is a time, all times of a day are that day's.
Without `ds`, the partitions of the result are replaced; without partitions, the whole table.

A table whose partitions were changed may have files of its older ones. Replacing partitions does not see those, so there a
condition is used as well; files that hold rows of the partition beside others cannot be taken away whole, and the write is refused
(DCP334).

Append happens once for a run: the summary of the snapshot names the run. Merge matches keys by ``<=>``, so a null key is a key
like any other and a second run does not insert its row again.
"""

from __future__ import annotations

import logging
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from pyspark.sql import DataFrame, DataFrameWriterV2, SparkSession
from pyspark.sql import functions as F  # noqa: N812 -- as Spark's own documents name it

from .commits import commit_with_retries
from .diagnosis import explained
from .faults import EXIT_CRASH, DriverError, quoted
from .iceberg import Table, commit_properties, create_table
from .measure import PARTITION_LIMIT, Measured
from .partition_values import PartitionColumn, any_of, condition
from .plan import SinkPlan
from .proof import ATTEMPT, EMPTIED_ROWS, EMPTIES_FOR, EXECUTION_ID, PARTITION, ROWS, Partition, named, partition_text, summary
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
    total, partitions = _partitions(job, measured)
    partition = partition_text([named(values) for values in partitions], total)
    properties = summary(job, sink, partition, measured.count, partitions)
    with explained(f"sink `{sink.name}`"):
        table = plan.table or _create(spark, plan)
        LOG.info("sink %s: %s of %s rows into %s %s", sink.name, sink.mode, measured.count, sink.full_name, partition)

        def commit() -> None:
            if sink.mode == "merge":
                with commit_properties(spark, properties):
                    _merge(spark, measured)
                return
            if sink.mode == "append":
                _writer(measured, properties).append()
            else:
                _overwrite(job, measured, table, properties)

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


def _writer(measured: Measured, properties: Mapping[str, str], *, empty: bool = False) -> DataFrameWriterV2:
    """Return what writes the rows, or none of them, with ``properties`` in the snapshot's summary.

    Rows are sorted by partition within each task, so that it has one file open at a time, however many partitions there are.
    """
    rows = measured.rows.limit(0) if empty else measured.rows
    writer = rows.writeTo(measured.plan.sink.identifier).option("fanout-enabled", "false")
    for key, value in properties.items():
        writer = writer.option(f"snapshot-property.{key}", value)
    return writer


def _partitions(job: Job, measured: Measured) -> Tuple[int, List[Partition]]:
    """Return how many partitions are written, and the first of them; the own day is among them when it is replaced."""
    plan = measured.plan
    names = [column.name for column in plan.partition_columns]
    partitions = [dict(zip(names, values)) for values in measured.partitions]  # noqa: B905 -- Python 3.8
    day = plan.day_column
    if day is None or not (plan.sink.mode == "overwrite" or plan.day_is_own):
        return measured.partition_count, partitions
    if any(partition[day.name] == job.ds for partition in partitions):
        return measured.partition_count, partitions
    return measured.partition_count + 1, [{day.name: job.ds}, *partitions]


def _overwrite(job: Job, measured: Measured, table: Table, properties: Dict[str, str]) -> None:
    plan = measured.plan
    columns = plan.partition_columns
    if not columns:
        _writer(measured, properties).overwrite(F.lit(True))
        return
    day = next((column for column in columns if plan.day_column is not None and column.name == plan.day_column.name), None)
    if day is None and not table.has_older_partitions():
        _writer(measured, properties).overwritePartitions()
        return
    own_day = [] if day is None else [day.condition(job.ds)]
    if day is not None and (measured.count == 0 or (plan.day_is_own and len(columns) == 1)):
        # Of an empty result only the own day is replaced, whatever values its other columns could have.
        _writer(measured, properties).overwrite(own_day[0])
        return
    if measured.partition_count <= PARTITION_LIMIT and all(column.is_exact for column in columns):
        _writer(measured, properties).overwrite(any_of([*own_day, condition(columns, measured.partitions)]))
        return
    if day is None or day.by_day or table.has_older_partitions():
        raise _not_by_condition(measured, columns, day)
    LOG.info("sink %s: %s partitions, so the own day is emptied first", plan.sink.name, measured.partition_count)
    # It carries nothing of the proof: whoever looks for the run's snapshot must not take an emptied day for it.
    _writer(measured, {EMPTIES_FOR: job.execution_id}, empty=True).overwrite(own_day[0])
    emptied = table.rows_emptied_for(job.execution_id, job.run_of(plan.sink))
    _writer(measured, {**properties, EMPTIED_ROWS: str(emptied)}).overwritePartitions()


def _not_by_condition(measured: Measured, columns: Sequence[PartitionColumn], day: Optional[PartitionColumn]) -> DriverError:
    sink = measured.plan.sink
    inexact = [column.name for column in columns if not column.is_exact]
    why = (
        f"values of {quoted(inexact)} cannot be compared exactly"
        if inexact
        else f"the result has {measured.partition_count} partitions, and at most {PARTITION_LIMIT} can be named"
    )
    needed = (
        f"its `{day.name}` is a time" if day is not None and day.by_day else "its partitions were changed, and it has older files"
    )
    return DriverError(
        "DCP334",
        f"sink `{sink.name}`: the partitions of {sink.full_name} can only be replaced by naming them, because {needed};"
        f" but {why}. Nothing was written",
        "write fewer partitions at once, make the day column a string or a date, or rewrite the table's older files",
    )


def _merge(spark: SparkSession, measured: Measured) -> None:
    rows: DataFrame = measured.rows
    sink = measured.plan.sink
    if hasattr(rows, "mergeInto"):
        # Spark 4: its 4.1 cannot plan an SQL MERGE whose source is a DataFrame's view.
        source = rows.alias(_MERGE_SOURCE)
        values = {identifier(name): F.col(f"{_MERGE_SOURCE}.{identifier(name)}") for name in rows.columns}
        merging = source.mergeInto(sink.identifier, F.expr(merge_condition(sink.identifier, _MERGE_SOURCE, sink.merge_keys)))
        merging.whenMatched().update(values).whenNotMatched().insert(values).merge()
        return
    rows.createOrReplaceTempView(_MERGE_SOURCE)
    try:
        spark.sql(merge_statement(sink.identifier, rows.columns, sink.merge_keys))
    finally:
        spark.catalog.dropTempView(_MERGE_SOURCE)


def merge_condition(target: str, source: str, keys: Sequence[str]) -> str:
    """Return the condition that a row of ``source`` belongs to one of ``target``; null is a key like any other."""
    return " AND ".join(f"{target}.{identifier(key)} <=> {source}.{identifier(key)}" for key in keys)


def merge_statement(target: str, columns: Sequence[str], keys: Sequence[str]) -> str:
    """Return the MERGE of the view of new rows into ``target``.

    Columns are named one by one: those that the result lacks keep their values.
    """
    matches = merge_condition("target", "source", keys)
    sets = ", ".join(f"target.{identifier(name)} = source.{identifier(name)}" for name in columns)
    names = ", ".join(identifier(name) for name in columns)
    values = ", ".join(f"source.{identifier(name)}" for name in columns)
    return (
        f"MERGE INTO {target} AS target USING {_MERGE_SOURCE} AS source ON {matches}\n"  # noqa: S608 -- every name is quoted
        f"WHEN MATCHED THEN UPDATE SET {sets}\nWHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})"
    )
