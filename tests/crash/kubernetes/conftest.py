"""The scene of every test here."""

from __future__ import annotations

import pytest

from tests.crash.kubernetes.scene import Scene


@pytest.fixture
def scene(api_server, operator_simulator, kube_namespace) -> Scene:
    return Scene(api_server, operator_simulator, kube_namespace)
