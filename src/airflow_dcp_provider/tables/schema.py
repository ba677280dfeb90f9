"""Declared columns as an Iceberg schema, and which changes of a schema lose nothing. Pure: no catalog is asked here."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.job import Column

if TYPE_CHECKING:
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.types import IcebergType

_NESTED = re.compile(r"(list|map|struct)\s*<(.*)>", re.DOTALL)
_STRUCT_FIELD = re.compile(r"\s*(\w+)\s*:(.*)", re.DOTALL)


@dataclass(frozen=True)
class Evolution:
    """What has to change so that a table has the declared columns; all of it keeps every value that is there.

    :param added: columns to add. :param widened: columns whose type becomes a wider one.
    :param relaxed: names of columns that become optional. :param described: columns whose description changes.
    """

    added: tuple[Column, ...] = ()
    widened: tuple[Column, ...] = ()
    relaxed: tuple[str, ...] = ()
    described: tuple[Column, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.widened or self.relaxed or self.described)

    def __str__(self) -> str:
        parts = [
            *(f"add {column.name} {column.type}" for column in self.added),
            *(f"widen {column.name} to {column.type}" for column in self.widened),
            *(f"make {name} optional" for name in self.relaxed),
            *(f"describe {column.name}" for column in self.described),
        ]
        return ", ".join(parts) or "nothing to change"


def parse_type(text: str) -> IcebergType:
    """Return the Iceberg type that ``text`` spells: a primitive, ``list<...>``, ``map<..., ...>`` or ``struct<name: ..., ...>``.

    Field ids inside nested types are placeholders; the catalog gives the real ones.

    :raises DcpEnvironmentError: DCP421 when it spells none.
    """
    return _parse_type(text, itertools.count(1000))


def _parse_type(text: str, ids: Iterator[int]) -> IcebergType:
    from pyiceberg.types import DecimalType, NestedField

    spelled = text.strip()
    if nested := _NESTED.fullmatch(spelled):
        return _parse_nested(nested.group(1), _split(nested.group(2)), text, ids)
    try:
        found = NestedField(field_id=1, name="column", field_type=spelled, required=False).field_type
    except Exception as error:
        # pyiceberg answers with pydantic's, its own or a plain ValueError, depending on the spelling.
        raise _no_type(text) from error
    if isinstance(found, DecimalType) and not (0 < found.precision <= 38 and 0 <= found.scale <= found.precision):
        raise _no_type(text)
    return found


def _parse_nested(kind: str, parts: list[str], text: str, ids: Iterator[int]) -> IcebergType:
    from pyiceberg.types import ListType, MapType, NestedField, StructType

    if kind == "list" and len(parts) == 1:
        return ListType(element_id=next(ids), element_type=_parse_type(parts[0], ids), element_required=False)
    if kind == "map" and len(parts) == 2:
        key_id, value_id = next(ids), next(ids)
        key, value = _parse_type(parts[0], ids), _parse_type(parts[1], ids)
        return MapType(key_id=key_id, key_type=key, value_id=value_id, value_type=value, value_required=False)
    matches = [_STRUCT_FIELD.fullmatch(part) for part in parts]
    if kind == "struct" and all(matches):
        return StructType(
            *(
                NestedField(field_id=next(ids), name=match.group(1), field_type=_parse_type(match.group(2), ids), required=False)
                for match in matches
                if match
            )
        )
    raise _no_type(text)


def _split(inner: str) -> list[str]:
    """Split at the commas that are inside no bracket."""
    parts, depth, start = [], 0, 0
    for place, char in enumerate(inner):
        depth += (char in "<(") - (char in ">)")
        if char == "," and depth == 0:
            parts.append(inner[start:place])
            start = place + 1
    return [*parts, inner[start:]]


def _no_type(text: str) -> DcpEnvironmentError:
    return DcpEnvironmentError(
        f"`{text}` is not an Iceberg type",
        code="DCP421",
        hint="use string, int, long, float, double, decimal(38,18), boolean, date, time, timestamp, timestamptz, uuid, binary, "
        "fixed[16], list<string>, map<string, long> or struct<name: string>",
    )


def iceberg_schema(columns: Sequence[Column]) -> Schema:
    """Return the declared columns as an Iceberg schema, in their order."""
    from pyiceberg.schema import Schema
    from pyiceberg.types import NestedField

    # One count for the whole schema: no two columns may have ids in common, though the catalog gives others in the end.
    ids = itertools.count(len(columns) + 1)
    fields = [
        NestedField(
            field_id=number,
            name=column.name,
            field_type=_parse_type(column.type, ids),
            required=column.required,
            doc=column.description,
        )
        for number, column in enumerate(columns, start=1)
    ]
    return Schema(*fields)


def partition_spec(schema: Schema, partition_by: Sequence[str], table: str) -> PartitionSpec:
    """Return the identity partition spec over ``partition_by``.

    :param table: the table's name, for the message.
    :raises DcpEnvironmentError: DCP421 when a partition column is not among the columns.
    """
    from pyiceberg.partitioning import PartitionField, PartitionSpec
    from pyiceberg.transforms import IdentityTransform

    # Names are equal whatever their case, as everywhere; the column's own spelling counts.
    known = {field.name.lower(): field for field in schema.fields}
    for name in partition_by:
        if name.lower() not in known:
            raise DcpEnvironmentError(
                f"table {table} is to be partitioned by `{name}`, which is not among its columns",
                code="DCP421",
                hint=f"its columns are: {', '.join(field.name for field in schema.fields)}",
            )
    return PartitionSpec(
        *(
            PartitionField(source_id=field.field_id, field_id=1000 + number, transform=IdentityTransform(), name=field.name)
            for number, field in enumerate(known[name.lower()] for name in partition_by)
        )
    )


def spec_names(schema: Schema, spec: PartitionSpec) -> tuple[str, ...]:
    """Return a partition spec as names: ``ds`` for an identity partition, else ``day(ts)`` and the like."""
    names = []
    for field in spec.fields:
        column, transform = schema.find_column_name(field.source_id), str(field.transform)
        if transform != "void":
            names.append(str(column) if transform == "identity" else f"{transform}({column})")
    return tuple(names)


def plan_evolution(current: Schema, wanted: Sequence[Column], table: str) -> Evolution:
    """Return what has to change from ``current`` to ``wanted``.

    :param table: the table's name, for the message.
    :raises DcpEnvironmentError: DCP424 naming every change that would lose data or that rows already there would break.
    """
    present = {field.name.lower(): field for field in current.fields}
    declared = {column.name.lower() for column in wanted}
    refused = [f"column `{field.name}` would be dropped" for name, field in present.items() if name not in declared]
    added, widened, relaxed, described = [], [], [], []
    for column in wanted:
        field = present.get(column.name.lower())
        if field is None:
            if column.required:
                refused.append(f"column `{column.name}` is new and required, but the rows already there have no value for it")
            added.append(column)
            continue
        column = replace(column, name=field.name)  # noqa: PLW2901 -- the table's spelling counts
        new_type = parse_type(column.type)
        if not _same(field.field_type, new_type):
            if _widens(field.field_type, new_type):
                widened.append(column)
            else:
                refused.append(f"column `{column.name}` would change from {field.field_type} to {new_type}")
        if column.required and not field.required:
            refused.append(f"column `{column.name}` would become required, but rows already there may have no value for it")
        elif field.required and not column.required:
            relaxed.append(column.name)
        if column.description and column.description != field.doc:
            described.append(column)
    if refused:
        raise DcpEnvironmentError(
            f"table {table} cannot become what is declared without losing data: {'; '.join(refused)}",
            code="DCP424",
            hint="declare the columns as the table has them, or move the data to a new table by hand",
        )
    return Evolution(tuple(added), tuple(widened), tuple(relaxed), tuple(described))


def _same(one: IcebergType, other: IcebergType) -> bool:
    """Whether two types are equal apart from the ids inside them."""
    from pyiceberg.types import ListType, MapType, StructType

    if isinstance(one, StructType) and isinstance(other, StructType):
        names = [[field.name for field in each.fields] for each in (one, other)]
        pairs = zip(one.fields, other.fields, strict=False)
        return names[0] == names[1] and all(_same(mine.field_type, theirs.field_type) for mine, theirs in pairs)
    if isinstance(one, ListType) and isinstance(other, ListType):
        return _same(one.element_type, other.element_type)
    if isinstance(one, MapType) and isinstance(other, MapType):
        return _same(one.key_type, other.key_type) and _same(one.value_type, other.value_type)
    return one == other


def _widens(old: IcebergType, new: IcebergType) -> bool:
    """Whether every value of ``old`` is one of ``new`` by Iceberg's own rules.

    Not pyiceberg's ``promote``: that also lets a decimal's scale change and a string become binary.
    """
    from pyiceberg.types import DecimalType, DoubleType, FloatType, IntegerType, LongType

    if isinstance(old, DecimalType) and isinstance(new, DecimalType):
        return new.scale == old.scale and new.precision >= old.precision
    return (isinstance(old, IntegerType) and isinstance(new, LongType)) or (
        isinstance(old, FloatType) and isinstance(new, DoubleType)
    )
