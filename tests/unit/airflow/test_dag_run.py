"""The four tasks in a real ``dag.test()``: Airflow's own task runner, triggers, XCom, rendered fields and asset events.

Only Spark is stood in for, by a small process that the real local backend supervises and that writes the real embedded catalog.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from airflow.sdk import DAG, Asset, Param, task

from airflow_dcp_provider.embedded_catalog.catalog import EmbeddedCatalog
from airflow_dcp_provider.model.job import Column
from airflow_dcp_provider.operators.iceberg import IcebergTableOperator
from airflow_dcp_provider.operators.publish import IcebergPublishOperator
from airflow_dcp_provider.operators.spark_runner import SparkRunnerSubmitOperator
from airflow_dcp_provider.operators.tables import EnsureTablesOperator
from airflow_dcp_provider.runner.store import SqlStore
from airflow_dcp_provider.sensors.iceberg import IcebergTableSensor
from airflow_dcp_provider.sensors.spark_execution import SparkExecutionSensor
from airflow_dcp_provider.tables.ensure import ensure_table
from airflow_dcp_provider.tables.model import TableSpec
from airflow_dcp_provider.tables.partitions import partitions
from tests.support.executions import starts

pytestmark = [
    pytest.mark.usefixtures("airflow_database"),
    # Airflow's task runner and its in-process API server warn about their own libraries; ours stay errors.
    pytest.mark.filterwarnings("default"),
    pytest.mark.filterwarnings("error:::airflow_dcp_provider"),
]

URI = "iceberg://pedregal/flights/daily"
DAY = dt.datetime(2013, 1, 5, tzinfo=dt.UTC)
TABLE = {"catalog": "pedregal", "database": "flights", "table": "daily"}


@pytest.fixture(autouse=True)
def sources(home: Path) -> Iterator[None]:
    """The table that the jobs read."""
    catalog = EmbeddedCatalog(home).catalog()
    ensure_table(catalog, TableSpec("pedregal", "raw", "flights", columns=(Column("n", "long"), Column("ds", "string"))))
    yield
    catalog.close()


def job(**changes: Any) -> dict[str, Any]:
    orders = changes.pop("orders", {})
    return {
        "manifest_id": "team/daily-flights",
        "name": "daily-flights",
        "environment": "local",
        "team": "team",
        "owner": "owner@example.com",
        "core_etl": {
            "job": {
                "sources": [
                    {"name": "flights", "catalog": "pedregal", "database": "raw", "table": "flights", "filter": "ds = '{{ ds }}'"}
                ],
                "transformations": [{"name": "orders", "query": json.dumps(orders)}],
                "sinks": [{"name": "daily", **TABLE, "input": "orders", "partition_by": ["ds"]}],
            }
        },
        **changes,
    }


def tables() -> list[dict[str, Any]]:
    columns = [{"name": "n", "type": "long"}, {"name": "ds", "type": "string"}]
    return [
        {"catalog": "pedregal", "database": "raw", "table": "flights", "role": "source", "properties": {}},
        {**TABLE, "role": "sink", "columns": columns, "partition_by": ["ds"], "description": "by day", "properties": {}},
    ]


def build(dag_id: str, spec: dict[str, Any], environments: tuple[str, ...] = ("local",), **wait_options: Any) -> DAG:
    params = {"environment": Param("local", type="string"), "parameters": Param({"size": 1, "kind": "a"}, type="object")}
    with DAG(dag_id, schedule=None, start_date=dt.datetime(2013, 1, 1, tzinfo=dt.UTC), params=params) as dag:
        jobs = {name: {"job": {**spec, "environment": name}, "fingerprint": "f" * 64} for name in environments}
        ensure = EnsureTablesOperator(task_id="ensure_tables", tables={name: tables() for name in environments})
        submit = SparkRunnerSubmitOperator(task_id="submit", jobs=jobs, retries=1)
        wait = SparkExecutionSensor(task_id="wait", execution=submit.output, jobs=jobs, poll_interval=0.1, **wait_options)
        publish = IcebergPublishOperator(task_id="publish", execution=wait.output, outlets=[Asset(name=URI, uri=URI)])
        ensure >> submit >> wait >> publish
    return dag


def run(dag: DAG, logical_date: dt.datetime | None = DAY, conf: dict[str, Any] | None = None) -> Any:
    # A DAG that is not in the DAGs folder has to be announced to the database by hand.
    dag.relative_fileloc = f"{dag.dag_id}.py"
    try:
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    except ImportError:  # before Airflow 3.2
        from airflow.models.dagbag import DagBag

        bag = DagBag(dag_folder=os.devnull)
        bag.bag_dag(dag)
        bag.sync_to_db("dags-folder", None)
    else:
        bag = DagBag(dag_folder=os.devnull)
        bag.bag_dag(dag)
        sync_bag_to_db(bag, "dags-folder", None)
    return dag.test(logical_date=logical_date, run_conf=conf)


def states(dag_run: Any) -> dict[str, str]:
    return {ti.task_id: str(ti.state) for ti in dag_run.get_task_instances()}


def asset_events(dag_id: str) -> list[Any]:
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return list(session.scalars(select(AssetEvent).where(AssetEvent.source_dag_id == dag_id)))


def xcom(dag_run: Any, task_id: str, key: str = "return_value") -> Any:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        where = {"run_id": dag_run.run_id, "dag_ids": dag_run.dag_id, "task_ids": task_id, "key": key}
        return XComModel.deserialize_value(session.scalars(XComModel.get_many(**where)).one())


def rendered(dag_run: Any, task_id: str) -> dict[str, Any]:
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.utils.session import create_session
    from sqlalchemy import select

    table = RenderedTaskInstanceFields
    with create_session() as session:
        where = (table.dag_id == dag_run.dag_id, table.run_id == dag_run.run_id, table.task_id == task_id)
        return dict(session.scalars(select(table).where(*where)).one().rendered_fields)


def test_a_run_writes_proves_and_announces_its_table(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    spec = job(orders={"rows": 4}, retry_policy={"max_retries": 2, "retry_interval": 5.0})
    dag_run = run(build("whole", spec))
    assert states(dag_run) == dict.fromkeys(("ensure_tables", "submit", "wait", "publish"), "success")
    assert len(starts(home)) == 1
    catalog = EmbeddedCatalog(home).catalog()
    assert [(one.partition, one.rows) for one in partitions(catalog, ("flights", "daily"))] == [("ds=2013-01-05", 4)]
    catalog.close()

    (event,) = asset_events("whole")
    proof = xcom(dag_run, "publish")[0]
    assert event.extra == proof
    assert (proof["result"], proof["rows"], proof["partition"], proof["total_rows"]) == ("written", 4, "ds=2013-01-05", 4)
    assert proof["execution_id"] == starts(home)[0].split()[0]
    history = SqlStore(f"sqlite:///{home}/dcp.db").events(proof["execution_id"])
    assert {"SUBMIT", "SUCCEEDED", "PROOF"} <= {one.event for one in history}

    # The whole driver log is in the task's, each line once although the task was deferred in between. Airflow before 3.1 prints
    # every line of every task twice here, so it is held against one that is logged once.
    log = capfd.readouterr().out
    once = log.count(": SUCCEEDED")
    assert once
    for line in ("driver of attempt 1 for 2013-01-05", "the last line before the result", "Spark in one local process"):
        assert log.count(line) == once, line

    fields = rendered(dag_run, "submit")
    assert (fields["run"]["what"], fields["run"]["environment"]) == ("team/daily-flights", "local")
    assert (fields["run"]["ds"], fields["run"]["ds comes from"]) == ("2013-01-05", "logical_date")
    assert fields["run"]["Spark retries"].startswith("2, 5 s apart")
    assert fields["run"]["Airflow retries"].startswith("1, for faults of the infrastructure only")
    assert fields["job"]["core_etl"]["job"]["sources"][0]["filter"] == "ds = '2013-01-05'"
    assert rendered(dag_run, "ensure_tables")["run"]["tables"][1]["columns"] == {"n": "long", "ds": "string"}
    awaited = rendered(dag_run, "wait")["run"]
    assert (awaited["what"], awaited["ds"], awaited["submitted attempt"]) == ("team/daily-flights", "2013-01-05", 1)
    assert awaited["execution"] == proof["execution_id"]

    waiting = f"/dags/whole/runs/{quote(dag_run.run_id)}/tasks/wait"
    assert xcom(dag_run, "submit", "_link_ExecutionLink").endswith(waiting)
    assert xcom(dag_run, "wait", "_link_ExecutionLink").endswith(waiting)
    assert xcom(dag_run, "publish", "_link_TableLink").endswith("/assets?name_pattern=iceberg%3A%2F%2Fpedregal%2Fflights%2Fdaily")


def test_a_run_without_a_logical_date_has_a_day(home: Path) -> None:
    dag_run = run(build("undated", job()), logical_date=None)
    assert states(dag_run)["publish"] == "success"
    fields = rendered(dag_run, "submit")["run"]
    assert fields["ds comes from"] == "run_after"
    assert fields["ds"] == dag_run.run_after.strftime("%Y-%m-%d")


def test_templates_see_the_forms_parameters_above_the_defaults(home: Path) -> None:
    text = "{{ params.kind }}-{{ params.size }}-{{ params.parameters.size }}-{{ environment }}-{{ macros.ds_add(ds, -1) }}"
    dag_run = run(build("parameters", job(labels={"shown": text})), conf={"parameters": {"size": 7}})
    assert rendered(dag_run, "submit")["job"]["labels"] == {"shown": "a-7-7-local-2013-01-04"}


def test_a_template_that_cannot_be_rendered_fails_at_once(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    dag_run = run(build("undefined", job(labels={"shown": "{{ var.value.secret }}"})))
    assert states(dag_run)["submit"] == "failed"
    assert "DCP312 the template in labels.shown cannot be rendered" in capfd.readouterr().out
    assert starts(home) == []


def test_the_users_error_fails_with_its_hint_and_is_not_retried(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    spec = job(orders={"exit": 20}, retry_policy={"max_retries": 3, "retry_interval": 0.0})
    dag_run = run(build("user_error", spec))
    assert states(dag_run) == {"ensure_tables": "success", "submit": "success", "wait": "failed", "publish": "upstream_failed"}
    assert len(starts(home)) == 1
    log = capfd.readouterr().out
    assert "column nope does not exist" in log
    assert "hint: correct the query" in log
    assert "the last line before the result" in log
    assert asset_events("user_error") == []


def test_a_platforms_failure_is_retried_by_the_executions_own_policy(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    spec = job(orders={"exit": 22, "fail_attempts": 1}, retry_policy={"max_retries": 1, "retry_interval": 0.3})
    dag_run = run(build("retried", spec))
    assert states(dag_run)["publish"] == "success"
    first, second = (line.split() for line in starts(home))
    assert (first[0], first[1], second[1]) == (second[0], "1", "2")
    log = capfd.readouterr().out
    assert "driver of attempt 1" in log
    assert "driver of attempt 2" in log
    assert xcom(dag_run, "publish")[0]["attempt"] == 2


def test_without_a_manifest_the_frozen_spec_is_retried(home: Path) -> None:
    spec = job(orders={"exit": 22, "fail_attempts": 1}, retry_policy={"max_retries": 1, "retry_interval": 0.0})
    dag = build("frozen", spec)
    dag.get_task("wait").jobs = None
    assert states(run(dag))["publish"] == "success"
    assert len(starts(home)) == 2


def test_an_explicit_no_change_is_proof_enough(home: Path) -> None:
    dag_run = run(build("no_change", job()))
    assert states(dag_run)["publish"] == "success"
    proof = xcom(dag_run, "publish")[0]
    assert (proof["result"], proof["snapshot_id"], proof["reason"]) == ("no-change", None, "nothing new")


def test_a_claim_without_a_snapshot_is_no_proof(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    dag_run = run(build("unproved", job(orders={"forget": True})))
    assert states(dag_run) == {"ensure_tables": "success", "submit": "success", "wait": "success", "publish": "failed"}
    assert "DCP370" in capfd.readouterr().out
    assert asset_events("unproved") == []


def test_another_environments_run_announces_nothing(home: Path, connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DCP__ENVIRONMENTS", "local,test")
    connection("dcp_test", {"backend": "local"})
    dag_run = run(build("elsewhere", job(orders={"rows": 1}), ("local", "test")), conf={"environment": "test"})
    assert states(dag_run)["publish"] == "success"
    # Something was written that the deployment's own environment would have announced.
    assert xcom(dag_run, "publish")[0]["result"] == "written"
    assert rendered(dag_run, "submit")["run"]["environment"] == "test"
    assert asset_events("elsewhere") == []


def test_an_environment_that_the_dag_does_not_offer_is_refused(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    dag_run = run(build("not_offered", job()), conf={"environment": "staging"})
    assert states(dag_run)["ensure_tables"] == "failed"
    assert "DCP415 this run is to use the environment staging" in capfd.readouterr().out


def test_a_team_that_the_environment_does_not_serve_is_refused(
    home: Path, connection: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    connection("dcp_local", {"teams": ["search"]})
    assert states(run(build("team", job())))["submit"] == "failed"
    assert "DCP418 environment local does not serve the team `team`" in capfd.readouterr().out
    assert starts(home) == []


def test_a_missing_source_is_named_before_anything_is_made(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    dag = build("no_source", job())
    listed = [{**tables()[0], "table": "nothing"}, tables()[1]]
    dag.get_task("ensure_tables").tables = {"local": listed}
    assert states(run(dag))["ensure_tables"] == "failed"
    assert "DCP422 table pedregal.raw.nothing does not exist in environment local" in capfd.readouterr().out
    catalog = EmbeddedCatalog(home).catalog()
    assert not catalog.table_exists(("flights", "daily"))
    catalog.close()


def test_a_hand_written_dag_whose_job_another_task_returns(home: Path) -> None:
    with DAG("by_hand", schedule=None, start_date=DAY) as dag:
        table = IcebergTableOperator(
            task_id="table", table="flights.daily", columns={"n": "long", "ds": "string"}, partition_by=["ds"]
        )
        submit = SparkRunnerSubmitOperator(task_id="submit", job=task(lambda: job(orders={"rows": 3}), task_id="job")())
        wait = SparkExecutionSensor(task_id="wait", execution=submit.output, poll_interval=0.1)
        see = IcebergTableSensor(task_id="see", table="flights.daily", partition="ds={{ ds }}", poll_interval=0.1)
        table >> submit >> wait >> see
    dag_run = run(dag)
    assert states(dag_run) == dict.fromkeys(("table", "job", "submit", "wait", "see"), "success")
    assert xcom(dag_run, "table") == "created with 2 columns"
    assert xcom(dag_run, "see")["partition"] == {"partition": "ds=2013-01-05", "rows": 3, "files": 1}
