"""Checks of SQL in a manifest: what it reads, what it gives, and where it is wrong, each at its place in the file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_dcp_provider.model.errors import Position
from dag_factory.manifest.node import Node
from dag_factory.manifest.problems import Problems, hint_for
from dag_factory.manifest.resolved import ResolvedManifest
from dag_factory.manifest.sql import SqlReading, TableRead, read_condition, read_query
from dag_factory.manifest.sql_templates import neutral_sql, unquoted_dates


@dataclass(frozen=True)
class Query:
    """One transformation's SQL.

    :param name: the transformation's name, as a located value.
    :param sql: the SQL text, in the manifest or in a file of its own.
    :param reading: what it says, or None when its templates cannot be read.
    """

    name: Node
    sql: Node
    reading: SqlReading | None

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Names of the result's columns, or None when they are not known before the run."""
        return self.reading.columns if self.reading else None

    @property
    def tables(self) -> tuple[TableRead, ...]:
        """Every table or view that is read, in order."""
        return self.reading.tables if self.reading else ()

    def place(self, offset: int | None, manifest: ResolvedManifest) -> Position:
        """Return where the character at ``offset`` of the SQL stands in its file."""
        return manifest.place(self.sql, offset if self.reading and self.reading.exact else None)


def read(name: Node, sql: Node, parameters: Mapping[str, Any]) -> Query:
    """Return what a transformation's SQL says."""
    neutral = neutral_sql(sql.text, parameters)
    return Query(name, sql, read_query(neutral) if neutral else None)


def check_syntax(query: Query, manifest: ResolvedManifest, problems: Problems) -> None:
    """Record DCP144 or DCP145 when the SQL does not parse or is no query."""
    for fault in query.reading.problems if query.reading else ():
        problems.add(fault.code, fault.message, query.place(fault.offset, manifest), fault.hint)


def check_filter(condition: Node, manifest: ResolvedManifest, parameters: Mapping[str, Any], problems: Problems) -> None:
    """Record DCP144 or DCP145 when a source's ``filter`` is no SQL condition, and DCP167 for dates without quotes."""
    neutral = neutral_sql(condition.text, parameters)
    for fault in read_condition(neutral) if neutral else ():
        problems.add(fault.code, fault.message, manifest.place(condition, fault.offset), fault.hint)
    check_dates(condition, manifest, parameters, problems)


def check_dates(sql: Node, manifest: ResolvedManifest, parameters: Mapping[str, Any], problems: Problems) -> None:
    """Record DCP167, a warning, for each template in ``sql`` that writes a date outside of quotes."""
    for offset, template in unquoted_dates(sql.text, parameters):
        text = f"`{template}` is a date without quotes, which SQL takes for numbers"
        problems.add("DCP167", text, manifest.place(sql, offset), f"write '{template}'", severity="warning")


def check_views(queries: tuple[Query, ...], sources: Collection[str], manifest: ResolvedManifest, problems: Problems) -> None:
    """Record what transformations read that is not there for them.

    :param sources: names of the sources.
    :param problems: gets DCP141 for an unknown view, DCP142 for a cycle, DCP143 for a view that is made later and DCP146 for a
        table that is read past the sources.
    """
    names = [query.name.text for query in queries]
    made = [name.lower() for name in names]
    read_first = {source.lower() for source in sources}
    circles = _circles(queries)
    for number, query in enumerate(queries):
        for table in query.tables:
            name, place = table.table.lower(), query.place(table.start, manifest)
            if table.dynamic:
                continue
            if table.database:
                text = f"`{table.full_name}` is read past the sources, which are what a SparkJob's SQL reads"
                problems.add("DCP146", text, place, f"declare it in `sources` and read it by its name: {_source_line(table)}")
            elif name in read_first or name in made[:number]:
                continue
            elif name not in made:
                hint = hint_for(table.table, [*sources, *names], "there are")
                problems.add("DCP141", f"`{table.table}` is neither a source nor a transformation", place, hint)
            else:
                code, text, hint = _out_of_order(names[number], names[made.index(name)], circles)
                problems.add(code, text, place, hint)


def _out_of_order(reader: str, read_name: str, circles: Collection[str]) -> tuple[str, str, str]:
    """Return code, message and hint for a transformation that reads itself or a later one."""
    if reader == read_name:
        return "DCP142", f"`{reader}` reads itself", "read a source or another transformation"
    if reader in circles and read_name in circles:
        text = f"`{reader}` reads `{read_name}`, which reads `{reader}` again: a cycle"
        return "DCP142", text, "break the circle; each transformation may read those before it"
    return "DCP143", f"`{reader}` reads `{read_name}`, which is made after it", f"move `{read_name}` before `{reader}`"


def _source_line(table: TableRead) -> str:
    catalog = f", catalog: {table.catalog}" if table.catalog else ""
    return f"{{name: {table.table}{catalog}, database: {table.database}, table: {table.table}}}"


def _circles(queries: tuple[Query, ...]) -> set[str]:
    """Return the names of the transformations that, over others, read themselves."""
    names = {query.name.text.lower(): query.name.text for query in queries}
    reads = {
        query.name.text: {names[table.table.lower()] for table in query.tables if table.table.lower() in names} for query in queries
    }
    found = set()
    for start, first in reads.items():
        reached: set[str] = set()
        waiting = list(first)
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting += reads[name]
        if start in reached:
            found.add(start)
    return found


def check_columns(
    wanted: tuple[Node, ...], columns: tuple[str, ...] | None, what: str, problems: Problems, always: Collection[str] = ()
) -> None:
    """Record DCP148 for each name in ``wanted`` that is not among a result's columns.

    :param columns: the result's columns, or None when they are not known; then nothing is recorded.
    :param what: what the names are, for example ``partition column``.
    :param always: names that need not be in the result.
    """
    if columns is None:
        return
    known = {column.lower() for column in columns}
    for name in wanted:
        if name.text.lower() not in known and name.text.lower() not in always:
            hint = hint_for(name.text, columns, "its columns are")
            problems.add("DCP148", f"the {what} `{name.text}` is not in the result", name.position, hint)
