"""Types of columns: what manifests may write, and how Iceberg spells it.

The driver (``core_etl.column_types``) and the catalogs (``tables.schema``) read every type that is spelled here; one table of tests
holds the three together.
"""

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
    "timestamp_ntz": "timestamp",
    "binary": "binary",
    "uuid": "uuid",
    "decimal": "decimal(38,18)",
}
_DECIMAL = re.compile(r"decimal\(\s*(\d{1,2})\s*(?:,\s*(\d{1,2})\s*)?\)")

_NESTED = re.compile(r"(list|array|map|struct)\s*<(.*)>", re.DOTALL | re.IGNORECASE)
_STRUCT_FIELD = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*:(.*)", re.DOTALL)
_DEEPEST = 16

#: What a manifest may write as a type.
TYPE_NAMES = (*_NAMES, "decimal(precision,scale)", "list<type>", "map<type, type>", "struct<name: type, ...>")


def iceberg_type(text: str) -> str:
    """Return Iceberg's spelling of a type; a bare ``decimal`` is ``decimal(38,18)``.

    :raises ValueError: when it is no type of a column.
    """
    return _spelled(text, 0)


def _spelled(text: str, depth: int) -> str:
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
    if nested := _NESTED.fullmatch(text.strip()):
        if depth >= _DEEPEST:
            raise ValueError(f"the type nests deeper than {_DEEPEST} levels")
        return _spelled_nested(nested.group(1).lower(), _split(nested.group(2)), text, depth + 1)
    raise ValueError(f"`{text.strip()}` is no type of a column")


def _spelled_nested(kind: str, parts: list[str], text: str, depth: int) -> str:
    if kind in {"list", "array"} and len(parts) == 1:
        return f"list<{_spelled(parts[0], depth)}>"
    if kind == "map" and len(parts) == 2:
        return f"map<{', '.join(_spelled(part, depth) for part in parts)}>"
    if kind != "struct":
        raise ValueError(f"`{text.strip()}` has {len(parts)} types, and a {kind} has {2 if kind == 'map' else 1}")
    fields: dict[str, str] = {}
    for part in parts:
        match = _STRUCT_FIELD.fullmatch(part)
        if match is None:
            raise ValueError(f"`{part.strip()}` is no field of a struct; write name: type")
        name = match.group(1)
        if name.lower() in fields:
            raise ValueError(f"the struct has two fields `{name}`")
        fields[name.lower()] = f"{name}: {_spelled(match.group(2), depth)}"
    return f"struct<{', '.join(fields.values())}>"


def _split(text: str) -> list[str]:
    """Split at the commas that are within no brackets."""
    parts, depth, start = [], 0, 0
    for place, char in enumerate(text):
        depth += (char in "<(") - (char in ">)")
        if char == "," and depth == 0:
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]


def is_bare_decimal(text: str) -> bool:
    """Whether the type leaves precision and scale of a decimal open."""
    return text.strip().lower() == "decimal"
