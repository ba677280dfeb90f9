"""Fixtures on a real Kubernetes API server. ``tests/conftest.py`` imports them; nothing heavy is imported before a test asks for one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.kubernetes.api_server import ApiServer
    from tests.support.kubernetes.kubelet import FakeKubelet
    from tests.support.kubernetes.operator import OperatorSimulator


@pytest.fixture(scope="session")
def kubernetes_programs() -> Path:
    """The folder with kube-apiserver and etcd. In continuous integration a test that cannot have them fails."""
    from dev.kubernetes_assets import AssetsError, assets

    try:
        # Building takes minutes, longer than a test may: `make test-kubernetes` does it before.
        return assets(build=False)
    except AssetsError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def api_server(kubernetes_programs: Path) -> Iterator[ApiServer]:
    """One API server for every test of this process; a test takes a namespace of its own and leaves the server running."""
    from tests.support.kubernetes.api_server import ApiServer

    server = ApiServer(kubernetes_programs)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def new_api_server(kubernetes_programs: Path) -> Iterator[Callable[[], ApiServer]]:
    """Make further API servers, which the test may pause, kill and restart."""
    from tests.support.kubernetes.api_server import ApiServer

    made: list[ApiServer] = []

    def make() -> ApiServer:
        made.append(ApiServer(kubernetes_programs))
        made[-1].start()
        return made[-1]

    yield make
    for server in made:
        server.stop()


@pytest.fixture
def kube_namespace(api_server: ApiServer) -> str:
    """A namespace that no other test has."""
    return api_server.namespace()


@pytest.fixture(scope="session")
def fake_kubelet(api_server: ApiServer) -> Iterator[FakeKubelet]:
    """The Node of this process's API server: it serves the logs of the pods that the simulator runs."""
    from tests.support.kubernetes.kubelet import FakeKubelet

    kubelet = FakeKubelet(api_server)
    kubelet.start()
    yield kubelet
    kubelet.stop()


@pytest.fixture
def operator_simulator(api_server: ApiServer, fake_kubelet: FakeKubelet) -> Iterator[OperatorSimulator]:
    """A running operator, with the pods, the garbage collector and the drivers that go with it."""
    from tests.support.kubernetes.operator import OperatorSimulator

    simulator = OperatorSimulator(api_server, fake_kubelet)
    simulator.start()
    yield simulator
    simulator.stop()
