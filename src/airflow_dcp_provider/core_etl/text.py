"""Text of others on its way into a log, a message or a terminal: nothing in it acts, and a line of it stays one line.

Whoever writes SQL, a name or a file decides what an error quotes and what a log repeats. A line break would begin a line that looks
like somebody else's, an escape sequence would paint a terminal or erase what stands above, a bidirectional override would show
other words than those that are there, and ``::group::`` would fold the rest of a task's log away.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Iterator

#: Longest line of a log, in characters; a query plan that Spark quotes whole is longer than anybody reads.
LINE_LIMIT = 10_000

#: Markers by which log viewers fold and colour: Airflow's and GitHub's ``::group::name``, and GitHub's ``::error file=a::text``.
_MARKER = re.compile(
    r"::(?=(?:add-mask|add-matcher|debug|echo|endgroup|error|group|notice|remove-matcher|save-state|set-\w+|stop-commands|warning)\b)",
    re.IGNORECASE,
)


def escaped(text: str) -> str:
    r"""Return ``text`` in one line, with everything that is not printed written as an escape (``\n``, ``\x1b``, ``\u202e``)."""
    if not text.isprintable():
        text = "".join(char if char.isprintable() else _escape(char) for char in text)
    return _MARKER.sub(r"\\x3a:", text) if "::" in text else text


def shown(text: str) -> str:
    """Return a text of several lines for a terminal or a message: its lines stay, and nothing in them acts."""
    return "\n".join(escaped(line) for line in text.split("\n")) if "::" in text or not text.isprintable() else text


def log_line(text: str, limit: int = LINE_LIMIT) -> str:
    """Return ``text`` escaped and with at most about ``limit`` characters; what is left out is counted."""
    left_out = len(text) - limit
    return escaped(text) if left_out <= 0 else f"{escaped(text[:limit])}... ({left_out} more characters)"


def lines_of(log: str, limit: int = LINE_LIMIT) -> Iterator[str]:
    """Yield the lines of another program's log, each escaped and bounded; only its line feeds end a line."""
    for line in log.split("\n")[: -1 if log.endswith("\n") else None]:
        yield log_line(line[:-1] if line.endswith("\r") else line, limit)


def log_lines(text: str, limit: int = LINE_LIMIT) -> str:
    """Return a text of several lines, a stack for example, with each of them escaped and bounded, and indented after the first."""
    return "\n    ".join(log_line(line, limit) for line in text.split("\n"))


def _escape(char: str) -> str:
    # Blanks of every width are only blanks; Chinese and Japanese texts are full of one.
    if char == "\t" or unicodedata.category(char) == "Zs":
        return char
    # Half of a surrogate pair is no character and cannot be encoded as one.
    return f"\\u{ord(char):04x}" if 0xD800 <= ord(char) <= 0xDFFF else char.encode("unicode_escape").decode("ascii")
