"""What a template may compute with: the kinds of values, how large they may grow, and the operators and methods on them.

Nothing here looks an attribute up on a Python object: every operator is a function in a table, and what is in no table does not
exist for a template. Each function checks the size of its result before it makes it.
"""

from __future__ import annotations

import datetime as dt
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

#: The most characters that one text, and the most that the texts of one list, may have while a template is computed.
MAX_TEXT = 1_000_000
#: The most items that lists and maps may have, those inside of them included.
MAX_ITEMS = 10_000
#: The largest whole number, which is more than any column holds.
MAX_INTEGER = 2**127
#: The widest field that a format or a padding may ask for.
MAX_WIDTH = 1_000
#: The most digits or characters of a text that is read as a number or a date.
MAX_PARSED = 200


class TemplateFault(Exception):  # noqa: N818 - named like the other faults of templates
    """A template that cannot be computed.

    :param code: lint's code for it.
    :param hint: what to do about it.
    """

    def __init__(self, message: str, *, code: str = "DCP155", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint


class LimitFault(TemplateFault):
    """A template that would compute more than the limits allow."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="DCP156", hint="make the template smaller; the manifest reference states the limits")


class Missing:
    """What a name or key without a value leads to; only ``default`` and ``is defined`` may look at it.

    :param what: the name, as the template writes it.
    """

    def __init__(self, what: str) -> None:
        self.what = what


class Loop:
    """What ``loop`` is inside of ``{% for %}``."""

    def __init__(self, items: Sequence[Any], place: int) -> None:
        self.items = items
        self.place = place

    def attributes(self) -> dict[str, Any]:
        """Return what ``loop.<name>`` may name."""
        count, place = len(self.items), self.place
        return {
            "index": place + 1,
            "index0": place,
            "revindex": count - place,
            "revindex0": count - place - 1,
            "first": place == 0,
            "last": place == count - 1,
            "length": count,
            "previtem": self.items[place - 1] if place else Missing("loop.previtem"),
            "nextitem": self.items[place + 1] if place + 1 < count else Missing("loop.nextitem"),
        }


#: Names below ``loop``.
LOOP_NAMES = frozenset(Loop((None,), 0).attributes())

#: What an item weighs beside its characters: looking at it costs about as much as copying so many of them.
_ITEM = 16
_SCALARS = (str, int, float, bool, type(None), dt.date, dt.datetime, dt.time, dt.timedelta)


def weight(value: Any) -> int:
    """Return how much ``value`` holds, in characters.

    :raises LimitFault: when it is more than a template may hold.
    :raises TemplateFault: when it is no kind of value that templates compute with.
    """
    if type(value) is str:
        if len(value) > MAX_TEXT:
            raise LimitFault(f"a text has more than {MAX_TEXT} characters")
        return len(value) + 1
    total, items, waiting = 0, 0, [value]
    while waiting:
        each = waiting.pop()
        kind = type(each)
        total += _ITEM + (len(each) if kind is str else 0)
        if kind is int and not -MAX_INTEGER <= each <= MAX_INTEGER:
            raise LimitFault("a whole number has more than 38 digits")
        if kind is dict:
            items += len(each)
            waiting += each.keys()
            waiting += each.values()
        elif kind is list or kind is tuple:
            items += len(each)
            waiting += each
        elif kind not in _SCALARS:
            raise TemplateFault(f"this makes a value of the type {kind.__name__}, with which templates do not compute")
        if items > MAX_ITEMS or total > MAX_TEXT:
            raise LimitFault(f"a list or map holds more than {MAX_ITEMS} items or {MAX_TEXT} characters")
    return total


def check_keys(keys: Sequence[Any]) -> None:
    """Refuse keys that can be chosen so that all of them meet in one place of a map, which then takes the square of their number.

    Python spreads texts by a secret of each process, but numbers by themselves.

    :raises LimitFault: for a number of more than 64 bits.
    """
    waiting = [*keys]
    while waiting:
        key = waiting.pop()
        if isinstance(key, list | tuple):
            waiting += key
        elif isinstance(key, int) and abs(key) >= 2**63:
            raise LimitFault("a number that is a key has more than 64 bits")


def plain(value: Any) -> Any:
    """Return ``value`` as templates compute with it: exact types, so that no subclass brings methods of its own.

    :raises TemplateFault: when it is of another kind.
    """
    if value is None or type(value) in _SCALARS:
        return value
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    for kind, make in _MADE_PLAIN:
        if isinstance(value, kind):
            return make(value)
    raise TemplateFault(f"a value of the type {type(value).__name__} is nothing that templates compute with")


def _plain_datetime(value: dt.datetime) -> dt.datetime:
    offset = value.utcoffset()
    zone = None if offset is None else dt.timezone(offset) if offset else dt.UTC
    parts = value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond
    return dt.datetime(*parts, tzinfo=zone)


_MADE_PLAIN: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (str, str.__str__),
    (int, int),
    (float, float),
    (dt.datetime, _plain_datetime),
    (dt.date, lambda value: dt.date(value.year, value.month, value.day)),
    (dt.timedelta, lambda value: dt.timedelta(value.days, value.seconds, value.microseconds)),
)


def text_of(value: Any) -> str:
    """Return what ``{{ value }}`` writes.

    :raises TemplateFault: for what has no text that is the same in every run, such as a map or a function.
    """
    if type(value) is str:
        return value
    if type(value) is float and not math.isfinite(value):
        raise TemplateFault(f"the number {value} is not finite", code="DCP157", hint="write a finite number")
    if value is None or type(value) in _SCALARS:
        return str(value)
    if type(value) in (list, tuple, dict):
        raise TemplateFault(
            f"a {'map' if type(value) is dict else 'list'} has no text of its own",
            code="DCP157",
            hint="write `| join(', ')`, `| sql` or `| tojson`, or one of its items",
        )
    raise TemplateFault("only texts, numbers, dates and times can be written", code="DCP157", hint="call it, or write its value")


def _numbers(*values: Any) -> bool:
    return all(isinstance(value, int | float) for value in values)


def add(left: Any, right: Any) -> Any:
    """Return ``left + right``."""
    return left + right


def multiply(left: Any, right: Any) -> Any:
    """Return ``left * right``; of a text or list and a number, when the result is small enough."""
    if isinstance(right, str | list | tuple):
        left, right = right, left
    if (
        isinstance(left, str | list | tuple)
        and isinstance(right, int)
        and len(left) * right > (MAX_TEXT if isinstance(left, str) else MAX_ITEMS)
    ):
        raise LimitFault(f"`*` makes more than {MAX_TEXT} characters or {MAX_ITEMS} items")
    return left * right


def power(left: Any, right: Any) -> Any:
    """Return ``left ** right`` of numbers."""
    if not _numbers(left, right):
        raise TemplateFault("`**` takes numbers")
    if isinstance(left, int) and isinstance(right, int) and abs(left) > 1:
        if right > 127 or abs(left).bit_length() * right > 256:
            raise LimitFault("`**` makes a whole number of more than 38 digits")
        if right < 0:
            return float(left) ** right
    return left**right


def remainder(left: Any, right: Any) -> Any:
    """Return ``left % right``: of numbers the remainder, of a text the text with its placeholders filled."""
    if isinstance(left, str):
        return format_text(left, *(right if isinstance(right, tuple) else (right,)))
    if not _numbers(left, right):
        raise TemplateFault("`%` takes numbers, or a text with placeholders")
    return left % right


_PLACEHOLDER = re.compile(r"%(?:%|[-+ 0#]*(\d*)(?:\.(\d*))?([sdifFeEgGxXo])|(.|\Z))", re.DOTALL)


def format_text(text: str, *values: Any) -> str:
    """Return ``text`` with its ``%s``, ``%d`` and the like filled."""
    for match in _PLACEHOLDER.finditer(text):
        if match.group(4) is not None:
            raise TemplateFault(
                f"`%{match.group(4)}` is not a placeholder of templates", hint="write %s, %d or %.2f; %% is a percent sign"
            )
        if any(len(size) > 4 or int(size) > MAX_WIDTH for size in match.groups()[:2] if size):
            raise LimitFault(f"a placeholder is wider than {MAX_WIDTH}")
    return str(text % tuple(value if _numbers(value) else text_of(value) for value in values))


def concat(*values: Any) -> str:
    """Return the texts of ``values`` as one."""
    texts = [text_of(value) for value in values]
    if sum(map(len, texts)) > MAX_TEXT:
        raise LimitFault(f"a text has more than {MAX_TEXT} characters")
    return "".join(texts)


#: Jinja's name of an operator -> what it does.
OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "Add": add,
    "Sub": operator.sub,
    "Mul": multiply,
    "Div": operator.truediv,
    "FloorDiv": operator.floordiv,
    "Mod": remainder,
    "Pow": power,
}

#: Jinja's name of a comparison -> what it does.
COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
    "in": lambda left, right: left in right,
    "notin": lambda left, right: left not in right,
}


def numbers_from(*bounds: int) -> list[int]:
    """Return ``range(...)`` as a list."""
    numbers = range(*bounds)
    # Not len(): it fails for more than a machine word holds.
    if numbers and abs(numbers[-1] - numbers[0]) // abs(numbers.step) >= MAX_ITEMS:
        raise LimitFault(f"`range` makes more than {MAX_ITEMS} numbers")
    return list(numbers)
