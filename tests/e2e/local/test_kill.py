"""Kills through Airflow's own API and with SIGKILL: Spark ends when a person says so, and only then."""

from __future__ import annotations

import re

import pytest
from dev.airflow_api import wait_until

from tests.e2e.local.conftest import Deployment

pytestmark = [pytest.mark.airflow, pytest.mark.spark]

LONG = 600


@pytest.fixture(scope="module")
def dag_id(deployment: Deployment) -> str:
    return deployment.write("killed")


def deferred(deployment: Deployment, dag_id: str, date: str, seconds: int) -> tuple[str, str]:
    """Start a run, wait until a triggerer watches it and its Spark lives; return run id and execution id."""
    run_id = deployment.run(dag_id, date, seconds=seconds)
    deployment.wait_task(dag_id, run_id, "wait", "deferred")
    execution_id = deployment.handle(dag_id, run_id)["ref"]["execution_id"]
    deployment.wait_spark(execution_id)
    # Airflow tells a kill only to a trigger that runs.
    wait_until(lambda: re.search(r"trigger .* starting", deployment.airflow.task_log(dag_id, run_id, "wait", 1)), "the trigger")
    return run_id, execution_id


@pytest.mark.usefixtures("triggerer")
def test_marking_a_deferred_wait_failed_ends_spark(deployment: Deployment, dag_id: str) -> None:
    run_id, execution_id = deferred(deployment, dag_id, "2024-01-01", LONG)
    deployment.airflow.mark(dag_id, run_id, "wait", "failed")
    deployment.wait_no_spark(execution_id)
    assert deployment.attempts(execution_id) == [1]
    assert deployment.airflow.wait_run(dag_id, run_id) == "failed"


@pytest.mark.usefixtures("triggerer")
def test_failing_the_dag_run_ends_spark(deployment: Deployment, dag_id: str) -> None:
    run_id, execution_id = deferred(deployment, dag_id, "2024-01-02", LONG)
    deployment.airflow.mark_run(dag_id, run_id, "failed")
    deployment.wait_no_spark(execution_id)
    assert deployment.attempts(execution_id) == [1]


@pytest.mark.parametrize("what", ["task", "run"])
def test_failing_while_submit_runs_ends_spark(deployment: Deployment, dag_id: str, what: str) -> None:
    run_id = deployment.run(dag_id, {"task": "2024-01-06", "run": "2024-01-07"}[what], seconds=LONG)
    process = deployment.running_process(dag_id, run_id, "submit")
    execution_id = deployment.execution_of(run_id)
    process.suspend()
    if what == "task":
        deployment.airflow.mark(dag_id, run_id, "submit", "failed")
    else:
        deployment.airflow.mark_run(dag_id, run_id, "failed")
    process.resume()
    assert deployment.airflow.wait_run(dag_id, run_id) == "failed"
    wait_until(lambda: deployment.state(execution_id) == "CANCELLED", "the attempt's end", 90)
    deployment.wait_no_spark(execution_id)
    assert deployment.attempts(execution_id) == [1]


def test_the_timeout_ends_spark_and_says_so(deployment: Deployment) -> None:
    dag_id = deployment.write("late", timeout=15)
    run_id = deployment.run(dag_id, "2024-01-03", seconds=LONG)
    assert deployment.airflow.wait_run(dag_id, run_id) == "failed"
    execution_id = deployment.handle(dag_id, run_id)["ref"]["execution_id"]
    deployment.wait_no_spark(execution_id)
    assert deployment.attempts(execution_id) == [1]
    task = deployment.airflow.tasks(dag_id, run_id)["wait"]
    assert task["try_number"] == 1
    assert "DCP302 " in deployment.airflow.task_log(dag_id, run_id, "wait", 1)


@pytest.mark.usefixtures("own_triggerer")
def test_a_killed_triggerer_and_a_worker_killed_while_it_resumes_cancel_nothing(deployment: Deployment, dag_id: str) -> None:
    run_id, execution_id = deferred(deployment, dag_id, "2024-01-04", 10)
    (spark, *_) = deployment.spark_processes(execution_id)
    deployment.airflow.kill("triggerer")
    assert spark.is_running()
    deployment.airflow.start_component("triggerer")
    # The next process of `wait` is the one that resumes.
    deployment.running_process(dag_id, run_id, "wait").kill()
    assert deployment.airflow.wait_run(dag_id, run_id, 240) == "success"
    assert deployment.attempts(execution_id) == [1]
    assert deployment.starts(execution_id) == 1
    assert deployment.airflow.tasks(dag_id, run_id)["wait"]["try_number"] == 2
