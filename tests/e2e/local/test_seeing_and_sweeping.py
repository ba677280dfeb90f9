"""What a real triggerer shows while a task waits, and what the sweep ends that no kill has reached."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from dev.airflow_api import wait_until

from tests.e2e.local.conftest import Deployment

pytestmark = [pytest.mark.airflow, pytest.mark.spark]


@pytest.fixture
def live_logs(deployment: Deployment) -> Iterator[None]:
    """The environment `local` follows one log at once."""
    body = {"connection_id": "dcp_local", "conn_type": "dcp", "extra": '{"backend": "local", "live_logs": 1}'}
    deployment.airflow.request("POST", "connections", json=body)
    yield
    deployment.airflow.request("DELETE", "connections/dcp_local")


@pytest.mark.usefixtures("triggerer", "live_logs")
def test_the_log_and_sparks_page_are_there_while_the_task_waits(deployment: Deployment) -> None:
    dag_id = deployment.write("followed")
    run_id = deployment.run(dag_id, "2024-01-01", busy=40)
    deployment.wait_task(dag_id, run_id, "wait", "deferred")

    def log() -> str:
        return deployment.airflow.task_log(dag_id, run_id, "wait", 1)

    wait_until(lambda: "The driver's log is followed while the task waits" in log(), "the log to be followed")

    def link() -> str:
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/wait/links"
        return str(deployment.airflow.request("GET", path)["extra_links"].get("Spark UI") or "")

    address = wait_until(link, "the link to Spark's page")

    def page() -> bytes:
        # The link is there as soon as Spark is started, its page some seconds later.
        with contextlib.suppress(URLError), urlopen(address, timeout=10) as answer:
            read: bytes = answer.read()
            return read
        return b""

    assert b"Spark" in wait_until(page, "Spark's page", 60)
    assert deployment.airflow.states(dag_id, run_id)["wait"] == "deferred"

    assert deployment.airflow.wait_run(dag_id, run_id) == "success"
    execution_id = deployment.handle(dag_id, run_id)["ref"]["execution_id"]
    driver = (deployment.home / "executions" / execution_id / "1" / "driver.log").read_text().splitlines()
    whole = log()
    unique = [one for one in driver if len(one) > 20 and driver.count(one) == 1]
    assert unique
    assert {one: whole.count(one) for one in unique} == dict.fromkeys(unique, 1)


@pytest.mark.usefixtures("own_triggerer")
def test_what_a_kill_did_not_reach_the_sweep_ends(deployment: Deployment) -> None:
    dag_id = deployment.write("orphaned")
    run_id = deployment.run(dag_id, "2024-01-01", seconds=600)
    deployment.wait_task(dag_id, run_id, "wait", "deferred")
    execution_id = deployment.handle(dag_id, run_id)["ref"]["execution_id"]
    deployment.wait_spark(execution_id)
    # Nobody is there to be told of the kill, as between a deferral and the triggerer's taking it.
    deployment.airflow.kill("triggerer")
    deployment.airflow.mark(dag_id, run_id, "wait", "failed")
    assert deployment.airflow.wait_run(dag_id, run_id) == "failed"
    deployment.airflow.start_component("triggerer")
    assert deployment.spark_processes(execution_id)

    sweep = deployment.airflow.trigger("sweep_now")
    assert deployment.airflow.wait_run("sweep_now", sweep) == "success"
    deployment.wait_no_spark(execution_id)
    wait_until(lambda: deployment.state(execution_id) == "CANCELLED", "the attempt's end", 60)
    assert deployment.attempts(execution_id) == [1]
    (found,) = deployment.airflow.xcom("sweep_now", sweep, "sweep")
    mine = [one for one in found["swept"] if one["execution_id"] == execution_id]
    assert [(one["leftover"], one["action"], one["done"]) for one in mine] == [("orphan", "cancel", True)]

    # Clearing the task afterwards is a new wish: it starts the next attempt.
    deployment.airflow.clear(dag_id, run_id, "wait", downstream=True)
    wait_until(lambda: deployment.attempts(execution_id) == [1, 2], "the next attempt", 120)
    deployment.airflow.mark(dag_id, run_id, "wait", "failed")
    deployment.wait_no_spark(execution_id, 90)
