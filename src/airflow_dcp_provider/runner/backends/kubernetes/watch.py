"""One watch for all executions that are waited for in one namespace of one cluster.

However many wait, the API server sees one list and one watch: a waiting execution costs no request of its own.

It is level-triggered. The state of every application is kept, by name, from a consistent list and from then on by every change
after it; a waiter is answered from what is kept, never from a change that it would have to catch. Where the watch breaks it goes on
at the resource version it had, and where the server no longer knows that version everything is listed again and every waiter
answered anew. So no end can be missed. That an application is gone is believed only when it was seen to go: by a change, by a list
that began after its waiter came, or by one look at it by name (it is always created before anybody waits for it).

Nothing here knows Airflow.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterator

from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.runner.backends.kubernetes.problems import KubernetesProblem
from airflow_dcp_provider.runner.backends.kubernetes.watch_client import WatchClient, is_expired
from airflow_dcp_provider.runner.backends.kubernetes.watch_events import Change, read_change, read_page, read_state
from airflow_dcp_provider.runner.backends.kubernetes.watch_values import Applications, Timing, Told
from airflow_dcp_provider.runner.metrics import Metrics

logger = logging.getLogger(__name__)

#: Applications of ours carry this label; others are none of our business.
LABEL_SELECTOR = "spark-runner/execution-id"

#: So many waiters are told before the event loop's other work gets its turn.
_TOLD_AT_ONCE = 50

#: A watch that was up for so many seconds has not failed when it ends.
_UP_SECONDS = 1.0

#: So many applications are looked at by name at the same time.
_LOOKS_AT_ONCE = 8


class _Waiter:
    """Somebody who waits for one application."""

    __slots__ = ("came", "looked_at", "name", "start_is_over", "told")

    def __init__(self, name: str, told: asyncio.Future[Told]) -> None:
        self.name = name
        self.told = told
        self.came = time.monotonic()
        #: The start deadline is reached.
        self.start_is_over = False
        #: A look at its application by name is on its way.
        self.looked_at = False

    def tell(self, what: Told) -> None:
        if not self.told.done():
            self.told.set_result(what)


class NamespaceWatch:
    """Watches one namespace's applications for any number of waiters, on the event loop that it is made on.

    It begins with the first waiter and goes on until it is closed, whatever goes wrong.

    :param connect: returns a client with credentials as they are now; called again when they are no longer good.
    :param applications: what is watched.
    :param metrics: where its health is reported, or None.
    :param tags: of these figures.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[WatchClient]],
        applications: Applications,
        *,
        timing: Timing | None = None,
        metrics: Metrics | None = None,
        tags: dict[str, str] | None = None,
    ) -> None:
        self._connect = connect
        self._applications = applications
        self._timing = timing or Timing()
        self._metrics = metrics
        self._tags = tags or {}
        #: A figure was lost; that is said once.
        self._unmeasured = False
        self._client: WatchClient | None = None
        self._waiters: dict[str, list[_Waiter]] = {}
        #: Name -> state of every application, as of ``_version``; None until the first list is whole.
        self._states: dict[str, str] | None = None
        #: The resource version to go on from; empty where everything must be listed again.
        self._version = ""
        self._listed = 0.0
        self._last_good = 0.0
        #: When the server last accepted a watch, as ``time.monotonic()``.
        self._opened = 0.0
        self._running: asyncio.Task[None] | None = None
        self._looks: set[asyncio.Task[None]] = set()
        self._looking = asyncio.Semaphore(_LOOKS_AT_ONCE)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(map(len, self._waiters.values()))

    async def wait(self, name: str, *, deadline: float | None = None, start_deadline: float | None = None) -> Told:
        """Wait for one application, which exists or existed, and return what there is to tell.

        :param name: the application's.
        :param deadline: epoch seconds, or None.
        :param start_deadline: epoch seconds by which it must have started, or None.
        """
        loop = asyncio.get_running_loop()
        waiter = _Waiter(name, loop.create_future())
        timers = [
            loop.call_later(max(0.0, moment - time.time()), act, waiter)
            for moment, act in ((start_deadline, self._start_is_over), (deadline, _deadline_is_over))
            if moment is not None
        ]
        self._waiters.setdefault(name, []).append(waiter)
        self._begin()
        self._answer(waiter)
        try:
            return await waiter.told
        finally:
            for timer in timers:
                timer.cancel()
            self._forget(waiter)

    async def close(self) -> None:
        """End the watch and give its connections back. Whoever still waits waits on for nothing: close it when nobody does."""
        tasks = [task for task in (self._running, *self._looks) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._running = None
        await self._disconnect()

    # Answering

    def _answer(self, waiter: _Waiter) -> None:
        """Tell a waiter what is known of its application, or find that out."""
        if self._states is None or waiter.told.done():
            return
        state = self._states.get(waiter.name)
        if state is None:
            self._look(waiter)
        elif news := self._applications.news(state):
            waiter.tell(news)
        elif waiter.start_is_over and state in self._applications.unstarted:
            self._look(waiter)

    def _start_is_over(self, waiter: _Waiter) -> None:
        waiter.start_is_over = True
        self._answer(waiter)

    def _forget(self, waiter: _Waiter) -> None:
        waiters = self._waiters[waiter.name]
        waiters.remove(waiter)
        if not waiters:
            del self._waiters[waiter.name]

    def _look(self, waiter: _Waiter) -> None:
        if waiter.looked_at:
            return
        waiter.looked_at = True
        look = asyncio.get_running_loop().create_task(self._look_by_name(waiter), context=contextvars.Context())
        self._looks.add(look)
        look.add_done_callback(self._looks.discard)

    async def _look_by_name(self, waiter: _Waiter) -> None:
        """Ask for one application until there is an answer: whether it is there, and whether it has started."""
        delays = self._delays()
        while not waiter.told.done():
            try:
                async with self._looking:
                    state = await self._state_now(waiter.name)
            except Exception as error:  # noqa: BLE001 - a waiter without an answer would wait for ever
                logger.info("%s cannot be looked at: %s", waiter.name, getattr(error, "message", error))
                await asyncio.sleep(next(delays))
                continue
            waiter.looked_at = False
            if news := self._applications.news(state):
                waiter.tell(news)
            elif waiter.start_is_over and state in self._applications.unstarted:
                waiter.tell(Told.START_DEADLINE)
            return

    async def _state_now(self, name: str) -> str | None:
        if self._client is None:
            raise KubernetesProblem("there is no connection")
        path = f"{self._applications.path}/{name}"
        try:
            return read_state(await self._client.get(path), self._client.where(path))
        except KubernetesProblem as problem:
            if problem.status == 404:
                return None
            raise

    async def _answer_all(self, list_began: float) -> None:
        """Answer every waiter from a list that is whole."""
        states = self._states or {}
        told = 0
        for waiter in [waiter for waiters in self._waiters.values() for waiter in waiters]:
            if waiter.name not in states and waiter.came < list_began:
                waiter.tell(Told.ENDED)
            else:
                self._answer(waiter)
            told += waiter.told.done()
            if told >= _TOLD_AT_ONCE:
                told = 0
                await asyncio.sleep(0)

    # Watching

    def _begin(self) -> None:
        if self._running is None or self._running.done():
            self._last_good = time.monotonic()
            # A task of its own context: what it logs is the triggerer's, not the first waiter's.
            self._running = asyncio.get_running_loop().create_task(self._run(), context=contextvars.Context())

    async def _run(self) -> None:
        try:
            delays = self._delays()
            while True:
                began = time.monotonic()
                problem = await self._watch_once()
                if self._opened > began and time.monotonic() - self._opened > _UP_SECONDS and not is_expired(problem):
                    # It was up for a while. Connections end; that is no failure.
                    delays = self._delays()
                    continue
                try:
                    await self._recover(problem)
                except Exception:
                    # Nothing known does this either, and those who wait need the next try.
                    logger.exception("the watch of %s begins again unprepared", self._applications.path)
                await asyncio.sleep(_asked_delay(problem) or next(delays))
        finally:
            await self._disconnect()

    async def _watch_once(self) -> Exception:
        """Go on from where the last watch ended, and return why this one did."""
        try:
            if self._client is None:
                self._client = await self._connect()
            if not self._version or time.monotonic() - self._listed > self._timing.resync:
                await self._list(self._client)
            await self._follow(self._client)
        except DcpEnvironmentError as error:
            return error
        except Exception as error:
            # Nothing known does this. Those who wait must not pay for it: begin anew, from a list.
            logger.exception("the watch of %s failed", self._applications.path)
            self._version = ""
            return error
        return KubernetesProblem("the server ended the watch")

    async def _recover(self, problem: Exception) -> None:
        """Prepare to begin again after a failure, and tell those who have waited too long for sight of the cluster."""
        self._count("dcp.watch.failures")
        logger.warning("the watch of %s broke and begins again: %s", self._applications.path, getattr(problem, "message", problem))
        now, patience = time.monotonic(), self._timing.refused_patience if _is_refusal(problem) else self._timing.patience
        for waiter in [waiter for waiters in self._waiters.values() for waiter in waiters]:
            if now - max(waiter.came, self._last_good) >= patience:
                waiter.tell(Told.UNREADABLE)
        if is_expired(problem):
            self._version = ""
        else:
            # A new connection, with the credentials as they are now.
            await self._disconnect()

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _list(self, client: WatchClient) -> None:
        """List everything, in pages that are all of one resource version, and answer everybody."""
        began = time.monotonic()
        path = self._applications.path
        states: dict[str, str] = {}
        params = {"labelSelector": LABEL_SELECTOR, "limit": str(self._timing.page_size)}
        while True:
            page = read_page(await client.get(path, params), client.where(path))
            states.update(page.states)
            if not page.next_page:
                break
            params["continue"] = page.next_page
        self._states, self._version, self._listed, self._last_good = states, page.version, began, time.monotonic()
        self._count("dcp.watch.lists")
        await self._answer_all(began)

    async def _follow(self, client: WatchClient) -> None:
        """Take in every change until the server ends the watch."""
        path = self._applications.path
        params = {
            "labelSelector": LABEL_SELECTOR,
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(max(1, int(self._timing.watch * random.uniform(0.8, 1.0)))),  # noqa: S311 - no secret
        }
        where = client.where(path)
        rest = b""
        async with client.stream(path, params, self._timing.silence) as pieces:
            self._opened = self._last_good = time.monotonic()
            self._level()
            async for piece in pieces:
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    self._take_in(read_change(line, where))
                self._last_good = time.monotonic()
                await asyncio.sleep(self._timing.batch)

    def _take_in(self, change: Change) -> None:
        self._version = change.version
        if not change.name or self._states is None:
            return
        if change.state is None:
            self._states.pop(change.name, None)
        else:
            self._states[change.name] = change.state
        if news := self._applications.news(change.state):
            for waiter in self._waiters.get(change.name, ()):
                waiter.tell(news)

    # Health

    def _delays(self) -> Iterator[float]:
        """Yield the seconds to wait after each failure in a row: longer each time, and not the same for all triggerers."""
        longest = self._timing.first_delay
        while True:
            yield random.uniform(longest / 2, longest)  # noqa: S311 - no secret
            longest = min(longest * 2, self._timing.longest_delay)

    def _count(self, name: str) -> None:
        self._measure(lambda metrics: metrics.count(name, self._tags))

    def _level(self) -> None:
        self._measure(lambda metrics: metrics.level("dcp.watch.waiting", float(self.waiting), self._tags))

    def _measure(self, report: Callable[[Metrics], None]) -> None:
        """Report a figure. Whatever ails the metrics, the watch goes on."""
        if self._metrics is None:
            return
        try:
            report(self._metrics)
        except Exception as error:  # noqa: BLE001 - a figure that is lost is no reason to lose sight of the jobs
            if not self._unmeasured:
                logger.warning("the watch of %s is not measured: %s", self._applications.path, error)
            self._unmeasured = True


def _deadline_is_over(waiter: _Waiter) -> None:
    waiter.tell(Told.DEADLINE)


def _is_refusal(problem: Exception) -> bool:
    """Whether somebody has to mend something: rights, credentials, a connection's fields."""
    return not isinstance(problem, KubernetesProblem) or problem.status in {400, 401, 403, 404}


def _asked_delay(problem: Exception) -> float | None:
    """Return the seconds that the server asks to wait, at most a minute."""
    asked = problem.retry_after if isinstance(problem, KubernetesProblem) else None
    return None if asked is None else min(asked, 60.0)
