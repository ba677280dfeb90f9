"""One pass over a result before it is committed: it is counted, and checked value by value.

All that must be known before the commit is asked for in a single aggregation, because every further Spark job costs time.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Dict, Optional, Tuple

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F  # noqa: N812 -- as Spark's own documents name it

from .column_types import spell
from .diagnosis import explained
from .faults import DriverError
from .partition_values import Values
from .plan import SinkPlan
from .spec import identifier

LOG = logging.getLogger("core_etl")

#: So many partitions are looked at one by one.
PARTITION_LIMIT = 1000
#: So many duplicate keys are named in an error.
_NAMED_KEYS = 5


@dataclass(frozen=True)
class Measured:
    """A plan with what is known of its rows.

    :param rows: the table's rows; where ``kept`` is not None they are in Spark's memory or on its disks until :meth:`release`.
    :param partitions: the distinct partition values of the rows as texts, at most ``PARTITION_LIMIT``; not counted (empty) when
        every row is of the run's own day and that is the only partition column.
    """

    plan: SinkPlan
    kept: Optional[DataFrame]
    rows: DataFrame
    count: int
    partitions: Tuple[Values, ...] = ()
    partition_count: int = 0

    def release(self) -> None:
        """Let the kept rows go."""
        release(self.kept)


def release(kept: Optional[DataFrame]) -> None:
    """Let kept rows go. When Spark is gone, so are they, and why it went is what must be reported."""
    if kept is None:
        return
    try:
        kept.unpersist()
    except Exception as error:  # noqa: BLE001 -- py4j's and the socket's own errors
        LOG.warning("kept rows could not be released: %r", error)


def measure(plan: SinkPlan, keep: bool) -> Measured:
    """Compute the plan's result, count it and check its values.

    :param keep: whether the result is kept for the write, or computed again.

    :raises DriverError: DCP323 when the query fails on its data, DCP325 or DCP326 when values do not fit their column, DCP327 when
        merge keys are not unique. Nothing was written.
    """
    with explained(f"sink `{plan.sink.name}`"):
        kept = plan.result.persist(StorageLevel.MEMORY_AND_DISK) if keep else None
        try:
            rows = plan.rows()
            questions = _questions(plan)
            found = plan.result.agg(*[question.alias(name) for name, question in questions.items()]).first()
            _check(plan, rows, found)
        except Exception:
            release(kept)
            raise
    partitions = tuple(tuple(item) for item in found["partitions"]) if "partitions" in questions else ()
    total = found["partition_count"] if "partitions" in questions else 0
    return Measured(plan, kept, rows, found["rows"], partitions, total)


def _questions(plan: SinkPlan) -> Dict[str, Column]:
    """Return what is asked of the rows, by the name of its answer."""
    asked: Dict[str, Column] = {"rows": F.count(F.lit(1))}
    for index, item in enumerate(plan.placed):
        if item.source is None:
            continue
        column = identifier(item.source)
        if item.target.required:
            asked[f"nulls{index}"] = F.expr(f"count_if({column} IS NULL)")
        if item.checked:
            fitted = f"try_cast({column} AS {spell(item.target.kind)})"
            asked[f"unfit{index}"] = F.expr(f"count_if({column} IS NOT NULL AND NOT {fitted} <=> {column})")
    if plan.sink.mode == "merge":
        asked["keys"] = F.count_distinct(F.struct(*[_target_value(plan, key) for key in plan.sink.merge_keys]))
    if needs_partitions(plan):
        columns = plan.partition_columns
        values = [column.value(_target_value(plan, column.name)) for column in columns]
        distinct = F.collect_set(F.struct(*[value.alias(f"p{index}") for index, value in enumerate(values)]))
        first = F.slice(F.sort_array(distinct), 1, PARTITION_LIMIT)
        asked["partitions"] = F.transform(
            first, lambda row: F.struct(*[item.text(row[f"p{index}"]).alias(f"p{index}") for index, item in enumerate(columns)])
        )
        asked["partition_count"] = F.size(distinct)
    return asked


def needs_partitions(plan: SinkPlan) -> bool:
    """Whether the rows' partitions are not known beforehand."""
    return bool(plan.sink.partition_by) and not (plan.day_is_own and len(plan.sink.partition_by) == 1)


def _target_value(plan: SinkPlan, name: str) -> Column:
    """Return a result's column with the type that it will have in the table."""
    item = next(item for item in plan.placed if item.target.name.lower() == name.lower())
    return F.col(identifier(item.source or "")).cast(item.target.kind).alias(item.target.name)


def _check(plan: SinkPlan, rows: DataFrame, found: Row) -> None:
    sink = plan.sink
    answers = found.asDict()
    problems = []
    for index, item in enumerate(plan.placed):
        if answers.get(f"nulls{index}"):
            problems.append(f"`{item.target.name}` is required and null in {answers[f'nulls{index}']} rows")
        if answers.get(f"unfit{index}"):
            problems.append(f"`{item.source}` does not fit {spell(item.target.kind)} in {answers[f'unfit{index}']} rows")
    if problems:
        raise DriverError(
            "DCP325" if sink.columns is not None else "DCP326",
            f"values of `{sink.input}` do not fit the columns of {sink.full_name} (sink `{sink.name}`): {'; '.join(problems)}."
            " Nothing was written",
            "filter or replace the values in the SQL, or change the columns",
        )
    if answers.get("keys") is not None and answers["keys"] != answers["rows"]:
        raise DriverError(
            "DCP327",
            f"`{sink.input}` has {answers['rows']} rows for {answers['keys']} values of the merge keys of sink `{sink.name}`;"
            f" more than once: {_duplicates(plan, rows)}. Nothing was written",
            "keep one row for each key, for example with GROUP BY or ROW_NUMBER, or add a column to the merge keys",
        )


def _duplicates(plan: SinkPlan, rows: DataFrame) -> str:
    """Return the first few keys that occur more than once, as text."""
    keys = plan.sink.merge_keys
    columns = [F.col(identifier(key)) for key in keys]
    repeated = rows.groupBy(*columns).count().where("count > 1").orderBy(F.desc("count"), *columns).limit(_NAMED_KEYS)
    # As Spark writes them: Python would show times in the zone of the machine, and cannot hold every date.
    texts = repeated.select(*[F.col(identifier(key)).cast("string") for key in keys]).collect()
    named = (", ".join(f"{key}={'null' if row[index] is None else row[index]}" for index, key in enumerate(keys)) for row in texts)
    return ", ".join(f"({key})" for key in named)
