"""The partitions of a table with their row counts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airflow_dcp_provider.tables.errors import wrapped

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog


@dataclass(frozen=True)
class PartitionRows:
    """One partition: its name like ``ds=2013-01-05/country=null`` (empty for an unpartitioned table), its rows and data files."""

    partition: str
    rows: int
    files: int

    def to_dict(self) -> dict[str, Any]:
        """Return the partition as JSON-ready values."""
        return asdict(self)


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
    found = [
        PartitionRows(
            partition="/".join(f"{key}={_spelled(value)}" for key, value in (row.get("partition") or {}).items()),
            rows=row["record_count"],
            files=row["file_count"],
        )
        for row in rows
    ]
    return sorted((one for one in found if one.files), key=lambda one: one.partition)


def _spelled(value: Any) -> str:
    """Return a partition value as the driver spells it in a run's proof."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
