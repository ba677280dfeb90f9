"""One rig per backend; every test of the suite runs against each. A new backend adds its rig to ``RIGS``."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from airflow_dcp_provider.model.execution import AttemptRequest, FailureKind
from airflow_dcp_provider.runner.backends.base import Backend
from airflow_dcp_provider.runner.backends.local import LocalBackend
from airflow_dcp_provider.runner.backends.local_processes import processes_of
from tests.support.executions import local_settings, request, starts, wait_for


class Rig(Protocol):
    """What the suite needs of the world around a backend."""

    #: Exit codes of which this backend can say more than the plain code, because it sees more than the exit: exit code -> code.
    codes: dict[int, str]
    #: Whose fault it is when the driver is ended from outside, as this rig ends it.
    killed: FailureKind

    def backend(self) -> Backend:
        """A backend that shares nothing with an earlier one but what lies outside the process."""

    def request(self, *args: Any, **kwargs: Any) -> AttemptRequest:
        """A request as :func:`tests.support.executions.request` makes it, for a place that this rig has."""

    def starts(self) -> list[str]:
        """One entry for each start of a driver."""

    def release(self) -> None:
        """Let drivers end that were told to hold."""

    def kill_driver(self, request: AttemptRequest) -> None:
        """End the driver from outside."""

    def close(self) -> None:
        """Leave nothing behind."""


class LocalRig:
    """The local backend with a real supervisor and a small real process in Spark's place."""

    codes: dict[int, str] = {}  # noqa: RUF012
    killed = FailureKind.RESOURCES

    def __init__(self, home: Path) -> None:
        self.home = home

    @classmethod
    def make(cls, fixtures: pytest.FixtureRequest) -> LocalRig:
        return cls(fixtures.getfixturevalue("tmp_path"))

    def backend(self) -> Backend:
        return LocalBackend(self.home, local_settings(self.home))

    def request(self, *args: Any, **kwargs: Any) -> AttemptRequest:
        return request(*args, **kwargs)

    def starts(self) -> list[str]:
        return starts(self.home)

    def release(self) -> None:
        (self.home / "release").touch()

    def kill_driver(self, request: AttemptRequest) -> None:
        """End the driver as the kernel does when memory runs out."""
        folder = self.home / "executions" / request.ref.execution_id / str(request.ref.attempt)
        for process in wait_for(lambda: processes_of(folder), "the driver's process"):
            os.kill(process.pid, signal.SIGKILL)

    def close(self) -> None:
        self.release()
        for status in self.home.glob("executions/*/*/status.json"):
            folder = status.parent
            wait_for(lambda folder=folder: not processes_of(folder), f"the processes of {folder} to end")  # type: ignore[misc]


class KubeflowRig:
    """The Kubeflow backend on a real API server; the operator and the pods are simulated along recorded traces."""

    codes = {3: "DCP340", 52: "DCP340", 137: "DCP360"}  # noqa: RUF012
    killed = FailureKind.PLATFORM

    def __init__(self, server: Any, simulator: Any, namespace: str) -> None:
        self.server = server
        self.simulator = simulator
        self.namespace = namespace
        self._apis: list[Any] = []

    @classmethod
    def make(cls, fixtures: pytest.FixtureRequest) -> KubeflowRig:
        simulator = fixtures.getfixturevalue("operator_simulator")
        return cls(fixtures.getfixturevalue("api_server"), simulator, fixtures.getfixturevalue("kube_namespace"))

    def backend(self) -> Backend:
        from airflow_dcp_provider.runner.backends.kubernetes.kubeflow import KubeflowBackend

        return self._backend_of(KubeflowBackend)

    def _backend_of(self, kind: Any) -> Backend:
        from airflow_dcp_provider.model.environment import Environment
        from airflow_dcp_provider.model.images import Images
        from airflow_dcp_provider.runner.backends.kubernetes.access import ClusterAccess
        from airflow_dcp_provider.runner.backends.kubernetes.api import KubernetesApi

        api = KubernetesApi(ClusterAccess("tests", kube_config=json.dumps(self.server.kube_config())))
        self._apis.append(api)
        environment = Environment("local", kind.name, images=Images(rules={"default": "spark:3.5.5"}))
        return kind(environment, lambda _: api)

    def request(self, *args: Any, **kwargs: Any) -> AttemptRequest:
        made = request(*args, **kwargs)
        return replace(made, ref=replace(made.ref, cluster="tests", namespace=self.namespace))

    def starts(self) -> list[str]:
        mine = [start for start in self.simulator.starts if start.namespace == self.namespace]
        return [f"{start.execution_id} {start.attempt}" for start in mine]

    def release(self) -> None:
        self.simulator.release()

    def kill_driver(self, request: AttemptRequest) -> None:
        """Delete the driver's pod, as a person does."""
        self.server.request("DELETE", f"/api/v1/namespaces/{self.namespace}/pods/{request.ref.name}-driver")

    def close(self) -> None:
        for api in self._apis:
            api.close()


class ApacheRig(KubeflowRig):
    """The Apache backend (experimental); its operator is simulated from that operator's documents and sources."""

    @classmethod
    def make(cls, fixtures: pytest.FixtureRequest) -> ApacheRig:
        simulator = fixtures.getfixturevalue("apache_simulator")
        return cls(fixtures.getfixturevalue("api_server"), simulator, fixtures.getfixturevalue("kube_namespace"))

    def backend(self) -> Backend:
        from airflow_dcp_provider.runner.backends.kubernetes.apache import ApacheBackend

        return self._backend_of(ApacheBackend)


RIGS = {"local": LocalRig, "kubeflow": KubeflowRig, "apache": ApacheRig}


@pytest.fixture
def apache_simulator(api_server: Any, fake_kubelet: Any) -> Iterator[Any]:
    """A running Apache operator, and its custom resource on the server."""
    from tests.support.kubernetes.apache_operator import ApacheOperatorSimulator
    from tests.support.kubernetes.api_server import CRDS

    api_server.install(CRDS["apache-sparkapplications-v1"])
    simulator = ApacheOperatorSimulator(api_server, fake_kubelet)
    simulator.start()
    yield simulator
    simulator.stop()


@pytest.fixture(params=["local", *(pytest.param(name, marks=pytest.mark.kubernetes) for name in ("kubeflow", "apache"))])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    made = RIGS[request.param].make(request)
    yield made
    made.close()


@pytest.fixture
def backend(rig: Rig) -> Backend:
    return rig.backend()
