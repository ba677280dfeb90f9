"""The partitions of a table with their row counts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_dcp_provider.tables.errors import wrapped

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog


@dataclass(frozen=True)
class PartitionRows:
    """One partition: its name like ``ds=2013-01-05/country=null`` (empty for an unpartitioned table), its rows and data files.

    :param values: the same as values: partition field -> value as text, or None for null.
    """

    partition: str
    rows: int
    files: int
    values: Mapping[str, str | None] = field(default_factory=dict, compare=False)

    def is_in(self, partition: str) -> bool:
        """Whether this is a part of ``partition``, which may leave columns out: ``ds=2013-01-05``."""
        parts = {f"{name}={'null' if value is None else value}" for name, value in self.values.items()}
        return partition == self.partition or set(partition.split("/")) <= parts

    def to_dict(self) -> dict[str, Any]:
        """Return the partition as JSON-ready values."""
        return {"partition": self.partition, "rows": self.rows, "files": self.files}


def partitions(catalog: Catalog, identifier: str | tuple[str, ...]) -> list[PartitionRows]:
    """Return the table's partitions in order of their names, as its newest snapshot has them.

    :raises DcpEnvironmentError: when the table or the catalog cannot be read.
    """
    name = identifier if isinstance(identifier, str) else ".".join(identifier)
    with wrapped(f"read the partitions of {name}"):
        table = catalog.load_table(identifier)
        if table.current_snapshot() is None:
            return []
        rows = table.inspect.partitions().to_pylist()
    found = [_partition(row) for row in rows]
    return sorted((one for one in found if one.files), key=lambda one: one.partition)


def _partition(row: Mapping[str, Any]) -> PartitionRows:
    values = {name: _spelled(value) for name, value in (row.get("partition") or {}).items()}
    name = "/".join(f"{column}={'null' if value is None else value}" for column, value in values.items())
    return PartitionRows(name, row["record_count"], row["file_count"], values)


def _spelled(value: Any) -> str | None:
    """Return a partition value as the driver spells it in a run's proof, or None for null."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return value.hex().upper()
    if isinstance(value, dt.datetime):
        return str(value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value)
    return str(value)
