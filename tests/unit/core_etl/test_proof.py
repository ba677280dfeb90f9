"""What a snapshot says of the run that made it."""

from __future__ import annotations

import json

from airflow_dcp_provider.core_etl import proof
from airflow_dcp_provider.core_etl.spec import Job, Sink
from airflow_dcp_provider.model import proof as reader

JOB = Job("e", 2, "f", "m", "run", "2013-01-05", (), (), ())
SINK = Sink("out", "c", "d", "t", "result")


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
