"""``pretzel executions`` for an environment on a cluster: a real API server, Airflow's connections, and the history of a home."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_dcp_provider.hooks.dcp import environment_for
from airflow_dcp_provider.hooks.runners import runner_for
from airflow_dcp_provider.model.execution import Actor, AttemptRef
from airflow_dcp_provider.runner.runner import SparkRunner
from airflow_dcp_provider.runner.store import SqlStore
from airflow_dcp_provider.runner.values import SubmitRequest
from dag_factory.cli import main
from tests.support.executions import job
from tests.support.kubernetes.api_server import ApiServer


@pytest.fixture
def runner(api_server: ApiServer, kube_namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SparkRunner:
    """The Spark Runner of an environment ``test`` on one cluster."""
    monkeypatch.setenv("DCP_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__DCP__ENVIRONMENT", "test")
    cluster = {"conn_type": "kubernetes", "extra": {"kube_config": json.dumps(api_server.kube_config())}}
    environment = {
        "backend": "kubeflow",
        "clusters": [{"name": "eu", "connection": "kubernetes_eu"}],
        "namespace_template": kube_namespace,
        "image_rules": {"default": "spark:3.5"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_EU", json.dumps(cluster))
    monkeypatch.setenv("AIRFLOW_CONN_DCP_TEST", json.dumps({"conn_type": "dcp", "extra": environment}))
    return runner_for(environment_for("test"))


@pytest.fixture
def submitted(runner: SparkRunner, kube_namespace: str) -> AttemptRef:
    spec = replace(job(), environment="test")
    return runner.submit(
        SubmitRequest("key", spec, "f" * 64, Actor("submit", 1, 1), cluster="eu", namespace=kube_namespace, run_key="dag/run/-1")
    ).ref


@pytest.fixture
def pretzel(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Any, str]]:
    def run(*words: str) -> tuple[int, Any, str]:
        code = main(["executions", *words, "--format", "json"])
        printed = capsys.readouterr()
        return code, json.loads(printed.out), printed.err

    return run


def status(server: ApiServer, ref: AttemptRef, state: str) -> None:
    path = f"/apis/sparkoperator.k8s.io/v1beta2/namespaces/{ref.namespace}/sparkapplications/{ref.name}/status"
    ui = {"webUIAddress": "10.96.1.2:4040"}
    said = {"applicationState": {"state": state}, "driverInfo": ui, "sparkApplicationId": "spark-8a1f0c"}
    server.request("PATCH", path, {"status": said})


def test_list_and_show_ask_the_cluster(api_server: ApiServer, submitted: AttemptRef, pretzel) -> None:
    status(api_server, submitted, "RUNNING")
    code, data, _ = pretzel("list", "--environment", "test")
    assert (code, [(one["execution_id"], one["state"]) for one in data["executions"]]) == (0, [(submitted.execution_id, "RUNNING")])
    code, data, _ = pretzel("show", submitted.execution_id[:8])
    (attempt,) = data["attempts"]
    assert (code, attempt["request"]["ref"]["name"], attempt["state"]) == (0, submitted.name, "RUNNING")
    assert (attempt["spark_ui_url"], attempt["spark_app_id"]) == ("http://10.96.1.2:4040", "spark-8a1f0c")


def test_an_execution_that_the_history_lost_is_found_on_its_cluster(submitted: AttemptRef, tmp_path: Path, pretzel) -> None:
    (tmp_path / "dcp.db").unlink()
    assert pretzel("show", submitted.execution_id[:8])[0] == 2
    code, data, _ = pretzel("show", submitted.execution_id[:8], "--environment", "test")
    assert (code, data["attempts"][0]["request"]["ref"]["cluster"]) == (0, "eu")


def test_cancel_deletes_the_application(runner: SparkRunner, submitted: AttemptRef, pretzel) -> None:
    code, data, _ = pretzel("cancel", submitted.execution_id)
    assert (code, data["cancelled"]) == (0, True)
    attempt = runner.backend.get(submitted)
    assert attempt is not None
    assert attempt.cancellation is not None
    assert attempt.cancellation.asked_by.user


def test_the_log_of_a_driver_that_has_none_is_empty(submitted: AttemptRef, pretzel) -> None:
    code, data, err = pretzel("logs", submitted.execution_id)
    assert (code, data["log"]) == (0, "")
    assert "no log yet" not in err


def test_without_the_cluster_the_history_answers_and_says_so(
    submitted: AttemptRef, monkeypatch: pytest.MonkeyPatch, pretzel
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_KUBERNETES_EU")
    code, data, err = pretzel("show", submitted.execution_id)
    assert (code, data["attempts"][0]["state"]) == (0, "SUBMITTED")
    assert "as the history knows them" in err
    assert "kubernetes_eu" in err
    code, data, err = pretzel("list")
    assert (code, data["executions"][0]["state"]) == (0, "SUBMITTED")
    assert "as the history knows it" in err
    assert pretzel("cancel", submitted.execution_id)[0] == 4


def test_sweep_says_what_it_finds_and_does(api_server: ApiServer, submitted: AttemptRef, tmp_path: Path, pretzel) -> None:
    store = SqlStore(f"sqlite:///{tmp_path / 'dcp.db'}")
    attempt = store.attempts(submitted.execution_id)[0]
    wish = {"asked_by": {"task_id": "wait", "try_number": 1, "round_try": 1, "user": ""}, "reason": "kill", "at": 1.0}
    store.record(attempt, "CANCEL_INTENT", {"ref": vars(submitted), "cancellation": wish, "error": "away"})

    code, data, _ = pretzel("sweep", "--dry-run")
    (found,) = data["environments"][0]["swept"]
    assert (code, data["dry_run"], found["leftover"], found["done"], found["name"]) == (
        0,
        True,
        "cancel-intent",
        False,
        submitted.name,
    )
    code, data, _ = pretzel("sweep", "--environment", "test")
    assert (code, data["environments"][0]["swept"][0]["done"]) == (0, True)
    path = f"/apis/sparkoperator.k8s.io/v1beta2/namespaces/{submitted.namespace}/sparkapplications/{submitted.name}"
    assert api_server.request("GET", path)["metadata"]["deletionTimestamp"]
    assert pretzel("sweep")[1]["environments"][0]["swept"] == []


def test_sweep_names_a_cluster_that_it_cannot_ask(submitted: AttemptRef, monkeypatch: pytest.MonkeyPatch, pretzel) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_KUBERNETES_EU")
    code, data, err = pretzel("sweep")
    assert code == 4
    assert "DCP416" in next(iter(data["environments"][0]["unseen"].values()))
    assert "could not be looked at" in err
