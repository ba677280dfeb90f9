"""Checks of SQL in a manifest: what it reads, what it gives, and where it is wrong, each at its place in the file."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_dcp_provider.model.errors import Position
from dag_factory.manifest.node import Node
from dag_factory.manifest.problems import Problems, hint_for
from dag_factory.manifest.resolved import ResolvedManifest
from dag_factory.manifest.sql import METADATA_TABLES, SqlReading, TableRead, read_condition, read_query
from dag_factory.manifest.sql_templates import neutral_sql, unquoted_dates, written_values

#: The most unknown names that are reported of one query, and the most names among which a near one is looked for.
_MAX_REPORTED = 20
MAX_CANDIDATES = 500

#: Catalog alias, database and table.
TableName = tuple[str, str, str]


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
        return manifest.place(self.sql, offset)


def read(name: Node, sql: Node, manifest: ResolvedManifest, parameters: Mapping[str, Any]) -> Query:
    """Return what a transformation's SQL says, in every branch of its templates."""
    neutral = neutral_sql(sql.text, parameters)
    return Query(name, sql, read_query(neutral, frozenset({manifest.settings.default_catalog})) if neutral else None)


def check_syntax(query: Query, manifest: ResolvedManifest, problems: Problems) -> None:
    """Record DCP144 or DCP145 when the SQL does not parse or is no query."""
    for fault in query.reading.problems if query.reading else ():
        problems.add(fault.code, fault.message, query.place(fault.offset, manifest), fault.hint)


def check_filter(condition: Node, manifest: ResolvedManifest, parameters: Mapping[str, Any], problems: Problems) -> None:
    """Record what is wrong with a source's ``filter``: its SQL, and what its templates write into it."""
    neutral = neutral_sql(condition.text, parameters)
    for fault in read_condition(neutral) if neutral else ():
        problems.add(fault.code, fault.message, manifest.place(condition, fault.offset), fault.hint)
    check_written(condition, manifest, parameters, problems)


def check_written(sql: Node, manifest: ResolvedManifest, parameters: Mapping[str, Any], problems: Problems) -> None:
    """Record warnings of what templates write into ``sql``.

    :param problems: gets DCP167 for a date outside of quotes, DCP168 for a parameter without ``| sql``, and DCP169 for ``| sql``
        inside of quotes.
    """
    for offset, template in unquoted_dates(sql.text, parameters):
        text = f"`{template}` is a date without quotes, which SQL takes for numbers"
        hint = f"write {_as_literal(template)}" if "params" in template else f"write '{template}'"
        problems.add("DCP167", text, manifest.place(sql, offset), hint, severity="warning")
    for part, _, _, quoted in written_values(sql.text, parameters):
        if part.value is None:
            continue
        template, place = sql.text[part.start : part.end], manifest.place(sql, part.start)
        if part.value.literal:
            if quoted:
                text = f"`{template}` stands in quotes, and `| sql` writes its own"
                problems.add("DCP169", text, place, f"write {template} without quotes around it")
        elif part.value.parameters:
            names = ", ".join(f"`{name}`" for name in sorted(part.value.parameters))
            text = f"the parameter {names} becomes a part of the SQL: whoever starts a run may write any SQL there"
            hint = f"write {_as_literal(template)}" + (", without quotes around it" if quoted else "")
            problems.add("DCP168", text, place, hint, severity="warning")


def _as_literal(template: str) -> str:
    """Return a ``{{ }}`` with the filter ``sql``."""
    expression = template.removeprefix("{{").removesuffix("}}").strip("+- \t\n")
    simple = re.fullmatch(r"[\w.]+(\[[^\]]*\])*", expression)
    return f"{{{{ {expression if simple else f'({expression})'} | sql }}}}"


def check_views(
    queries: tuple[Query, ...], sources: Mapping[str, TableName | None], manifest: ResolvedManifest, problems: Problems
) -> None:
    """Record what transformations read that is not there for them.

    :param sources: names of the sources, with the table of each that has one.
    :param problems: gets DCP141 for an unknown view, DCP142 for a cycle, DCP143 for a view that is made later, DCP146 for a table
        that is read past the sources and DCP154 for an older version of a view.
    """
    declared = set(sources.values())
    names = [query.name.text for query in queries]
    made: dict[str, int] = {}
    for number, name in enumerate(names):
        made.setdefault(name.lower(), number)
    read_first = {source.lower() for source in sources}
    circles = _circles(queries)
    known = [*sources, *names]
    for number, query in enumerate(queries):
        reported = 0
        for table in query.tables:
            name = table.table.lower()
            is_view = not table.database and (name in read_first or made.get(name, number) < number)
            of_source = (table.catalog or manifest.settings.default_catalog, table.database, table.table) in declared
            if not table.dynamic and ((is_view and not table.versioned) or (table.metadata and of_source)):
                continue
            place = query.place(table.start, manifest)
            reported += 1
            if reported > _MAX_REPORTED:
                text = f"`{query.name.text}` reads more names that are not there"
                problems.add("DCP141", text, place, "correct those that are listed first")
                break
            if table.dynamic:
                check_dynamic(query, table, manifest, problems)
            elif table.database:
                text = f"`{table.full_name}` is read past the sources, which are what a SparkJob's SQL reads"
                problems.add("DCP146", text, place, _past_sources_hint(table, sources))
            elif is_view:
                text = f"`{table.table}` is a view, which has no older versions"
                problems.add("DCP154", text, place, "read the view as it is")
            elif name not in made:
                hint = (
                    hint_for(table.table, known, "there are")
                    if len(known) <= MAX_CANDIDATES
                    else "name a source or a transformation"
                )
                problems.add("DCP141", f"`{table.table}` is neither a source nor a transformation", place, hint)
            else:
                code, text, hint = _out_of_order(names[number], names[made[name]], circles)
                problems.add(code, text, place, hint)


def check_dynamic(query: Query, table: TableRead, manifest: ResolvedManifest, problems: Problems) -> None:
    """Record DCP154 for a table that is named by what only a run knows."""
    text = f"the table `{query.sql.text[table.start : table.end]}` is named by a template and cannot be found before the run"
    problems.add("DCP154", text, query.place(table.start, manifest), "write the table's name out")


def _out_of_order(reader: str, read_name: str, circles: Collection[str]) -> tuple[str, str, str]:
    """Return code, message and hint for a transformation that reads itself or a later one."""
    if reader == read_name:
        return "DCP142", f"`{reader}` reads itself", "read a source or another transformation"
    if reader in circles and read_name in circles:
        text = f"`{reader}` reads `{read_name}`, which reads `{reader}` again: a cycle"
        return "DCP142", text, "break the circle; each transformation may read those before it"
    return "DCP143", f"`{reader}` reads `{read_name}`, which is made after it", f"move `{read_name}` before `{reader}`"


def _past_sources_hint(table: TableRead, sources: Mapping[str, TableName | None]) -> str:
    if table.metadata:
        return f"declare the table itself in `sources`: {_source_line(table)}"
    if not table.catalog and table.table.lower() in METADATA_TABLES:
        view = {name.lower(): source for name, source in sources.items()}.get(table.database.lower())
        if view is not None:
            return f"write the table's own name in front of it: {'.'.join((*view, table.table))}"
    return f"declare it in `sources` and read it by its name: {_source_line(table)}"


def _source_line(table: TableRead) -> str:
    catalog = f", catalog: {table.catalog}" if table.catalog else ""
    return f"{{name: {table.table}{catalog}, database: {table.database}, table: {table.table}}}"


def _circles(queries: tuple[Query, ...]) -> set[str]:
    """Return the names of the transformations that, over others, read themselves."""
    names = {query.name.text.lower(): query.name.text for query in queries}
    reads: dict[str, list[str]] = {query.name.text: [] for query in queries}
    read_by: dict[str, list[str]] = {query.name.text: [] for query in queries}
    for query in queries:
        for name in dict.fromkeys(names[table.table.lower()] for table in query.tables if table.table.lower() in names):
            reads[query.name.text].append(name)
            read_by[name].append(query.name.text)
    # Two walks over the graph, there and back: what reach each other are a circle.
    finished = [name for start in _walks(reads, list(reads)) for name in start]
    circles = [members for members in _walks(read_by, finished[::-1]) if len(members) > 1 or members[0] in reads[members[0]]]
    return {name for members in circles for name in members}


def _walks(edges: Mapping[str, list[str]], starts: list[str]) -> list[list[str]]:
    """Return what is reached from each start and from none before it, in the order in which the walk leaves it."""
    entered: set[str] = set()
    walks = []
    for start in starts:
        if start in entered:
            continue
        entered.add(start)
        left: list[str] = []
        path = [(start, iter(edges[start]))]
        while path:
            name, following = path[-1]
            onward = next((each for each in following if each not in entered), None)
            if onward is None:
                left.append(name)
                path.pop()
            else:
                entered.add(onward)
                path.append((onward, iter(edges[onward])))
        walks.append(left)
    return walks


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


def check_distinct_columns(query: Query, manifest: ResolvedManifest, problems: Problems) -> None:
    """Record DCP140 for each column that a result which is written has twice; capitals tell no columns apart."""
    places = query.reading.column_places if query.reading else ()
    names: set[str] = set()
    for column, offset in zip(query.columns or (), places, strict=False):
        if column.lower() in names:
            text = f"the result has a column `{column}` already"
            problems.add("DCP140", text, query.place(offset, manifest), "give it another name by AS, or leave it out")
        names.add(column.lower())
