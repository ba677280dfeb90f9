"""The history of a table, newest snapshot first, from its metadata alone."""

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
    """Return the current snapshot and those it came from, as far as the table still keeps them, newest first.

    What was rolled back, or went to a branch, is not among them: the table has nothing of it.

    :raises DcpEnvironmentError: when the table or the catalog cannot be read.
    """
    name = identifier if isinstance(identifier, str) else ".".join(identifier)
    with wrapped(f"read the snapshots of {name}"):
        table = catalog.load_table(identifier)
        kept: dict[int | None, Snapshot] = {one.snapshot_id: one for one in table.snapshots()}
        following = table.current_snapshot()
    found = []
    while following is not None:
        found.append(_info(following))
        # Each once: metadata that somebody else wrote may lead in a circle.
        kept.pop(following.snapshot_id, None)
        following = kept.get(following.parent_snapshot_id)
    return found


def _info(snapshot: Snapshot) -> SnapshotInfo:
    summary = snapshot.summary
    return SnapshotInfo(
        snapshot_id=snapshot.snapshot_id,
        previous_snapshot_id=snapshot.parent_snapshot_id,
        committed_at=snapshot.timestamp_ms / 1000,
        operation=summary.operation.value if summary else "",
        summary=dict(summary.additional_properties) if summary else {},
    )
