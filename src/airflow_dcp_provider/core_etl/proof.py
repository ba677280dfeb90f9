"""What a snapshot's summary says about the run that made it. The keys are those of ``airflow_dcp_provider.model.proof``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Dict, Mapping, Optional, Sequence

from .spec import Job, Sink

EXECUTION_ID = "dcp.execution-id"
ATTEMPT = "dcp.attempt"
FINGERPRINT = "dcp.fingerprint"
PARTITION = "dcp.partition"
ROWS = "dcp.rows"
RUN = "dcp.run"

#: The partitions that :data:`PARTITION` names, as JSON: a list of objects, column -> value as text or null. A column that is left
#: out means all its values.
PARTITIONS = "dcp.partitions"

#: How many rows the snapshot removed that made room for this one.
EMPTIED_ROWS = "dcp.emptied-rows"

#: Names the execution in the snapshot that only makes room for the one that proves it. No proof: with it alone the day is empty.
EMPTIES_FOR = "dcp.empties-for"

#: One partition: column -> value as text, or None.
Partition = Dict[str, Optional[str]]

#: So many partitions are named in the summary; the rest are counted.
NAMED_PARTITIONS = 10


@dataclass(frozen=True)
class Snapshot:
    """One snapshot of a table and its summary."""

    id: int
    parent_id: Optional[int]
    summary: Mapping[str, str]


def deleted_rows(summary: Mapping[str, str]) -> int:
    """Return how many rows a write removed, with those of the snapshot that made room for it.

    A row that a delete file names is gone from then on. Iceberg counts it among a data file's records all the same.
    """
    marked = int(summary.get("added-position-deletes", 0)) - int(summary.get("removed-position-deletes", 0))
    return max(int(summary.get("deleted-records", 0)) + marked, 0) + int(summary.get(EMPTIED_ROWS, 0))


def summary(job: Job, sink: Sink, partition: str, rows: int, partitions: Sequence[Partition] = ()) -> Dict[str, str]:
    """Return the properties that the snapshot of this run's writing of ``sink`` carries.

    :param partition: the partitions for people, ``partitions`` the same as values; those beyond ten are left out.
    """
    named_ones = {PARTITIONS: json.dumps(list(partitions[:NAMED_PARTITIONS]))} if partitions else {}
    return {
        **named_ones,
        EXECUTION_ID: job.execution_id,
        ATTEMPT: str(job.attempt),
        FINGERPRINT: job.fingerprint,
        PARTITION: partition,
        ROWS: str(rows),
        RUN: job.run_of(sink),
    }


def named(partition: Partition) -> str:
    """Return a partition's name, like ``ds=2013-01-05/country=null``."""
    return "/".join(f"{name}={'null' if value is None else value}" for name, value in partition.items())


def partition_text(names: Sequence[str], total: int) -> str:
    """Return partitions (``ds=2013-01-05``) as one text: at most ten, then how many more there are.

    :param total: how many there are; ``names`` may hold only the first of them.
    """
    shown = list(names[:NAMED_PARTITIONS])
    more = total - len(shown)
    return ",".join([*shown, f"+{more} more"] if more > 0 else shown)
