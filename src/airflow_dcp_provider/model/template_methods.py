"""What a template may call on a value or read of it: the methods and parts of texts, maps and dates, and the macros."""

from __future__ import annotations

import datetime as dt
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_dcp_provider.model.template_values import (
    MAX_ITEMS,
    MAX_PARSED,
    MAX_TEXT,
    MAX_WIDTH,
    LimitFault,
    Loop,
    Missing,
    TemplateFault,
    text_of,
)

_DIRECTIVE = re.compile(r"%(?:-?[YmdHMSfjUWuwaAbBypIGVz]|%)|%(.{0,2})", re.DOTALL)


def _date_format(text: Any) -> str:
    """Check the format of a date: the directives that mean the same wherever they are computed."""
    if not isinstance(text, str) or len(text) > MAX_PARSED:
        raise LimitFault(f"a date's format is a text of at most {MAX_PARSED} characters")
    for match in _DIRECTIVE.finditer(text):
        if match.group(1) is not None:
            hint = "write for example %Y-%m-%d %H:%M:%S"
            raise TemplateFault(f"`%{match.group(1)}` is not offered in the format of a date", code="DCP157", hint=hint)
    return text


def strftime(value: dt.date, written: str) -> str:
    """Return a date as ``written`` says."""
    return value.strftime(_date_format(written))


def strptime(text: str, written: str) -> dt.datetime:
    """Return the date that ``text`` is, read as ``written`` says."""
    if len(text) > MAX_PARSED:
        raise LimitFault(f"a date is a text of at most {MAX_PARSED} characters")
    return dt.datetime.strptime(text, _date_format(written))  # noqa: DTZ007 - the zone is the template's to say


def ds_add(ds: str, days: int) -> str:
    """Return the day ``days`` after (or, negative, before) ``ds``; both as ``YYYY-MM-DD``."""
    return (dt.date.fromisoformat(str(ds)) + dt.timedelta(days=days)).isoformat()


def ds_format(ds: str, input_format: str, output_format: str) -> str:
    """Return ``ds``, written as ``input_format``, as ``output_format`` writes it."""
    return strptime(str(ds), input_format).replace(tzinfo=dt.UTC).strftime(_date_format(output_format))


#: ``macros.<name>(...)`` -> what it does.
MACROS: Mapping[str, Callable[..., Any]] = {
    "ds_add": ds_add,
    "ds_format": ds_format,
    "datetime": dt.datetime,
    "timedelta": dt.timedelta,
}
#: ``macros.datetime.<name>(...)`` -> what it does. What asks the clock or the machine's zone is not among them.
DATETIME_MACROS: Mapping[str, Callable[..., Any]] = {"strptime": strptime, "fromisoformat": dt.datetime.fromisoformat}


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    grown = len(text) + text.count(old) * max(0, len(new) - len(old))
    if grown > MAX_TEXT:
        raise LimitFault(f"`replace` makes more than {MAX_TEXT} characters")
    return text.replace(old, new, count)


def _join(between: str, items: Sequence[Any]) -> str:
    texts = [text_of(item) for item in items]
    if sum(map(len, texts)) + len(between) * len(texts) > MAX_TEXT:
        raise LimitFault(f"`join` makes more than {MAX_TEXT} characters")
    return between.join(texts)


def _split(text: str, between: str | None = None, most: int = -1) -> list[str]:
    if (text.count(between) if between else len(text) // 2) > MAX_ITEMS:
        raise LimitFault(f"`split` makes more than {MAX_ITEMS} items")
    return text.split(between, most)


def _padded(method: Callable[..., str]) -> Callable[..., str]:
    def pad(text: str, width: int, *fill: str) -> str:
        if width > MAX_WIDTH:
            raise LimitFault(f"a text is padded to more than {MAX_WIDTH} characters")
        return method(text, width, *fill)

    return pad


def _shifted(sign: int) -> Callable[..., dt.datetime]:
    def shift(value: dt.datetime, **by: float) -> dt.datetime:
        if not set(by) <= {"days", "weeks", "hours", "minutes", "seconds"}:
            raise TemplateFault("dates are moved by days, weeks, hours, minutes or seconds")
        return value + sign * dt.timedelta(**by)

    return shift


replace, join, split, center = _replace, _join, _split, _padded(str.center)

_DATE_METHODS: Mapping[str, Callable[..., Any]] = {
    "strftime": strftime,
    "isoformat": lambda value: value.isoformat(),
    "weekday": lambda value: value.weekday(),
    "isoweekday": lambda value: value.isoweekday(),
    "replace": lambda value, **parts: value.replace(**_whole_numbers(parts)),
    "add": _shifted(1),
    "subtract": _shifted(-1),
}


def _whole_numbers(parts: Mapping[str, Any]) -> Mapping[str, Any]:
    if not all(type(part) is int for part in parts.values()):
        raise TemplateFault("parts of a date are whole numbers")
    return parts


def _timestamp(value: dt.datetime) -> float:
    # A date without a zone counts as UTC: the machine's zone must not matter.
    return (value if value.tzinfo else value.replace(tzinfo=dt.UTC)).timestamp()


#: Kind of value -> the methods that a template may call on it.
METHODS: Mapping[type, Mapping[str, Callable[..., Any]]] = {
    str: {
        **{
            name: getattr(str, name)
            for name in (
                *("upper", "lower", "title", "capitalize", "strip", "lstrip", "rstrip", "startswith", "endswith", "isdigit"),
                *(
                    "isalpha",
                    "isalnum",
                    "isupper",
                    "islower",
                    "isnumeric",
                    "isdecimal",
                    "removeprefix",
                    "removesuffix",
                    "count",
                    "find",
                ),
            )
        },
        **{name: _padded(getattr(str, name)) for name in ("center", "ljust", "rjust", "zfill")},
        "replace": _replace,
        "join": _join,
        "split": _split,
    },
    dict: {
        "get": lambda value, key, default=None: value.get(key, default),
        "keys": list,
        "values": lambda value: list(value.values()),
        "items": lambda value: [(key, item) for key, item in value.items()],
    },
    dt.date: _DATE_METHODS,
    dt.datetime: {**_DATE_METHODS, "date": lambda value: value.date(), "timestamp": _timestamp},
    dt.timedelta: {"total_seconds": lambda value: value.total_seconds()},
}

_DAY_PARTS = ("year", "month", "day")
_TIME_PARTS = ("hour", "minute", "second", "microsecond")
#: Kind of value -> the attributes that a template may read of it.
ATTRIBUTES: Mapping[type, Mapping[str, Callable[[Any], Any]]] = {
    kind: {name: operator.attrgetter(name) for name in names}
    for kind, names in {
        dt.date: _DAY_PARTS,
        dt.datetime: (*_DAY_PARTS, *_TIME_PARTS),
        dt.time: _TIME_PARTS,
        dt.timedelta: ("days", "seconds", "microseconds"),
    }.items()
}


def item_of(value: Any, key: Any, what: str) -> Any:
    """Return ``value[key]`` of a map, list or text; a missing one is :class:`Missing`."""
    kind = type(value)
    if kind is dict:
        return value.get(key, Missing(what)) if type(key) in (str, int, float, bool) else Missing(what)
    if kind in (list, tuple, str) and type(key) in (int, bool):
        return value[key] if -len(value) <= key < len(value) else Missing(what)
    return Missing(what)


def attribute_of(value: Any, name: str, what: str) -> Any:
    """Return ``value.name``: a map's item, a date's part, or what ``loop`` knows."""
    if type(value) is Loop:
        return value.attributes().get(name, Missing(what))
    if type(value) is dict:
        return value.get(name, Missing(what))
    read = ATTRIBUTES.get(type(value), {}).get(name)
    return Missing(what) if read is None else read(value)


def slice_of(value: Any, start: Any, stop: Any, step: Any) -> Any:
    """Return ``value[start:stop:step]`` of a text or list."""
    if type(value) not in (str, list, tuple):
        raise TemplateFault("only texts and lists can be cut")
    return value[start:stop:step]
