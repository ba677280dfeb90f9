"""What a snapshot says of the run that made it."""

from __future__ import annotations

import json

import pytest

from airflow_dcp_provider.core_etl import proof
from airflow_dcp_provider.core_etl.proof import EMPTIES_FOR, NAMED_PARTITIONS, deleted_rows, named, partition_text, summary
from airflow_dcp_provider.core_etl.spec import Job, Sink
from airflow_dcp_provider.model import proof as reader

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


def test_the_reader_knows_the_keys_of_the_writer() -> None:
    keys = set(proof.summary(JOB, SINK, "ds=1", 3, [{"ds": "1"}])) | {proof.EMPTIED_ROWS}
    assert keys == {value for name, value in vars(reader).items() if name.isupper()}


def test_partitions_are_kept_as_values_at_most_ten() -> None:
    partitions = [{"ds": f"{number}", "country": None} for number in range(12)]
    summary = proof.summary(JOB, SINK, "", 12, partitions)
    assert json.loads(summary[proof.PARTITIONS]) == partitions[:10]
    assert proof.PARTITIONS not in proof.summary(JOB, SINK, "", 12)


def test_rows_deleted_by_both_commits_count() -> None:
    assert proof.deleted_rows({"deleted-records": "2", proof.EMPTIED_ROWS: "3"}) == 5
    assert proof.deleted_rows({}) == 0


@pytest.mark.parametrize(
    ("counts", "rows"),
    [
        ({}, 0),
        ({"deleted-records": "3"}, 3),
        # Marked by a delete file: gone from then on.
        ({"added-position-deletes": "2", "added-records": "5"}, 2),
        # Their data file goes, in which one row was marked before.
        ({"deleted-records": "3", "removed-position-deletes": "1"}, 2),
        # A delete file is written anew, with what it named before and one row more.
        ({"added-position-deletes": "3", "removed-position-deletes": "2"}, 1),
        # Delete files that name rows of files which are gone count for nothing.
        ({"removed-position-deletes": "2"}, 0),
        ({"deleted-records": "3", "dcp.emptied-rows": "4"}, 7),
    ],
)
def test_a_row_is_deleted_once(counts: dict[str, str], rows: int) -> None:
    assert deleted_rows(counts) == rows


def test_partitions_are_listed_as_values_too() -> None:
    values = [{"ds": "2013-01-05", "country": None}, *({"ds": str(number)} for number in range(10))]
    listed = summary(JOB, SINK, "", 7, values)["dcp.partitions"]
    assert json.loads(listed) == values[:NAMED_PARTITIONS]
    assert "dcp.partitions" not in summary(JOB, SINK, "", 7)
    assert named(values[0]) == "ds=2013-01-05/country=null"
