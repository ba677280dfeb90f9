"""The table hook, the sensor's trigger and the operators over the apache-iceberg provider's own connection handling."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred
from pyiceberg.catalog import Catalog

from airflow_dcp_provider.embedded_catalog.catalog import EmbeddedCatalog
from airflow_dcp_provider.hooks.iceberg_table import IcebergTableHook, split_name
from airflow_dcp_provider.model import proof as keys
from airflow_dcp_provider.model.environment import CatalogRef, Environment
from airflow_dcp_provider.model.errors import DcpEnvironmentError, UsageError
from airflow_dcp_provider.operators.iceberg import IcebergTableOperator
from airflow_dcp_provider.operators.tables import EnsureTablesOperator
from airflow_dcp_provider.sensors.iceberg import IcebergTableSensor
from airflow_dcp_provider.triggers.iceberg import IcebergTableTrigger

COLUMNS = [{"name": "n", "type": "long"}, {"name": "ds", "type": "string"}]
SPEC = {"catalog": "pedregal", "database": "flights", "table": "daily", "columns": COLUMNS, "partition_by": ["ds"]}


@pytest.fixture
def conn_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A connection of type ``iceberg`` to a SQL catalog of its own."""
    extra = {"type": "sql", "uri": f"sqlite:///{tmp_path}/catalog.db", "warehouse": f"file://{tmp_path}/warehouse"}
    monkeypatch.setenv("AIRFLOW_CONN_ICEBERG_TEST", json.dumps({"conn_type": "iceberg", "extra": extra}))
    return "iceberg_test"


@pytest.fixture
def hook(conn_id: str) -> Iterator[IcebergTableHook]:
    with IcebergTableHook(conn_id, "pedregal") as found:
        yield found


def write(catalog: Catalog, execution_id: str, ds: str = "2013-01-05") -> None:
    marks = {keys.EXECUTION_ID: execution_id, keys.ATTEMPT: "1", keys.ROWS: "2", keys.PARTITION: f"ds={ds}"}
    catalog.load_table(("flights", "daily")).append(pa.table({"n": [1, 2], "ds": [ds, ds]}), snapshot_properties=marks)


def test_the_hook_ensures_evolves_lists_and_verifies(hook: IcebergTableHook) -> None:
    assert not hook.exists("flights.daily")
    assert hook.ensure(SPEC) == "created with 2 columns"
    assert str(hook.evolve({**SPEC, "columns": [*COLUMNS, {"name": "extra", "type": "string"}]})) == "add extra string"
    write(hook.catalog, "run-a")
    assert [one.partition for one in hook.partitions("flights.daily")] == ["ds=2013-01-05"]
    assert [one.operation for one in hook.snapshots("flights.daily")] == ["append"]
    found = hook.verify("flights.daily", "run-a", "daily")
    assert found is not None
    assert (found.table, found.asset_uri, found.rows) == ("pedregal.flights.daily", "iceberg://pedregal/flights/daily", 2)
    assert hook.verify("flights.daily", "run-b") is None
    # What the provider's own hook offers is there as well.
    assert hook.list_tables("flights") == ["flights.daily"]


def test_an_alias_leads_to_the_embedded_catalog_or_to_its_connection(
    conn_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DCP_HOME", str(tmp_path / "dcp"))
    with IcebergTableHook.for_alias(Environment("local"), "pedregal") as embedded:
        embedded.ensure(SPEC)
    catalog = EmbeddedCatalog(tmp_path / "dcp").catalog()
    assert catalog.table_exists(("flights", "daily"))
    catalog.close()
    elsewhere = Environment("test", catalogs={"pedregal": CatalogRef(conn_id)})
    with IcebergTableHook.for_alias(elsewhere, "pedregal") as external:
        assert not external.exists("flights.daily")
    with pytest.raises(DcpEnvironmentError, match="environment test has no catalog `lake`"):
        IcebergTableHook.for_alias(elsewhere, "lake")


def test_a_catalog_that_cannot_be_opened_is_our_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DcpEnvironmentError, match="cannot open the catalog `nowhere` of connection nowhere") as caught:
        IcebergTableHook("nowhere").exists("flights.daily")
    assert caught.value.code == "DCP420"


@pytest.mark.parametrize("name", ["daily", "a.b.c", ".daily", ""])
def test_a_name_without_two_parts_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is no table name"):
        split_name(name)


def test_ensure_tables_goes_through_the_environments_connections(
    hook: IcebergTableHook, conn_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"catalogs": {"pedregal": {"connection": conn_id, "mode": "write"}}}
    monkeypatch.setenv("AIRFLOW_CONN_DCP_TEST", json.dumps({"conn_type": "dcp", "extra": extra}))
    monkeypatch.setenv("AIRFLOW__DCP__ENVIRONMENT", "test")
    task = EnsureTablesOperator(task_id="ensure_tables", tables={"test": [{**SPEC, "role": "sink", "properties": {}}]})
    context: Any = {"params": {}, "task_state_store": object()}
    assert task.execute(context) == {"pedregal.flights.daily": "created with 2 columns"}
    assert hook.exists("flights.daily")
    assert task.run["environment"] == "test"


def test_a_catalog_that_is_only_read_is_not_written(hook: IcebergTableHook, conn_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogs = {"pedregal": {"connection": conn_id, "mode": "read"}, "mine": {"connection": conn_id, "mode": "write"}}
    extra = {"catalogs": catalogs, "write_catalog": "mine"}
    monkeypatch.setenv("AIRFLOW_CONN_DCP_TEST", json.dumps({"conn_type": "dcp", "extra": extra}))
    monkeypatch.setenv("AIRFLOW__DCP__ENVIRONMENT", "test")
    context: Any = {"params": {}, "task_state_store": object()}
    task = EnsureTablesOperator(task_id="ensure_tables", tables={"test": [{**SPEC, "role": "sink"}]})
    with pytest.raises(
        AirflowFailException, match=r"DCP419 table pedregal\.flights\.daily is not to be written from environment test"
    ):
        task.execute(context)
    assert not hook.exists("flights.daily")
    mine = EnsureTablesOperator(task_id="ensure_mine", tables={"test": [{**SPEC, "catalog": "mine", "role": "sink"}]})
    assert mine.execute(context) == {"mine.flights.daily": "created with 2 columns"}


def test_a_table_that_its_own_job_reads_is_made_before_it_is_read(
    hook: IcebergTableHook, conn_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"catalogs": {"pedregal": {"connection": conn_id, "mode": "write"}}}
    monkeypatch.setenv("AIRFLOW_CONN_DCP_TEST", json.dumps({"conn_type": "dcp", "extra": extra}))
    monkeypatch.setenv("AIRFLOW__DCP__ENVIRONMENT", "test")
    context: Any = {"params": {}, "task_state_store": object()}
    itself = {"catalog": "pedregal", "database": "flights", "table": "daily", "role": "source"}
    declared = EnsureTablesOperator(task_id="declared", tables={"test": [itself, {**SPEC, "role": "sink"}]})
    assert declared.execute(context) == {"pedregal.flights.daily": "created with 2 columns"}
    assert declared.execute(context) == {"pedregal.flights.daily": "is as declared"}
    other = {**itself, "table": "other"}
    made_by_the_driver = EnsureTablesOperator(task_id="driver", tables={"test": [other, {**other, "role": "sink"}]})
    with pytest.raises(AirflowFailException, match="the job that reads it is the one that makes it") as caught:
        made_by_the_driver.execute(context)
    assert "before the first run make the table" in str(caught.value)
    missing = EnsureTablesOperator(task_id="missing", tables={"test": [other, {**SPEC, "role": "sink"}]})
    with pytest.raises(AirflowFailException, match="DCP422") as caught:
        missing.execute(context)
    assert "run what makes it first" in str(caught.value)


def test_the_table_operator_refuses_at_once_what_would_lose_data(hook: IcebergTableHook, conn_id: str) -> None:
    hook.ensure(SPEC)
    task = IcebergTableOperator(task_id="t", table="flights.daily", columns={"n": "long"}, iceberg_conn_id=conn_id)
    with pytest.raises(AirflowFailException, match="is partitioned by ds, but the job writes it by nothing"):
        task.execute({})


async def fired(trigger: IcebergTableTrigger) -> dict[str, Any]:
    path, arguments = trigger.serialize()
    assert path == "airflow_dcp_provider.triggers.iceberg.IcebergTableTrigger"
    events = IcebergTableTrigger(**json.loads(json.dumps(arguments))).run()
    return dict((await asyncio.wait_for(anext(events), 30)).payload)


def deferred(**options: Any) -> IcebergTableTrigger:
    """The trigger of a sensor that has to wait."""
    sensor = IcebergTableSensor(task_id="see", table="flights.daily", poll_interval=0.05, timeout=60, **options)
    with pytest.raises(TaskDeferred) as caught:
        sensor.execute({})
    assert (caught.value.method_name, caught.value.timeout.total_seconds()) == ("resume", 60)
    trigger: IcebergTableTrigger = caught.value.trigger
    return trigger


async def test_waits_for_a_table(hook: IcebergTableHook, conn_id: str) -> None:
    waiting = asyncio.create_task(fired(deferred(iceberg_conn_id=conn_id)))
    await asyncio.to_thread(hook.ensure, SPEC)
    assert await waiting == {"found": {"table": "flights.daily"}}


async def test_a_triggerer_fires_nothing_before_airflow_knows_that_the_task_has_deferred(
    hook: IcebergTableHook, conn_id: str
) -> None:
    trigger = deferred(iceberg_conn_id=conn_id)
    assert trigger.settling == 7.0
    hook.ensure(SPEC)
    trigger.settling, trigger.task_instance = 0.6, SimpleNamespace(task_id="see")
    began = time.monotonic()
    await asyncio.wait_for(anext(trigger.run()), 30)
    assert time.monotonic() >= began + 0.6


async def test_waits_for_a_partition(hook: IcebergTableHook, conn_id: str) -> None:
    hook.ensure(SPEC)
    write(hook.catalog, "run-a", "2013-01-05")
    waiting = asyncio.create_task(fired(deferred(iceberg_conn_id=conn_id, partition="ds=2013-01-06")))
    await asyncio.to_thread(write, hook.catalog, "run-b", "2013-01-06")
    assert (await waiting)["found"]["partition"] == {"partition": "ds=2013-01-06", "rows": 2, "files": 1}


def test_a_partition_may_be_named_by_some_of_its_columns(hook: IcebergTableHook, conn_id: str) -> None:
    columns = [*COLUMNS, {"name": "country", "type": "string"}]
    hook.ensure({**SPEC, "columns": columns, "partition_by": ["ds", "country"]})
    rows = pa.table({"n": [1, 2, 3], "ds": ["2013-01-05"] * 2 + ["2013-01-06"], "country": ["de", None, "de"]})
    hook.catalog.load_table(("flights", "daily")).append(rows)

    def found(partition: str) -> Any:
        seen = IcebergTableTrigger(table="flights.daily", iceberg_conn_id=conn_id, partition=partition).look()
        return seen and seen["partition"]

    assert found("ds=2013-01-05") == {"partition": "ds=2013-01-05", "rows": 2, "files": 2}
    assert found("country=null/ds=2013-01-05") == {"partition": "country=null/ds=2013-01-05", "rows": 1, "files": 1}
    assert found("ds=2013-01-06/country=de") == {"partition": "ds=2013-01-06/country=de", "rows": 1, "files": 1}
    for missing in ("ds=2013-01-06/country=null", "ds=2013-01", "ds=2013-01-05/n=1", "/"):
        assert found(missing) is None


async def test_waits_for_an_executions_snapshot(hook: IcebergTableHook, conn_id: str) -> None:
    hook.ensure(SPEC)
    write(hook.catalog, "run-a")
    waiting = asyncio.create_task(fired(deferred(iceberg_conn_id=conn_id, execution_id="run-b")))
    await asyncio.to_thread(write, hook.catalog, "run-b")
    assert (await waiting)["found"]["proof"]["execution_id"] == "run-b"


async def test_waits_for_a_newer_snapshot(hook: IcebergTableHook, conn_id: str) -> None:
    hook.ensure(SPEC)
    write(hook.catalog, "run-a")
    waiting = asyncio.create_task(fired(deferred(iceberg_conn_id=conn_id, newer_than=time.time())))
    await asyncio.to_thread(write, hook.catalog, "run-b")
    assert (await waiting)["found"]["snapshot"]["summary"][keys.EXECUTION_ID] == "run-b"


def test_what_is_there_needs_no_trigger(hook: IcebergTableHook, conn_id: str) -> None:
    hook.ensure(SPEC)
    sensor = IcebergTableSensor(task_id="see", table="flights.daily", iceberg_conn_id=conn_id)
    assert sensor.execute({}) == {"table": "flights.daily"}


async def test_a_catalog_that_stays_away_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    event = await fired(IcebergTableTrigger(table="flights.daily", iceberg_conn_id="nowhere", poll_interval=0.01))
    assert "DCP420 cannot open the catalog" in event["error"]
    sensor = IcebergTableSensor(task_id="see", table="flights.daily")
    with pytest.raises(DcpEnvironmentError, match=r"table flights\.daily cannot be looked at"):
        sensor.resume({}, event)


def test_epoch_seconds_may_come_from_a_template_as_text(hook: IcebergTableHook, conn_id: str) -> None:
    hook.ensure(SPEC)
    before = time.time()
    write(hook.catalog, "run-a")
    sensor = IcebergTableSensor(task_id="see", table="flights.daily", iceberg_conn_id=conn_id, newer_than=f"{before:.3f}")
    assert sensor.execute({})["snapshot"]["committed_at"] >= int(before)
    assert deferred(iceberg_conn_id=conn_id, newer_than="4102444800").newer_than == 4102444800.0


@pytest.mark.parametrize("value", ["2013-01-05T00:00:00", "20130105", "yesterday", "nan", "inf"])
def test_a_time_without_a_zone_is_refused(value: str) -> None:
    with pytest.raises(AirflowFailException, match="`newer_than` is"):
        IcebergTableSensor(task_id="see", table="flights.daily", newer_than=value).execute({})
