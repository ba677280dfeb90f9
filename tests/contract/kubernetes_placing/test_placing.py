"""The gateway's questions on a real API server: what is there, what runs, and that a fence and a create exclude each other."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator

import pytest

from airflow_dcp_provider.model.cluster import Cluster
from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.execution import Actor, AttemptRef, AttemptRequest
from airflow_dcp_provider.model.images import Images
from airflow_dcp_provider.model.job import JobSpec
from airflow_dcp_provider.model.names import resource_name
from airflow_dcp_provider.runner.backends.kubernetes.access import ClusterAccess
from airflow_dcp_provider.runner.backends.kubernetes.api import KubernetesApi
from airflow_dcp_provider.runner.backends.kubernetes.kubeflow import KubeflowBackend
from airflow_dcp_provider.runner.backends.kubernetes.names import applications_path
from airflow_dcp_provider.runner.backends.kubernetes.placing import ClusterQuestions
from airflow_dcp_provider.runner.backends.kubernetes.problems import KubernetesProblem
from tests.support.kubernetes.api_server import ApiServer

IDENTITY = "6f1c3a52-0000-4000-8000-000000000001"
OTHER = "0b5d9d1e-0000-4000-8000-000000000002"
ENVIRONMENT = Environment("prod", backend="kubeflow", images=Images(rules={"default": "spark:3.5.5"}))
EU = Cluster("eu", "k8s_eu")


@pytest.fixture
def api(api_server: ApiServer) -> Iterator[KubernetesApi]:
    with KubernetesApi(ClusterAccess("eu", kube_config=json.dumps(api_server.kube_config()))) as found:
        yield found


@pytest.fixture
def backend(api: KubernetesApi) -> KubeflowBackend:
    return KubeflowBackend(ENVIRONMENT, lambda _: api)


def request(namespace: str, identity: str = IDENTITY) -> AttemptRequest:
    ref = AttemptRef(identity, 1, "prod", "eu", namespace, resource_name("daily", identity, 1))
    job = JobSpec("growth/daily", "daily", "prod", team="growth", rendered=True)
    return AttemptRequest(ref, f"key of {identity}", job.manifest_id, job.to_dict(), "f" * 64, 1.0, 1.0, Actor("submit", 1, 1))


def questions(api: KubernetesApi, wanted: AttemptRequest) -> ClusterQuestions:
    return ClusterQuestions(lambda _: api, wanted.ref)


def test_an_application_is_held_and_keeps_the_fence_away(api: KubernetesApi, backend: KubeflowBackend, kube_namespace: str) -> None:
    wanted = request(kube_namespace)
    mine, others = questions(api, wanted), questions(api, request(kube_namespace, OTHER))
    assert not mine.holds(EU, kube_namespace)
    backend.create(wanted)
    assert mine.holds(EU, kube_namespace)
    assert not mine.fence(EU, kube_namespace)
    assert not others.holds(EU, kube_namespace)
    assert others.fence(EU, kube_namespace)


def test_files_without_an_application_are_held(
    api: KubernetesApi, backend: KubeflowBackend, kube_namespace: str, api_server: ApiServer
) -> None:
    wanted = request(kube_namespace)
    backend.create(wanted)
    # As a process leaves it that dies between the two; nothing here collects what an application owned.
    api_server.request("DELETE", applications_path(kube_namespace, wanted.ref.name))
    assert backend.get(wanted.ref) is None
    assert questions(api, wanted).holds(EU, kube_namespace)
    assert not questions(api, wanted).fence(EU, kube_namespace)


def test_a_fence_forbids_the_create_for_good(api: KubernetesApi, backend: KubeflowBackend, kube_namespace: str) -> None:
    wanted = request(kube_namespace)
    mine = questions(api, wanted)
    assert mine.fence(EU, kube_namespace)
    assert mine.fence(EU, kube_namespace)
    assert not mine.holds(EU, kube_namespace)
    for _ in range(2):
        with pytest.raises(DcpEnvironmentError, match="a later try has chosen another cluster"):
            backend.create(wanted)
    assert backend.latest(wanted.ref) is None
    assert backend.create(request(kube_namespace, OTHER)).ref.execution_id == OTHER


def test_of_a_fence_and_a_create_at_once_one_wins(api: KubernetesApi, backend: KubeflowBackend, api_server: ApiServer) -> None:
    for _ in range(10):
        namespace = api_server.namespace()
        wanted = request(namespace)
        fenced, created = _race(
            lambda ns=namespace, of=wanted: questions(api, of).fence(EU, ns), lambda of=wanted: _creates(backend, of)
        )
        assert fenced != created
        assert (backend.latest(wanted.ref) is not None) == created


def _creates(backend: KubeflowBackend, wanted: AttemptRequest) -> bool:
    try:
        backend.create(wanted)
    except DcpEnvironmentError:
        return False
    return True


def _race(*bodies: Callable[[], bool]) -> list[bool]:
    found: dict[int, bool] = {}
    start = threading.Barrier(len(bodies))

    def run(number: int) -> None:
        start.wait()
        found[number] = bodies[number]()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(bodies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[number] for number in range(len(bodies))]


def test_live_applications_are_counted_in_their_environment(
    api: KubernetesApi, backend: KubeflowBackend, kube_namespace: str, api_server: ApiServer
) -> None:
    one, two = request(kube_namespace), request(kube_namespace, OTHER)
    backend.create(one)
    backend.create(two)
    mine = questions(api, one)
    assert mine.live(EU, kube_namespace) == 2
    status = {"applicationState": {"state": "COMPLETED"}, "driverInfo": {}}
    api_server.request("PATCH", f"{applications_path(kube_namespace, one.ref.name)}/status", {"status": status})
    assert mine.live(EU, kube_namespace) == 1
    elsewhere = AttemptRef(IDENTITY, 1, "staging", "eu", kube_namespace, one.ref.name)
    assert ClusterQuestions(lambda _: api, elsewhere).live(EU, kube_namespace) == 0


def test_a_cluster_that_cannot_be_asked_is_an_error(api_server: ApiServer, kube_namespace: str) -> None:
    token = api_server.service_account(kube_namespace, "nobody")
    with KubernetesApi(ClusterAccess("eu", kube_config=json.dumps(api_server.kube_config(token)))) as api:
        mine = questions(api, request(kube_namespace))
        for question in (mine.holds, mine.fence, mine.live):
            with pytest.raises(KubernetesProblem) as caught:
                question(EU, kube_namespace)
            assert caught.value.code == "DCP462"
