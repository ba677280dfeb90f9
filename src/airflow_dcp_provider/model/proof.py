"""What proves that a run wrote a table (``Proof`` in the design)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

#: Keys of the Iceberg snapshot summary that ``core_etl`` writes and ``verify`` looks for.
EXECUTION_ID = "dcp.execution-id"
ATTEMPT = "dcp.attempt"
FINGERPRINT = "dcp.fingerprint"
PARTITION = "dcp.partition"
ROWS = "dcp.rows"
RUN = "dcp.run"
PARTITIONS = "dcp.partitions"
EMPTIED_ROWS = "dcp.emptied-rows"


@dataclass(frozen=True)
class Proof:
    """The snapshot of one table that carries an execution's id.

    :param result: ``written``, or ``no-change`` when the run said explicitly that it wrote nothing (then there is no snapshot).
    :param table: ``<catalog alias>.<database>.<table>``.
    :param partition: the run's partition, like ``ds=2013-01-05``, or empty.
    :param partitions: the same as values, at most ten: column -> value as text, or None for null. A column that is left out means
        all its values.
    :param rows: rows that the run wrote.
    :param total_rows: rows of the table after it.
    """

    result: str
    sink: str
    table: str
    asset_uri: str
    execution_id: str
    attempt: int
    snapshot_id: int | None = None
    previous_snapshot_id: int | None = None
    operation: str = ""
    partition: str = ""
    rows: int = 0
    added_rows: int = 0
    deleted_rows: int = 0
    total_rows: int | None = None
    committed_at: float | None = None
    reason: str = ""
    partitions: tuple[Mapping[str, str | None], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the proof as JSON-ready values; it becomes the asset event's ``extra``."""
        return {**asdict(self), "partitions": [dict(partition) for partition in self.partitions]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Proof:
        """Build a proof from :meth:`to_dict`'s values."""
        return cls(**{**data, "partitions": tuple(data.get("partitions") or ())})
