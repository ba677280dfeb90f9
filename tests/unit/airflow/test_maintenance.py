"""The maintenance DAG: whether it is there, and what it does to what nobody waits for, with Airflow's own answers."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_dcp_provider.hooks.sweeping import namespaces_of, rules_for, sweep_environment
from airflow_dcp_provider.model.cluster import Cluster
from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.execution import Actor
from airflow_dcp_provider.operators.maintenance import SweepOperator
from airflow_dcp_provider.runner.backends.local import LocalBackend
from airflow_dcp_provider.runner.store import SqlStore
from dag_factory.loader import load_dags
from dag_factory.maintenance import DAG_ID, maintenance_dag
from tests.support.executions import attempt, cancellation, local_settings, request, wait_for
from tests.support.executions import job as fake_job
from tests.unit.airflow.test_dag_run import build, job, run, sources, states, xcom  # noqa: F401

airflow = [
    pytest.mark.usefixtures("airflow_database"),
    pytest.mark.filterwarnings("default"),
    pytest.mark.filterwarnings("error:::airflow_dcp_provider"),
]


def living(home: Path, run_key: str, key: str = "left over", **ref: Any) -> Any:
    """An attempt whose driver holds, submitted ten minutes ago."""
    backend = LocalBackend(home, local_settings(home))
    made = request(key, spec=fake_job(hold=True), run_key=run_key, submitted_at=time.time() - 600)
    made = replace(made, ref=replace(made.ref, **ref))
    backend.create(made)
    return backend, made


@pytest.mark.usefixtures("airflow_database")
class TestRun:
    pytestmark = airflow

    def test_what_nobody_waits_for_is_cancelled_and_what_is_not_known_is_not(
        self, home: Path, connection: Callable[..., None]
    ) -> None:
        connection("dcp_local", {"backend": "local", "sweep": True})
        over = run(build("over", job()))
        execution_id = xcom(over, "submit")["request"]["ref"]["execution_id"]
        backend, orphan = living(home, f"over/{over.run_id}/-1", execution_id=execution_id, attempt=2)
        _, unknown = living(home, f"over/{over.run_id}/-1", "another Airflow's")

        swept = run(maintenance_dag("@hourly"), logical_date=None)
        assert states(swept) == {"sweep": "success"}
        (found,) = xcom(swept, "sweep")
        assert [(one["leftover"], one["action"], one["name"], one["done"]) for one in found["swept"]] == [
            ("orphan", "cancel", orphan.ref.name, True)
        ]
        wait_for(lambda: backend.is_gone(orphan.ref), "the orphan's end")
        ended = backend.get(orphan.ref)
        assert ended.cancellation.asked_by == Actor("wait")
        assert not backend.is_gone(unknown.ref)
        (home / "release").touch()
        wait_for(lambda: backend.is_gone(unknown.ref), "the other one's end")

    def test_an_environment_that_does_not_ask_for_it_is_not_swept(self, home: Path) -> None:
        swept = run(maintenance_dag("@hourly"), logical_date=None)
        assert xcom(swept, "sweep") == []

    def test_what_cannot_be_looked_at_fails_the_task(self, home: Path, connection: Callable[..., None]) -> None:
        connection("dcp_test", {"backend": "kubeflow", "clusters": [{"name": "eu", "connection": "nowhere"}]})
        with DAG("sweep_test", schedule=None, start_date=dt.datetime(2024, 1, 1, tzinfo=dt.UTC)) as dag:
            SweepOperator(task_id="sweep", environments=["test"])
        assert states(run(dag, logical_date=None)) == {"sweep": "failed"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DCP_HOME", str(tmp_path / "dcp"))
    (tmp_path / "manifests").mkdir()
    return tmp_path / "manifests"


def test_there_is_a_maintenance_dag_only_where_one_is_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_dags(folder) == {}
    monkeypatch.setenv("AIRFLOW__DCP__MAINTENANCE_SCHEDULE", "@hourly")
    (dag,) = load_dags(folder).values()
    assert (dag.dag_id, dag.schedule, dag.catchup, list(dag.task_dict)) == (DAG_ID, "@hourly", False, ["sweep"])
    assert load_dags(folder, maintenance=False) == {}


def test_a_schedule_that_is_none_leaves_the_other_dags_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW__DCP__MAINTENANCE_SCHEDULE", "every now and then")
    assert load_dags(folder) == {}
    assert "DCP417" in caplog.text
    with pytest.raises(DcpEnvironmentError, match="DCP417"):
        maintenance_dag("every now and then")


DAY = 86_400


@pytest.mark.parametrize(("ttl", "days"), [(None, 7), (60, 1), (3 * DAY, 3)])
def test_notes_are_kept_as_long_as_the_environment_keeps_applications(ttl: int | None, days: int) -> None:
    assert rules_for(Environment("test", ttl_seconds=ttl)).retention == days * DAY


EU = Cluster("eu", "kubernetes_eu")


@pytest.mark.parametrize(
    ("environment", "cluster", "namespaces"),
    [
        (Environment("test", namespace_template="sjns-test"), EU, ("sjns-test",)),
        (Environment("prod", namespace_template="sjns-{team}-{environment}", teams=("a", "b")), EU, ("sjns-a-prod", "sjns-b-prod")),
        (Environment("prod", namespace_template="sjns-{team}"), EU, ("",)),
        (Environment("staging", namespace_template="sjns-{user}", user="jane"), EU, ("",)),
        (Environment("playground_jane", namespace_template="sjns-{user}"), EU, ("sjns-jane",)),
        (Environment("prod", namespace_template="sjns-{team}"), replace(EU, namespace="own"), ("own",)),
    ],
)
def test_which_namespaces_an_environment_may_be_in(environment: Environment, cluster: Cluster, namespaces: tuple[str, ...]) -> None:
    assert namespaces_of(environment, cluster) == namespaces


def test_one_cluster_that_cannot_be_reached_is_named_and_hides_no_other(
    home: Path, connection: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection("kubernetes_broken", {"kube_config": "{"}, conn_type="kubernetes")
    clusters = (replace(EU, connection="not_defined"), Cluster("us", "kubernetes_broken"))
    found = sweep_environment(Environment("test", backend="kubeflow", clusters=clusters, namespace_template="sjns-test"))
    assert found.swept == ()
    assert {place: why[:6] for place, why in found.unseen.items()} == {
        "cluster eu, namespace sjns-test": "DCP416",
        "cluster us, namespace sjns-test": "DCP469",
    }
    assert not found.complete


def test_cancellations_that_wait_in_the_store_are_sent(home: Path, tmp_path: Path) -> None:
    backend, made = living(home, "")
    store = SqlStore(f"sqlite:///{home}/dcp.db")
    wish = cancellation()
    details = {"ref": vars(made.ref), "cancellation": {**vars(wish), "asked_by": vars(wish.asked_by)}, "error": "away"}
    kept = attempt(backend.get(made.ref).state, of={"key": "left over"})
    store.record(replace(kept, request=made), "CANCEL_INTENT", details)
    assert store.cancel_intents("local") == {made.ref.name: wish}
    assert store.cancel_intents("prod") == {}
    assert store.cancel_intents("local", since=time.time() + 1) == {}

    found = sweep_environment(Environment("local"))
    assert [(one.finding.leftover.value, one.done) for one in found.swept] == [("cancel-intent", True)]
    wait_for(lambda: backend.is_gone(made.ref), "the attempt's end")
    assert store.cancel_intents("local") == {}
