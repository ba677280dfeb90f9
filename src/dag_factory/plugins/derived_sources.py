"""From a derived dataset's SQL to a job's sources: which tables it reads.

The SQL itself is not changed: the driver runs it as it was written, and reads by the tables' own names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dag_factory.manifest.sql import SqlReading, read_query
from dag_factory.manifest.sql_templates import neutral_sql


def derive(sql: str, parameters: Mapping[str, Any], default_catalog: str, environment: str = "") -> tuple[dict[str, Any], ...]:
    """Return the fields of a :class:`~airflow_dcp_provider.model.job.Source` for each table of ``sql``, in order of first mention.

    :param parameters: defaults of the manifest's parameters.
    :param default_catalog: the catalog of tables that name none.
    :param environment: the environment, which decides on the branches of templates that ask for it.
    """
    neutral = neutral_sql(sql, parameters, environment)
    reading = read_query(neutral, frozenset({default_catalog})) if neutral else SqlReading()
    tables = dict.fromkeys(
        (table.catalog or default_catalog, table.database, table.table) for table in reading.tables if table.database
    )
    sources: list[dict[str, Any]] = []
    taken: set[str] = set()
    for catalog, database, table in tables:
        name = _free_name(catalog, database, table, taken)
        taken.add(name.lower())
        sources.append({"name": name, "type": "iceberg", "catalog": catalog, "database": database, "table": table})
    return tuple(sources)


def _free_name(catalog: str, database: str, table: str, taken: set[str]) -> str:
    """Return the source's name: the table's, with what tells it from another source's in front."""
    name = table
    for part in (database, catalog):
        if name.lower() in taken:
            name = f"{part}__{name}"
    number = 2
    while name.lower() in taken:
        name, number = f"{table}__{number}", number + 1
    return name
