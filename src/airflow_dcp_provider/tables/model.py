"""What is wanted of a table, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_dcp_provider.model.job import Column


@dataclass(frozen=True)
class TableSpec:
    """A table that must be there before a job runs.

    :param catalog: the catalog's alias in the manifest.
    :param role: ``sink`` or ``source``; a source is only checked.
    :param columns: the declared schema, or None when the driver makes the table from the analysed result.
    :param partition_by: identity partition columns, in order.
    """

    catalog: str
    database: str
    table: str
    role: str = "sink"
    columns: tuple[Column, ...] | None = None
    partition_by: tuple[str, ...] = ()
    description: str | None = None

    @property
    def name(self) -> str:
        """``<catalog alias>.<database>.<table>``, as messages and proofs name it."""
        return f"{self.catalog}.{self.database}.{self.table}"

    @property
    def identifier(self) -> tuple[str, str]:
        """The table's name inside its catalog."""
        return (self.database, self.table)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TableSpec:
        """Build a wish from a mapping with these field names; what else the mapping holds is not for this package."""
        columns = data.get("columns")
        return cls(
            catalog=data["catalog"],
            database=data["database"],
            table=data["table"],
            role=data.get("role") or "sink",
            columns=None
            if columns is None
            else tuple(column if isinstance(column, Column) else Column(**column) for column in columns),
            partition_by=tuple(data.get("partition_by") or ()),
            description=data.get("description"),
        )
