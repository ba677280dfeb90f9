"""Random sequences from a seed: the same seed and number always give the same sequence."""

from __future__ import annotations

import dataclasses
import datetime as dt
import random
from typing import Any

from .actions import LAYOUTS, Row, Run, Sequence, Write

#: Days that go wrong somewhere: a placeholder, one that the Julian calendar had, the one that Samoa never had, a change of the clock.
ODD_DAYS = ("0001-01-01", "0999-12-31", "1582-10-10", "1969-12-31", "2011-12-30", "2013-03-31", "9999-12-31")
DAYS = ("2013-01-05", "2013-01-06")
ZONES = ("UTC", "UTC", "UTC", "America/New_York", "Pacific/Apia", "Asia/Kathmandu", "Europe/Berlin")
COUNTRIES = ("US", "DE", "DE", None, "", "a b", "x=y", "Ä/ö", "null")
SHARES = (0.5, 0.1, None, -0.0, 7.25)
WORDS = ("a", "b", "c", None, "")
FAULTS = ("before", "after", "unknown before", "unknown after", "conflict")


class _Maker:
    def __init__(self, layout: str, rng: random.Random) -> None:
        self.layout = layout
        self.rng = rng
        names = [name for name, _ in LAYOUTS[layout]]
        self.has_day = "ds" in names
        # A sequence stays among few days and countries, else no two steps would touch the same partition.
        self.days = [*rng.sample(DAYS, 1), rng.choice([*DAYS, *ODD_DAYS])]
        self.countries = rng.sample(COUNTRIES, 2)
        self.shares = rng.sample(SHARES, 2)
        # Only values that no condition can name take two commits.
        self.faults = [*FAULTS, "between", "between"] if "share" in names else FAULTS

    def row(self) -> Row:
        number = self.rng.choice([None, 1, 1, 2, 3, 4])
        return (number, self.rng.choice(WORDS), *(self._value(name, kind) for name, kind in LAYOUTS[self.layout]))

    def rows(self, most: int) -> tuple[Row, ...]:
        return tuple(self.row() for _ in range(self.rng.randint(0, most)))

    def _value(self, name: str, kind: str) -> Any:
        if name == "country":
            return self.rng.choice(self.countries)
        if name == "share":
            return self.rng.choice(self.shares)
        day = self.rng.choice([*self.days, None]) if self.rng.random() < 0.2 else self.rng.choice(self.days)
        if day is None or kind == "string":
            return day
        if kind == "date":
            return dt.date.fromisoformat(day)
        hour = self.rng.choice([0, 0, 10, 23])
        return dt.datetime.fromisoformat(day) + dt.timedelta(hours=hour)

    def run(self) -> Run:
        rng = self.rng
        mode = rng.choices(["overwrite", "append", "merge"], [6, 3, 2])[0]
        reads = rng.choices(["values", "source", "distinct", "self"], [5, 3, 1, 1])[0]
        keys = rng.choice([("id",), ("id",), ("word",), ("id", "word"), *([("id", "ds")] if self.has_day else [])])
        rows = self.rows(4) if reads == "values" else ()
        if mode == "merge" and rng.random() < 0.8:
            # Most merges are to get past their check.
            rows = tuple({(row[0], row[1]) if keys != ("word",) else row[1]: row for row in rows}.values())
            rows = tuple({row[0]: row for row in rows}.values()) if keys == ("id",) else rows
        return Run(
            mode=mode,
            day=rng.choice(self.days),
            reads=reads,
            rows=rows,
            adds_day=self.has_day and rng.random() < 0.4,
            raised=rng.choice([0, 0, 10]) if reads != "values" else 0,
            keys=keys,
            second=rng.choices([None, "same", "echo"], [8, 1, 1])[0],
            fault=(rng.choice(self.faults), rng.choice([0, 0, 1])) if rng.random() < 0.25 else None,
            during=(rng.choice(["count", "write"]), self.write()) if rng.random() < 0.25 else None,
            zone=rng.choice(ZONES),
            upper=rng.random() < 0.1,
        )

    def write(self) -> Write:
        rng = self.rng
        kind = rng.choices(["append", "delete", "overwrite"], [3, 1, 1])[0]
        rows = (self.row(), *self.rows(2)) if kind != "delete" else ()
        return Write(rng.choice(["main", "source"]), kind, rows, rng.choice([1, 2, 3]))


def generate(seed: int, number: int) -> Sequence:
    """Return sequence ``number`` of ``seed``."""
    rng = random.Random(f"{seed}:{number}")
    layout = sorted(LAYOUTS)[number % len(LAYOUTS)]
    maker = _Maker(layout, rng)
    steps: list[Run | Write] = [maker.run()]
    for _ in range(rng.choice([1, 2, 2, 3])):
        last = next(step for step in reversed(steps) if isinstance(step, Run))
        choice = rng.random()
        if choice < 0.25:
            steps.append(maker.write())
        elif choice < 0.5 or last.fault:
            again = rng.choice(["attempt", "execution"])
            steps.append(dataclasses.replace(last, again=again, fault=None, during=None, zone=rng.choice(ZONES)))
        else:
            steps.append(maker.run())
    # Columns may stay undeclared only where the result's own types are the table's.
    declared = (maker.has_day and dict(LAYOUTS[layout])["ds"] != "string") or rng.random() < 0.5
    return Sequence(layout, tuple(steps), declared, maker.rows(4))
