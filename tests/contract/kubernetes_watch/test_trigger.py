"""The trigger on a cluster: through the connections of an Airflow, by the one watch of its namespace."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_dcp_provider.hooks.dcp import environment_for
from airflow_dcp_provider.hooks.runners import runner_for
from airflow_dcp_provider.model.execution import AttemptRef, Execution
from airflow_dcp_provider.runner.backends.kubernetes.api import KubernetesApi
from airflow_dcp_provider.runner.runner import SparkRunner
from airflow_dcp_provider.runner.values import SubmitRequest
from airflow_dcp_provider.triggers import spark_execution, watches
from airflow_dcp_provider.triggers.spark_execution import SparkExecutionTrigger, watch
from airflow_dcp_provider.triggers.watches import Place, WatchRegistry, open_watch
from tests.contract.kubernetes_watch.cluster import PATIENCE, Cluster, list_path, until
from tests.support.executions import job, submitter, waiter


@pytest.fixture
def runner(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> SparkRunner:
    """The runner of an environment whose connections lead to the cluster; the clients that runners make are closed with the test."""
    begin = KubernetesApi.__init__

    def remembered(self: KubernetesApi, *arguments: Any, **options: Any) -> None:
        begin(self, *arguments, **options)
        request.addfinalizer(self.close)

    monkeypatch.setattr(KubernetesApi, "__init__", remembered)
    monkeypatch.setenv("DCP_HOME", str(tmp_path))
    extra: dict[str, Any] = {
        "backend": "kubeflow",
        "clusters": [{"name": "here", "connection": "k8s_here"}],
        "image_rules": {"default": "spark:3.5.5"},
        "image_policy": "any",
        "allowed_registries": [],
        "serviceaccount": "spark",
    }
    define(monkeypatch, "dcp_test", "dcp", extra)
    define(monkeypatch, "k8s_here", "kubernetes", {"kube_config": cluster.access().kube_config})
    return runner_for(environment_for("test"))


def define(monkeypatch: pytest.MonkeyPatch, conn_id: str, conn_type: str, extra: dict[str, Any]) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps({"conn_type": conn_type, "extra": extra}))


@pytest.fixture(autouse=True)
async def registry(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WatchRegistry]:
    """This test's registry, which closes a watch as soon as nobody waits."""
    made = WatchRegistry(open_watch, grace=0.0)
    monkeypatch.setattr(spark_execution, "watches", lambda: made)
    yield made
    async with asyncio.timeout(PATIENCE):
        while made._leaving or made._closing:  # noqa: ASYNC110 - a close sets no event
            await asyncio.sleep(0.005)
    assert made._watches == {}


async def submit(runner: SparkRunner, cluster: Cluster, key: str = "key") -> Execution:
    request = SubmitRequest(
        key, replace(job(), environment="test"), "f" * 64, submitter(), cluster="here", namespace=cluster.namespace
    )
    return await asyncio.to_thread(runner.submit, request)


def watching(execution: Execution, **options: Any) -> SparkExecutionTrigger:
    return watch(execution.ref, waiter(), backend="kubeflow", poll_interval=0.05, **options)


async def fire(trigger: SparkExecutionTrigger) -> dict[str, Any]:
    """Return the one event of a trigger that went through JSON, as Airflow's database sends it."""
    _, arguments = trigger.serialize()
    again = SparkExecutionTrigger(**json.loads(json.dumps(arguments)))
    async with asyncio.timeout(PATIENCE):
        (event,) = [event async for event in again.run()]
    return dict(event.payload)


async def reason(trigger: SparkExecutionTrigger) -> str:
    return str((await fire(trigger))["reason"])


async def test_fires_when_the_attempt_has_ended(cluster: Cluster, runner: SparkRunner, registry: WatchRegistry) -> None:
    execution = await submit(runner, cluster)
    waiting = asyncio.create_task(fire(watching(execution, copied={"1": 7})))
    await cluster.move(execution.ref.name, "RUNNING")
    await until(lambda: bool(registry._watches) and bool(next(iter(registry._watches.values()))._states))
    assert not waiting.done()
    await cluster.move(execution.ref.name, "COMPLETED")
    assert await waiting == {"reason": "ended", "copied": {"1": 7}}


async def test_many_triggers_share_one_watch(cluster: Cluster, runner: SparkRunner, registry: WatchRegistry) -> None:
    executions = [await submit(runner, cluster, f"key-{number}") for number in range(20)]
    waiting = [asyncio.create_task(reason(watching(execution))) for execution in executions]
    await until(lambda: bool(registry._watches) and next(iter(registry._watches.values())).waiting == 20)
    before = await cluster.requests()
    assert list(registry._watches) == [Place("kubeflow", "test", "here", cluster.namespace)]
    await asyncio.gather(*(cluster.move(execution.ref.name, "FAILED") for execution in executions))
    assert await asyncio.gather(*waiting) == ["ended"] * 20
    after = await cluster.requests()
    # The one list may come after the count began.
    assert after["LIST"] - before.get("LIST", 0) <= 1
    assert after.get("GET", 0) == before.get("GET", 0)


async def test_a_deleted_application_ends_the_wait(cluster: Cluster, runner: SparkRunner) -> None:
    execution = await submit(runner, cluster)
    waiting = asyncio.create_task(reason(watching(execution)))
    await cluster.delete(execution.ref.name)
    assert await waiting == "ended"


async def test_both_deadlines_are_told_apart(cluster: Cluster, runner: SparkRunner) -> None:
    execution = await submit(runner, cluster)
    past, future = time.time() - 5, time.time() + PATIENCE
    assert await reason(watching(execution, deadline=past)) == "deadline"
    assert await reason(watching(execution, start_deadline=past, deadline=future)) == "start-deadline"
    await cluster.move(execution.ref.name, "RUNNING")
    assert await reason(watching(execution, start_deadline=past, deadline=time.time() + 0.5)) == "deadline"


async def test_a_cancelled_attempt_is_waited_for_until_its_pods_are_gone(cluster: Cluster, runner: SparkRunner) -> None:
    execution = await submit(runner, cluster)
    ref = execution.ref
    pods = f"/api/v1/namespaces/{cluster.namespace}/pods"
    pod = {
        "metadata": {"name": f"{ref.name}-driver", "labels": {"sparkoperator.k8s.io/app-name": ref.name, "spark-role": "driver"}},
        "spec": {"containers": [{"name": "spark-kubernetes-driver", "image": "x"}]},
    }
    await cluster.do("POST", pods, pod)
    await watching(execution).on_kill()
    # Its application, and later its pod, is kept from going.
    assert await reason(watching(execution, await_gone=True, deadline=time.time() + 0.5)) == "deadline"
    waiting = asyncio.create_task(reason(watching(execution, await_gone=True)))
    # What the garbage collector would do, had it removed the pod.
    path = f"{list_path(cluster.namespace)}/{ref.name}"
    await cluster.do("PATCH", path, {"metadata": {"finalizers": None}})
    looked = await looks(runner, ref, 3)
    assert not waiting.done()
    assert looked
    assert await reason(watching(execution, await_gone=True, deadline=time.time() + 0.5)) == "deadline"
    await cluster.do("DELETE", f"{pods}/{ref.name}-driver?gracePeriodSeconds=0")
    assert await waiting == "ended"
    cancellation = (await asyncio.to_thread(runner.check, ref)).cancellation
    assert cancellation is not None
    assert cancellation.asked_by == waiter()


async def looks(runner: SparkRunner, ref: AttemptRef, count: int) -> bool:
    """Look a few times whether the attempt is gone; return whether it never was."""
    return not any([await asyncio.to_thread(runner.backend.is_gone, ref) for _ in range(count)])


async def test_a_driver_that_was_submitted_twice_is_asked_for_itself(
    cluster: Cluster, runner: SparkRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The application says FAILED because a driver is there already; as long as that runs, the attempt has not ended."""
    monkeypatch.setattr(spark_execution, "_DOUBT_INTERVAL", 0.05)
    execution = await submit(runner, cluster)
    name = execution.ref.name
    pods = f"/api/v1/namespaces/{cluster.namespace}/pods"
    pod = {
        "metadata": {"name": f"{name}-driver", "labels": {"sparkoperator.k8s.io/app-name": name, "spark-role": "driver"}},
        "spec": {"containers": [{"name": "spark-kubernetes-driver", "image": "x"}]},
    }
    await cluster.do("POST", pods, pod)
    status = {
        "applicationState": {"state": "FAILED", "errorMessage": f'failed to run: driver pod "{name}-driver" already exist'},
        "driverInfo": {"podName": f"{name}-driver"},
    }
    await cluster.do("PATCH", f"{list_path(cluster.namespace)}/{name}/status", {"status": status})
    assert await reason(watching(execution, deadline=time.time() + 1.0)) == "deadline"
    waiting = asyncio.create_task(reason(watching(execution)))
    await cluster.do("DELETE", f"{pods}/{name}-driver?gracePeriodSeconds=0")
    assert await waiting == "ended"


async def test_a_kill_keeps_its_message_and_cancels_by_on_kill_alone(
    cluster: Cluster, runner: SparkRunner, registry: WatchRegistry
) -> None:
    execution = await submit(runner, cluster)
    task = asyncio.create_task(fire(watching(execution)))
    await until(lambda: bool(registry._watches))
    task.cancel("user-action")
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert caught.value.args == ("user-action",)
    assert (await asyncio.to_thread(runner.check, execution.ref)).cancellation is None


async def test_the_credentials_are_read_again_when_the_connection_is_mended(
    cluster: Cluster, runner: SparkRunner, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    execution = await submit(runner, cluster)
    good = cluster.token
    cluster.token = "ended"
    define(monkeypatch, "k8s_here", "kubernetes", {"kube_config": cluster.access().kube_config})
    waiting = asyncio.create_task(reason(watching(execution)))
    await until(lambda: "401" in caplog.text)
    cluster.token = good
    define(monkeypatch, "k8s_here", "kubernetes", {"kube_config": cluster.access().kube_config})
    await cluster.move(execution.ref.name, "COMPLETED")
    assert await waiting == "ended"


async def test_a_watch_is_closed_some_time_after_the_last_has_left(cluster: Cluster, runner: SparkRunner) -> None:
    del runner
    place = Place("kubeflow", "test", "here", cluster.namespace)
    registry = WatchRegistry(open_watch, grace=0.2)
    with registry.joined(place) as first, registry.joined(place) as second:
        assert first is second
    with registry.joined(place) as third:
        assert third is first
        # Somebody came back in time: nothing is due that would close it.
        assert registry._leaving == {}
        assert registry._watches == {place: first}
    await until(lambda: not registry._watches)
    with registry.joined(place) as fourth:
        assert fourth is not first
    await until(lambda: not registry._watches and not registry._closing)


async def test_places_and_event_loops_share_nothing(cluster: Cluster, runner: SparkRunner) -> None:
    del runner
    place = Place("kubeflow", "test", "here", cluster.namespace)
    registry = WatchRegistry(open_watch, grace=0.0)
    with registry.joined(place) as one, registry.joined(replace(place, namespace="other")) as other:
        assert one is not other
    await until(lambda: not registry._watches and not registry._closing)
    mine = watches.watches()
    assert mine is watches.watches()

    def elsewhere() -> WatchRegistry:
        async def get() -> WatchRegistry:
            return watches.watches()

        return asyncio.run(get())

    assert await asyncio.to_thread(elsewhere) is not mine


def test_a_trigger_that_an_older_version_wrote_is_read() -> None:
    old = {
        "ref": {"execution_id": "e", "attempt": 1, "environment": "local", "cluster": "local", "namespace": "local", "name": "n"},
        "actor": {"task_id": "wait", "try_number": 1, "round_try": 1, "user": ""},
        "deadline": None,
        "not_before": None,
        "await_gone": False,
        "poll_interval": 1.0,
        "copied": {},
    }
    trigger = SparkExecutionTrigger(**old)
    assert (trigger.backend, trigger.start_deadline) == ("local", None)
    assert trigger.serialize()[1].items() >= {**old, "backend": "local", "start_deadline": None}.items()
