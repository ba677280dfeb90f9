"""What a run does to a table, in plain Python: the rules of ``docs/decisions/0005`` and ``0009`` and nothing of Spark."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence as Rows
from dataclasses import dataclass, field
from typing import Any

from .actions import LAYOUTS, Row, Run, Write, day_of


@dataclass(frozen=True)
class Change:
    """What a run is to report of one sink, and the rows that the table has then.

    ``added`` and ``deleted`` are None where only their difference is known: a merge rewrites whatever files it likes.
    """

    result: str
    rows: int = 0
    partitions: tuple[str, ...] = ()
    added: int | None = None
    deleted: int | None = None
    #: For an append that was made before: the execution and attempt that made it.
    made_by: tuple[str, int] | None = None
    after: tuple[Row, ...] | None = None


@dataclass
class Table:
    """The rows of a table, or None while there is no table, and which runs have appended to it."""

    rows: list[Row] | None = None
    appended: dict[str, tuple[str, int, int, tuple[str, ...]]] = field(default_factory=dict)

    def write(self, write: Write) -> None:
        """Apply another writer's commit."""
        assert self.rows is not None
        if write.kind in ("delete", "overwrite"):
            self.rows = [row for row in self.rows if row[0] != write.number]
        if write.kind in ("append", "overwrite"):
            self.rows = [*self.rows, *write.rows]


class RefusalError(Exception):
    """The driver must refuse the run with this code, and write nothing."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def own_value(layout: str, day: str) -> Any:
    """Return the value of `ds` that stands for a run's own day."""
    kind = dict(LAYOUTS[layout]).get("ds")
    if kind == "date":
        return dt.date.fromisoformat(day)
    if kind in ("timestamp", "timestamptz"):
        return dt.datetime.fromisoformat(day)
    return day


def result_rows(run: Run, layout: str, source: Rows[Row], main: Rows[Row]) -> list[Row]:
    """Return the rows of the run's result; what it reads is as it was when the run began."""
    if run.reads == "values":
        rows = list(run.rows)
    else:
        read = list(main if run.reads == "self" else source)
        rows = [(None if row[0] is None else row[0] + run.raised, *row[1:]) for row in read]
    names = [name for name, _ in LAYOUTS[layout]]
    if run.adds_day and "ds" in names:
        place = 2 + names.index("ds")
        rows = [(*row[:place], own_value(layout, run.day), *row[place + 1 :]) for row in rows]
    return list(dict.fromkeys(rows)) if run.reads == "distinct" else rows


def check(run: Run, layout: str, rows: Rows[Row]) -> None:
    """Raise :class:`RefusalError` for what must not be written."""
    if run.mode == "merge":
        counts = Counter(_key(run, layout, row) for row in rows)
        if counts and max(counts.values()) > 1:
            raise RefusalError("DCP327")


def change(run: Run, layout: str, table: Table, rows: Rows[Row], run_name: str) -> Change:
    """Return what the run does to ``table`` when it commits ``rows``."""
    names = [name for name, _ in LAYOUTS[layout]]
    before = table.rows or []
    # Two partitions may be spelled alike: NULL and the text 'null'.
    partitions = tuple(_spelled(names, partition) for partition in dict.fromkeys(map(partition_of, rows)))
    if run.mode == "append":
        if run_name in table.appended:
            execution, attempt, count, where = table.appended[run_name]
            return Change("written", count, where, made_by=(execution, attempt))
        if not rows:
            return Change("no-change")
        return Change("written", len(rows), partitions, len(rows), 0, after=(*before, *rows))
    if run.mode == "merge":
        if not rows:
            return Change("no-change")
        return Change("written", len(rows), partitions, after=tuple(_merged(run, layout, before, rows)))
    if names and "ds" not in names and not rows:
        return Change("no-change")
    kept = [row for row in before if not _is_replaced(row, names, rows, run.day)]
    if "ds" in names and not any(day_of(row[2 + names.index("ds")]) == run.day for row in rows):
        partitions = (f"ds={run.day}", *partitions)
    return Change("written", len(rows), partitions, len(rows), len(before) - len(kept), after=(*kept, *rows))


def without_day(rows: Rows[Row], layout: str, day: str) -> list[Row]:
    """Return the rows that are not of the day."""
    place = 2 + [name for name, _ in LAYOUTS[layout]].index("ds")
    return [row for row in rows if day_of(row[place]) != day]


def _is_replaced(row: Row, names: list[str], rows: Rows[Row], day: str) -> bool:
    """Whether an overwrite takes a row away: it is of the own day, or of a partition that the result has rows of."""
    if not names:
        return True
    if "ds" in names and day_of(row[2 + names.index("ds")]) == day:
        return True
    return partition_of(row) in {partition_of(other) for other in rows}


def partition_of(row: Row) -> Row:
    """Return what tells the partitions of an overwrite apart: where `ds` is a time, all times of a day are one."""
    return tuple(value.date() if isinstance(value, dt.datetime) else value for value in row[2:])


def _merged(run: Run, layout: str, before: Rows[Row], rows: Rows[Row]) -> list[Row]:
    by_key = {_key(run, layout, row): row for row in rows}
    matched = {_key(run, layout, row) for row in before}
    updated = [by_key.get(_key(run, layout, row), row) for row in before]
    return [*updated, *(row for row in rows if _key(run, layout, row) not in matched)]


def _key(run: Run, layout: str, row: Row) -> Row:
    names = ["id", "word", *(name for name, _ in LAYOUTS[layout])]
    return tuple(row[names.index(name)] for name in run.keys)


def _spelled(names: list[str], values: Row) -> str:
    return "/".join(f"{name}={spelled(value)}" for name, value in zip(names, values, strict=True))


def spelled(value: Any) -> str:
    """Return a partition value as proofs and people write it."""
    if value is None:
        return "null"
    if isinstance(value, dt.datetime):
        return value.isoformat(" ")
    return str(value)
