"""Writing a value as an SQL literal, for the filter ``sql`` of templates.

The literals are those of Spark SQL with its default parser settings (``spark.sql.parser.escapedStringLiterals`` is false), and
mean the same on Spark 3.5 and 4.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from typing import Any

from airflow_dcp_provider.model.template_values import MAX_TEXT, LimitFault, TemplateFault, weight

#: What may not stand in a literal as it is. `''` is not used for a quote: Spark 3.5 and 4 read it differently.
_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def sql_literal(value: Any) -> str:
    """Return ``value`` as an SQL literal; a list becomes ``(a, b)``, for ``IN``.

    :raises TemplateFault: for what has no literal: a map, an empty list, a number that is not finite.
    """
    weight(value)
    if isinstance(value, list | tuple):
        if not value:
            raise TemplateFault(
                "an empty list has no SQL literal: `IN ()` is not SQL",
                code="DCP155",
                hint="leave the condition out with {% if %} when it is empty",
            )
        if any(isinstance(item, list | tuple) for item in value):
            raise TemplateFault("a list of lists has no SQL literal")
        literal = f"({', '.join(map(_scalar, value))})"
    else:
        literal = _scalar(value)
    if len(literal) > MAX_TEXT:
        raise LimitFault(f"a text has more than {MAX_TEXT} characters")
    return literal


def _scalar(value: Any) -> str:
    for kind, write in _WRITERS:
        if isinstance(value, kind):
            return write(value)
    what = "map" if isinstance(value, dict) else type(value).__name__
    raise TemplateFault(f"a {what} has no SQL literal", hint="write one of its values")


def _integer(value: int) -> str:
    if abs(value) >= 10**38:
        raise LimitFault("a whole number has more than 38 digits")
    return _signed(str(value))


def _double(value: float) -> str:
    if not math.isfinite(value):
        raise TemplateFault(f"the number {value} has no SQL literal")
    return _signed(f"{value!r}D")


def _timestamp(value: dt.datetime) -> str:
    moment = value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
    return f"TIMESTAMP '{moment.isoformat(sep=' ')}+00:00'"


def _signed(digits: str) -> str:
    # In parentheses: behind a minus sign, a second one would begin a comment.
    return f"({digits})" if digits.startswith("-") else digits


def _text(value: str) -> str:
    written = []
    for place, character in enumerate(value):
        code = ord(character)
        if 0xD800 <= code <= 0xDFFF:
            raise TemplateFault("the text holds half of a character and has no SQL literal")
        if character in _ESCAPES:
            written.append(_ESCAPES[character])
        elif code < 0x20 or code == 0x7F or (character == "$" and value[place + 1 : place + 2] == "{"):
            # `${` would be taken for a variable before the SQL is parsed.
            written.append(f"\\u{code:04x}")
        else:
            written.append(character)
    return f"'{''.join(written)}'"


def _interval(value: dt.timedelta) -> str:
    sign, size = ("-", -value) if value < dt.timedelta(0) else ("", value)
    minutes, seconds = divmod(size.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"INTERVAL '{sign}{size.days} {hours:02}:{minutes:02}:{seconds:02}.{size.microseconds:06}' DAY TO SECOND"


#: Kind of value -> how it is written. The order matters: a bool is an int, and a datetime is a date.
_WRITERS: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (type(None), lambda _: "NULL"),
    (bool, lambda value: "TRUE" if value else "FALSE"),
    (str, _text),
    (int, _integer),
    (float, _double),
    (dt.datetime, _timestamp),
    (dt.date, lambda value: f"DATE '{value.isoformat()}'"),
    (dt.timedelta, _interval),
)
