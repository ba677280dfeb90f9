"""Reading Spark SQL without Spark: which tables it reads, which columns it gives, and what is wrong with it.

Answers are cautious: what cannot be known without the tables (``SELECT *``, templates) is None or left out, never guessed.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError, TokenError

from dag_factory.manifest.sql_templates import NeutralSql

_DIALECT = "spark"


@dataclass(frozen=True)
class SqlProblem:
    """What is wrong with an SQL text: ``offset`` in characters from its start, or None for the text as a whole."""

    code: str
    message: str
    hint: str
    offset: int | None = None


@dataclass(frozen=True)
class TableRead:
    """One mention of a table or view that is no name of a ``WITH``.

    :param start: place of the whole name in the SQL, ``end`` behind it.
    :param alias: the name that the SQL gives it, or empty.
    :param dynamic: whether a template is part of the name.
    :param versioned: whether an older version of it is read (``VERSION AS OF``).
    """

    catalog: str
    database: str
    table: str
    start: int
    end: int
    alias: str = ""
    dynamic: bool = False
    versioned: bool = False

    @property
    def full_name(self) -> str:
        """The name with the parts that are written."""
        return ".".join(part for part in (self.catalog, self.database, self.table) if part)


@dataclass(frozen=True)
class QualifiedColumn:
    """A column written with its table and the table's database, ``start`` to ``end`` being all before the table's name."""

    catalog: str
    database: str
    table: str
    start: int
    end: int


@dataclass(frozen=True)
class SqlReading:
    """What an SQL query says about itself.

    :param tables: every mention of a table or view, in order.
    :param columns: names of the result's columns, or None when they are not all written out; ``column_places`` is where they are.
    :param with_names: names that a ``WITH`` gives.
    :param exact: whether places in it are places in the SQL as it stands.
    """

    problems: tuple[SqlProblem, ...] = ()
    tables: tuple[TableRead, ...] = ()
    qualified_columns: tuple[QualifiedColumn, ...] = ()
    columns: tuple[str, ...] | None = None
    column_places: tuple[int | None, ...] = ()
    with_names: frozenset[str] = frozenset()
    exact: bool = True


@functools.lru_cache(maxsize=4096)
def read_query(sql: NeutralSql) -> SqlReading:
    """Return what a transformation's query says; equal texts are read once."""
    try:
        statements = [each for each in sqlglot.parse(sql.text, dialect=_DIALECT) if each is not None]
    except SqlglotError as error:
        return SqlReading((_syntax_problem(error, sql),))
    except RecursionError:
        return SqlReading((SqlProblem("DCP144", "the SQL nests too deep to be read", "split it into several transformations"),))
    if not statements:
        return SqlReading((SqlProblem("DCP145", "the SQL is empty", "write a query"),))
    if len(statements) > 1:
        text = f"the SQL holds {len(statements)} statements, and a transformation is one query"
        return SqlReading((SqlProblem("DCP145", text, "make each a transformation of its own"),))
    tree = statements[0]
    if not isinstance(tree, exp.Query | exp.Values):
        text = f"the SQL is {_kind(tree)}, and a transformation is a query"
        return SqlReading((SqlProblem("DCP145", text, "write a SELECT; tables are written by sinks", 0 if sql.exact else None),))
    columns = _columns(tree, sql)
    return SqlReading(
        tables=tuple(_tables(tree, sql)),
        qualified_columns=tuple(_qualified_columns(tree)) if sql.exact else (),
        columns=None if columns is None else tuple(name for name, _ in columns),
        column_places=tuple(place for _, place in columns or ()),
        with_names=frozenset(cte.alias for cte in tree.find_all(exp.CTE)),
        exact=sql.exact,
    )


@functools.lru_cache(maxsize=4096)
def read_condition(sql: NeutralSql) -> tuple[SqlProblem, ...]:
    """Return what is wrong with an SQL condition, as a source's ``filter`` is one."""
    try:
        tree, *others = sqlglot.parse(f"SELECT 1 WHERE {sql.text}", dialect=_DIALECT)
    except SqlglotError as error:
        problem = _syntax_problem(error, sql, lead=len("SELECT 1 WHERE "))
        return (problem,)
    except RecursionError:
        return (SqlProblem("DCP144", "the condition nests too deep to be read", "make it simpler"),)
    clauses = (
        {name for name, value in tree.args.items() if value and name not in {"kind", "expressions", "where"}} if tree else set()
    )
    if others or clauses or not isinstance(tree, exp.Select):
        return (SqlProblem("DCP145", "the filter is more than a condition", "write only what stands after WHERE"),)
    return ()


def _syntax_problem(error: SqlglotError, sql: NeutralSql, lead: int = 0) -> SqlProblem:
    offset: int | None = None
    message, hint = "the SQL cannot be read", "check it near here"
    if isinstance(error, ParseError) and error.errors:
        first = error.errors[0]
        near = str(first.get("highlight") or "")
        description = str(first.get("description") or "").rstrip(".")
        message = f"the SQL does not parse: {_plain_words(description)}" + (f", near `{near}`" if near else "")
        offset = _offset(sql.text, lead, int(first["line"]), int(first["col"]) - len(near) + 1) if first.get("line") else None
    elif isinstance(error, TokenError):
        # The words before were read well; what is opened and not closed swallows everything to the end.
        message, hint, offset = (
            "the SQL does not parse: it ends inside of a quote or comment",
            "close what was opened",
            len(sql.text) - 1,
        )
    return SqlProblem("DCP144", message, hint, offset if sql.exact else None)


def _plain_words(description: str) -> str:
    if match := re.match(r"Required keyword: '(\w+)' missing for <class '[\w.]*?(\w+)'>", description):
        return f"something is missing after {match.group(2).upper()}"
    return description[:1].lower() + description[1:]


def _offset(text: str, lead: int, line: int, column: int) -> int:
    """Return the place of a line and column (from 1) in ``text``, before which ``lead`` characters stood in the first line."""
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    start = starts[min(line, len(starts)) - 1]
    column_in_text = column - 1 - (lead if line == 1 else 0)
    return max(0, min(start + column_in_text, len(text) - 1))


def _kind(tree: exp.Expression) -> str:
    return f"`{tree.key.upper()}`" if not isinstance(tree, exp.Command) else f"`{tree.name.upper()}`"


def _tables(tree: exp.Expression, sql: NeutralSql) -> Iterator[TableRead]:
    for table in tree.find_all(exp.Table, bfs=False):
        if not isinstance(table.this, exp.Identifier) or (not table.db and _is_with_name(table)):
            continue
        places = [part.meta for part in table.parts if "start" in part.meta]
        start = min((place["start"] for place in places), default=0)
        end = max((place["end"] for place in places), default=-1) + 1
        yield TableRead(
            catalog=table.catalog,
            database=table.db,
            table=table.name,
            start=start,
            end=end,
            alias=table.alias,
            dynamic=any(start < span_end and span_start < end for span_start, span_end in sql.spans),
            versioned=bool(table.args.get("version") or table.args.get("when")),
        )


def _is_with_name(table: Any) -> bool:
    """Whether the table's name is given by a ``WITH`` that is in scope there."""
    name = table.name.lower()
    below: exp.Expression = table
    inside: exp.CTE | None = None
    above: Any = table.parent
    while above is not None:
        if isinstance(below, exp.CTE):
            inside = below
        if isinstance(above, exp.With):
            # A name sees the names before it, and itself when the WITH is recursive.
            for cte in above.expressions:
                if cte is inside and not above.recursive:
                    break
                if cte.alias.lower() == name:
                    return True
                if cte is inside:
                    break
        elif not isinstance(below, exp.With) and any(cte.alias.lower() == name for cte in _with_of(above)):
            return True
        below, above = above, above.parent
    return False


def _with_of(tree: exp.Expression) -> list[Any]:
    return list(tree.ctes) if isinstance(tree, exp.Query) else []


def _qualified_columns(tree: exp.Expression) -> Iterator[QualifiedColumn]:
    for column in tree.find_all(exp.Column):
        table, database = column.args.get("table"), column.args.get("db")
        if table is None or database is None or "start" not in table.meta:
            continue
        first = column.args.get("catalog") or database
        yield QualifiedColumn(column.catalog, column.db, column.table, first.meta["start"], table.meta["start"])


def _columns(tree: Any, sql: NeutralSql) -> list[tuple[str, int | None]] | None:
    """Return the result's columns with their places, or None when they cannot be known."""
    query = tree
    while isinstance(query, exp.SetOperation | exp.Subquery):
        query = query.this
    if not isinstance(query, exp.Select) or not query.expressions or not sql.exact:
        return None
    columns: list[tuple[str, int | None]] = []
    for column in query.expressions:
        name = column.alias_or_name
        place = _place_of_name(column)
        # An expression without a name gets one from Spark that only Spark knows; a template may give any number of columns.
        if not isinstance(column, exp.Alias | exp.Column) or column.is_star or _in_template(place, sql):
            return None
        columns.append((name, place))
    return columns


def _place_of_name(column: Any) -> int | None:
    named = column.args.get("alias") if isinstance(column, exp.Alias) else column.this
    place = named.meta.get("start") if isinstance(named, exp.Expression) else None
    return place if isinstance(place, int) else None


def _in_template(place: int | None, sql: NeutralSql) -> bool:
    return place is not None and any(start <= place < end for start, end in sql.spans)
