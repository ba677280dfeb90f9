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
from dag_factory.manifest.sql_templates import neutral_sql


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
    """Record DCP144 or DCP145 when a source's ``filter`` is no SQL condition."""
    neutral = neutral_sql(condition.text, parameters)
    for fault in read_condition(neutral) if neutral else ():
        problems.add(fault.code, fault.message, manifest.place(condition, fault.offset), fault.hint)


def check_views(queries: tuple[Query, ...], sources: Collection[str], manifest: ResolvedManifest, problems: Problems) -> None:
    """Record what transformations read that is not there for them.

    :param sources: names of the sources.
    :param problems: gets DCP141 for an unknown view, DCP142 for a cycle, DCP143 for a view that is made later and DCP146 for a table
        that is read past the sources.
    """
    made = [query.name.text.lower() for query in queries]
    known = [*sources, *(query.name.text for query in queries)]
    known_folded = {name.lower() for name in known}
    cyclic = _cyclic(queries)
    for number, query in enumerate(queries):
        for table in query.tables:
            place = query.place(table.start, manifest)
            name = table.table.lower()
            if table.dynamic:
                continue
            if table.database:
                text = f"`{table.full_name}` is read past the sources, which are what a SparkJob's SQL reads"
                problems.add("DCP146", text, place, f"declare it in `sources` and read it by its name: {_source_line(table)}")
            elif name not in known_folded:
                problems.add(
                    "DCP141",
                    f"`{table.table}` is neither a source nor a transformation",
                    place,
                    hint_for(table.table, known, "there are"),
                )
            elif name in made[number:] and name not in {source.lower() for source in sources}:
                _check_order(query, table, made.index(name), number, cyclic, place, problems)


def _check_order(
    query: Query, table: TableRead, reads: int, number: int, cyclic: Collection[int], place: Position, problems: Problems
) -> None:
    if reads == number:
        problems.add("DCP142", f"`{query.name.text}` reads itself", place, "read a source or another transformation")
    elif number in cyclic and reads in cyclic:
        text = f"`{query.name.text}` reads `{table.table}`, which reads `{query.name.text}` again: a cycle"
        problems.add("DCP142", text, place, "break the circle; each transformation may read those before it")
    else:
        text = f"`{query.name.text}` reads `{table.table}`, which is made after it"
        problems.add("DCP143", text, place, f"move `{table.table}` before `{query.name.text}`")


def _source_line(table: TableRead) -> str:
    catalog = f", catalog: {table.catalog}" if table.catalog else ""
    return f"{{name: {table.table}{catalog}, database: {table.database}, table: {table.table}}}"


def _cyclic(queries: tuple[Query, ...]) -> set[int]:
    """Return the numbers of the transformations that, over others, read themselves."""
    numbers = {query.name.text.lower(): number for number, query in enumerate(queries)}
    reads = [{numbers[table.table.lower()] for table in query.tables if table.table.lower() in numbers} for query in queries]
    found = set()
    for start in range(len(queries)):
        reached: set[int] = set()
        waiting = list(reads[start])
        while waiting:
            number = waiting.pop()
            if number not in reached:
                reached.add(number)
                waiting += reads[number]
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
        if name.text.lower() not in known and name.text not in always:
            hint = hint_for(name.text, columns, "its columns are")
            problems.add("DCP148", f"the {what} `{name.text}` is not in the result", name.position, hint)
