"""What a snapshot's summary says about the run that made it. The keys are those of ``airflow_dcp_provider.model.proof``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Mapping, Optional, Sequence

from .spec import Job, Sink

EXECUTION_ID = "dcp.execution-id"
ATTEMPT = "dcp.attempt"
FINGERPRINT = "dcp.fingerprint"
PARTITION = "dcp.partition"
ROWS = "dcp.rows"
RUN = "dcp.run"

#: Names the execution in the snapshot that only makes room for the one that proves it. No proof: with it alone the day is empty.
EMPTIES_FOR = "dcp.empties-for"

#: So many partitions are named in the summary; the rest are counted.
NAMED_PARTITIONS = 10


@dataclass(frozen=True)
class Snapshot:
    """One snapshot of a table and its summary."""

    id: int
    parent_id: Optional[int]
    summary: Mapping[str, str]


def summary(job: Job, sink: Sink, partition: str, rows: int) -> Dict[str, str]:
    """Return the properties that the snapshot of this run's writing of ``sink`` carries."""
    return {
        EXECUTION_ID: job.execution_id,
        ATTEMPT: str(job.attempt),
        FINGERPRINT: job.fingerprint,
        PARTITION: partition,
        ROWS: str(rows),
        RUN: job.run_of(sink),
    }


def partition_text(names: Sequence[str], total: int) -> str:
    """Return partitions (``ds=2013-01-05``) as one text: at most ten, then how many more there are.

    :param total: how many there are; ``names`` may hold only the first of them.
    """
    shown = list(names[:NAMED_PARTITIONS])
    more = total - len(shown)
    return ",".join([*shown, f"+{more} more"] if more > 0 else shown)
