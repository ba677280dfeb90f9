"""What the driver tells: log lines while it works, and one ``DCP_RESULT`` line at the end."""

from __future__ import annotations

import json
import logging
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional

from . import VERSION
from .faults import DriverError
from .proof import Snapshot, deleted_rows
from .spec import Sink

LOG = logging.getLogger("core_etl")

WRITTEN = "written"
NO_CHANGE = "no-change"


#: Names the environment variable that holds the path of the container's termination message. Without it there is none to write.
TERMINATION_LOG = "DCP_TERMINATION_LOG"

#: Kubernetes keeps no more bytes of it; half a result would be none.
_TERMINATION_BYTES = 4096


def tell_container(line: str, path: Optional[str]) -> None:
    """Write the result line as the container's termination message, which outlives the log and needs no right to read logs.

    :param path: as :data:`TERMINATION_LOG` gives it; None where nobody reads such a message.
    """
    data = f"{line}\n".encode("utf-8")
    if not path or len(data) > _TERMINATION_BYTES:
        return
    try:
        Path(path).write_bytes(data)
    except OSError as error:
        LOG.warning("the termination message could not be written: %s", error)


def log_to_stdout() -> None:
    """Send the driver's own log lines to standard output, with the time in UTC."""
    formatter = logging.Formatter("%(asctime)sZ %(levelname)s core_etl: %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    LOG.handlers[:] = [handler]
    LOG.setLevel(logging.INFO)
    LOG.propagate = False


@dataclass(frozen=True)
class SinkResult:
    """What became of one sink. ``reason`` says why nothing was written, when nothing was."""

    name: str
    table: str
    result: str
    snapshot_id: Optional[int] = None
    previous_snapshot_id: Optional[int] = None
    partition: str = ""
    rows: int = 0
    added_rows: int = 0
    deleted_rows: int = 0
    reason: str = ""


def written(sink: Sink, snapshot: Snapshot, partition: str, rows: int, reason: str = "") -> SinkResult:
    """Return the result of a sink whose snapshot is ``snapshot``."""
    return SinkResult(
        name=sink.name,
        table=sink.full_name,
        result=WRITTEN,
        snapshot_id=snapshot.id,
        previous_snapshot_id=snapshot.parent_id,
        partition=partition,
        rows=rows,
        added_rows=int(snapshot.summary.get("added-records", 0)),
        deleted_rows=deleted_rows(snapshot.summary),
        reason=reason,
    )


def unchanged(sink: Sink, reason: str, partition: str = "") -> SinkResult:
    """Return the result of a sink that was left as it is, on purpose."""
    return SinkResult(sink.name, sink.full_name, NO_CHANGE, partition=partition, reason=reason)


@dataclass
class Report:
    """What is known so far; it is printed once, whatever happens.

    :param reads: the tables that the run reads, and at which snapshot; None for a table without one.
    """

    reads: Dict[str, Optional[int]] = field(default_factory=dict)
    sinks: List[SinkResult] = field(default_factory=list)
    seconds: Dict[str, float] = field(default_factory=dict)
    error: Optional[DriverError] = None

    def to_dict(self) -> Dict[str, Any]:
        """Return the report as the line's JSON."""
        return {
            "version": VERSION,
            "status": "failed" if self.error else "succeeded",
            "error": self.error.to_dict() if self.error else None,
            "reads": [{"table": table, "snapshot_id": snapshot} for table, snapshot in self.reads.items()],
            "sinks": [asdict(sink) for sink in self.sinks],
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
        }

    def line(self) -> str:
        """Return the line that whoever started the driver looks for."""
        return f"DCP_RESULT {json.dumps(self.to_dict())}"
