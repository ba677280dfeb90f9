"""``pretzel data``: tables of the embedded catalog, from files and to the screen."""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_dcp_provider.embedded_catalog.catalog import EmbeddedCatalog
from airflow_dcp_provider.model.errors import DcpError, UsageError
from airflow_dcp_provider.model.home import dcp_home, private_home
from airflow_dcp_provider.model.names import is_identifier
from airflow_dcp_provider.tables.errors import wrapped
from dag_factory.cli.output import Output, count, table
from dag_factory.cli.table_files import read_file, write_rows

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.catalog import Catalog
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table
    from pyiceberg.types import NestedField


def load(options: argparse.Namespace, output: Output) -> int:
    """``data load``: put a file's rows into a table."""
    name = table_name(options.table)
    rows = read_file(Path(options.file), options.text)
    with opened_catalog() as catalog:
        done = write_rows(catalog, name, rows, options.partition_by, replace=options.replace)
        total = _rows_of(catalog.load_table(name))
    output.result(
        {"table": options.table, "result": done, "rows": rows.num_rows, "total_rows": total},
        f"{done} {options.table}: {count(rows.num_rows, 'row')} from {options.file}, {count(total, 'row')} in all",
    )
    return 0


def show(options: argparse.Namespace, output: Output) -> int:
    """``data show``: print rows of a table."""
    name = table_name(options.table)
    with opened_catalog() as catalog:
        found = _existing(catalog, name)
        columns, rows = first_rows(found, _condition(found, options.where), options.limit)
        total = _rows_of(found)
    shown = count(len(rows), "row")
    note = f"{shown} of {total}" if not options.where else f"{shown} where {options.where}"
    output.result(
        {"table": options.table, "columns": columns, "rows": rows, "total_rows": total},
        f"{table(rows, columns)}\n({note})",
    )
    return 0


@contextmanager
def opened_catalog() -> Iterator[Catalog]:
    """Open this machine's embedded catalog, and give back what it holds."""
    catalog = EmbeddedCatalog(private_home(dcp_home())).catalog()
    try:
        yield catalog
    finally:
        # pyiceberg's catalogs can be closed from 0.10 on.
        getattr(catalog, "close", lambda: None)()


def table_name(text: str) -> tuple[str, str]:
    """Return ``DATABASE.TABLE`` as its two names.

    :raises UsageError: DCP209 when it is none.
    """
    parts = text.split(".")
    if len(parts) != 2 or not all(is_identifier(part) for part in parts):
        raise UsageError(
            f"`{text}` is not a table's name",
            code="DCP209",
            hint="write DATABASE.TABLE in letters, digits and _, for example raw.flights",
        )
    return parts[0], parts[1]


def first_rows(found: Table, condition: BooleanExpression, limit: int) -> tuple[list[str], list[dict[str, object]]]:
    """Return the names of a table's columns and at most ``limit`` of its rows."""
    with wrapped(f"read the table {'.'.join(found.name())}"):
        rows = found.scan(row_filter=condition, limit=limit).to_arrow()
    return list(rows.column_names), plain_rows(rows)


def plain_rows(rows: pa.Table) -> list[dict[str, object]]:
    """Return rows as Python's values; dates and times as texts where one is outside of the years 1 to 9999 of Python's own."""
    import pyarrow as pa

    values: list[dict[str, object]]
    try:
        values = rows.to_pylist()
    except (OverflowError, ValueError):
        values = rows.cast(pa.schema([field.with_type(_as_text(field.type)) for field in rows.schema])).to_pylist()
    return values


def _as_text(kind: pa.DataType) -> pa.DataType:
    """Return an Arrow type with texts in place of dates and times, at any depth."""
    import pyarrow as pa

    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return pa.string()
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_as_text(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(_as_text(kind.key_type), _as_text(kind.item_type))
    if pa.types.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(_as_text(kind.value_type)))
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_as_text(kind.value_type)))
    return kind


def partition_condition(schema: Schema, partitions: Sequence[Mapping[str, str | None]]) -> BooleanExpression:
    """Return the condition of the rows of some partitions, or of all rows when it cannot be written exactly.

    :param partitions: as a proof has them: column -> value as text, or None for null; empty for the whole table.
    """
    from pyiceberg.expressions import AlwaysFalse, AlwaysTrue, And, Or
    from pyiceberg.expressions.visitors import bind

    if not partitions:
        return AlwaysTrue()
    condition: BooleanExpression = AlwaysFalse()
    try:
        for partition in partitions:
            rows: BooleanExpression = AlwaysTrue()
            for column, value in partition.items():
                rows = And(rows, _value_condition(schema.find_field(column, case_sensitive=False), value))
            condition = Or(condition, rows)
        bind(schema, condition, case_sensitive=True)
    except (ValueError, TypeError, ArithmeticError):
        # Not every value that Spark writes can be compared here, such as a date after the year 9999.
        return AlwaysTrue()
    return condition


def _value_condition(field: NestedField, value: str | None) -> BooleanExpression:
    from pyiceberg import expressions
    from pyiceberg.types import BinaryType, BooleanType, TimestampType, TimestamptzType

    # What the classes accept is more than what their fields declare.
    equal_to: Any = expressions.EqualTo
    is_null: Any = expressions.IsNull
    at_least: Any = expressions.GreaterThanOrEqual
    below: Any = expressions.LessThan
    found: BooleanExpression
    if value is None:
        found = is_null(field.name)
    elif isinstance(field.field_type, TimestampType | TimestamptzType) and len(value) == len("2013-01-05"):
        # The run's own day, where a time holds it.
        zone = "+00:00" if isinstance(field.field_type, TimestamptzType) else ""
        day = dt.date.fromisoformat(value)
        bounds = [f"{moment.isoformat()}T00:00:00{zone}" for moment in (day, day + dt.timedelta(days=1))]
        found = expressions.And(at_least(field.name, bounds[0]), below(field.name, bounds[1]))
    elif isinstance(field.field_type, BooleanType):
        found = equal_to(field.name, value == "true")
    elif isinstance(field.field_type, BinaryType):
        found = equal_to(field.name, bytes.fromhex(value))
    elif isinstance(field.field_type, TimestampType | TimestamptzType):
        zone = "+00:00" if isinstance(field.field_type, TimestamptzType) else ""
        found = equal_to(field.name, f"{dt.datetime.fromisoformat(value).isoformat()}{zone}")
    else:
        found = equal_to(field.name, value)
    return found


def _condition(found: Table, where: str) -> BooleanExpression:
    """Return a condition in the SQL that pyiceberg reads, checked against the table's columns.

    :raises UsageError: DCP210 when it cannot be read or does not fit the columns.
    """
    from pyiceberg.expressions import AlwaysTrue, parser
    from pyiceberg.expressions.visitors import bind
    from pyparsing import ParseException

    if not where:
        return AlwaysTrue()
    try:
        condition = parser.parse(where)
    except ParseException as error:
        # The library's own message lists its whole grammar.
        raise UsageError(
            f"the condition `{where}` cannot be read",
            code="DCP210",
            hint="use columns, comparisons, IN, LIKE 'x%', BETWEEN, IS NULL, AND, OR and NOT; text stands in single quotes",
        ) from error
    try:
        bind(found.schema(), condition, case_sensitive=True)
    except (ValueError, TypeError) as error:
        columns = ", ".join(f"{field.name} {field.field_type}" for field in found.schema().fields)
        raise UsageError(
            f"the condition `{where}` does not fit the table: {error}", code="DCP210", hint=f"its columns are {columns}"
        ) from error
    return condition


def _existing(catalog: Catalog, name: tuple[str, str]) -> Table:
    from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError

    full = ".".join(name)
    try:
        with wrapped(f"read the table {full}"):
            return catalog.load_table(name)
    except DcpError as error:
        if not isinstance(error.__cause__, NoSuchTableError | NoSuchNamespaceError):
            raise
        known = [".".join(identifier) for database in catalog.list_namespaces() for identifier in catalog.list_tables(database)]
        raise UsageError(
            f"there is no table {full} in the embedded catalog",
            code="DCP211",
            hint=f"its tables are {', '.join(sorted(known))}" if known else "it has no tables; `pretzel data load` makes one",
        ) from error


def _rows_of(found: Table) -> int:
    snapshot = found.current_snapshot()
    return int(snapshot.summary["total-records"] or 0) if snapshot and snapshot.summary else 0
