"""How a result becomes a table's rows: which column goes where, with which cast, or why it cannot. Pure decisions.

Columns are matched by name, without regard to case as in Spark; order does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

from pyspark.sql.types import DataType, NullType

from .column_types import CHECK, change, field_names, is_stored, parse_type, parts, spell, stored_type
from .faults import DriverError, quoted
from .spec import Sink

#: The partition column that the driver can add by itself: the run's own day.
DAY_COLUMN = "ds"


@dataclass(frozen=True)
class TargetColumn:
    """A column of the table that is written, ``kind`` its Spark type."""

    name: str
    kind: DataType
    required: bool = False
    description: Optional[str] = None


@dataclass(frozen=True)
class Placed:
    """One column of the table and where its values come from.

    :param source: the result's column, or None when the result has none and the table's stays null.
    :param checked: whether each value must prove that it survives the cast.
    """

    target: TargetColumn
    source: Optional[str]
    cast: bool = False
    checked: bool = False


def with_day(names: Sequence[str], sink: Sink) -> bool:
    """Say whether the run's own day must be added to a result with columns ``names``.

    :raises DriverError: DCP324 when another partition column is missing.
    """
    given = {name.lower() for name in names}
    missing = [name for name in sink.partition_by if name.lower() not in given]
    others = [name for name in missing if name.lower() != DAY_COLUMN]
    if others:
        raise DriverError(
            "DCP324",
            f"sink `{sink.name}` is partitioned by {quoted(others)}, which `{sink.input}` does not have; it has {quoted(names)}",
            f"select it in `{sink.input}`; only `{DAY_COLUMN}`, the run's own day, is added by itself",
        )
    return bool(missing)


def declared(sink: Sink) -> Optional[Tuple[TargetColumn, ...]]:
    """Return the columns that the sink declares, or None."""
    if sink.columns is None:
        return None
    return tuple(TargetColumn(item.name, parse_type(item.type), item.required, item.description) for item in sink.columns)


def from_result(columns: Sequence[Tuple[str, DataType]], sink: Sink) -> Tuple[TargetColumn, ...]:
    """Return the columns of a table that is made from the result: as it has them, all nullable.

    :raises DriverError: DCP322 for a column that has no type.
    """
    untyped = [name for name, kind in columns if any(isinstance(part, NullType) for part in parts(kind))]
    if untyped:
        raise DriverError(
            "DCP322",
            f"sink `{sink.name}`: {quoted(untyped)} is NULL in every row and has no type, so no table can be made from it",
            "give it one, for example CAST(NULL AS STRING) or CAST(array() AS ARRAY<STRING>)",
        )
    return tuple(TargetColumn(name, stored_type(kind)) for name, kind in columns)


def check_columns(columns: Sequence[Tuple[str, DataType]], sink: Sink, what: str) -> None:
    """Raise when no table can have these columns.

    :param what: what has the columns, to begin the message.
    :raises DriverError: DCP390 for names that differ only by case, DCP393 for a type that Iceberg does not store.
    """
    check_names(columns, sink, what)
    unstored = [f"`{name}` is {spell(kind)}" for name, kind in columns if not all(is_stored(part) for part in parts(kind))]
    if unstored:
        raise DriverError(
            "DCP393",
            f"{what} has columns of types that no Iceberg table has (sink `{sink.name}`): {'; '.join(unstored)}."
            " Nothing was written",
            "CAST them, for example an interval to STRING, or to a number of seconds",
        )


def check_names(columns: Sequence[Tuple[str, DataType]], sink: Sink, what: str) -> None:
    """Raise when two names, of columns or of fields inside of one, differ only by case: which of them is meant cannot be said.

    :raises DriverError: DCP390.
    """
    for group in [[name for name, _ in columns], *(names for _, kind in columns for names in field_names(kind))]:
        folded = [name.lower() for name in group]
        alike = [name for name in group if folded.count(name.lower()) > 1]
        if alike:
            raise DriverError(
                "DCP390",
                f"{what} has columns whose names are equal, or differ only by case: {quoted(alike)} (sink `{sink.name}`)."
                " Nothing was written",
                "give each column a name of its own, for example by AS",
            )


def place(
    columns: Sequence[Tuple[str, DataType]],
    targets: Sequence[TargetColumn],
    sink: Sink,
    *,
    code: str,
    what: str,
    complete: bool,
) -> Tuple[Placed, ...]:
    """Return where each column of the table comes from.

    :param columns: names and types of the result.
    :param code: the error's code, ``what`` names the target in its message.
    :param complete: whether every column of the target must be in the result; else only the required ones.
    :raises DriverError: names every missing, additional and incompatible column at once.
    """
    given = {name.lower(): (name, kind) for name, kind in columns}
    known = {target.name.lower() for target in targets}
    additional = [name for name, _ in columns if name.lower() not in known]
    missing: List[str] = []
    unfit: List[str] = []
    placed: List[Placed] = []
    for target in targets:
        found = given.get(target.name.lower())
        if found is None:
            if complete or target.required:
                missing.append(target.name)
            placed.append(Placed(target, None))
            continue
        how = change(found[1], target.kind)
        if how is None:
            unfit.append(f"`{found[0]}` is {spell(found[1])} and not {spell(target.kind)}")
        placed.append(Placed(target, found[0], cast=spell(found[1]) != spell(target.kind), checked=how == CHECK))
    problems = []
    if missing:
        problems.append(f"it lacks {quoted(missing)}")
    if additional:
        problems.append(f"{quoted(additional)} {'is' if len(additional) == 1 else 'are'} not there")
    problems += unfit
    if problems:
        raise DriverError(
            code,
            f"the result `{sink.input}` does not match {what} (sink `{sink.name}`): {'; '.join(problems)}. Nothing was written",
            "select the missing columns, drop the others, and CAST where a type would lose values",
        )
    return tuple(placed)


def check_partitions(actual: Sequence[str], sink: Sink) -> None:
    """Raise unless the table that is there has the sink's partition columns.

    :param actual: the table's partition fields, ``ds`` for an identity one, ``day(ts)`` for another.
    :raises DriverError: DCP326.
    """
    if {name.lower() for name in actual} != {name.lower() for name in sink.partition_by}:
        raise DriverError(
            "DCP326",
            f"table {sink.full_name} is partitioned by {quoted(actual) or 'nothing'} and sink `{sink.name}` by"
            f" {quoted(sink.partition_by) or 'nothing'}. Nothing was written",
            "make partitionBy agree with the table, or write another table",
        )
