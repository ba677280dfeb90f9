"""``pretzel data``: tables of the embedded catalog, from files and to the screen."""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_dcp_provider.embedded_catalog.catalog import EmbeddedCatalog
from airflow_dcp_provider.model.errors import DcpError, UsageError
from airflow_dcp_provider.model.home import dcp_home
from airflow_dcp_provider.model.names import is_identifier
from airflow_dcp_provider.tables.errors import wrapped
from dag_factory.cli.output import Output, count, table
from dag_factory.cli.table_files import read_file, write_rows

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.table import Table


def load(options: argparse.Namespace, output: Output) -> int:
    """``data load``: put a file's rows into a table."""
    name = table_name(options.table)
    rows = read_file(Path(options.file))
    with closing(EmbeddedCatalog(dcp_home()).catalog()) as catalog:
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
    with closing(EmbeddedCatalog(dcp_home()).catalog()) as catalog:
        found = _existing(catalog, name)
        columns, rows = first_rows(found, options.where, options.limit)
        total = _rows_of(found)
    shown = count(len(rows), "row")
    note = f"{shown} of {total}" if not options.where else f"{shown} where {options.where}"
    output.result(
        {"table": options.table, "columns": columns, "rows": rows, "total_rows": total},
        f"{table(rows, columns)}\n({note})",
    )
    return 0


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


def first_rows(found: Table, where: str, limit: int) -> tuple[list[str], list[dict[str, object]]]:
    """Return the names of a table's columns and at most ``limit`` of its rows.

    :param where: a condition in the SQL that pyiceberg reads: comparisons, IN, LIKE 'x%', BETWEEN, IS NULL, AND, OR, NOT.
    :raises UsageError: DCP210 when the condition cannot be read or does not fit the columns.
    """
    condition = _condition(found, where)
    with wrapped(f"read the table {'.'.join(found.name())}"):
        rows = found.scan(row_filter=condition, limit=limit).to_arrow()
    return list(rows.column_names), rows.to_pylist()


def _condition(found: Table, where: str) -> BooleanExpression:
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
