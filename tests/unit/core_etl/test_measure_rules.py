"""What the one look at a result decides: values that do not fit, keys that are not unique, and whether partitions must be known."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from pyspark.sql import Row
from pyspark.sql.types import DecimalType, LongType, StringType

from airflow_dcp_provider.core_etl import measure
from airflow_dcp_provider.core_etl.faults import DriverError
from airflow_dcp_provider.core_etl.measure import Measured, needs_partitions, release
from airflow_dcp_provider.core_etl.plan import SinkPlan
from airflow_dcp_provider.core_etl.shape import Placed, TargetColumn
from airflow_dcp_provider.core_etl.spec import Column, Sink

SINK = Sink("out", "c", "d", "t", "result", merge_keys=("id",))
PLACED = (
    Placed(TargetColumn("id", LongType(), required=True), "ID"),
    Placed(TargetColumn("price", DecimalType(10, 2)), "amount", cast=True, checked=True),
    Placed(TargetColumn("word", StringType(), required=True), "word"),
)


def plan(day_is_own: bool = False, **changes: Any) -> SinkPlan:
    nothing: Any = None
    columns = tuple(item.target for item in PLACED)
    return SinkPlan(dataclasses.replace(SINK, **changes), nothing, None, columns, PLACED, day_is_own)


def refusal(found: Row, **changes: Any) -> DriverError:
    nothing: Any = None
    with pytest.raises(DriverError) as caught:
        measure._check(plan(**changes), nothing, found)
    return caught.value


def test_values_that_fit_are_no_problem() -> None:
    nothing: Any = None
    measure._check(plan(), nothing, Row(rows=3, nulls0=0, unfit1=0, nulls2=0))
    measure._check(plan(), nothing, Row(rows=3))
    measure._check(plan(mode="merge"), nothing, Row(rows=3, keys=3))
    measure._check(plan(mode="merge"), nothing, Row(rows=0, keys=0))


def test_every_column_whose_values_do_not_fit_is_named() -> None:
    error = refusal(Row(rows=9, nulls0=2, unfit1=4, nulls2=1))
    assert error.code == "DCP326"
    assert (
        "`id` is required and null in 2 rows; `amount` does not fit decimal(10,2) in 4 rows; `word` is required and null in 1 rows"
        in error.message
    )
    assert "c.d.t" in error.message
    assert "Nothing was written" in error.message
    assert refusal(Row(rows=9, nulls2=1), columns=(Column("id", "long"),)).code == "DCP325"


@pytest.mark.parametrize(("rows", "keys"), [(3, 2), (1, 0)])
def test_keys_that_occur_twice_are_named(rows: int, keys: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "_duplicates", lambda *_: "(id=1)")
    error = refusal(Row(rows=rows, keys=keys), mode="merge")
    assert error.code == "DCP327"
    assert f"`result` has {rows} rows for {keys} values of the merge keys of sink `out`; more than once: (id=1)" in error.message


@pytest.mark.parametrize(
    ("by", "own", "needed"),
    [((), False, False), (("ds",), True, False), (("ds",), False, True), (("ds", "word"), True, True), (("word",), False, True)],
)
def test_when_the_partitions_must_be_known(by: tuple[str, ...], own: bool, needed: bool) -> None:
    assert needs_partitions(plan(own, partition_by=by)) is needed


class Frame:
    def __init__(self, error: Exception | None = None) -> None:
        self.released, self.error = 0, error

    def unpersist(self) -> None:
        self.released += 1
        if self.error:
            raise self.error


def test_rows_that_were_kept_are_let_go_also_when_spark_is_gone() -> None:
    release(None)
    for frame in (Frame(), Frame(ConnectionRefusedError())):
        release(frame)  # type: ignore[arg-type]
        assert frame.released == 1
    kept: Any = Frame()
    Measured(plan(), kept, kept, 3).release()
    assert kept.released == 1
    assert (Measured(plan(), None, kept, 3).partitions, Measured(plan(), None, kept, 3).partition_count) == ((), 0)
