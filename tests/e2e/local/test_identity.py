"""Every row of the design's identity table, through Airflow's own API, with Spark's starts counted."""

from __future__ import annotations

import pytest
from dev.airflow_api import wait_until

from tests.e2e.local.conftest import Deployment

pytestmark = [pytest.mark.airflow, pytest.mark.spark]


@pytest.fixture(scope="module")
def dag_id(deployment: Deployment) -> str:
    return deployment.write("identity")


def ended_well(deployment: Deployment, dag_id: str, run_id: str) -> dict:
    assert deployment.airflow.wait_run(dag_id, run_id) == "success", deployment.airflow.states(dag_id, run_id)
    return deployment.handle(dag_id, run_id)


def test_whatever_begins_a_run_anew_begins_a_new_execution(deployment: Deployment, dag_id: str) -> None:
    airflow = deployment.airflow
    run_id = deployment.run(dag_id, "2024-01-01", word="first")
    first = ended_well(deployment, dag_id, run_id)
    (proof,) = airflow.xcom(dag_id, run_id, "publish")
    assert (proof["result"], proof["rows"], proof["partition"]) == ("written", 1, "ds=2024-01-01")
    assert proof["execution_id"] == first["ref"]["execution_id"]
    events = airflow.request("GET", "assets/events", params={"source_dag_id": dag_id, "source_run_id": run_id})["asset_events"]
    assert [event["extra"]["snapshot_id"] for event in events] == [proof["snapshot_id"]]

    airflow.clear(dag_id, run_id, "submit", downstream=True)
    cleared = ended_well(deployment, dag_id, run_id)

    tries = airflow.tasks(dag_id, run_id)["submit"]["try_number"]
    airflow.backfill(dag_id, "2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z", reprocess="completed")
    wait_until(lambda: airflow.tasks(dag_id, run_id)["submit"]["try_number"] > tries, "the backfill to run it again")
    reprocessed = ended_well(deployment, dag_id, run_id)

    airflow.request("DELETE", f"dags/{dag_id}/dagRuns/{run_id}")
    assert airflow.trigger(dag_id, "2024-01-01T00:00:00Z", dag_run_id=run_id) == run_id
    made_again = ended_well(deployment, dag_id, run_id)

    executions = [handle["ref"]["execution_id"] for handle in (first, cleared, reprocessed, made_again)]
    assert len(set(executions)) == 4
    assert [deployment.starts(execution_id) for execution_id in executions] == [1, 1, 1, 1]
    assert [handle["ref"]["attempt"] for handle in (first, cleared, reprocessed, made_again)] == [1, 1, 1, 1]


@pytest.mark.usefixtures("triggerer")
def test_clearing_a_deferred_wait_cancels_and_starts_the_next_attempt(deployment: Deployment, dag_id: str) -> None:
    run_id = deployment.run(dag_id, "2024-01-05", seconds=15)
    deployment.wait_task(dag_id, run_id, "wait", "deferred")
    execution_id = deployment.handle(dag_id, run_id)["ref"]["execution_id"]
    deployment.wait_spark(execution_id)
    deployment.airflow.clear(dag_id, run_id, "wait")
    assert deployment.airflow.wait_run(dag_id, run_id) == "success"
    assert deployment.attempts(execution_id) == [1, 2]
    assert deployment.starts(execution_id) == 2
    (proof,) = deployment.airflow.xcom(dag_id, run_id, "publish")
    assert proof["attempt"] == 2


def test_clearing_a_failed_wait_starts_the_next_attempt(deployment: Deployment) -> None:
    dag_id = deployment.write("mended", query="SELECT nowhere AS id")
    run_id = deployment.run(dag_id, "2024-01-06")
    assert deployment.airflow.wait_run(dag_id, run_id) == "failed"
    handle = deployment.handle(dag_id, run_id)
    # Airflow may have lost a try on the way, of which nothing is left.
    log = deployment.airflow.task_log(dag_id, run_id, "wait", deployment.airflow.tasks(dag_id, run_id)["wait"]["try_number"])
    assert "nowhere" in log
    assert "UNRESOLVED_COLUMN" in log
    # The manifest is mended, and clearing takes it as it is now.
    deployment.write("mended", query="SELECT 2 AS id")
    deployment.airflow.clear(dag_id, run_id, "wait", downstream=True)
    assert deployment.airflow.wait_run(dag_id, run_id) == "success"
    assert deployment.attempts(handle["ref"]["execution_id"]) == [1, 2]
    assert deployment.starts(handle["ref"]["execution_id"]) == 2


def test_killed_workers_of_submit_and_of_wait_lead_to_the_same_attempt(deployment: Deployment, dag_id: str) -> None:
    run_id = deployment.run(dag_id, "2024-01-07", seconds=5)
    process = deployment.running_process(dag_id, run_id, "submit")
    # The task process dies as soon as it has written the attempt down.
    execution_id = deployment.execution_of(run_id)
    process.kill()
    # The first process of `wait` dies before it can defer.
    deployment.running_process(dag_id, run_id, "wait").kill()
    assert deployment.airflow.wait_run(dag_id, run_id, 240) == "success"
    assert deployment.handle(dag_id, run_id)["ref"]["execution_id"] == execution_id
    tasks = deployment.airflow.tasks(dag_id, run_id)
    assert (tasks["submit"]["try_number"], tasks["wait"]["try_number"]) == (2, 2)
    assert deployment.attempts(execution_id) == [1]
    assert deployment.starts(execution_id) == 1


def test_clearing_a_running_submit_keeps_the_execution(deployment: Deployment, dag_id: str) -> None:
    run_id = deployment.run(dag_id, "2024-01-09", seconds=5)
    process = deployment.running_process(dag_id, run_id, "submit")
    execution_id = deployment.execution_of(run_id)
    # The task is held where it has just written its attempt down, until the clear has been taken.
    process.suspend()
    deployment.airflow.clear(dag_id, run_id, "submit")
    process.resume()
    assert deployment.airflow.wait_run(dag_id, run_id, 240) == "success"
    handle = deployment.handle(dag_id, run_id)
    assert handle["ref"]["execution_id"] == execution_id
    # The kill that came with the clear cancelled the first attempt; it is never reported as the next one's result.
    assert deployment.attempts(execution_id) == [1, 2]
    assert handle["ref"]["attempt"] == 2
    (proof,) = deployment.airflow.xcom(dag_id, run_id, "publish")
    assert proof["attempt"] == 2
    assert deployment.starts(execution_id) <= 2


def test_a_second_submit_of_the_same_run_finds_the_first_ones_attempt(deployment: Deployment, dag_id: str) -> None:
    """What a second scheduler would do: the very same try runs `submit` twice."""
    # Long enough: whoever runs `submit` anew removes its XCom for a moment, and nobody may look for it then.
    run_id = deployment.run(dag_id, "2024-01-10", seconds=20)
    deployment.wait_task(dag_id, run_id, "wait", "deferred", "running")
    handle = deployment.handle(dag_id, run_id)
    done = deployment.airflow.run("tasks", "test", dag_id, "submit", run_id, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert deployment.airflow.wait_run(dag_id, run_id) == "success"
    execution_id = handle["ref"]["execution_id"]
    assert deployment.attempts(execution_id) == [1]
    assert deployment.starts(execution_id) == 1
