"""How much memory this machine can give to one Spark."""

from __future__ import annotations

from pathlib import Path

#: The part of the machine's memory that one Spark may have.
_SHARE = 0.75

#: Where a container's limit stands (control groups, version 2 and 1).
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def usable_memory() -> int:
    """Return the bytes that one Spark may use: three quarters of the machine's memory, or of its container's if that is less."""
    import psutil

    total: int = psutil.virtual_memory().total
    for path in _LIMITS:
        try:
            text = path.read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdecimal():
            total = min(total, int(text))
    return int(total * _SHARE)
