"""The partitions of a result: their values as text, and the conditions that mean exactly their rows.

Values leave Spark as the text that Spark itself writes for them, and come back as typed literals. Python's own dates end at the
year 9999, and Java's are shifted by its calendar and time zone; a text is not.

A condition is a tree of comparisons that Iceberg can compare with partition values. It needs no ``IN``, which Iceberg 1.11 could
not evaluate over a partition whose value is null.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812 -- as Spark's own documents name it
from pyspark.sql.types import (
    BinaryType,
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    IntegerType,
    LongType,
    StringType,
    TimestampNTZType,
    TimestampType,
)

from .shape import TargetColumn
from .spec import identifier

#: One partition: a text or None for each partition column.
Values = Tuple[Optional[str], ...]

_TIMES = (TimestampType, TimestampNTZType)


@dataclass(frozen=True)
class PartitionColumn:
    """A partition column of the table.

    :param by_day: whether it holds the run's day as a time: then every time of a day belongs to that day's partition.
    """

    name: str
    kind: DataType
    by_day: bool = False

    @classmethod
    def of(cls, column: TargetColumn, is_day: bool) -> PartitionColumn:
        """Return the partition column for a column of the table; ``is_day`` when it holds the run's own day."""
        return cls(column.name, column.kind, is_day and isinstance(column.kind, _TIMES))

    @property
    def is_exact(self) -> bool:
        """Whether a value can be written in a condition without any loss."""
        exact = (StringType, BooleanType, IntegerType, LongType, DecimalType, DateType, *_TIMES)
        return type(self.kind) in exact

    def value(self, column: Column) -> Column:
        """Return what tells partitions apart, from a column of the table's type."""
        return column.cast("date") if self.by_day else column

    def text(self, value: Column) -> Column:
        """Return :meth:`value`'s result as text."""
        return F.hex(value) if isinstance(self.kind, BinaryType) else value.cast("string")

    def condition(self, value: Optional[str]) -> Column:
        """Return the condition that a row is in the partition with ``value``, as :meth:`text` gives it."""
        column = F.col(identifier(self.name))
        if value is None:
            return column.isNull()
        if self.by_day:
            word = _word(self.kind)
            # The day after is computed by Spark before Iceberg sees it.
            return (column >= F.expr(f"{word}'{value}'")) & (column < F.expr(f"{word}'{value}' + INTERVAL 1 DAY"))
        return column == literal(value, self.kind)


def literal(text: str, kind: DataType) -> Column:
    """Return a value as a typed literal, not a cast: Iceberg needs a constant that it can compare with partition values."""
    if isinstance(kind, (DateType, *_TIMES)):
        return F.expr(f"{_word(kind)}'{text}'")
    if isinstance(kind, BooleanType):
        return F.lit(text == "true")
    if isinstance(kind, (IntegerType, LongType)):
        return F.lit(int(text))
    if isinstance(kind, DecimalType):
        return F.expr(f"CAST('{text}' AS {kind.simpleString()})")
    return F.lit(text)


def _word(kind: DataType) -> str:
    return {DateType: "DATE", TimestampType: "TIMESTAMP_LTZ", TimestampNTZType: "TIMESTAMP_NTZ"}[type(kind)]


def condition(columns: Sequence[PartitionColumn], partitions: Sequence[Values]) -> Column:
    """Return the condition that is true for the rows of ``partitions`` only.

    It nests by column (``a = 1 AND (b = 2 OR b = 3) OR ...``), so that it stays small when partitions share values.
    """
    terms = []
    for value in dict.fromkeys(row[0] for row in partitions):
        term = columns[0].condition(value)
        if len(columns) > 1:
            term = term & condition(columns[1:], [row[1:] for row in partitions if row[0] == value])
        terms.append(term)
    return any_of(terms)


def any_of(terms: List[Column]) -> Column:
    """Return the disjunction as a balanced tree: a chain of a thousand would overflow the analyser's stack."""
    if not terms:
        return F.lit(False)
    if len(terms) == 1:
        return terms[0]
    middle = len(terms) // 2
    return any_of(terms[:middle]) | any_of(terms[middle:])
