"""Proof that a run wrote a table: the snapshot that carries its execution id."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from airflow_dcp_provider.model import proof as keys
from airflow_dcp_provider.model.proof import Proof
from airflow_dcp_provider.tables.snapshots import SnapshotInfo, snapshots

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog


#: Digits of the largest count: Iceberg's are of 64 bits.
_MOST_DIGITS = 19


def verify(catalog: Catalog, identifier: tuple[str, str], execution_id: str, *, alias: str = "", sink: str = "") -> Proof | None:
    """Return the proof that the execution wrote the table, or None when no snapshot carries its id.

    The table's whole history is looked at, not only the newest snapshot: another writer or a compaction may have come after the
    run. Where several carry the id (a retried attempt wrote again) the newest counts. What was rolled back does not count.

    :param identifier: database and table.
    :param alias: the catalog's alias in the manifest; the catalog's own name by default.
    :param sink: the sink's name in the job; the table's name by default.
    :raises DcpEnvironmentError: when the table or the catalog cannot be read.
    """
    for snapshot in snapshots(catalog, identifier):
        if snapshot.summary.get(keys.EXECUTION_ID) == execution_id:
            return _proof(snapshot, identifier, alias or catalog.name, sink or identifier[1])
    return None


def _proof(snapshot: SnapshotInfo, identifier: tuple[str, str], alias: str, sink: str) -> Proof:
    database, table = identifier
    summary = snapshot.summary
    return Proof(
        result="written",
        sink=sink,
        table=f"{alias}.{database}.{table}",
        asset_uri=f"iceberg://{alias}/{database}/{table}",
        execution_id=summary[keys.EXECUTION_ID],
        attempt=_number(summary, keys.ATTEMPT),
        snapshot_id=snapshot.snapshot_id,
        previous_snapshot_id=snapshot.previous_snapshot_id,
        operation=snapshot.operation,
        partition=str(summary.get(keys.PARTITION, "")),
        rows=_number(summary, keys.ROWS),
        added_rows=_number(summary, "added-records"),
        deleted_rows=_deleted_rows(summary),
        total_rows=_total_rows(summary),
        committed_at=snapshot.committed_at,
        partitions=_partitions(summary.get(keys.PARTITIONS, "")),
    )


def _partitions(text: str) -> tuple[dict[str, str | None], ...]:
    """Return the partitions that a summary lists; none when the text is not such a list."""
    try:
        found = json.loads(text) if text else []
    except (ValueError, RecursionError):
        return ()
    usable = isinstance(found, list) and all(
        isinstance(partition, dict) and all(value is None or isinstance(value, str) for value in partition.values())
        for partition in found
    )
    return tuple(found) if usable else ()


def _deleted_rows(summary: Mapping[str, str]) -> int:
    """Return how many rows a write removed; those that a delete file names were gone before their data file went."""
    marked = _number(summary, "added-position-deletes") - _number(summary, "removed-position-deletes")
    return max(_number(summary, "deleted-records") + marked, 0) + _number(summary, keys.EMPTIED_ROWS)


def _total_rows(summary: Mapping[str, str]) -> int | None:
    """Return how many rows the table has then; None where nobody has counted them, as behind deletes by equality."""
    if "total-records" not in summary or _number(summary, "total-equality-deletes"):
        return None
    return _number(summary, "total-records") - _number(summary, "total-position-deletes")


def _number(summary: Mapping[str, str], key: str) -> int:
    """Return a count of the summary; Iceberg leaves out those that are zero, and another writer may write what is none."""
    text = str(summary.get(key, ""))
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else 0
