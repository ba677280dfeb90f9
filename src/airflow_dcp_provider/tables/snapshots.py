"""The snapshots of a table, newest first, from its metadata alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airflow_dcp_provider.tables.errors import wrapped

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table.snapshots import Snapshot


@dataclass(frozen=True)
class SnapshotInfo:
    """One snapshot: ``committed_at`` in epoch seconds, ``summary`` as Iceberg keeps it."""

    snapshot_id: int
    previous_snapshot_id: int | None
    committed_at: float
    operation: str
    summary: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return the snapshot as JSON-ready values."""
        return asdict(self)


def snapshots(catalog: Catalog, identifier: str | tuple[str, ...]) -> list[SnapshotInfo]:
    """Return every snapshot that the table still keeps, newest first.

    :raises DcpEnvironmentError: when the table or the catalog cannot be read.
    """
    name = identifier if isinstance(identifier, str) else ".".join(identifier)
    with wrapped(f"read the snapshots of {name}"):
        found = catalog.load_table(identifier).snapshots()
    # By commit order: two snapshots may carry the same millisecond, sequence numbers are never equal.
    return [_info(one) for one in sorted(found, key=lambda one: (one.sequence_number or 0, one.timestamp_ms), reverse=True)]


def _info(snapshot: Snapshot) -> SnapshotInfo:
    summary = snapshot.summary
    return SnapshotInfo(
        snapshot_id=snapshot.snapshot_id,
        previous_snapshot_id=snapshot.parent_snapshot_id,
        committed_at=snapshot.timestamp_ms / 1000,
        operation=summary.operation.value if summary else "",
        summary=dict(summary.additional_properties) if summary else {},
    )
