"""A namespace of a real API server behind a proxy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from tests.contract.kubernetes_watch.cluster import Cluster
from tests.contract.kubernetes_watch.proxy import Proxy
from tests.support.kubernetes.api_server import ApiServer


@pytest.fixture(autouse=True)
async def closed_connections() -> AsyncIterator[None]:
    """Let the event loop end only when every connection has: one given up in its handshake closes a moment later.

    Python warns of one that the loop did not see the end of, whenever it collects it, and fails whichever test runs then.
    """
    yield
    transports: Mapping[int, Any] = getattr(asyncio.get_running_loop(), "_transports", {})
    async with asyncio.timeout(10):
        while any(each.get_extra_info("socket").fileno() >= 0 for each in list(transports.values())):  # noqa: ASYNC110 - no event says so
            await asyncio.sleep(0.01)


@pytest.fixture
async def cluster(api_server: ApiServer, kube_namespace: str) -> AsyncIterator[Cluster]:
    async with Proxy(api_server.port) as proxy:
        yield Cluster(api_server, kube_namespace, proxy)
