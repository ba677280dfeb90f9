"""The filters and tests of templates: those of Jinja whose result follows from the run and whose work has a bound, and our own."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from airflow_dcp_provider.model.sql_literals import sql_literal
from airflow_dcp_provider.model.template_methods import attribute_of, center, item_of, join, replace, strftime
from airflow_dcp_provider.model.template_values import (
    COMPARISONS,
    MAX_ITEMS,
    MAX_PARSED,
    MAX_TEXT,
    LimitFault,
    Missing,
    TemplateFault,
    check_keys,
    format_text,
    text_of,
    weight,
)

#: Filters and tests that would make a template's result depend on more than the run.
NOT_DETERMINISTIC = frozenset({"random", "pprint", "xmlattr", "groupby", "sameas"})


def _items(value: Any) -> list[Any]:
    if isinstance(value, str | list | tuple | dict):
        return list(value)
    raise TemplateFault("this filter takes a list")


def _integer(value: Any, default: int = 0, base: int = 10) -> int:
    if isinstance(value, str):
        if len(value) > MAX_PARSED:
            raise LimitFault(f"a number is a text of at most {MAX_PARSED} characters")
        try:
            return int(value, base)
        except ValueError:
            value = _decimal(value, math.nan)
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return default


def _decimal(value: Any, default: float = 0.0) -> float:
    if isinstance(value, str) and len(value) > MAX_PARSED:
        raise LimitFault(f"a number is a text of at most {MAX_PARSED} characters")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return default


def _round(value: Any, precision: int = 0, method: str = "common") -> float:
    if not -30 <= precision <= 30:
        raise LimitFault("`round` takes at most 30 digits")
    if method == "common":
        return round(float(value), precision)
    if method not in {"ceil", "floor"}:
        raise TemplateFault("`round` takes common, ceil or floor")
    factor = 10.0**precision
    return float((math.ceil if method == "ceil" else math.floor)(value * factor) / factor)


def _truncate(text: str, length: int = 255, killwords: bool = False, end: str = "...", leeway: int = 5) -> str:
    if len(text) <= length + leeway:
        return text
    cut = text[: max(0, length - len(end))]
    return (cut if killwords else cut.rsplit(" ", 1)[0]) + end


def _sort_key(value: Any, *, case_sensitive: bool) -> Any:
    return value.lower() if isinstance(value, str) and not case_sensitive else value


def _by(attribute: Any) -> Callable[[Any], Any]:
    """Return the function that reads ``a.b`` or an item's number of each item."""
    if attribute is None:
        return lambda item: item
    path = attribute.split(".") if isinstance(attribute, str) else [attribute]

    def read(item: Any) -> Any:
        for step in path:
            key = int(step) if isinstance(step, str) and step.isdigit() else step
            item = attribute_of(item, key, str(attribute)) if isinstance(key, str) else item_of(item, key, str(attribute))
            if isinstance(item, Missing):
                raise TemplateFault(f"`{attribute}` is not defined for each item")
        return item

    return read


def _sorted(value: Any, reverse: bool = False, case_sensitive: bool = False, attribute: Any = None) -> list[Any]:
    read = _by(attribute)
    return sorted(_items(value), key=lambda item: _sort_key(read(item), case_sensitive=case_sensitive), reverse=reverse)


def _unique(value: Any, case_sensitive: bool = False, attribute: Any = None) -> list[Any]:
    read = _by(attribute)
    firsts: dict[Any, Any] = {}
    items = _items(value)
    keys = [_sort_key(read(item), case_sensitive=case_sensitive) for item in items]
    check_keys(keys)
    for item, key in zip(items, keys, strict=True):
        firsts.setdefault(tuple(key) if isinstance(key, list) else key, item)
    return list(firsts.values())


def _extreme(choose: Callable[..., Any]) -> Callable[..., Any]:
    def extreme(value: Any, case_sensitive: bool = False, attribute: Any = None) -> Any:
        read = _by(attribute)
        items = _items(value)
        if not items:
            raise TemplateFault("the list is empty")
        return choose(items, key=lambda item: _sort_key(read(item), case_sensitive=case_sensitive))

    return extreme


def _at(place: int) -> Callable[[Any], Any]:
    def item(value: Any) -> Any:
        items = _items(value)
        if not items:
            raise TemplateFault("the list is empty")
        return items[place]

    return item


def _sum(value: Any, attribute: Any = None, start: float = 0) -> Any:
    numbers = [start, *map(_by(attribute), _items(value))]
    if not all(isinstance(number, int | float) for number in numbers):
        raise TemplateFault("`sum` takes numbers")
    return sum(numbers)


def _joined(value: Any, between: str = "", attribute: Any = None) -> str:
    return join(between, [*map(_by(attribute), _items(value))])


def _dict_items(value: Any, by: str = "key", reverse: bool = False) -> list[Any]:
    place = {"key": 0, "value": 1}[by]
    return sorted(value.items(), key=lambda pair: _sort_key(pair[place], case_sensitive=False), reverse=reverse)


def _batch(value: Any, size: int, fill: Any = None) -> list[list[Any]]:
    if not 1 <= size <= MAX_ITEMS:
        raise LimitFault(f"`batch` makes groups of 1 to {MAX_ITEMS} items")
    items = _items(value)
    groups = [items[start : start + size] for start in range(0, len(items), size)]
    if groups and fill is not None:
        groups[-1] += [fill] * (size - len(groups[-1]))
    return groups


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False, sort_keys=True)


def _apply(value: Any, name: str, *arguments: Any) -> list[Any]:
    if name not in FILTERS:
        raise TemplateFault(f"`map` cannot use the filter `{name}`")
    results, size = [], 0
    for item in _items(value):
        results.append(FILTERS[name](item, *arguments))
        size += weight(results[-1])
        if size > MAX_TEXT:
            raise LimitFault(f"`map` makes more than {MAX_TEXT} characters")
    return results


def _map(value: Any, *arguments: Any, attribute: Any = None) -> list[Any]:
    return _apply(value, *arguments) if arguments else [*map(_by(attribute), _items(value))]


def _choose(*, by_attribute: bool, keep: bool) -> Callable[..., Any]:
    def choose(value: Any, *arguments: Any) -> list[Any]:
        if by_attribute and not arguments:
            raise TemplateFault("name the attribute that is looked at")
        read = _by(arguments[0]) if by_attribute else _by(None)
        name, *others = arguments[1 if by_attribute else 0 :] or ("true",)
        if name not in TESTS:
            raise TemplateFault(f"there is no test `{name}`")
        test = bool if arguments[1 if by_attribute else 0 :] == () else TESTS[name]
        return [item for item in _items(value) if bool(test(read(item), *others)) == keep]

    return choose


def _moment(written: str) -> Callable[[Any], str]:
    return lambda value: strftime(value, written)


def _length(value: Any) -> int:
    return len(_items(value))


#: Name of a filter -> what it does with the value and its arguments. ``default`` is the evaluation's own.
FILTERS: Mapping[str, Callable[..., Any]] = {
    "abs": abs,
    "batch": _batch,
    "capitalize": lambda value: text_of(value).capitalize(),
    "center": lambda value, width=80: center(text_of(value), width),
    "count": _length,
    "dictsort": _dict_items,
    "first": _at(0),
    "float": _decimal,
    "format": format_text,
    "int": _integer,
    "items": lambda value: [(key, item) for key, item in value.items()],
    "join": _joined,
    "last": _at(-1),
    "length": _length,
    "list": _items,
    "lower": lambda value: text_of(value).lower(),
    "map": _map,
    "max": _extreme(max),
    "min": _extreme(min),
    "reject": _choose(by_attribute=False, keep=False),
    "rejectattr": _choose(by_attribute=True, keep=False),
    "replace": lambda value, old, new, count=-1: replace(text_of(value), old, new, count),
    "reverse": lambda value: value[::-1],
    "round": _round,
    "select": _choose(by_attribute=False, keep=True),
    "selectattr": _choose(by_attribute=True, keep=True),
    "sort": _sorted,
    "sql": sql_literal,
    "string": text_of,
    "sum": _sum,
    "title": lambda value: text_of(value).title(),
    "tojson": _json,
    "trim": lambda value, characters=None: text_of(value).strip(characters),
    "truncate": _truncate,
    "unique": _unique,
    "upper": lambda value: text_of(value).upper(),
    "wordcount": lambda value: len(text_of(value).split()),
    # Airflow's own.
    "ds": _moment("%Y-%m-%d"),
    "ds_nodash": _moment("%Y%m%d"),
    "ts": lambda value: value.isoformat(),
    "ts_nodash": _moment("%Y%m%dT%H%M%S"),
    "ts_nodash_with_tz": lambda value: value.isoformat().replace("-", "").replace(":", ""),
}

#: Filters that do something with each item of a list, and with their arguments each time.
FILTERS_OF_ITEMS = frozenset({"map", "select", "reject", "selectattr", "rejectattr"})

#: Every filter that a template may name.
FILTER_NAMES = frozenset({*FILTERS, "default", "d"})


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


#: Name of a test -> what it says of the value and its arguments. ``defined`` and ``undefined`` are the evaluation's own.
TESTS: Mapping[str, Callable[..., Any]] = {
    "boolean": lambda value: isinstance(value, bool),
    "divisibleby": lambda value, by: value % by == 0,
    "even": lambda value: value % 2 == 0,
    "false": lambda value: value is False,
    "float": lambda value: isinstance(value, float),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "iterable": lambda value: isinstance(value, str | list | tuple | dict),
    "lower": lambda value: text_of(value).islower(),
    "mapping": lambda value: isinstance(value, dict),
    "none": lambda value: value is None,
    "number": _is_number,
    "odd": lambda value: value % 2 == 1,
    "sequence": lambda value: isinstance(value, str | list | tuple | dict),
    "string": lambda value: isinstance(value, str),
    "true": lambda value: value is True,
    "upper": lambda value: text_of(value).isupper(),
    **{
        name: COMPARISONS[short]
        for names, short in (
            (("==", "eq", "equalto"), "eq"),
            (("!=", "ne"), "ne"),
            (("<", "lt", "lessthan"), "lt"),
            (("<=", "le"), "lteq"),
            ((">", "gt", "greaterthan"), "gt"),
            ((">=", "ge"), "gteq"),
            (("in",), "in"),
        )
        for name in names
    },
}

#: Every test that a template may name.
TEST_NAMES = frozenset({*TESTS, "defined", "undefined"})
