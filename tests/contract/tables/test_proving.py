"""What proves an attempt that its cluster has forgotten: real snapshots in the embedded catalog."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from airflow_dcp_provider.hooks.iceberg_table import IcebergTableHook
from airflow_dcp_provider.hooks.proving import prove
from airflow_dcp_provider.model import proof as keys
from airflow_dcp_provider.model.execution import AttemptRequest
from airflow_dcp_provider.model.job import CoreEtlSpec, EtlJob, Sink
from tests.support.executions import job, request

COLUMNS = [{"name": "n", "type": "long"}, {"name": "ds", "type": "string"}]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCP_HOME", str(tmp_path))


def asked(*tables: str, attempt: int = 1) -> AttemptRequest:
    sinks = tuple(Sink(table, "pedregal", "mart", table, input="x") for table in tables)
    return request(attempt=attempt, spec=replace(job(), core_etl=CoreEtlSpec(job=EtlJob(sinks=sinks))))


def write(table: str, execution_id: str, attempt: int) -> None:
    with IcebergTableHook(alias="pedregal") as hook:
        hook.ensure({"catalog": "pedregal", "database": "mart", "table": table, "columns": COLUMNS, "partition_by": ["ds"]})
        marks = {keys.EXECUTION_ID: execution_id, keys.ATTEMPT: str(attempt), keys.ROWS: "1", keys.PARTITION: "ds=2013-01-05"}
        rows = pa.table({"n": [1], "ds": ["2013-01-05"]})
        hook.catalog.load_table(("mart", table)).append(rows, snapshot_properties=marks)


def test_every_table_must_carry_this_very_attempts_snapshot():
    both = asked("days", "months", attempt=2)
    mine = both.ref.execution_id
    assert prove(both) is None
    write("days", mine, 2)
    assert prove(both) is None
    write("months", mine, 1)
    assert prove(both) is None
    write("months", "another execution", 2)
    assert prove(both) is None
    write("months", mine, 2)
    result = prove(both)
    assert result is not None
    assert result["status"] == "succeeded"
    assert [(sink["name"], sink["result"], sink["rows"]) for sink in result["sinks"]] == [
        ("days", "written", 1),
        ("months", "written", 1),
    ]
    assert all(sink["snapshot_id"] for sink in result["sinks"])


def test_a_job_that_writes_nothing_proves_nothing():
    assert prove(asked()) is None
