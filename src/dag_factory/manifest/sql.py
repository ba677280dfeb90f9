"""Reading Spark SQL without Spark: which tables it reads, which columns it gives, and what is wrong with it.

Answers are cautious: what cannot be known without the tables (``SELECT *``, templates) is None or left out, never guessed.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

from sqlglot import exp
from sqlglot.errors import SqlglotError

from dag_factory.manifest.sql_problems import SqlProblem, syntax_problem
from dag_factory.manifest.sql_templates import NeutralSql, SqlText
from dag_factory.manifest.sql_words import MAX_SQL, ParserTired, parsed, problem_in, tokens_of, too_deep, too_large

#: Iceberg's tables about a table.
METADATA_TABLES = frozenset(
    {
        *("history", "metadata_log_entries", "snapshots", "entries", "files", "data_files", "delete_files", "manifests"),
        *("partitions", "position_deletes", "refs", "all_data_files", "all_delete_files", "all_entries", "all_files"),
        "all_manifests",
    }
)
#: Functions that make rows without reading a table or file.
_TABLE_FUNCTIONS = frozenset(
    {
        *("range", "explode", "explode_outer", "inline", "inline_outer", "posexplode", "posexplode_outer", "stack", "json_tuple"),
        *("variant_explode", "variant_explode_outer", "sql_keywords", "collations"),
    }
)
_FORMATS = frozenset(
    {
        *(
            "csv",
            "json",
            "parquet",
            "orc",
            "text",
            "avro",
            "xml",
            "binaryfile",
            "delta",
            "iceberg",
            "hudi",
            "jdbc",
            "kafka",
            "image",
        ),
        *("libsvm", "socket", "rate", "noop", "console"),
    }
)


@dataclass(frozen=True)
class TableRead:
    """One mention of a table or view that is no name of a ``WITH``.

    :param start: place of the whole name in the SQL, ``end`` behind it.
    :param alias: the name that the SQL gives it, or empty.
    :param dynamic: whether only a run knows part of the name.
    :param versioned: whether an older version of it is read (``VERSION AS OF``).
    :param metadata: which of Iceberg's metadata tables of it is read, such as ``snapshots``, or empty.
    """

    catalog: str
    database: str
    table: str
    start: int
    end: int
    alias: str = ""
    dynamic: bool = False
    versioned: bool = False
    metadata: str = ""

    @property
    def full_name(self) -> str:
        """The name with the parts that are written."""
        return ".".join(part for part in (self.catalog, self.database, self.table, self.metadata) if part)


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
    """What an SQL query says about itself. All places are places in the SQL as it stands, templates included.

    :param tables: every mention of a table or view in any branch of its templates, in order.
    :param columns: names of the result's columns, or None when they are not all written out; ``column_places`` is where they are.
    :param with_names: names that a ``WITH`` gives.
    """

    problems: tuple[SqlProblem, ...] = ()
    tables: tuple[TableRead, ...] = ()
    qualified_columns: tuple[QualifiedColumn, ...] = ()
    columns: tuple[str, ...] | None = None
    column_places: tuple[int | None, ...] = ()
    with_names: frozenset[str] = frozenset()


@functools.lru_cache(maxsize=4096)
def read_query(sql: NeutralSql, catalogs: frozenset[str] = frozenset()) -> SqlReading:
    """Return what a transformation's query says; equal texts are read once.

    :param catalogs: names of catalogs, which tell ``catalog.database.files`` from a metadata table of ``database.table``.
    """
    if sum(len(text.text) for text in sql.texts) > 2 * MAX_SQL:
        message = f"with every branch of its templates, the SQL has more than {2 * MAX_SQL} characters"
        return SqlReading((SqlProblem("DCP163", message, "make the branches shorter"),))
    readings = [_read(text, catalogs) for text in sql.texts]
    columns = {reading.columns for reading in readings}
    return SqlReading(
        problems=tuple(dict.fromkeys(problem for reading in readings for problem in reading.problems)),
        tables=tuple(
            sorted(
                dict.fromkeys(table for reading in readings for table in reading.tables), key=lambda table: (table.start, table.end)
            )
        ),
        qualified_columns=tuple(dict.fromkeys(column for reading in readings for column in reading.qualified_columns)),
        columns=readings[0].columns if len(columns) == 1 else None,
        column_places=readings[0].column_places if len(columns) == 1 else (),
        with_names=frozenset[str]().union(*(reading.with_names for reading in readings)),
    )


def _read(sql: SqlText, catalogs: frozenset[str]) -> SqlReading:
    statements = _parsed(sql)
    if isinstance(statements, SqlProblem):
        return SqlReading((statements,))
    if not statements:
        return SqlReading((SqlProblem("DCP145", "the SQL is empty", "write a query"),))
    if len(statements) > 1:
        text = f"the SQL holds {len(statements)} statements, and a transformation is one query"
        return SqlReading((SqlProblem("DCP145", text, "make each a transformation of its own"),))
    tree = statements[0]
    if not isinstance(tree, exp.Query | exp.Values):
        text = f"the SQL is {_kind(tree)}, and a transformation is a query"
        return SqlReading((SqlProblem("DCP145", text, "write a SELECT; tables are written by sinks", sql.origin(0)),))
    try:
        return _query_reading(tree, sql, catalogs)
    except RecursionError:
        # Long chains of operators are read in a loop, but some of their properties one below the other.
        return SqlReading((too_deep(),))


def _query_reading(tree: Any, sql: SqlText, catalogs: frozenset[str]) -> SqlReading:
    """Return what a query says, from its syntax tree."""
    tables, problems, qualified, with_names = _tables(tree, sql, catalogs)
    columns = _columns(tree, sql)
    return SqlReading(
        problems=tuple(problems),
        tables=tuple(tables),
        qualified_columns=tuple(qualified),
        columns=None if columns is None else tuple(name for name, _ in columns),
        column_places=tuple(None if place is None else sql.origin(place) for _, place in columns or ()),
        with_names=frozenset(with_names),
    )


def _parsed(sql: SqlText, lead: str = "") -> list[Any] | SqlProblem:
    """Return the statements of an SQL text, or what is wrong with it, with its place in the text with templates."""
    problem = too_large(sql.text)
    if problem is None:
        text = lead + sql.text
        try:
            tokens = tokens_of(text)
            problem = problem_in(sql.text, tokens)
            if problem is None:
                statements = parsed(text, tokens)
                # What is left of a comment behind the last semicolon is no statement.
                return [each for each in statements if each is not None and not isinstance(each, exp.Semicolon)]
            if problem.code != "DCP162" and problem.offset is not None:
                problem = replace(problem, offset=max(0, problem.offset - len(lead)))
        except SqlglotError as error:
            problem = syntax_problem(error, sql.text, lead=len(lead))
        except (RecursionError, ParserTired):
            problem = too_deep()
    return problem if problem.offset is None else replace(problem, offset=sql.origin(problem.offset))


@functools.lru_cache(maxsize=4096)
def read_condition(sql: NeutralSql) -> tuple[SqlProblem, ...]:
    """Return what is wrong with an SQL condition, as a source's ``filter`` is one."""
    return tuple(dict.fromkeys(problem for text in sql.texts if (problem := _condition_problem(text))))


def _condition_problem(sql: SqlText) -> SqlProblem | None:
    lead = "SELECT 1 WHERE "
    statements = _parsed(sql, lead)
    if isinstance(statements, SqlProblem):
        return statements
    tree, *others = statements
    clauses = {name for name, value in tree.args.items() if value and name not in {"kind", "expressions", "where"}}
    if others or clauses or not isinstance(tree, exp.Select):
        return SqlProblem("DCP145", "the filter is more than a condition", "write only what stands after WHERE")
    if (table := tree.find(exp.Table)) is not None:
        place = min((part.meta["start"] for part in table.parts if "start" in part.meta), default=len(lead)) - len(lead)
        message = f"the filter reads a table, `{table.name}`"
        return SqlProblem("DCP145", message, "read it as a source, and join it in a transformation", sql.origin(max(0, place)))
    return None


def _kind(tree: exp.Expression) -> str:
    return f"`{tree.key.upper()}`" if not isinstance(tree, exp.Command) else f"`{tree.name.upper()}`"


@dataclass(frozen=True)
class _Names:
    """Names that a ``WITH`` gives: the first ``count`` of ``places``, and those of the ``WITH`` around it."""

    places: dict[str, int]
    count: int
    around: _Names | None

    def __contains__(self, name: object) -> bool:
        names: _Names | None = self
        while names is not None:
            if names.places.get(str(name), names.count) < names.count:
                return True
            names = names.around
        return False


def _tables(
    tree: Any, sql: SqlText, catalogs: frozenset[str]
) -> tuple[list[TableRead], list[SqlProblem], list[QualifiedColumn], list[str]]:
    """Return the tables that no ``WITH`` defines, what is wrong, qualified columns, and the names of every ``WITH``."""
    tables: list[TableRead] = []
    problems: list[SqlProblem] = []
    qualified: list[QualifiedColumn] = []
    with_names: list[str] = []
    waiting: list[tuple[Any, _Names]] = [(tree, _Names({}, 0, None))]
    while waiting:
        node, names = waiting.pop()
        if isinstance(node, exp.Hint):
            # A hint's arguments are aliases, which the parser takes for tables.
            continue
        if isinstance(node, exp.Column):
            if (column := _qualified_column(node, sql)) is not None:
                qualified.append(column)
        elif isinstance(node, exp.Table):
            table = _table(node, names, sql, catalogs)
            if isinstance(table, SqlProblem):
                problems.append(table)
            elif table:
                tables.append(table)
        with_clause = node.args.get("with_") or node.args.get("with")
        if isinstance(with_clause, exp.With):
            ctes = with_clause.expressions
            with_names += [cte.alias for cte in ctes]
            # Of two equal names the first counts for where it can be seen.
            places: dict[str, int] = {}
            for number, cte in enumerate(ctes):
                places.setdefault(cte.alias.lower(), number)
            # A name sees the names before it, and itself when the WITH is recursive.
            waiting += [(cte, _Names(places, number + bool(with_clause.recursive), names)) for number, cte in enumerate(ctes)]
            names = _Names(places, len(ctes), names)
        waiting += [(child, names) for child in node.iter_expressions() if child is not with_clause]
    return tables, problems, qualified, with_names


def _table(node: exp.Table, names: _Names, sql: SqlText, catalogs: frozenset[str]) -> TableRead | SqlProblem | None:
    parts = node.parts
    places = [part.meta for part in parts if "start" in part.meta]
    start = min((place["start"] for place in places), default=0)
    end = max((place["end"] for place in places), default=-1) + 1
    if not all(isinstance(part, exp.Identifier) for part in parts):
        return _function_problem(node, sql)
    words = [part.name for part in parts]
    if len(words) == 1 and words[0].lower() in names:
        return None
    metadata = ""
    if len(words) > 2 and words[-1].lower() in METADATA_TABLES and not (len(words) == 3 and words[0] in catalogs):
        metadata = words.pop()
    table, database, catalog = words[-1], words[-2] if len(words) > 1 else "", ".".join(words[:-2])
    if len(words) == 2 and (database.lower() in _FORMATS or "." in database or any(mark in table for mark in "/\\:*?")):
        message = f"`{database}.{table}` reads files by their path"
        return SqlProblem("DCP158", message, "read them as a source with `type` and `path`", sql.origin(start))
    return TableRead(
        catalog=catalog,
        database=database,
        table=table,
        start=sql.origin(start),
        end=sql.origin_end(end),
        alias=node.alias,
        dynamic=sql.is_unknown(start, end),
        versioned=bool(node.args.get("version") or node.args.get("when")),
        metadata=metadata,
    )


def _function_problem(node: exp.Table, sql: SqlText) -> SqlProblem | None:
    function = node.this
    name = (
        function.name if isinstance(function, exp.Anonymous) else function.sql_name() if isinstance(function, exp.Func) else ""
    ).lower()
    if name in _TABLE_FUNCTIONS:
        return None
    message = f"the table function `{name}` is not offered" if name else "what stands after FROM is not a table, view or query"
    place = function.meta.get("start") if isinstance(function, exp.Expression) else None
    offset = None if place is None else sql.origin(place)
    return SqlProblem("DCP159", message, f"table functions are: {', '.join(sorted(_TABLE_FUNCTIONS))}", offset)


def _qualified_column(column: exp.Column, sql: SqlText) -> QualifiedColumn | None:
    table, database = column.args.get("table"), column.args.get("db")
    if table is None or database is None or "start" not in table.meta:
        return None
    first = column.args.get("catalog") or database
    return QualifiedColumn(
        column.catalog, column.db, column.table, sql.origin(first.meta["start"]), sql.origin(table.meta["start"])
    )


def _columns(tree: Any, sql: SqlText) -> list[tuple[str, int | None]] | None:
    """Return the result's columns with their places, or None when they cannot be known."""
    query = tree
    while isinstance(query, exp.SetOperation | exp.Subquery):
        query = query.this
    if not isinstance(query, exp.Select) or not query.expressions:
        return None
    columns: list[tuple[str, int | None]] = []
    for column in query.expressions:
        name = column.alias_or_name
        place = _place_of_name(column)
        # An expression without a name gets one from Spark that only Spark knows; a template may give any number of columns.
        if not isinstance(column, exp.Alias | exp.Column) or column.is_star or _is_of_a_run(place, sql):
            return None
        columns.append((name, place))
    return columns


def _place_of_name(column: Any) -> int | None:
    named = column.args.get("alias") if isinstance(column, exp.Alias) else column.this
    place = named.meta.get("start") if isinstance(named, exp.Expression) else None
    return place if isinstance(place, int) else None


def _is_of_a_run(place: int | None, sql: SqlText) -> bool:
    return place is not None and sql.is_unknown(place, place + 1)
