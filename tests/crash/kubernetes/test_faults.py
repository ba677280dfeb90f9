"""A cluster that refuses, loses answers, sleeps, dies, or no longer knows who asks: never two drivers, and the next try goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.execution import Cancellation
from airflow_dcp_provider.model.states import ExecutionState as State
from airflow_dcp_provider.runner.runner import SparkRunner
from airflow_dcp_provider.runner.store import SqlStore
from airflow_dcp_provider.runner.values import SubmitRequest
from tests.crash.kubernetes.actor import backend_on
from tests.crash.kubernetes.proxy import Fault, Proxy
from tests.crash.kubernetes.scene import Scene
from tests.support.executions import cancellation, job, submitter, wait_for, waiter

FAULTS = [
    Fault(409),
    Fault(429, retry_after="0"),
    Fault(500),
    Fault(503, retry_after="0"),
    Fault(0),
    Fault(500, carried_out=True),
    Fault(0, carried_out=True),
    Fault(504, carried_out=True, times=3),
]


def insist(act: Callable[[], Any]) -> Any:
    """Try again until it is accepted, as the retries of an Airflow task do; whatever is raised is one of our own errors."""
    codes: list[str] = []
    while len(codes) < 10:
        try:
            return act()
        except DcpEnvironmentError as error:
            codes.append(error.code)
    raise AssertionError(f"never accepted: {codes}")


def each_request(run: Callable[[int], bool]) -> None:
    """Spoil request 1, 2, 3, ... until there is none to spoil."""
    with ThreadPoolExecutor(3) as pool:
        for base in range(1, 30, 3):
            if not all(list(pool.map(run, range(base, base + 3)))):
                assert base > 3, "too few requests were spoilt to prove anything"
                return
    raise AssertionError("there was no end of requests")


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_create_with_a_fault_at_every_request(scene, fault):
    def run(number: int) -> bool:
        asked = scene.request(f"{fault} {number}")
        with Proxy(scene.server, fault, number) as proxy:
            config = proxy.kube_config(scene.server)
            insist(lambda: backend_on(config).create(asked))
            assert scene.ended(asked).state is State.SUCCEEDED
        assert scene.starts(asked) == [1]
        assert len(scene.things(asked)["sparkapplications"]) == 1
        scene.assert_nothing_is_orphaned(asked)
        return proxy.spoilt

    each_request(run)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_cancel_with_a_fault_at_every_request(scene, fault):
    def run(number: int) -> bool:
        asked = scene.request(f"{fault} {number}", spec=job(hold=True))
        scene.backend().create(asked)
        with Proxy(scene.server, fault, number) as proxy:
            config = proxy.kube_config(scene.server)
            insist(lambda: backend_on(config).cancel(asked.ref, cancellation(waiter(1))))
            assert scene.ended(asked).state is State.CANCELLED
        scene.gone(asked.ref)
        assert scene.things(asked)["sparkapplications"] == []
        return proxy.spoilt

    each_request(run)


@pytest.fixture
def fragile(new_api_server) -> Iterator[Scene]:
    """A scene on an API server of its own, which may be stopped."""
    from tests.support.kubernetes.kubelet import FakeKubelet
    from tests.support.kubernetes.operator import OperatorSimulator

    server = new_api_server()
    kubelet = FakeKubelet(server)
    kubelet.start()
    simulator = OperatorSimulator(server, kubelet)
    simulator.start()
    yield Scene(server, simulator, server.namespace())
    simulator.stop()
    kubelet.stop()


def test_an_api_server_that_sleeps_and_one_that_dies(fragile):
    first, second = fragile.request("sleeps"), fragile.request("dies", spec=job(hold=True))
    fragile.server.pause()
    # The request lies in the sleeping server's ear; what it will do with it nobody knows.
    with pytest.raises(DcpEnvironmentError) as caught:
        fragile.backend(read_seconds=1.0, patience=2.0).create(first)
    assert caught.value.code == "DCP460"
    fragile.server.resume()
    insist(lambda: fragile.backend().create(first))
    assert fragile.ended(first).state is State.SUCCEEDED
    assert fragile.starts(first) == [1]

    fragile.backend().create(second)
    wait_for(lambda: fragile.observer.get(second.ref).state is State.RUNNING, "the driver")
    fragile.server.kill_server()
    for act in (
        lambda backend: backend.create(second),
        lambda backend: backend.latest(second.ref),
        lambda backend: backend.is_gone(second.ref),
        lambda backend: backend.cancel(second.ref, cancellation()),
    ):
        with pytest.raises(DcpEnvironmentError) as caught:
            act(fragile.backend(patience=0.5))
        assert caught.value.code == "DCP460"
    fragile.server.start_server()
    assert insist(lambda: fragile.backend().get(second.ref)).state is State.RUNNING
    fragile.simulator.release(second.ref.name)
    assert fragile.ended(second).state is State.SUCCEEDED
    assert fragile.starts(second) == [1]


RULES = [
    {"apiGroups": ["sparkoperator.k8s.io"], "resources": ["sparkapplications"], "verbs": ["*"]},
    {"apiGroups": [""], "resources": ["configmaps", "pods", "pods/log", "events"], "verbs": ["*"]},
]


def test_a_token_that_is_no_longer_good(scene):
    token = scene.server.service_account(scene.namespace, "airflow", RULES)
    asked = scene.request("token", spec=job(hold=True))
    old = backend_on(scene.server.kube_config(token))
    old.create(asked)
    scene.server.request("DELETE", f"/api/v1/namespaces/{scene.namespace}/serviceaccounts/airflow")

    def refused() -> bool:
        try:
            old.get(asked.ref)
        except DcpEnvironmentError as error:
            # Its rights may go before the token itself is known to be no good.
            return error.code == "DCP461"
        return False

    # The server keeps what it knows of a token for some seconds.
    wait_for(refused, "the token to be refused")
    runner = SparkRunner(old)
    with pytest.raises(DcpEnvironmentError, match="may go on running") as caught:
        runner.cancel(asked.ref, Cancellation(waiter(1), "kill", 1.0))
    assert caught.value.code == "DCP461"
    renewed = backend_on(scene.server.kube_config())
    assert renewed.create(asked).request == asked
    assert renewed.cancel(asked.ref, cancellation(waiter(1))).cancellation is not None
    assert scene.ended(asked).state is State.CANCELLED
    assert len(scene.starts(asked)) <= 1


def test_a_store_that_is_down_costs_the_history_alone(scene, tmp_path):
    runner = SparkRunner(scene.backend(), SqlStore(f"sqlite:///{tmp_path}"))
    place = scene.request("key").ref
    asked = SubmitRequest("key", job(), "f" * 64, submitter(), cluster=place.cluster, namespace=place.namespace)
    execution = runner.submit(asked)
    assert runner.submit(asked) == execution
    outcome = wait_for(
        lambda: (now := runner.advance(execution, waiter(), lambda: (job(), "f" * 64))).action != "wait" and now, "the end"
    )
    assert outcome.action == "succeeded"
    assert scene.starts(scene.request("key")) == [1]
