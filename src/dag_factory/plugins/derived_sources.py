"""From a derived dataset's SQL to a job's sources: which tables it reads, and the same SQL over views of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dag_factory.manifest.sql import SqlReading, TableRead, read_query
from dag_factory.manifest.sql_templates import neutral_sql


@dataclass(frozen=True)
class DerivedSources:
    """The sources of a job and the SQL that reads them by their view names.

    :param sources: values of :class:`~airflow_dcp_provider.model.job.Source`, in the order of their first mention.
    """

    sources: tuple[dict[str, Any], ...]
    query: str


def derive(sql: str, parameters: Mapping[str, Any], default_catalog: str, environment: str = "") -> DerivedSources:
    """Return the sources of ``sql`` and ``sql`` with view names in place of the tables'.

    :param parameters: defaults of the manifest's parameters.
    :param default_catalog: the catalog of tables that name none.
    :param environment: the environment, which decides on the branches of templates that ask for it.
    """
    neutral = neutral_sql(sql, parameters, environment)
    reading = read_query(neutral, frozenset({default_catalog})) if neutral else SqlReading()
    views = _view_names(reading)
    sources = tuple(
        {"name": view, "type": "iceberg", "catalog": catalog or default_catalog, "database": database, "table": table}
        for (catalog, database, table), view in views.items()
    )
    return DerivedSources(sources, _over_views(sql, reading, views))


def _key(table: TableRead) -> tuple[str, str, str]:
    return table.catalog, table.database, table.table


def _view_names(reading: SqlReading) -> dict[tuple[str, str, str], str]:
    """Return the view name of each table: its own name where no other table or ``WITH`` has it, else one with its database."""
    keys = list(dict.fromkeys(_key(table) for table in reading.tables if table.database))
    taken = {name.lower() for name in reading.with_names}
    views: dict[tuple[str, str, str], str] = {}
    for catalog, database, table in keys:
        alone = sum(other[2].lower() == table.lower() for other in keys) == 1
        view = table if alone else "__".join(part for part in (catalog, database, table) if part)
        while view.lower() in taken:
            view = f"{database}__{view}"
        taken.add(view.lower())
        views[(catalog, database, table)] = view
    return views


def _over_views(sql: str, reading: SqlReading, views: Mapping[tuple[str, str, str], str]) -> str:
    edits = []
    for table in reading.tables:
        view = views.get(_key(table))
        if view is not None and not table.metadata:
            # A table without an alias is known by its own name in the rest of the query.
            known_as = "" if table.alias or view == table.table else f" AS {table.table}"
            edits.append((table.start, table.end, view + known_as))
    edits += [(column.start, column.end, "") for column in reading.qualified_columns]
    for start, end, text in sorted(set(edits), reverse=True):
        sql = sql[:start] + text + sql[end:]
    return sql
