"""A namespace of a real API server behind a proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.kubernetes_watch.cluster import Cluster
from tests.contract.kubernetes_watch.proxy import Proxy
from tests.support.kubernetes.api_server import ApiServer


@pytest.fixture
async def cluster(api_server: ApiServer, kube_namespace: str) -> AsyncIterator[Cluster]:
    async with Proxy(api_server.port) as proxy:
        yield Cluster(api_server, kube_namespace, proxy)
