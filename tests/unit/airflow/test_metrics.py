"""The Runner's figures as a StatsD server receives them from Airflow's own logger: real datagrams on a real socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from airflow_dcp_provider.hooks import metrics as adapter
from airflow_dcp_provider.hooks.metrics import AirflowMetrics
from airflow_dcp_provider.model.execution import Attempt, AttemptRef, Cancellation
from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.runner.metrics import report
from airflow_dcp_provider.runner.runner import SparkRunner
from tests.support.executions import attempt, cancellation, waiter


class Statsd:
    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(5)
        self.port = self.socket.getsockname()[1]

    def lines(self) -> list[str]:
        """Everything sent so far: a datagram to this host has arrived when the sender's call returns."""
        found = [self.socket.recv(65535).decode()]
        self.socket.setblocking(False)
        while True:
            try:
                found.append(self.socket.recv(65535).decode())
            except BlockingIOError:
                self.socket.settimeout(5)
                return "\n".join(found).splitlines()


@pytest.fixture
def statsd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Statsd]:
    server = Statsd()
    for option, value in {"STATSD_ON": "True", "STATSD_HOST": "127.0.0.1", "STATSD_PORT": str(server.port)}.items():
        monkeypatch.setenv(f"AIRFLOW__METRICS__{option}", value)
    adapter._logger.cache_clear()
    yield server
    adapter._logger(os.getpid()).statsd.close()
    adapter._logger.cache_clear()
    server.socket.close()


def test_a_count_is_sent_by_name_and_by_dimensions(statsd: Statsd) -> None:
    AirflowMetrics().count("dcp.submits", {"environment": "prod", "backend": "kubeflow"}, 2)
    assert statsd.lines() == ["airflow.dcp.submits:2|c", "airflow.dcp.submits.prod.kubeflow:2|c"]


def test_tags_are_tags_where_the_server_knows_them(statsd: Statsd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED", "True")
    monkeypatch.setenv("AIRFLOW__METRICS__LEGACY_NAMES_ON", "False")
    AirflowMetrics().level("dcp.watch.waiting", 7, {"cluster": "eu-1", "environment": "prod"})
    assert statsd.lines() == ["airflow.dcp.watch.waiting,cluster=eu-1,environment=prod:7|g"]


def test_durations_are_milliseconds(statsd: Statsd) -> None:
    ended = attempt(ExecutionState.SUCCEEDED, started_at=103.0, ended_at=110.5)
    report(AirflowMetrics(), ended, "SUCCEEDED", {}, "local")
    assert statsd.lines() == [
        "airflow.dcp.attempts.succeeded:1|c",
        "airflow.dcp.attempts.succeeded.local.local:1|c",
        "airflow.dcp.attempt.queued:3000.000000|ms",
        "airflow.dcp.attempt.queued.local.local.succeeded:3000.000000|ms",
        "airflow.dcp.attempt.duration:7500.000000|ms",
        "airflow.dcp.attempt.duration.local.local.succeeded:7500.000000|ms",
    ]


def test_the_runner_counts_what_it_does(statsd: Statsd) -> None:
    """A cancel goes through the runner, whose backend is a real object of two methods."""

    class Backend:
        name = "kubeflow"

        def cancel(self, ref: AttemptRef, wish: Cancellation) -> Attempt:
            return attempt(ExecutionState.RUNNING, cancellation=wish)

        def get(self, ref: AttemptRef) -> Attempt:
            return attempt(ExecutionState.RUNNING)

    runner = SparkRunner(Backend(), metrics=AirflowMetrics())  # type: ignore[arg-type]
    ref = attempt(ExecutionState.RUNNING).ref
    runner.check(ref)
    runner.check(ref)
    runner.cancel(ref, cancellation(waiter()))
    runner.cancel(ref, cancellation(reason="because I say so"))
    assert [line for line in statsd.lines() if "local" in line] == [
        "airflow.dcp.attempts.running.local.kubeflow:1|c",
        "airflow.dcp.cancels.local.kubeflow.kill:1|c",
        "airflow.dcp.cancels.local.kubeflow.other:1|c",
    ]


def test_metrics_that_are_off_cost_nothing() -> None:
    adapter._logger.cache_clear()
    report(AirflowMetrics(), attempt(ExecutionState.RUNNING), "RUNNING", {}, "local")


def test_metrics_that_fail_fail_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(AirflowMetrics):
        def count(self, name: str, tags: object, amount: int = 1) -> None:
            raise OSError("no route to host")

    report(Broken(), attempt(ExecutionState.RUNNING), "RUNNING", {}, "local")
    assert "RUNNING of" in caplog.text
    assert "no route to host" in caplog.text
