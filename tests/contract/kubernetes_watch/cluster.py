"""What the tests of the watch do on a real cluster: make applications, move them on, count the server's requests."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import yaml

from airflow_dcp_provider.runner.backends.kubernetes.access import ClusterAccess
from airflow_dcp_provider.runner.backends.kubernetes.watch import NamespaceWatch
from airflow_dcp_provider.runner.backends.kubernetes.watch_client import WatchClient
from airflow_dcp_provider.runner.backends.kubernetes.watch_values import Applications, Timing
from tests.contract.kubernetes_watch.proxy import Proxy
from tests.support.kubernetes.api_server import ApiServer

PATIENCE = 60.0

#: Quick to begin again, so that a test need not wait; all else as in real life.
QUICK = Timing(first_delay=0.01, longest_delay=0.1)

SPEC = {"type": "Python", "sparkVersion": "3.5.9", "mainApplicationFile": "local:///main.py", "driver": {}, "executor": {}}


def list_path(namespace: str) -> str:
    return f"/apis/sparkoperator.k8s.io/v1beta2/namespaces/{namespace}/sparkapplications"


def applications(namespace: str) -> Applications:
    return Applications(
        list_path(namespace), ended=frozenset({"COMPLETED", "FAILED"}), unstarted=frozenset({"", "SUBMITTED", "PENDING_RERUN"})
    )


class Cluster:
    """One namespace of a real API server, reached through a proxy by what is tested and directly by the test."""

    def __init__(self, server: ApiServer, namespace: str, proxy: Proxy) -> None:
        self.server = server
        self.namespace = namespace
        self.proxy = proxy
        self.token = server.token
        self.connected = 0

    def access(self) -> ClusterAccess:
        config = self.server.kube_config(self.token)
        config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{self.proxy.port}"
        return ClusterAccess("tests", kube_config=yaml.safe_dump(config))

    async def connect(self) -> WatchClient:
        self.connected += 1
        return await WatchClient.open(self.access())

    @asynccontextmanager
    async def watch(
        self, timing: Timing = QUICK, connect: Callable[[], Awaitable[WatchClient]] | None = None
    ) -> AsyncIterator[NamespaceWatch]:
        watch = NamespaceWatch(connect or self.connect, applications(self.namespace), timing=timing)
        try:
            yield watch
        finally:
            await watch.close()

    async def do(self, method: str, path: str, body: Any = None) -> Any:
        return await asyncio.to_thread(self.server.request, method, path, body)

    async def create(self, name: str, *, padding: int = 0) -> None:
        body = {
            "apiVersion": "sparkoperator.k8s.io/v1beta2",
            "kind": "SparkApplication",
            "metadata": {
                "name": name,
                "labels": {"spark-runner/execution-id": name},
                "annotations": {"spark-runner/request": "x" * padding},
            },
            "spec": SPEC,
        }
        await self.do("POST", list_path(self.namespace), body)

    async def move(self, name: str, state: str) -> None:
        status = {"applicationState": {"state": state}, "driverInfo": {}}
        await self.do("PATCH", f"{list_path(self.namespace)}/{name}/status", {"status": status})

    async def delete(self, name: str) -> None:
        await self.do("DELETE", f"{list_path(self.namespace)}/{name}")

    async def requests(self) -> dict[str, int]:
        """Return verb -> how many requests for applications the server has had, from its own metrics."""
        answer = await asyncio.to_thread(self.server.http.get, "/metrics")
        found: dict[str, int] = {}
        for line in answer.text.splitlines():
            if line.startswith("apiserver_request_total{") and 'resource="sparkapplications"' in line:
                labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
                found[labels["verb"]] = found.get(labels["verb"], 0) + int(float(line.rsplit(" ", 1)[1]))
        return found


async def until(condition: Callable[[], bool]) -> None:
    """Wait until ``condition`` holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.005)
