"""Following drivers' logs while their tasks wait: a service with a bound.

A triggerer follows at most so many attempts of an environment at once (its field ``live_logs``). A trigger that gets no place just
waits for its attempt, and for a place that becomes free. What is followed is looked at every few seconds and goes to the trigger's
log, which Airflow shows as the task's; how far that is goes to ``copied``, so that the task copies the rest and nothing twice. The
task's links to Spark's pages are set once the driver has them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any
from weakref import WeakKeyDictionary

from airflow_dcp_provider.core_etl.text import lines_of
from airflow_dcp_provider.hooks.dcp import environment_for
from airflow_dcp_provider.hooks.metrics import AirflowMetrics
from airflow_dcp_provider.hooks.runners import runner_for
from airflow_dcp_provider.links.execution import SparkHistoryLink, SparkUiLink, history_page, spark_page
from airflow_dcp_provider.model.execution import AttemptRef
from airflow_dcp_provider.runner.backends.base import Backend
from airflow_dcp_provider.triggers.threads import LOGS, in_thread

#: Seconds between two looks at a log that is followed.
FOLLOW_INTERVAL = 3.0

#: Bytes of a log that are written before the event loop's other work gets its turn.
_PIECE = 16 * 1024


class Places:
    """The places of one environment in one event loop.

    :param limit: how many there are.
    """

    def __init__(self, environment: str, limit: int) -> None:
        self._tags = {"environment": environment}
        self._free = asyncio.Semaphore(limit)
        self.taken = 0

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a place and keep it for the block."""
        async with self._free:
            self._count(1)
            try:
                yield
            finally:
                self._count(-1)

    def _count(self, change: int) -> None:
        self.taken += change
        AirflowMetrics().level("dcp.live_logs.followed", self.taken, self._tags)


_places: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, int], Places]] = WeakKeyDictionary()


def places_of(environment: str, limit: int) -> Places:
    """Return the running event loop's places of an environment; with another limit they are counted anew."""
    mine = _places.setdefault(asyncio.get_running_loop(), {})
    key = (environment, limit)
    if key not in mine:
        mine[key] = Places(environment, limit)
    return mine[key]


@contextlib.asynccontextmanager
async def followed(ref: AttemptRef, copied: dict[str, int], limit: int, task_instance: Any, log: Any) -> AsyncIterator[None]:
    """Follow the attempt's log beside what the block waits for, if there is a place.

    Whatever becomes of the following, the block notices nothing of it.

    :param copied: attempt number -> how far its log is written; it is kept up to date.
    :param limit: how many attempts of the environment are followed at once; 0 for none.
    :param task_instance: the waiting task, None where Airflow does not say.
    :param log: the trigger's logger.
    """
    if limit < 1:
        yield
        return
    following = asyncio.create_task(_Follower(ref, copied, task_instance, log).run(places_of(ref.environment, limit)))
    try:
        yield
    finally:
        following.cancel()
        # A piece that is being read is not waited for: the task reads it.
        await asyncio.gather(following, return_exceptions=True)


class _Follower:
    """Follows one attempt."""

    def __init__(self, ref: AttemptRef, copied: dict[str, int], task_instance: Any, log: Any) -> None:
        self._ref = ref
        self._copied = copied
        self._task_instance = task_instance
        self._log = log
        self._linked = task_instance is None

    async def run(self, places: Places) -> None:
        async with places.one():
            try:
                environment = await in_thread(environment_for, self._ref.environment, executor=LOGS)
                backend = (await in_thread(runner_for, environment, executor=LOGS)).backend
                self._log.info("The driver's log is followed while the task waits")
                while True:
                    if not self._linked:
                        await self._link(backend, environment.history_server_url)
                    await self._write(backend)
                    await asyncio.sleep(FOLLOW_INTERVAL)
            except Exception as error:  # noqa: BLE001 - following is a comfort: whatever ails it, the task copies all of it in the end
                self._log.warning("The driver's log is followed no more: %s", error)

    async def _write(self, backend: Backend) -> None:
        """Write what is new, all of it."""
        key = str(self._ref.attempt)
        while True:
            text, offset = await in_thread(backend.read_log, self._ref, self._copied.get(key, 0), _PIECE, executor=LOGS)
            if not text:
                return
            # Nothing may come between the first of these lines and the note that they are written: a line is written once.
            for line in lines_of(text):
                self._log.info("%s", line)
            self._copied[key] = offset
            await asyncio.sleep(0)

    async def _link(self, backend: Backend, history_server: str) -> None:
        """Set the task's links to Spark's pages once the driver runs."""
        attempt = await in_thread(backend.get, self._ref, executor=LOGS)
        if attempt is None or not (attempt.spark_ui_url or attempt.spark_app_id):
            return
        links = {
            SparkUiLink().xcom_key: spark_page(attempt, history_server),
            SparkHistoryLink().xcom_key: history_page(attempt, history_server),
        }
        for key, address in links.items():
            if address:
                await in_thread(_push, self._task_instance, key, address, executor=LOGS)
        self._linked = True


def _push(task_instance: Any, key: str, value: str) -> None:
    from airflow.sdk.execution_time.xcom import XCom

    XCom.set(
        key=key,
        value=value,
        dag_id=task_instance.dag_id,
        task_id=task_instance.task_id,
        run_id=task_instance.run_id,
        map_index=task_instance.map_index,
    )
