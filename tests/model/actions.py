"""What can happen to a table, as values: printing one gives the Python that makes it again."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, fields
from typing import Any

#: One row: id, word, then the layout's partition values in order.
Row = tuple[Any, ...]

#: The partition columns of each layout, with their types as Iceberg spells them.
LAYOUTS: dict[str, tuple[tuple[str, str], ...]] = {
    "none": (),
    "day as text": (("ds", "string"),),
    "day as date": (("ds", "date"),),
    "day as timestamp": (("ds", "timestamp"),),
    "day as timestamptz": (("ds", "timestamptz"),),
    "day and country": (("ds", "string"), ("country", "string")),
    "date and country": (("ds", "date"), ("country", "string")),
    "day and share": (("ds", "string"), ("share", "double")),
    "country": (("country", "string"),),
}


@dataclass(frozen=True)
class Write:
    """Another writer's commit, made with pyiceberg.

    :param table: ``main``, or ``source``, which the runs read.
    :param kind: ``append`` adds ``rows``; ``delete`` takes away the rows with the id ``number``; ``overwrite`` does both in one commit
        or two, as pyiceberg likes.
    """

    table: str = "main"
    kind: str = "append"
    rows: tuple[Row, ...] = ()
    number: int = 1


@dataclass(frozen=True)
class Run:
    """One run of the driver.

    :param day: the run's own day. ``adds_day``: the result has no `ds`, so that the driver adds it.
    :param reads: ``values`` are ``rows``; ``source`` and ``distinct`` read the source's rows, ``self`` the table that is written, with
        their ids raised by ``raised``.
    :param keys: the merge keys.
    :param second: what a second sink does: ``same`` writes the same rows in the same way to another table, ``echo`` copies the main table.
    :param again: ``attempt`` makes this the next attempt of the execution before it, ``execution`` another execution of the same run.
    :param fault: what happens to a commit, and which one of the run: the driver dies ``before``, ``after`` or ``between`` (a
        commit that takes two steps), ``unknown before``, ``unknown after``, ``conflict``.
    :param during: another writer's commit, and when: before the ``count`` or before the first ``write``.
    :param zone: the time zone of the JVM, of Python and of Spark's session when the run begins.
    :param upper: whether the SQL spells column names in upper case.
    """

    mode: str = "overwrite"
    day: str = "2013-01-05"
    reads: str = "values"
    rows: tuple[Row, ...] = ()
    adds_day: bool = False
    raised: int = 0
    keys: tuple[str, ...] = ("id",)
    second: str | None = None
    again: str | None = None
    fault: tuple[str, int] | None = None
    during: tuple[str, Write] | None = None
    zone: str = "UTC"
    upper: bool = False


@dataclass(frozen=True)
class Sequence:
    """A table's life: how it is partitioned, what its source holds at first, and what happens.

    :param declared: whether the runs declare the columns.
    """

    layout: str
    steps: tuple[Run | Write, ...]
    declared: bool = True
    source: tuple[Row, ...] = ()

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """The table's columns and their types."""
        return (("id", "int"), ("word", "string"), *LAYOUTS[self.layout])


def reproduction(sequence: Sequence) -> str:
    """Return a test that plays the sequence, ready to be put into a file of this package."""
    steps = "".join(f"            {spelled(step)},\n" for step in sequence.steps)
    return (
        "import datetime\n\n"
        "from tests.model.actions import Run, Sequence, Write\n"
        "from tests.model.play import Player\n\n\n"
        "def test_reproduction(player: Player) -> None:\n"
        f"    sequence = Sequence(\n        layout={sequence.layout!r},\n        declared={sequence.declared!r},\n"
        f"        source={sequence.source!r},\n        steps=(\n{steps}        ),\n    )\n"
        "    player.play(sequence)\n"
    )


def spelled(value: object) -> str:
    """Return the Python that makes a step, without what is as by default."""
    if isinstance(value, tuple):
        return f"({', '.join(map(spelled, value))}{',' if len(value) == 1 else ''})"
    if not isinstance(value, Run | Write):
        return repr(value)
    named = [(item.name, getattr(value, item.name)) for item in fields(value) if getattr(value, item.name) != item.default]
    return f"{type(value).__name__}({', '.join(f'{name}={spelled(part)}' for name, part in named)})"


def day_of(value: Any) -> str:
    """Return the day that a value of `ds` belongs to, as a run names it."""
    if isinstance(value, dt.datetime):
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, dt.date) else str(value)
