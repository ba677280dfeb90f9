"""What the driver tells: log lines while it works, and its result at the end.

The result goes to a file that this process alone writes, and to the log as one ``DCP_RESULT`` line. The file counts: whoever
writes a job's SQL decides what else the log shows. Where a result is too long for the file, the file keeps its digest, and the line
in the log is believed when it has that digest.
"""

from __future__ import annotations

import hashlib
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
from .spec import Job, Sink
from .text import log_line, log_lines

LOG = logging.getLogger("core_etl")

#: What the result's line begins with.
RESULT_PREFIX = "DCP_RESULT "

WRITTEN = "written"
NO_CHANGE = "no-change"


#: Names the environment variable that holds the path of the file for the result: on Kubernetes the container's termination message,
#: on one machine a file beside the attempt's record. Without it there is none to write.
TERMINATION_LOG = "DCP_TERMINATION_LOG"

#: Kubernetes keeps no more bytes of it; half a result would be none.
_TERMINATION_BYTES = 4096


def deliver(line: str, path: Optional[str]) -> None:
    """Write the result to its file, whole or as far as there is room: then with the digest of the line that the log has.

    :param line: as :meth:`Report.line` gives it.
    :param path: as :data:`TERMINATION_LOG` gives it; None where nobody reads such a file.
    """
    if not path:
        return
    try:
        Path(path).write_bytes(message(line).encode("ascii"))
    except OSError as error:
        LOG.warning("the result could not be written to %s: %s", path, error)


def message(line: str) -> str:
    """Return what the result's file holds for a result's line: at most as much as Kubernetes keeps of a termination message."""
    if len(line) < _TERMINATION_BYTES:
        return f"{line}\n"
    result = json.loads(line[len(RESULT_PREFIX) :])
    digest = {**result, "reads": [], "sinks": [], "sha256": hashlib.sha256(line.encode("ascii")).hexdigest()}
    for shortest in (500, 50):
        if result["error"]:
            digest["error"] = {key: text[:shortest] for key, text in result["error"].items()}
        short = f"{RESULT_PREFIX}{json.dumps(digest)}\n"
        if len(short) <= _TERMINATION_BYTES:
            break
    return short


class _Formatter(logging.Formatter):
    """Writes each record so that nothing in it looks like another: only an error has several lines, and those are indented."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- the base class's name
        record.message = log_lines(record.message) if record.levelno >= logging.ERROR else log_line(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 -- the base class's name
        return log_lines(super().formatException(ei))


def log_to_stdout() -> None:
    """Send the driver's own log lines to standard output, with the time in UTC."""
    formatter = _Formatter("%(asctime)sZ %(levelname)s core_etl: %(message)s", "%Y-%m-%dT%H:%M:%S")
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
    """What is known so far; it is reported once, whatever happens.

    :param job: the job, once its spec has been read.
    :param reads: the tables that the run reads, and at which snapshot; None for a table without one.
    """

    sinks: List[SinkResult] = field(default_factory=list)
    seconds: Dict[str, float] = field(default_factory=dict)
    error: Optional[DriverError] = None
    job: Optional[Job] = None
    reads: Dict[str, Optional[int]] = field(default_factory=dict)

    def to_dict(self) -> Dict[str, Any]:
        """Return the report as the line's JSON."""
        return {
            "version": VERSION,
            "execution_id": self.job.execution_id if self.job else "",
            "attempt": self.job.attempt if self.job else 0,
            "status": "failed" if self.error else "succeeded",
            "error": self.error.to_dict() if self.error else None,
            "reads": [{"table": table, "snapshot_id": snapshot} for table, snapshot in self.reads.items()],
            "sinks": [asdict(sink) for sink in self.sinks],
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
        }

    def line(self) -> str:
        """Return the result as one line of ASCII."""
        return f"{RESULT_PREFIX}{json.dumps(self.to_dict())}"
