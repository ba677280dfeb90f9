"""Memory and time quantities as Spark and manifests write them."""

from __future__ import annotations

import re

_MEMORY = re.compile(r"(\d+)\s*([kmgt]?)b?", re.IGNORECASE)
_FACTORS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def memory_bytes(text: str) -> int:
    """Return the bytes of a Spark memory string (``512m``, ``8g``, ``8gb``).

    :raises ValueError: when the text is no memory quantity or is zero.
    """
    match = _MEMORY.fullmatch(text.strip())
    if not match or int(match.group(1)) == 0:
        raise ValueError(f"`{text}` is not a memory size; write a whole number and a unit, for example 512m or 8g")
    if not match.group(2):
        raise ValueError(f"`{text}` has no unit; write for example {text}g")
    return int(match.group(1)) * _FACTORS[match.group(2).lower()]


def memory_text(size: int) -> str:
    """Return a number of bytes as a Spark memory string in whole mebibytes, rounded up."""
    return f"{-(-size // 2**20)}m"
