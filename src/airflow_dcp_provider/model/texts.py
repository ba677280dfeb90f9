"""Texts that others wrote: which characters they may hold, and how they are shown where they hold others.

A text of a manifest, or the name of a file, ends up in terminals, logs, databases and pages. What would act there instead of being
read (control characters, halves of characters, marks that turn the order of what is shown) is refused where it is read, and escaped
wherever a message repeats it.
"""

from __future__ import annotations

import re

#: What no text may hold: control characters but tab and line ends, halves of surrogate pairs, other line and paragraph separators,
#: overrides of the writing direction (they show a text in another order than it is read in), tag characters and non-characters
#: (they are not shown at all). Marks that scripts and emoji need (joiners, right-to-left marks) are texts like others.
_REFUSED = (
    r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff"
    r"\U000e0000-\U000e007f"
)
_REFUSED_CHARACTER = re.compile(f"[{_REFUSED}]")
_REFUSED_IN_LINES = re.compile(rf"[\t\n\r{_REFUSED}]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}

#: Longest text of one message or hint.
MESSAGE_LIMIT = 1_000


def refused_character(text: str) -> int | None:
    """Return the place of the first character that no text may hold, or None. Tabs and line ends are no such characters."""
    match = _REFUSED_CHARACTER.search(text)
    return match.start() if match else None


def first_not_in_line(text: str) -> int | None:
    """Return the place of the first character that cannot stand in one line, or None."""
    match = _REFUSED_IN_LINES.search(text)
    return match.start() if match else None


def is_one_line(text: str) -> bool:
    """Whether the text holds nothing but characters that can be shown in one line."""
    return first_not_in_line(text) is None


def one_line(text: str) -> str:
    """Return a text with every character escaped that cannot be shown, line ends and tabs included."""
    return _REFUSED_IN_LINES.sub(_escape, text)


def escaped(text: str) -> str:
    """Return a text with every character escaped that cannot be shown; tabs and line ends stay, lone carriage returns do not."""
    return _REFUSED_CHARACTER.sub(_escape, text).replace("\r\n", "\n").replace("\r", "\\r")


def cut(text: str, limit: int) -> str:
    """Return a text that is at most ``limit`` characters long; what is cut off is shown by an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def character_name(character: str) -> str:
    """Return how a character that cannot be shown is named, for example ``U+0000``."""
    return f"U+{ord(character):04X}"


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    # A byte of a file name that is not UTF-8 is kept by Python as U+DC80 to U+DCFF.
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
