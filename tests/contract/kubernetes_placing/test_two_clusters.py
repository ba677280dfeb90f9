"""Two real clusters behind one environment: a first try passes over the one that is down, a later try never guesses."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_dcp_provider.gateway.circuit import Circuits
from airflow_dcp_provider.gateway.gateway import Placement
from airflow_dcp_provider.gateway.routing import rank
from airflow_dcp_provider.hooks import placements
from airflow_dcp_provider.hooks.cluster_access import apis_of
from airflow_dcp_provider.hooks.environment_fields import parse_environment
from airflow_dcp_provider.hooks.runners import cluster_backend
from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.execution import Actor, AttemptRef, AttemptRequest
from airflow_dcp_provider.model.job import JobSpec
from airflow_dcp_provider.model.names import resource_name, short_hash
from tests.support.kubernetes.api_server import ApiServer

IDENTITY = "6f1c3a52-0000-4000-8000-000000000001"
JOB = JobSpec("growth/daily", "daily", "test", team="growth", rendered=True)
NAMES = ("one", "two")


@pytest.fixture(scope="module")
def pair(kubernetes_programs: Path) -> Iterator[dict[str, ApiServer]]:
    """Two clusters, which a test may stop and start."""
    found = {name: ApiServer(kubernetes_programs) for name in NAMES}
    try:
        for server in found.values():
            server.start()
        yield found
    finally:
        for server in found.values():
            server.stop()


@pytest.fixture
def servers(pair: dict[str, ApiServer], monkeypatch: pytest.MonkeyPatch) -> dict[str, ApiServer]:
    """A cluster each, with its Airflow connection and a namespace of the test's own."""
    # What this process learns of their health is the test's own.
    monkeypatch.setattr(placements, "_CIRCUITS", Circuits())
    for name, server in pair.items():
        server.namespace(namespace())
        extra = {"kube_config": json.dumps(server.kube_config())}
        monkeypatch.setenv(f"AIRFLOW_CONN_K8S_{name.upper()}", json.dumps({"conn_type": "kubernetes", "extra": extra}))
    return pair


def namespace() -> str:
    """Return the environment's namespace in the test that runs."""
    test = os.environ["PYTEST_CURRENT_TEST"].rpartition("::")[2].partition(" ")[0]
    return f"placing-{short_hash(test)}"


def environment() -> Environment:
    clusters = [{"name": name, "connection": f"k8s_{name}", "namespace": namespace()} for name in NAMES]
    extra = {"backend": "kubeflow", "clusters": clusters, "image_rules": {"default": "spark:3.5.5"}}
    return parse_environment("test", "dcp_test", extra)


def place(*, first_try: bool) -> Placement:
    return placements.place(environment(), JOB, IDENTITY, first_try=first_try)


def request(placement: Placement) -> AttemptRequest:
    name = resource_name(JOB.name, IDENTITY, 1)
    ref = AttemptRef(IDENTITY, 1, "test", placement.cluster.name, placement.namespace, name)
    return AttemptRequest(ref, "key", JOB.manifest_id, JOB.to_dict(), "f" * 64, 1.0, 1.0, Actor("submit", 1, 1))


def held(servers: dict[str, ApiServer]) -> list[str]:
    """Return the clusters that have an application."""
    path = f"/apis/sparkoperator.k8s.io/v1beta2/namespaces/{namespace()}/sparkapplications"
    return [name for name, server in servers.items() if server.request("GET", path)["items"]]


def test_failover_before_anything_was_sent_and_never_after(servers: dict[str, ApiServer]) -> None:
    first, second = (each.name for each in rank(environment().clusters, IDENTITY, "3.5"))
    assert place(first_try=True).cluster.name == first

    # The first choice is down: a first try goes elsewhere, a later one does not know and creates nothing.
    servers[first].kill_server()
    with pytest.raises(DcpEnvironmentError, match=f"cannot be asked: {first}: ") as caught:
        place(first_try=False)
    assert caught.value.code == "DCP484"
    elsewhere = place(first_try=True)
    assert elsewhere.cluster.name == second

    # A later try, on a whole network, closes the second to the first try, which is still on its way there.
    servers[first].start_server()
    later = place(first_try=False)
    assert later.cluster.name == first
    backend = cluster_backend(environment())
    with pytest.raises(DcpEnvironmentError, match="a later try has chosen another cluster"):
        backend.create(request(elsewhere))
    backend.create(request(later))
    assert held(servers) == [first]
    assert place(first_try=False).cluster.name == first


def test_what_the_first_try_created_elsewhere_is_found_by_the_next(servers: dict[str, ApiServer]) -> None:
    first, second = (each.name for each in rank(environment().clusters, IDENTITY, "3.5"))
    servers[first].kill_server()
    backend = cluster_backend(environment())
    backend.create(request(place(first_try=True)))
    servers[first].start_server()
    assert place(first_try=False).cluster.name == second
    backend.create(request(place(first_try=False)))
    assert held(servers) == [second]


def test_each_client_speaks_to_its_own_cluster(servers: dict[str, ApiServer]) -> None:
    apis = apis_of(environment())
    for name, server in servers.items():
        only = f"only-{name}"
        server.namespace(only)
        assert apis(name).get(f"/api/v1/namespaces/{only}") is not None
    assert apis("one").cluster == "one"
    with pytest.raises(DcpEnvironmentError):
        apis("one").request("GET", "/api/v1/namespaces/only-two")
    unknown = replace(environment(), clusters=())
    with pytest.raises(DcpEnvironmentError, match="has no cluster `one`"):
        apis_of(unknown)("one")
