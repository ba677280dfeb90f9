"""The cluster of :mod:`benchmarks.waiting`: a real API server full of applications and driver pods, and a stream of changes."""

from __future__ import annotations

import asyncio
import base64
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from tests.support.executions import job, request
from tests.support.kubernetes.api_server import ApiServer

from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.images import Images
from airflow_dcp_provider.runner.backends.kubernetes.kubeflow import KubeflowBackend
from airflow_dcp_provider.runner.backends.kubernetes.names import GROUP_VERSION, PLURAL, applications_path, core_path

MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}
AT_ONCE = 24
#: Seconds for which the last changes may be on their way to whoever watches.
STRAGGLERS = 15.0
GROUP = GROUP_VERSION.partition("/")[0]


#: States of a driver's container.
RUNNING = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
ENDED = {"terminated": {"exitCode": 0, "finishedAt": "2026-01-01T00:00:00Z"}}


@dataclass(frozen=True)
class Changes:
    """What was changed.

    :param rate: states a second.
    :param sent: when the change that ended each name was sent.
    :param answered: when it was answered.
    :param seen: when a bare watch, which does nothing else, saw it.
    """

    rate: float
    sent: dict[str, float]
    answered: dict[str, float]
    seen: dict[str, float]


class BenchCluster:
    """Makes resources and changes them, as the operator and the kubelets would.

    :param server: a running API server.
    :param store: write the applications' new states to etcd, from where the server takes them as its own. A patch costs the server
        7 ms of CPU, so that a small or busy machine does not reach the rate otherwise.
    """

    def __init__(self, server: ApiServer, *, store: bool = False) -> None:
        self.server = server
        self.store = store
        #: Folder in etcd -> name of the first resource there, and what etcd holds for it.
        self._stored: dict[str, tuple[str, bytes]] = {}

    def session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self.server.ssl_context(), limit=AT_ONCE),
            headers={"Authorization": f"Bearer {self.server.token}"},
        )

    def fill(self, namespace: str, count: int, *, pods: bool) -> list[str]:
        """Make applications that run, and their drivers' pods if asked for; return the names.

        The first is made through the API server. The others are copies of what that stored, put beside it in etcd: making ten
        thousand through the API takes minutes and is not what is measured.
        """
        names = [f"daily-flights-{number:06d}-1" for number in range(count)]
        asyncio.run(self._fill(namespace, names, pods=pods))
        return names

    async def _fill(self, namespace: str, names: list[str], *, pods: bool) -> None:
        environment = Environment("test", "kubeflow", images=Images(rules={"default": "spark:3.5.5"}))
        body = KubeflowBackend(environment, lambda _: None).render(request(spec=job()))  # type: ignore[arg-type, return-value]
        first, *others = names
        async with self.session() as http:
            body["metadata"].update({"name": first, "namespace": namespace})
            await self.send(http, "POST", applications_path(namespace), body)
            await self.change_application(http, namespace, first, "RUNNING", 1)
            await self._copy(_folder(namespace), first, others)
            if pods:
                containers = [{"name": "spark-kubernetes-driver", "image": "spark:3.5.5"}]
                pod = {"metadata": {"name": f"{first}-driver"}, "spec": {"nodeName": "node", "containers": containers}}
                await self.send(http, "POST", core_path(namespace, "pods"), pod)
                await self.change_pod(http, namespace, first, RUNNING, 1)
                await self._copy(f"/registry/pods/{namespace}/", f"{first}-driver", [f"{name}-driver" for name in others])

    def etcd(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(f"http://127.0.0.1:{self.server._etcd_port}")

    async def _copy(self, folder: str, first: str, others: list[str]) -> None:
        """Copy what etcd holds for one resource to others whose names are of the same length."""
        async with self.etcd() as etcd:
            async with etcd.post("/v3/kv/range", json={"key": _base64((folder + first).encode())}) as answer:
                stored = base64.b64decode((await answer.json(content_type=None))["kvs"][0]["value"])
            self._stored[folder] = first, stored
            await every(lambda name: self._put(etcd, folder, name, b"", b""), others)

    async def _put(self, etcd: aiohttp.ClientSession, folder: str, name: str, old: bytes, new: bytes) -> None:
        """Write a resource as it was copied, with ``new`` in place of ``old``."""
        first, stored = self._stored[folder]
        found = re.search(rb'(?:"uid":"|\*\$)([0-9a-f-]{36})', stored)
        assert found is not None
        uid = found[1] if name == first else str(uuid.uuid5(uuid.NAMESPACE_OID, name)).encode()
        value = stored.replace(first.encode(), name.encode()).replace(found[1], uid)
        pair = {"key": _base64((folder + name).encode()), "value": _base64(value.replace(old, new) if old else value)}
        async with etcd.post("/v3/kv/put", json=pair) as answer:
            answer.raise_for_status()

    async def send(self, http: aiohttp.ClientSession, method: str, path: str, body: Any) -> None:
        headers = MERGE_PATCH if method == "PATCH" else {}
        async with http.request(method, self.server.url + path, json=body, headers=headers) as answer:
            if answer.status >= 300:
                raise SystemExit(f"{method} {path}: {answer.status} {await answer.text()}")
            await answer.read()

    async def change_application(self, http: aiohttp.ClientSession, namespace: str, name: str, state: str, number: int) -> None:
        status = {"applicationState": {"state": state}, "driverInfo": {"podName": f"{name}-driver"}, "submissionAttempts": number}
        await self.send(http, "PATCH", f"{applications_path(namespace, name)}/status", {"status": status})

    async def change_pod(self, http: aiohttp.ClientSession, namespace: str, name: str, state: Any, number: int) -> None:
        ended = "terminated" in state
        container = {
            "name": "spark-kubernetes-driver",
            "image": "spark:3.5.5",
            "imageID": "",
            "ready": not ended,
            "restartCount": 0,
            "state": state,
        }
        status = {
            "phase": "Succeeded" if ended else "Running",
            "containerStatuses": [container],
            "message": f"change {number}",
        }
        await self.send(http, "PATCH", f"{core_path(namespace, 'pods', f'{name}-driver')}/status", {"status": status})

    async def changes(
        self, namespace: str, names: list[str], rate: int, seconds: int, *, pods: bool, ends: bool, done: Callable[[], None]
    ) -> Changes:
        """Change states at a steady rate; with ``ends`` one in four is an end, as long as a fifth of those who wait is left.

        :param done: called when the last change is made; after that, stragglers are waited for.
        """
        total = rate * seconds
        every_nth = max(4, total // max(1, len(names) * 4 // 5))
        sent: dict[str, float] = {}
        answered: dict[str, float] = {}
        under_way: set[asyncio.Task[None]] = set()
        room = asyncio.Semaphore(AT_ONCE)
        seen: dict[str, float] = {}
        async with self.session() as http, self.etcd() as etcd:
            watching = asyncio.create_task(self._watch(http, namespace, seen, pods=pods))
            began = time.monotonic()

            async def change(name: str, number: int, *, is_end: bool) -> None:
                if is_end:
                    sent[name] = time.monotonic()
                if pods:
                    await self.change_pod(http, namespace, name, ENDED if is_end else RUNNING, number)
                elif not self.store:
                    await self.change_application(http, namespace, name, "COMPLETED" if is_end else "RUNNING", number)
                else:
                    old, new = (b'"state":"RUNNING"', b'"state":"COMPLETED"') if is_end else (b"", b"")
                    await self._put(etcd, _folder(namespace), name, old, new)
                if is_end:
                    answered[name] = time.monotonic()
                room.release()

            number = 0
            while number < total and time.monotonic() - began < seconds:
                # A server that cannot keep up gets fewer changes, not a queue of them.
                await room.acquire()
                await asyncio.sleep(began + number / rate - time.monotonic())
                is_end = ends and number % every_nth == 0
                # Ends go through the list from its start, other changes through all that have not ended.
                live = len(names) - (number // every_nth + 1 if ends else 0)
                name = names[number // every_nth] if is_end else names[-1 - number % live]
                task = asyncio.create_task(change(name, number + 2, is_end=is_end))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                number += 1
            await asyncio.gather(*under_way)
            achieved = number / (time.monotonic() - began)
            done()
            last = time.monotonic()
            while len(seen) < len(sent) and time.monotonic() < last + STRAGGLERS:  # noqa: ASYNC110 - seeing sets no event
                await asyncio.sleep(0.1)
            watching.cancel()
            return Changes(achieved, sent, answered, seen)

    async def _watch(self, http: aiohttp.ClientSession, namespace: str, seen: dict[str, float], *, pods: bool) -> None:
        """Note when each end is seen by a watch that neither decodes nor decides anything."""
        path, end = (core_path(namespace, "pods"), b'"terminated":{') if pods else (applications_path(namespace), b'"COMPLETED"')
        # The newest list's version, without the list.
        async with http.get(self.server.url + path, params={"limit": "1"}) as answer:
            version = (await answer.json())["metadata"]["resourceVersion"]
        timeout = aiohttp.ClientTimeout(total=None)
        query = {"watch": "true", "resourceVersion": version}
        async with http.get(self.server.url + path, params=query, timeout=timeout, read_bufsize=2**22) as answer:
            async for line in answer.content:
                if end in line and (name := re.search(rb'"name":"(.*?)(?:-driver)?"', line)):
                    seen.setdefault(name[1].decode(), time.monotonic())

    def requests(self, resources: set[str]) -> int:
        """Return how many requests that read such resources have ended."""
        return self._metric("apiserver_request_total", resources, {"GET", "LIST", "WATCH"})

    def open_watches(self, resources: set[str]) -> int:
        """Return how many watches of such resources are open."""
        return self._metric("apiserver_longrunning_requests", resources, {"WATCH"})

    def _metric(self, name: str, resources: set[str], verbs: set[str]) -> int:
        found = 0
        for line in self.server.http.get("/metrics").text.splitlines():
            if line.startswith(f"{name}{{"):
                labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
                if labels.get("resource") in resources and labels.get("verb") in verbs:
                    found += int(float(line.rsplit(" ", 1)[1]))
        return found


def _folder(namespace: str) -> str:
    return f"/registry/{GROUP}/{PLURAL}/{namespace}/"


def _base64(text: bytes) -> str:
    return base64.b64encode(text).decode()


async def every(make: Any, names: list[str]) -> None:
    """Do something for every name, a few at a time."""
    remaining = iter(names)

    async def work() -> None:
        for name in remaining:
            await make(name)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
