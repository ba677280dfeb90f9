"""Everything that a bare API server lacks to run SparkApplications: the operator, the kubelet's part, the garbage collector.

What each driver does is ordered in its job spec, see :class:`tests.support.kubernetes.driver.Orders`.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import threading
import time
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

from tests.support.kubernetes.api_server import ApiServer
from tests.support.kubernetes.client import RigClient
from tests.support.kubernetes.collector import APPLICATIONS, CONFIG_MAPS, GarbageCollector
from tests.support.kubernetes.driver import files_volumes, read_job
from tests.support.kubernetes.kubelet import FakeKubelet
from tests.support.kubernetes.pods import PODS, PodRunner, Start
from tests.support.kubernetes.reconciler import Operator, Reconciler
from tests.support.kubernetes.replay import Replay


class OperatorSimulator:
    """Watches the SparkApplications of all namespaces and drives them. It lives in a thread of its own.

    An application that was made before the simulator started belongs to an earlier one and is left alone.

    :param step: seconds that each change of state takes.
    """

    #: Where its applications are on the server, and what drives one of them.
    applications = APPLICATIONS
    reconciler: type[Reconciler] = Reconciler

    def __init__(self, api: ApiServer, kubelet: FakeKubelet, step: float = 0.05) -> None:
        self._api = api
        self._kubelet = kubelet
        self._step = step
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="operator", daemon=True)
        self._ready = threading.Event()
        self._seen: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop
        self._operator: Operator
        self._pods: PodRunner
        self._over: asyncio.Event
        #: What went wrong inside; :meth:`stop` raises the first.
        self.errors: list[BaseException] = []

    # What a test says to it

    def start(self) -> None:
        # The collection at the end looks at what was made since, not at all that a test process has ever imported.
        gc.freeze()
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """End it; what is running stays as it is on the server.

        :raises BaseException: the first error that happened inside.
        """
        self._tell(self._over.set)
        self._thread.join(30)
        with warnings.catch_warnings():
            # A request that was cancelled while it connected leaves its socket to the garbage collector.
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
        gc.unfreeze()
        if self.errors:
            raise self.errors[0]

    def pause(self) -> None:
        """The operator is down: no application's state changes. Pods live on, and deletions are carried out."""
        self._tell(self._operator.running.clear)

    def resume(self) -> None:
        self._tell(self._operator.running.set)

    def release(self, name: str = "") -> None:
        """Let held drivers go on: those of one application, or all, and from now on."""
        self._tell(lambda: self._pods.release(name))

    def lose_status(self, name: str = "") -> None:
        """Lose the write of SUBMITTED for this application (the next one when empty): the operator then submits it a second time."""
        self._tell(lambda: self._operator.losing.add(name))

    def terminate_slowly(self, seconds: float) -> None:
        """Let drivers take so long from SIGTERM to their end."""
        self._tell(lambda: setattr(self._pods, "termination_seconds", seconds))

    @property
    def starts(self) -> list[Start]:
        """Every start of a driver so far."""
        return list(self._pods.starts)

    def overlaps(self) -> list[tuple[Start, Start]]:
        """Return the pairs of drivers of one execution that ran at once; there may be none."""
        starts = [start for start in self.starts if start.execution_id]
        pairs = [(one, other) for number, one in enumerate(starts) for other in starts[number + 1 :]]
        return [(one, other) for one, other in pairs if one.execution_id == other.execution_id and one.overlaps(other)]

    # Its own thread

    def _tell(self, what: Callable[[], Any]) -> None:
        """Do something in the simulator's thread and wait until it is done."""
        done = threading.Event()

        def do() -> None:
            what()
            done.set()

        self._loop.call_soon_threadsafe(do)
        done.wait(10)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        # The server's times are whole seconds.
        self._since = int(time.time())
        self._client = RigClient(self._api)
        self._operator = Operator(self._step)
        self._operator.running.set()
        self._over = asyncio.Event()
        self._pods = PodRunner(self._client, self._kubelet, self._spawn, self._step)
        self._collector = GarbageCollector(self._client, self._spawn, self._step)
        # What is there belongs to earlier tests, more and more of it: it is not even read.
        collection = f"{self.applications}/sparkapplications"
        for watch, path in ((self._watch, collection), (self._pods.watch, PODS), (self._collector.watch_config_maps, CONFIG_MAPS)):
            self._spawn(watch(await self._client.version(path)))
        self._ready.set()
        await self._over.wait()
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._client.close()

    def _spawn(self, what: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.errors.append(error)

    async def _watch(self, since: str) -> None:
        async for kind, application in self._client.watch(f"{self.applications}/sparkapplications", since):
            self._collector.see(kind, application)
            meta = application["metadata"]
            known = self._seen.get(meta["uid"])
            if kind == "DELETED" or meta.get("deletionTimestamp"):
                if known:
                    known.cancel()
            elif known is None and not application.get("status") and _made_at(application) >= self._since:
                self._seen[meta["uid"]] = self._spawn(self._drive(application))

    async def _drive(self, application: dict[str, Any]) -> None:
        trace = await self._ordered_trace(application)
        if trace:
            await Replay(self._client, self._operator, self._kubelet, application, trace).run()
        else:
            await self.reconciler(self._client, self._operator, self._pods, self._kubelet.node, application).run()

    async def _ordered_trace(self, application: dict[str, Any]) -> str:
        namespace = application["metadata"]["namespace"]
        for volume in files_volumes(application):
            files = await self._client.get(f"/api/v1/namespaces/{namespace}/configmaps/{volume['configMap']['name']}")
            return read_job(files).orders.trace
        return ""


def _made_at(application: dict[str, Any]) -> float:
    return dt.datetime.fromisoformat(application["metadata"]["creationTimestamp"]).timestamp()
