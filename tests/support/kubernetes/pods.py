"""What kubelets do with pods: run each driver as its orders say, report its status, and end it when the pod is deleted."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.support.kubernetes import statuses
from tests.support.kubernetes.client import RigClient, checked
from tests.support.kubernetes.driver import Job, read_job
from tests.support.kubernetes.kubelet import FakeKubelet

PODS = "/api/v1/pods"
TERMINATED_BY_SIGNAL = 143
REPLAYED = "tests/replayed"


@dataclass
class Start:
    """One start of a driver: whose it is, and from when to when it ran (seconds since the epoch; None while it runs)."""

    namespace: str
    name: str
    execution_id: str
    attempt: int
    began: float
    ended: float | None = None

    def overlaps(self, other: Start) -> bool:
        return self.began < (other.ended or time.time()) and other.began < (self.ended or time.time())


@dataclass
class Run:
    """A pod's container, from its start to its end."""

    started: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    killed: asyncio.Event = field(default_factory=asyncio.Event)
    #: The exit code, or None when the pod went without one.
    code: int | None = None
    reason: str = ""

    def end(self, code: int | None, reason: str) -> None:
        self.code, self.reason = code, reason
        self.started.set()
        self.ended.set()


def pod_path(pod: dict[str, Any], sub: str = "") -> str:
    meta = pod["metadata"]
    return f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}{sub}"


class PodRunner:
    """Runs the pods of one Node.

    :param spawn: starts a coroutine beside the others; an exception in it is kept for the test.
    :param step: seconds that each change takes.
    """

    def __init__(
        self, client: RigClient, kubelet: FakeKubelet, spawn: Callable[[Coroutine[Any, Any, None]], Any], step: float
    ) -> None:
        self._client = client
        self._kubelet = kubelet
        self._spawn = spawn
        self._step = step
        self._runs: dict[str, Run] = {}
        self._seen: set[str] = set()
        #: The application's name of each pod that runs here, by the pod's UID.
        self._names: dict[str, str] = {}
        self._released: set[str] = set()
        self._all_released = False
        #: Seconds between SIGTERM and a driver's end.
        self.termination_seconds = step
        self.starts: list[Start] = []

    def run_of(self, uid: str) -> Run:
        """Return the run of the pod with this UID, which may begin later."""
        return self._runs.setdefault(uid, Run())

    def release(self, name: str) -> None:
        """Let the held drivers of an application (of all when empty) go on, now and in time to come."""
        if name:
            self._released.add(name)
        else:
            self._all_released = True
        for uid, run in self._runs.items():
            if self._is_released(self._names.get(uid, "")):
                run.released.set()

    def _is_released(self, name: str) -> bool:
        return self._all_released or name in self._released

    async def watch(self, since: str) -> None:
        """Run every pod that is bound to the node from now on, for ever."""
        async for kind, pod in self._client.watch(PODS, since, fieldSelector=f"spec.nodeName={self._kubelet.node}"):
            await self._see(kind, pod)

    async def _see(self, kind: str, pod: dict[str, Any]) -> None:
        meta = pod["metadata"]
        new = meta["uid"] not in self._seen
        self._seen.add(meta["uid"])
        run = self.run_of(meta["uid"])
        if kind == "DELETED":
            run.killed.set()
            if not run.ended.is_set():
                run.end(None, "")
            self._kubelet.forget(meta["namespace"], meta["name"])
            return
        if new and _is_fresh(pod):
            labels = meta["labels"]
            self._names[meta["uid"]] = labels.get(statuses.APP_NAME) or labels.get(statuses.APACHE_APP_NAME, "")
            self._spawn(self._live(pod, run))
        if meta.get("deletionTimestamp") and not run.killed.is_set():
            run.killed.set()
            if meta["uid"] not in self._names:
                self._spawn(self._remove(pod))

    async def _live(self, pod: dict[str, Any], run: Run) -> None:
        """From the container's creation to its end; a pod that is deleted is then removed."""
        meta = pod["metadata"]
        if meta["labels"].get("spark-role") == "executor":
            code, message = await self._run_executor(pod, run)
        else:
            code, message = await self._run_driver(pod, run)
        if not run.ended.is_set():
            reason = run.reason
            state = statuses.terminated(code, reason, meta["creationTimestamp"], message)
            await self._report(pod, "Running", state)
            run.end(code, reason)
            await asyncio.sleep(self._step)
            await self._report(pod, "Failed" if code else "Succeeded", state)
        await run.killed.wait()
        await self._remove(pod)

    async def _run_executor(self, pod: dict[str, Any], run: Run) -> tuple[int, str]:
        await self._report(pod, "Running", {"running": {"startedAt": statuses.now()}})
        run.started.set()
        await run.killed.wait()
        run.reason = "Completed"
        return 0, ""

    async def _run_driver(self, pod: dict[str, Any], run: Run) -> tuple[int, str]:
        await self._report(pod, "Pending", {"waiting": {"reason": "ContainerCreating"}})
        job = await self._mounted_job(pod, run)
        await _within(run.killed.wait(), self._step)
        if job is None or run.killed.is_set():
            run.reason = "Error"
            return TERMINATED_BY_SIGNAL, ""
        meta = pod["metadata"]
        name = self._names[meta["uid"]]
        if self._is_released(name):
            run.released.set()
        start = Start(meta["namespace"], name, job.execution_id, job.attempt, time.time())
        self.starts.append(start)
        log = self._kubelet.log(meta["namespace"], meta["name"])
        await self._report(pod, "Running", {"running": {"startedAt": statuses.now()}})
        run.started.set()
        await self._start_executors(pod, job)
        code, message = await self._do(job, run, log.write)
        start.ended = time.time()
        log.end()
        await self._end_executors(pod)
        return code, message

    async def _mounted_job(self, pod: dict[str, Any], run: Run) -> Job | None:
        """Return the job from the ConfigMap that the pod mounts; as long as that is missing the container is not created."""
        names = [volume["configMap"]["name"] for volume in pod["spec"].get("volumes", ()) if "configMap" in volume]
        if not names:
            return Job()
        while not run.killed.is_set():
            files = await self._client.get(f"/api/v1/namespaces/{pod['metadata']['namespace']}/configmaps/{names[0]}")
            if files is not None:
                return read_job(files)
            await _within(run.killed.wait(), self._step)
        return None

    async def _do(self, job: Job, run: Run, write: Callable[[str], None]) -> tuple[int, str]:
        """What the driver's process does until it ends or is killed; returns its exit code and termination message."""
        orders = job.orders
        for line in orders.lines:
            write(line)
        held = run.released.wait() if orders.hold else asyncio.sleep(self._step)
        waits = [asyncio.ensure_future(held), asyncio.ensure_future(run.killed.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for each in waits:
            each.cancel()
        if run.killed.is_set():
            await asyncio.sleep(self.termination_seconds)
            run.reason = "Error"
            return TERMINATED_BY_SIGNAL, ""
        if line := job.result_line():
            write(line)
        run.reason = orders.reason
        return orders.exit, job.termination_message()

    async def _start_executors(self, driver: dict[str, Any], job: Job) -> None:
        for number in range(1, job.orders.executors + 1):
            path = f"/api/v1/namespaces/{driver['metadata']['namespace']}/pods"
            await self._client.ask("POST", path, statuses.executor_pod(driver, number))

    async def _end_executors(self, driver: dict[str, Any]) -> None:
        meta = driver["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/pods"
        label = f"spark-role=executor,spark-app-selector={meta['labels'].get('spark-app-selector', '')}"
        for pod in await self._client.items(path, labelSelector=label):
            await self._client.ask("DELETE", pod_path(pod))

    async def _report(self, pod: dict[str, Any], phase: str, state: dict[str, Any]) -> None:
        """Write the pod's status; a pod that is gone has none."""
        body = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": statuses.pod_status(pod, phase, state)}
        answer = await self._client.ask("PATCH", pod_path(pod, "/status"), body)
        if answer.status_code not in (httpx.codes.NOT_FOUND, httpx.codes.CONFLICT):
            checked(answer)

    async def _remove(self, pod: dict[str, Any]) -> None:
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}}
        await self._client.ask("DELETE", pod_path(pod), body)


def _is_fresh(pod: dict[str, Any]) -> bool:
    """Whether nobody has run the pod: neither a replay nor a simulator before this one."""
    return REPLAYED not in pod["metadata"].get("annotations", {}) and "containerStatuses" not in pod["status"]


async def _within(waiting: Coroutine[Any, Any, Any], seconds: float) -> None:
    """Wait for ``waiting``, at most so long."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(waiting, seconds)
