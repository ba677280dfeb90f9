"""What a write decides without Spark: the partitions that it names, its statements, and appends that were made before."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from pyspark.sql.types import DataType, DateType, IntegerType, StringType, TimestampType

from airflow_dcp_provider.core_etl import write
from airflow_dcp_provider.core_etl.measure import Measured
from airflow_dcp_provider.core_etl.plan import SinkPlan
from airflow_dcp_provider.core_etl.proof import Snapshot
from airflow_dcp_provider.core_etl.shape import TargetColumn
from airflow_dcp_provider.core_etl.spec import Job, Sink

SINK = Sink("out", "c", "d", "t", "result", partition_by=("ds",))
JOB = Job("execution", 1, "f", "m", "run", "2013-01-05", (), (), (SINK,))


def plan(day: DataType | None = None, **changes: Any) -> SinkPlan:
    """A sink's plan; ``day`` is the type of the column `DS`."""
    own = {"day_is_own": changes.pop("day_is_own", False), "done": changes.pop("done", None)}
    columns = (TargetColumn("DS", day or StringType()), TargetColumn("country", StringType()), TargetColumn("id", IntegerType()))
    nothing: Any = None
    return SinkPlan(dataclasses.replace(SINK, **changes), nothing, None, columns, (), **own)


def partitions(of: SinkPlan, *values: tuple[str | None, ...], count: int | None = None) -> tuple[int, list[dict[str, str | None]]]:
    nothing: Any = None
    measured = Measured(of, None, nothing, 7, values, len(values) if count is None else count)
    total, listed = write._partitions(JOB, measured)
    return total, [dict(item) for item in listed]


def test_the_own_day_is_named_first_when_an_overwrite_replaces_it() -> None:
    other = {"DS": "2013-01-06"}
    assert partitions(plan(), ("2013-01-06",)) == (2, [{"DS": "2013-01-05"}, other])
    assert partitions(plan(), ("2013-01-06",), ("2013-01-05",)) == (2, [other, {"DS": "2013-01-05"}])
    assert partitions(plan()) == (1, [{"DS": "2013-01-05"}])
    assert partitions(plan(), ("2013-01-06",), count=1500) == (1501, [{"DS": "2013-01-05"}, other])


def test_another_mode_names_the_partitions_of_its_rows_only() -> None:
    assert partitions(plan(mode="append"), ("2013-01-06",)) == (1, [{"DS": "2013-01-06"}])
    assert partitions(plan(mode="merge")) == (0, [])
    # Where the driver sets the day, its rows are not looked at.
    assert partitions(plan(mode="append", day_is_own=True)) == (1, [{"DS": "2013-01-05"}])


def test_the_own_day_is_found_among_other_columns() -> None:
    both = plan(partition_by=("country", "ds"))
    assert partitions(both, ("NL", "2013-01-05")) == (1, [{"country": "NL", "DS": "2013-01-05"}])
    assert partitions(both, (None, "2013-01-06")) == (2, [{"DS": "2013-01-05"}, {"country": None, "DS": "2013-01-06"}])
    # A country that is spelled like the day is none.
    assert partitions(both, ("2013-01-05", None))[0] == 2


def test_without_a_day_no_partition_is_added() -> None:
    assert partitions(plan(partition_by=("country",)), ("NL",)) == (1, [{"country": "NL"}])
    assert partitions(plan(partition_by=())) == (0, [])


@pytest.mark.parametrize(
    ("mode", "by", "replaces"),
    [
        ("overwrite", (), True),
        ("overwrite", ("ds",), True),
        ("overwrite", ("country", "DS"), True),
        ("overwrite", ("country",), False),
        ("append", (), False),
        ("append", ("ds",), False),
        ("merge", (), False),
        ("merge", ("ds",), False),
    ],
)
def test_when_an_empty_result_is_a_change(mode: str, by: tuple[str, ...], replaces: bool) -> None:
    assert write._replaces_when_empty(plan(mode=mode, partition_by=by)) is replaces


def test_an_append_that_was_made_before_is_recognised() -> None:
    assert write.already_done(plan(mode="append"), JOB) is None
    summary = {
        "dcp.execution-id": "execution",
        "dcp.attempt": "3",
        "dcp.partition": "ds=2013-01-05",
        "dcp.rows": "7",
        "added-records": "7",
    }
    own = write.already_done(plan(mode="append", done=Snapshot(11, 10, summary)), JOB)
    assert own is not None
    assert (own.result, own.snapshot_id, own.previous_snapshot_id, own.rows, own.added_rows) == ("written", 11, 10, 7, 7)
    assert own.partition == "ds=2013-01-05"
    assert "attempt 3 of this execution" in own.reason
    other = write.already_done(plan(mode="append", done=Snapshot(11, 10, {**summary, "dcp.execution-id": "other"})), JOB)
    assert other is not None
    assert (other.result, other.snapshot_id, other.rows, other.partition) == ("no-change", None, 0, "ds=2013-01-05")
    assert "in snapshot 11" in other.reason
    bare = write.already_done(plan(mode="append", done=Snapshot(11, None, {"dcp.execution-id": "execution"})), JOB)
    assert bare is not None
    assert (bare.partition, bare.rows, bare.deleted_rows) == ("", 0, 0)


def test_a_merge_matches_every_key_and_names_every_column() -> None:
    statement = write.merge_statement("`c`.`t`", ["id", "a`b"], ["id", "a`b"])
    assert statement == (
        "MERGE INTO `c`.`t` AS target USING __core_etl_merge_source AS source"
        " ON target.`id` <=> source.`id` AND target.`a``b` <=> source.`a``b`\n"
        "WHEN MATCHED THEN UPDATE SET target.`id` = source.`id`, target.`a``b` = source.`a``b`\n"
        "WHEN NOT MATCHED THEN INSERT (`id`, `a``b`) VALUES (source.`id`, source.`a``b`)"
    )


def test_the_day_column_is_the_tables() -> None:
    assert plan(partition_by=()).day_column is None
    assert plan(partition_by=("country",)).day_column is None
    assert plan(DateType(), partition_by=("country", "Ds")).day_column == TargetColumn("DS", DateType())


def test_partition_columns_are_in_the_sinks_order_and_spelt_as_the_tables() -> None:
    columns = plan(TimestampType(), partition_by=("COUNTRY", "ds")).partition_columns
    assert [(column.name, column.by_day) for column in columns] == [("country", False), ("DS", True)]
