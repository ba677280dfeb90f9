"""What Airflow's database and its processes can keep of a DAG: the widths of columns, the ranges of numbers, the texts.

Airflow writes all DAGs of a file in one go. What its database refuses there ends the DAG processor, and with it every other DAG, so
that it must be refused before. Knows no Airflow; the numbers are those of its tables.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Mapping
from typing import Any

#: Most characters of the fields that have a column of their own.
_WIDTHS = {"dag_id": 250, "owner": 500, "description": 10_000}
_AIRFLOW_WIDTHS = {"pool": 256, "queue": 256}
_TAG_WIDTH, _ASSET_WIDTH, _SCHEDULE_WIDTH = 100, 1500, 250

#: Most tags and assets of one DAG; each is a row.
_MOST_ROWS = 1000

_INT32 = 2**31 - 1
_INT64 = 2**63

#: Deepest nesting.
DEEPEST = 60

#: Between these years every time can be moved by any zone and any interval of a schedule without leaving what a date can be.
_YEARS = range(1900, 3000)


def faults(value: Any, where: str = "") -> Iterator[str]:
    """Yield what a JSON-ready value holds that a database or another process refuses, each as a sentence.

    :param where: how the value is called.
    """
    if not _is_sound(value):
        yield from _named_faults(value, where)


def _named_faults(value: Any, where: str) -> Iterator[str]:
    pending: list[tuple[str, Any, int]] = [(where, value, 0)]
    while pending:
        name, item, depth = pending.pop()
        if isinstance(item, str):
            if fault := _text_fault(item):
                yield f"{_called(name)} {fault}"
        elif isinstance(item, bool) or item is None:
            continue
        elif isinstance(item, int):
            if not -_INT64 <= item < _INT64:
                yield f"{_called(name)} is a number of more than 64 bits"
        elif isinstance(item, float):
            if not math.isfinite(item):
                yield f"{_called(name)} is {item}, which is not a number that JSON has"
        elif depth >= DEEPEST:
            yield f"{_called(name)} nests deeper than {DEEPEST} levels"
        elif isinstance(item, Mapping):
            pending += [(name, key, depth + 1) for key in item]
            pending += [(f"{name}.{key}" if name else str(key), each, depth + 1) for key, each in item.items()]
        elif isinstance(item, list | tuple):
            pending += [(name, each, depth + 1) for each in item]
        else:
            yield f"{_called(name)} is a {type(item).__name__}, which is nothing that JSON has"


def _is_sound(value: Any) -> bool:
    """Whether there is surely no fault. Where there may be one it is looked for once more, with the names of its place."""
    level = [value]
    for _ in range(DEEPEST):
        below: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is str:
                if "\0" in item or not (item.isascii() or not _text_fault(item)):
                    return False
            elif kind is dict:
                below += item
                below += item.values()
            elif kind is list or kind is tuple:
                below += item
            elif kind is int:
                if not -_INT64 <= item < _INT64:
                    return False
            elif item is not None and kind is not bool and not (kind is float and math.isfinite(item)):
                return False
        if not below:
            return True
        level = below
    return False


def _called(name: str) -> str:
    shown = name.encode("ascii", "backslashreplace").decode()
    return f"`{shown[:100]}`"


def _text_fault(text: str) -> str:
    if "\0" in text:
        return "holds the character NUL"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return "holds half of a character"
    return ""


def dag_faults(dag: Mapping[str, Any]) -> Iterator[str]:
    """Yield what Airflow's tables refuse of a DAG's description, see :class:`~dag_factory.primitives.model.AirflowDag`."""
    yield from faults(dag)
    airflow = dag.get("airflow") or {}
    for fields, widths in ((dag, _WIDTHS), (airflow, _AIRFLOW_WIDTHS)):
        for name, width in widths.items():
            if isinstance(text := fields.get(name), str) and len(text) > width:
                yield f"`{name}` has {len(text)} characters, and Airflow keeps {width}"
    for fields, name in ((dag, "max_active_runs"), (airflow, "priority")):
        number = fields.get(name)
        if isinstance(number, int) and not -_INT32 - 1 <= number <= _INT32:
            yield f"`{name}` is {_shown(number)}, and Airflow keeps numbers up to {_INT32}"
    for name in ("start_date", "end_date"):
        if fault := _date_fault(dag.get(name)):
            yield f"`{name}` {fault}"
    yield from _list_faults("tags", dag.get("tags"), _TAG_WIDTH)
    schedule = dag.get("schedule")
    if isinstance(schedule, str):
        if len(schedule) > _SCHEDULE_WIDTH:
            yield f"`schedule` has {len(schedule)} characters, and Airflow keeps {_SCHEDULE_WIDTH}"
    else:
        yield from _list_faults("schedule", schedule, _ASSET_WIDTH)


def asset_faults(uris: Any) -> Iterator[str]:
    """Yield what Airflow's tables refuse of a DAG's assets."""
    yield from _list_faults("assets", uris, _ASSET_WIDTH)


def _list_faults(name: str, items: Any, width: int) -> Iterator[str]:
    texts = [item for item in items or () if isinstance(item, str)]
    if len(texts) > _MOST_ROWS:
        yield f"`{name}` has {len(texts)} entries, and {_MOST_ROWS} are allowed"
    if longest := max((len(text) for text in texts if len(text) > width), default=0):
        yield f"`{name}` has an entry of {longest} characters, and Airflow keeps {width}"


def _date_fault(text: Any) -> str:
    if not isinstance(text, str):
        return ""
    try:
        year = dt.datetime.fromisoformat(text).year
    except ValueError:
        return "is not a date"
    return "" if year in _YEARS else f"is in the year {year}, and schedules are counted from {_YEARS[0]} to {_YEARS[-1]}"


def _shown(number: int) -> str:
    return str(number) if abs(number) < _INT64 else "a number of more than 64 bits"
