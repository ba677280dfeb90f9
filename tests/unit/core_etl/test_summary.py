"""What a snapshot says of the run that made it."""

from __future__ import annotations

import pytest

from airflow_dcp_provider.core_etl.proof import EMPTIES_FOR, partition_text, summary
from airflow_dcp_provider.core_etl.spec import Job, Sink

SINK = Sink("out", "c", "d", "t", "result")
JOB = Job("execution", 3, "f", "manifest", "run", "2013-01-05", (), (), (SINK,))


def test_a_snapshot_names_its_run_whole() -> None:
    assert summary(JOB, SINK, "ds=2013-01-05", 7) == {
        "dcp.execution-id": "execution",
        "dcp.attempt": "3",
        "dcp.fingerprint": "f",
        "dcp.partition": "ds=2013-01-05",
        "dcp.rows": "7",
        "dcp.run": "run:out",
    }
    # A commit that only makes room must carry none of these.
    assert EMPTIES_FOR == "dcp.empties-for"
    assert EMPTIES_FOR not in summary(JOB, SINK, "", 0)


@pytest.mark.parametrize(
    ("names", "total", "text"),
    [
        ([], 0, ""),
        ([""], 1, ""),
        (["a"], 1, "a"),
        (["a", "b"], 2, "a,b"),
        (["a", "b"], 3, "a,b,+1 more"),
        (list("abcdefghij"), 10, "a,b,c,d,e,f,g,h,i,j"),
        (list("abcdefghijk"), 11, "a,b,c,d,e,f,g,h,i,j,+1 more"),
        (list("abcdefghijk"), 1011, "a,b,c,d,e,f,g,h,i,j,+1001 more"),
    ],
)
def test_ten_partitions_are_named(names: list[str], total: int, text: str) -> None:
    assert partition_text(names, total) == text
