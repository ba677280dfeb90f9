"""Column types: reading them as Iceberg spells them, and deciding which change of type loses nothing."""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Optional, Tuple

from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    ByteType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    MapType,
    NullType,
    ShortType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from .faults import DriverError
from .spec import identifier

#: Iceberg's names, and Spark's for the same types. ``timestamp`` is Iceberg's: without a time zone.
_NAMES: Dict[str, DataType] = {
    "boolean": BooleanType(),
    "int": IntegerType(),
    "integer": IntegerType(),
    "long": LongType(),
    "bigint": LongType(),
    "float": FloatType(),
    "double": DoubleType(),
    "date": DateType(),
    "timestamp": TimestampNTZType(),
    "timestamp_ntz": TimestampNTZType(),
    "timestamptz": TimestampType(),
    "string": StringType(),
    "uuid": StringType(),
    "binary": BinaryType(),
    "decimal": DecimalType(38, 18),
}

_DECIMAL = re.compile(r"decimal\s*\(\s*(\d+)\s*,\s*(\d+)\s*\)")
_NESTED = re.compile(r"(list|array|map|struct)\s*<(.*)>", re.DOTALL)
_STRUCT_FIELD = re.compile(r"\s*(?:\d+\s*:\s*)?`?(\w+)`?\s*:\s*(?:optional\s+|required\s+)?(.*)", re.DOTALL)

#: How many decimal digits each whole number type may need.
_DIGITS = {ByteType: 3, ShortType: 5, IntegerType: 10, LongType: 19}

SAME = "same"
WIDEN = "widen"
#: The type allows a loss, but it can be seen in the values whether one happens.
CHECK = "check"


def parse_type(text: str) -> DataType:
    """Return the Spark type for a type as Iceberg spells it (``long``, ``decimal(38,18)``, ``list<string>``, ...).

    :raises DriverError: DCP325 when there is no such type, or Spark cannot write it.
    """
    wanted = text.strip().lower()
    if wanted in _NAMES:
        return _NAMES[wanted]
    decimal = _DECIMAL.fullmatch(wanted)
    if decimal and 0 < int(decimal.group(1)) <= 38 and int(decimal.group(2)) <= int(decimal.group(1)):
        return DecimalType(int(decimal.group(1)), int(decimal.group(2)))
    nested = _NESTED.fullmatch(text.strip())
    if nested:
        return _parse_nested(nested.group(1), _split(nested.group(2)), text)
    raise _no_type(text)


def _parse_nested(kind: str, parts: List[str], text: str) -> DataType:
    if kind in ("list", "array") and len(parts) == 1:
        return ArrayType(parse_type(parts[0]))
    if kind == "map" and len(parts) == 2:
        return MapType(parse_type(parts[0]), parse_type(parts[1]))
    matches = [_STRUCT_FIELD.fullmatch(part) for part in parts]
    if kind == "struct" and all(matches):
        return StructType([StructField(match.group(1), parse_type(match.group(2))) for match in matches if match])
    raise _no_type(text)


def _split(text: str) -> List[str]:
    """Split at the commas that are not within brackets."""
    parts, depth, start = [], 0, 0
    for index, char in enumerate(text):
        depth += {"<": 1, "(": 1, ">": -1, ")": -1}.get(char, 0)
        if char == "," and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]]


def _no_type(text: str) -> DriverError:
    return DriverError(
        "DCP325", f"`{text}` is no column type that Spark can write", "use Iceberg's names, for example long or string"
    )


def spell(kind: DataType) -> str:
    """Return a type as Spark's SQL and its users write it (``bigint``, ``decimal(10,2)``)."""
    return str(kind.simpleString())


def ddl(kind: DataType) -> str:
    """Return a type for a statement: as :func:`spell`, with every field's name quoted, whatever it is."""
    if isinstance(kind, ArrayType):
        return f"array<{ddl(kind.elementType)}>"
    if isinstance(kind, MapType):
        return f"map<{ddl(kind.keyType)},{ddl(kind.valueType)}>"
    if isinstance(kind, StructType):
        return f"struct<{','.join(f'{identifier(item.name)}:{ddl(item.dataType)}' for item in kind.fields)}>"
    return spell(kind)


def parts(kind: DataType) -> Iterator[DataType]:
    """Yield ``kind`` and every type inside of it."""
    yield kind
    inner: List[DataType] = []
    if isinstance(kind, ArrayType):
        inner = [kind.elementType]
    elif isinstance(kind, MapType):
        inner = [kind.keyType, kind.valueType]
    elif isinstance(kind, StructType):
        inner = [item.dataType for item in kind.fields]
    for part in inner:
        yield from parts(part)


def field_names(kind: DataType) -> List[List[str]]:
    """Return the names of the fields of each struct in ``kind``."""
    return [list(part.names) for part in parts(kind) if isinstance(part, StructType)]


#: What Iceberg's tables of format 2 can hold, or the driver turns into it.
_STORED = (
    ArrayType,
    BinaryType,
    BooleanType,
    ByteType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    MapType,
    NullType,
    ShortType,
    StringType,
    StructType,
    TimestampNTZType,
    TimestampType,
)


def is_stored(kind: DataType) -> bool:
    """Whether a table can hold a type, what is inside of it aside."""
    return type(kind) in _STORED


def stored_type(kind: DataType) -> DataType:
    """Return the type that Iceberg stores for a result's type: it has no ``tinyint`` and ``smallint``."""
    return IntegerType() if isinstance(kind, (ByteType, ShortType)) else kind


def change(given: DataType, wanted: DataType) -> Optional[str]:
    """Say how a value of type ``given`` becomes one of type ``wanted``: ``same``, ``widen``, ``check``, or None when it may not.

    Time stamps with and without time zone change into each other, because the session's time zone is always UTC. Decimals may
    get narrower only when each value proves to fit (``check``).
    """
    if _bare(given) == _bare(wanted):
        return SAME
    if isinstance(given, NullType):
        return WIDEN
    if isinstance(wanted, DecimalType):
        return _change_to_decimal(given, wanted)
    if (type(given), type(wanted)) in _EXACT:
        return WIDEN
    return _change_nested(given, wanted)


#: Changes that keep every value: a double holds each int and float, a float each short.
_EXACT = {
    (ByteType, ShortType),
    (ByteType, IntegerType),
    (ByteType, LongType),
    (ShortType, IntegerType),
    (ShortType, LongType),
    (IntegerType, LongType),
    (FloatType, DoubleType),
    (ByteType, FloatType),
    (ShortType, FloatType),
    (ByteType, DoubleType),
    (ShortType, DoubleType),
    (IntegerType, DoubleType),
    (DateType, TimestampType),
    (DateType, TimestampNTZType),
    (TimestampType, TimestampNTZType),
    (TimestampNTZType, TimestampType),
}


def _change_to_decimal(given: DataType, wanted: DecimalType) -> Optional[str]:
    room = wanted.precision - wanted.scale
    if isinstance(given, DecimalType):
        return WIDEN if wanted.scale >= given.scale and room >= given.precision - given.scale else CHECK
    return WIDEN if _DIGITS.get(type(given), 39) <= room else None


def _change_nested(given: DataType, wanted: DataType) -> Optional[str]:
    pairs: List[Tuple[DataType, DataType]] = []
    if isinstance(given, ArrayType) and isinstance(wanted, ArrayType):
        pairs = [(given.elementType, wanted.elementType)]
    elif isinstance(given, MapType) and isinstance(wanted, MapType):
        pairs = [(given.keyType, wanted.keyType), (given.valueType, wanted.valueType)]
    elif isinstance(given, StructType) and isinstance(wanted, StructType):
        # A struct's fields are matched by position when cast, so their names must agree in order.
        if [name.lower() for name in given.names] != [name.lower() for name in wanted.names]:
            return None
        pairs = [(item.dataType, wanted.fields[index].dataType) for index, item in enumerate(given.fields)]
    changes = [change(*pair) for pair in pairs]
    return WIDEN if changes and all(step in (SAME, WIDEN) for step in changes) else None


def _bare(kind: DataType) -> str:
    """Return a type without what does not change values: whether nested values may be null."""
    return spell(kind).lower()
