"""Where the links of an execution lead, at each moment of an attempt."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_dcp_provider.links.execution import ExecutionLink, addresses, history_page, spark_page
from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.states import ExecutionState
from tests.support.executions import attempt, job

HISTORY = "https://history.example.com/spark"
INGRESS, INSIDE, LOCAL = "https://ui.example.com/team/job", "http://10.96.12.7:4040", "http://127.0.0.1:4040"
ID = "spark-8a1f0c"
PAGE = f"{HISTORY}/history/{ID}/jobs/"


@pytest.mark.parametrize(
    ("state", "ui", "app_id", "history", "page"),
    [
        (ExecutionState.RUNNING, INGRESS, ID, HISTORY, INGRESS),
        (ExecutionState.RUNNING, LOCAL, ID, HISTORY, LOCAL),
        (ExecutionState.RUNNING, INSIDE, ID, HISTORY, PAGE),
        (ExecutionState.RUNNING, INSIDE, ID, "", INSIDE),
        (ExecutionState.RUNNING, "", ID, HISTORY, PAGE),
        (ExecutionState.PENDING, "", "", HISTORY, HISTORY),
        (ExecutionState.SUCCEEDED, INGRESS, ID, HISTORY, PAGE),
        (ExecutionState.SUCCEEDED, INGRESS, ID, "", ""),
        (ExecutionState.FAILED, "", ID, f"{HISTORY}/", PAGE),
    ],
)
def test_where_spark_shows_an_attempt(state: ExecutionState, ui: str, app_id: str, history: str, page: str) -> None:
    assert spark_page(attempt(state, spark_ui_url=ui, spark_app_id=app_id), history) == page


@pytest.mark.parametrize(
    ("app_id", "page"), [("", HISTORY), (ID, PAGE), ("local-1/../x", f"{HISTORY}/history/local-1%2F..%2Fx/jobs/")]
)
def test_the_history_is_of_sparks_own_id(app_id: str, page: str) -> None:
    assert history_page(attempt(ExecutionState.FAILED, spark_app_id=app_id), HISTORY) == page
    assert history_page(attempt(ExecutionState.FAILED, spark_app_id=app_id), "") == ""


@pytest.mark.parametrize(
    ("map_index", "page"), [(-1, "tasks/wait"), (None, "tasks/wait"), (0, "tasks/wait/mapped/0"), (12, "tasks/wait/mapped/12")]
)
def test_the_waiting_task_of_a_mapped_one_has_its_own_page(map_index: int | None, page: str) -> None:
    context: Any = {"ti": SimpleNamespace(dag_id="whole", run_id="manual__1", map_index=map_index)}
    found = addresses(context, job(), Environment("local"), attempt(ExecutionState.RUNNING), "wait")
    assert found[ExecutionLink.name].endswith(f"/dags/whole/runs/manual__1/{page}")
