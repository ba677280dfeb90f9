"""Names and locations that the embedded catalog accepts: nothing may lead out of its warehouse folder."""

from __future__ import annotations

import os
import re
from pathlib import Path

#: A namespace or table name becomes one folder of the warehouse, so it must be one plain path component.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,254}")


def is_plain_name(name: str) -> bool:
    """Whether ``name`` may name a namespace or a table (ASCII letters, digits, ``_`` and ``-``, at most 255)."""
    return bool(_NAME.fullmatch(name))


def path_of(location: str) -> Path:
    """Return the path that a ``file:`` location (or a bare absolute path) means.

    Iceberg's Java and Python libraries both take the text after the scheme literally, without percent-decoding, so this does too.

    :raises ValueError: when the location has another scheme, a host, or is not absolute.
    """
    if location.startswith("file:"):
        rest = location[len("file:") :]
        text = rest.removeprefix("//")
    else:
        text = location
    if not text.startswith("/") or "\0" in text:
        raise ValueError(f"`{location}` is not an absolute path of this machine")
    return Path(text)


def location_of(path: Path) -> str:
    """Return ``path`` as an Iceberg location (``file:///...``)."""
    return f"file://{path}"


def is_inside(location: str, folder: Path) -> bool:
    """Whether ``location`` is a real place strictly inside ``folder``, with ``..`` and symbolic links followed."""
    try:
        path = path_of(location)
    except ValueError:
        return False
    real = Path(os.path.realpath(path))
    return Path(os.path.realpath(folder)) in real.parents
