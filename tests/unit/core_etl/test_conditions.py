"""The condition over a table's partitions is true for the rows of these partitions and for no other. No Spark is started."""

from __future__ import annotations

import datetime as dt
import operator
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql.types import (
    BinaryType,
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    StringType,
    TimestampNTZType,
    TimestampType,
)

from airflow_dcp_provider.core_etl import partition_values
from airflow_dcp_provider.core_etl.partition_values import PartitionColumn, any_of, condition
from airflow_dcp_provider.core_etl.shape import TargetColumn


class Term:
    """A piece of a condition that can be computed for a row, by SQL's rules for NULL."""

    def __init__(self, compute: Callable[[dict[str, Any]], Any], depth: int = 1) -> None:
        self.compute, self.depth = compute, depth

    def _with(self, other: Any, compute: Callable[[Any, Any], Any]) -> Term:
        right = other if isinstance(other, Term) else Term(lambda _: other)
        return Term(lambda row: compute(self.compute(row), right.compute(row)), 1 + max(self.depth, right.depth))

    def _compared(self, other: Any, compare: Callable[[Any, Any], bool]) -> Term:
        return self._with(other, lambda one, two: None if one is None or two is None else compare(one, two))

    def __eq__(self, other: object) -> Term:  # type: ignore[override]
        return self._compared(other, operator.eq)

    def __ge__(self, other: Any) -> Term:
        return self._compared(other, operator.ge)

    def __lt__(self, other: Any) -> Term:
        return self._compared(other, operator.lt)

    def __and__(self, other: Any) -> Term:
        return self._with(other, lambda one, two: False if False in (one, two) else None if None in (one, two) else True)

    def __or__(self, other: Any) -> Term:
        return self._with(other, lambda one, two: True if True in (one, two) else None if None in (one, two) else False)

    __hash__ = None  # type: ignore[assignment]

    def isNull(self) -> Term:  # noqa: N802 -- pyspark's own name
        return Term(lambda row: self.compute(row) is None)

    def cast(self, kind: str) -> tuple[str, Term]:
        return kind, self


class Functions:
    """What the module uses of ``pyspark.sql.functions``, which needs a JVM."""

    @staticmethod
    def col(name: str) -> Term:
        return Term(lambda row: row[name.strip("`").replace("``", "`")])

    @staticmethod
    def lit(value: Any) -> Term:
        return Term(lambda _: value)

    @staticmethod
    def hex(value: Any) -> tuple[str, Any]:
        return "hex", value

    @staticmethod
    def expr(text: str) -> Term:
        if match := re.fullmatch(r"CAST\('(.*)' AS decimal\(\d+,\d+\)\)", text):
            return Functions.lit(Decimal(match.group(1)))
        match = re.fullmatch(r"(DATE|TIMESTAMP_LTZ|TIMESTAMP_NTZ)'(.*?)'( \+ INTERVAL 1 DAY)?", text)
        assert match, text
        word, value, more = match.groups()
        read: Any = dt.date.fromisoformat(value) if word == "DATE" else dt.datetime.fromisoformat(value)
        return Functions.lit((word, read + dt.timedelta(days=1) if more else read))


@pytest.fixture(autouse=True)
def functions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition_values, "F", Functions)


KINDS: dict[str, DataType] = {
    "string": StringType(),
    "int": IntegerType(),
    "long": LongType(),
    "boolean": BooleanType(),
    "decimal": DecimalType(10, 2),
    "date": DateType(),
}

VALUES: dict[str, dict[str | None, Any]] = {
    "string": {None: None, "": "", "a": "a", "null": "null", "it's": "it's", "true": "true"},
    "int": {None: None, "0": 0, "1": 1, "-5": -5},
    "long": {None: None, "0": 0, "9007199254740993": 9007199254740993},
    "boolean": {None: None, "true": True, "false": False},
    "decimal": {None: None, "0.00": Decimal(0), "1.50": Decimal("1.5")},
    "date": {None: None, "2013-01-05": ("DATE", dt.date(2013, 1, 5)), "0001-01-01": ("DATE", dt.date(1, 1, 1))},
}


@given(st.data())
def test_a_condition_is_true_for_its_partitions_only(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=3))
    columns = [PartitionColumn(f"c`{index}", KINDS[kind]) for index, kind in enumerate(kinds)]
    one = st.tuples(*(st.sampled_from(list(VALUES[kind])) for kind in kinds))
    partitions = data.draw(st.lists(one, max_size=6))
    term = condition(columns, partitions)
    for row in data.draw(st.lists(one, min_size=1, max_size=6)) + partitions:
        values = {column.name: VALUES[kind][text] for column, kind, text in zip(columns, kinds, row, strict=True)}
        # For an overwrite NULL is as good as false.
        assert (term.compute(values) is True) == (row in partitions)


@pytest.mark.parametrize(("kind", "word"), [(TimestampType(), "TIMESTAMP_LTZ"), (TimestampNTZType(), "TIMESTAMP_NTZ")])
def test_all_times_of_a_day_are_its(kind: DataType, word: str) -> None:
    column = PartitionColumn.of(TargetColumn("ds", kind), is_day=True)
    assert column.by_day
    term = condition([column], [("2013-01-05",), (None,)])
    for text, expected in {
        "2013-01-04T23:59:59.999999": False,
        "2013-01-05T00:00": True,
        "2013-01-05T23:59:59.999999": True,
        "2013-01-06T00:00": False,
    }.items():
        assert (term.compute({"ds": (word, dt.datetime.fromisoformat(text))}) is True) == expected
    assert term.compute({"ds": None}) is True


def test_a_time_that_is_not_the_day_is_itself() -> None:
    column = PartitionColumn.of(TargetColumn("at", TimestampType()), is_day=False)
    assert not column.by_day
    term = column.condition("2013-01-05 10:00:00")
    assert term.compute({"at": ("TIMESTAMP_LTZ", dt.datetime.fromisoformat("2013-01-05T10:00"))}) is True
    assert term.compute({"at": ("TIMESTAMP_LTZ", dt.datetime.fromisoformat("2013-01-05T11:00"))}) is False


def test_a_day_that_is_a_text_or_date_is_compared_as_it_is() -> None:
    for kind in (StringType(), DateType()):
        column = PartitionColumn.of(TargetColumn("ds", kind), is_day=True)
        assert (column.name, column.kind, column.by_day) == ("ds", kind, False)
    assert not PartitionColumn("ds", StringType()).by_day


@pytest.mark.parametrize("kind", [*KINDS.values(), TimestampType(), TimestampNTZType()])
def test_kinds_that_can_be_compared_exactly(kind: DataType) -> None:
    assert PartitionColumn("c", kind).is_exact


@pytest.mark.parametrize("kind", [FloatType(), DoubleType(), BinaryType()])
def test_kinds_that_cannot(kind: DataType) -> None:
    assert not PartitionColumn("c", kind).is_exact


def test_values_are_told_apart_by_day_or_as_they_are_and_shown_as_text() -> None:
    column = Term(lambda row: row)
    assert PartitionColumn("c", TimestampType(), by_day=True).value(column) == ("date", column)  # type: ignore[arg-type]
    assert PartitionColumn("c", TimestampType()).value(column) is column  # type: ignore[arg-type,comparison-overlap]
    assert PartitionColumn("c", LongType()).text(column) == ("string", column)  # type: ignore[arg-type]
    assert PartitionColumn("c", BinaryType()).text(column) == ("hex", column)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 1000])
def test_many_conditions_stay_shallow(count: int) -> None:
    term = any_of([Functions.col("c") == number for number in range(count)])  # type: ignore[misc]
    assert term.depth <= 2 + count.bit_length()
    assert [number for number in range(-1, count + 1) if term.compute({"c": number})] == list(range(count))
