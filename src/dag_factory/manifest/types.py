"""Types of columns: what manifests may write, and how Iceberg spells it."""

from __future__ import annotations

import re

_NAMES = {
    "string": "string",
    "int": "int",
    "integer": "int",
    "long": "long",
    "bigint": "long",
    "float": "float",
    "double": "double",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp",
    "timestamptz": "timestamptz",
    "binary": "binary",
    "decimal": "decimal(38,18)",
}
_DECIMAL = re.compile(r"decimal\(\s*(\d{1,2})\s*(?:,\s*(\d{1,2})\s*)?\)")

#: What a manifest may write as a type.
TYPE_NAMES = (*_NAMES, "decimal(precision,scale)")


def iceberg_type(text: str) -> str:
    """Return Iceberg's spelling of a type; a bare ``decimal`` is ``decimal(38,18)``.

    :raises ValueError: when it is no type of a column.
    """
    folded = text.strip().lower()
    if folded in _NAMES:
        return _NAMES[folded]
    if match := _DECIMAL.fullmatch(folded):
        precision, scale = int(match.group(1)), int(match.group(2) or 0)
        if not 1 <= precision <= 38:
            raise ValueError(f"`{text}` has {precision} digits, and a decimal has 1 to 38")
        if scale > precision:
            raise ValueError(f"`{text}` has more digits after the point than digits")
        return f"decimal({precision},{scale})"
    raise ValueError(f"`{text}` is no type of a column")


def is_bare_decimal(text: str) -> bool:
    """Whether the type leaves precision and scale of a decimal open."""
    return text.strip().lower() == "decimal"
