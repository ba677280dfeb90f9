"""What is wrong with an SQL text, as lint says it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot.errors import SqlglotError


@dataclass(frozen=True)
class SqlProblem:
    """What is wrong with an SQL text: ``offset`` in characters from its start, or None for the text as a whole."""

    code: str
    message: str
    hint: str
    offset: int | None = None


def syntax_problem(error: SqlglotError, text: str, lead: int = 0) -> SqlProblem:
    """Return what a parser's error means.

    :param lead: how many characters stood before ``text`` in what was parsed.
    """
    from sqlglot.errors import ParseError, TokenError

    if isinstance(error, ParseError) and error.errors:
        first = error.errors[0]
        near = str(first.get("highlight") or "")
        shown = near if len(near) <= 80 else f"{near[:80]}..."
        description = str(first.get("description") or "").rstrip(".")
        message = f"the SQL does not parse: {_plain_words(description)}" + (f", near `{shown}`" if near else "")
        offset = _offset(text, lead, int(first["line"]), int(first["col"]) - len(near) + 1) if first.get("line") else None
        return SqlProblem("DCP144", message, "check it near here", offset)
    if isinstance(error, TokenError):
        # The words before were read well; what is opened and not closed swallows everything to the end.
        message = "the SQL does not parse: it ends inside of a quote or comment"
        return SqlProblem("DCP144", message, "close what was opened", len(text) - 1)
    return SqlProblem("DCP144", "the SQL cannot be read", "check it near here")


def _plain_words(description: str) -> str:
    if match := re.match(r"Required keyword: '(\w+)' missing for <class '[\w.]*?(\w+)'>", description):
        return f"something is missing after {match.group(2).upper()}"
    return description[:1].lower() + description[1:]


def _offset(text: str, lead: int, line: int, column: int) -> int:
    """Return the place of a line and column (from 1) in ``text``, before which ``lead`` characters stood in the first line."""
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    start = starts[min(line, len(starts)) - 1]
    column_in_text = column - 1 - (lead if line == 1 else 0)
    return max(0, min(start + column_in_text, len(text) - 1))
