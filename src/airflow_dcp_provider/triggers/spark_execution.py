"""Watches one attempt of a Spark execution while the waiting task is deferred."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_dcp_provider.hooks.dcp import environment_for
from airflow_dcp_provider.hooks.runners import runner_for
from airflow_dcp_provider.model.execution import Actor, AttemptRef, Cancellation
from airflow_dcp_provider.runner.runner import SparkRunner
from airflow_dcp_provider.triggers.kill import NATIVE_ON_KILL, killed_by_user, still_deferred
from airflow_dcp_provider.triggers.live_log import followed
from airflow_dcp_provider.triggers.settling import settle
from airflow_dcp_provider.triggers.threads import KILLS, in_thread
from airflow_dcp_provider.triggers.watches import WATCHED_BACKENDS, Place, watches

#: Seconds between two looks, at least, at an attempt of which its cluster's watch cannot tell whether it has ended.
_DOUBT_INTERVAL = 10.0

#: While the rest of an attempt is waited for, looks become more seldom by this factor, up to this many seconds between two.
_BACK_OFF, _LONGEST_INTERVAL = 1.5, 15.0

#: After so many looks in a row that failed, the task is asked to look for itself.
_PATIENCE = 60


class SparkExecutionTrigger(BaseTrigger):
    """Fires once the attempt has ended, a deadline is reached, or the next attempt is due. What follows is the task's to decide.

    On a cluster, one watch serves every attempt that is waited for in a namespace (:mod:`airflow_dcp_provider.triggers.watches`);
    on other backends the attempt is looked at now and then.

    :param ref: the attempt, an :class:`AttemptRef` as a mapping.
    :param actor: the waiting task, an :class:`Actor` as a mapping; a kill is asked for in its name.
    :param deadline: epoch seconds at which the task is to look again, or None. It is absolute: a restart moves nothing.
    :param not_before: epoch seconds at which the next attempt is due; then only the time is waited for.
    :param await_gone: wait until nothing of the attempt runs any more, instead of until it has ended.
    :param poll_interval: seconds between two looks; with ``await_gone`` between the first two.
    :param copied: how far the task has copied the driver's logs; handed back in the event.
    :param start_deadline: epoch seconds by which the driver must have started, or None; absolute, too.
    :param backend: where the attempt runs, as :attr:`Backend.name` says.
    :param live_logs: how many attempts of its environment this triggerer follows at once; 0 for none.
    :param settling: seconds within which a triggerer fires nothing, see :mod:`~airflow_dcp_provider.triggers.settling`.
    """

    def __init__(
        self,
        *,
        ref: Mapping[str, Any],
        actor: Mapping[str, Any],
        deadline: float | None = None,
        not_before: float | None = None,
        await_gone: bool = False,
        poll_interval: float = 1.0,
        copied: Mapping[str, int] | None = None,
        start_deadline: float | None = None,
        backend: str = "local",
        live_logs: int = 0,
        settling: float = 0.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ref = dict(ref)
        self.actor = dict(actor)
        self.deadline = deadline
        self.not_before = not_before
        self.await_gone = await_gone
        self.poll_interval = poll_interval
        self.copied = dict(copied or {})
        self.start_deadline = start_deadline
        self.backend = backend
        self.live_logs = live_logs
        self.settling = settling
        self._fired = False

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class's path and its arguments."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "ref": self.ref,
                "actor": self.actor,
                "deadline": self.deadline,
                "not_before": self.not_before,
                "await_gone": self.await_gone,
                "poll_interval": self.poll_interval,
                "copied": self.copied,
                "start_deadline": self.start_deadline,
                "backend": self.backend,
                "live_logs": self.live_logs,
                "settling": self.settling,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then fire one event that says why: ``due``, ``deadline``, ``start-deadline``, ``ended`` or ``unreadable``."""
        began = time.monotonic()
        if self.not_before is not None:
            await asyncio.sleep(max(0.0, self.not_before - time.time()))
            reason = "due"
        else:
            # What is written meanwhile is added to `copied`, which the event hands back.
            async with followed(AttemptRef(**self.ref), self.copied, self.live_logs, self.task_instance, self.log):
                watched = self.backend in WATCHED_BACKENDS
                reason = await (self._watched() if watched else self._looked_at(self.poll_interval))
        await settle(began, self.settling, self.task_instance)
        self._fired = True
        yield TriggerEvent({"reason": reason, "copied": self.copied})  # type: ignore[no-untyped-call]

    async def _watched(self) -> str:
        """Wait by the watch of the attempt's namespace; it costs no request of its own."""
        ref = AttemptRef(**self.ref)
        with watches().joined(Place(self.backend, ref.environment, ref.cluster, ref.namespace)) as watched:
            start_deadline = None if self.await_gone else self.start_deadline
            told = await watched.wait(ref.name, deadline=self.deadline, start_deadline=start_deadline)
        if told == "in-doubt":
            return await self._looked_at(max(self.poll_interval, _DOUBT_INTERVAL))
        if told == "ended" and self.await_gone:
            # The watch sees applications; pods may outlive theirs for a moment.
            return await self._looked_at(self.poll_interval)
        return told.value

    async def _looked_at(self, interval: float) -> str:
        """Look at the attempt every ``interval`` seconds, or ever more seldom, until there is something to tell."""
        runner: SparkRunner | None = None
        failures = 0
        while True:
            try:
                runner = runner or await in_thread(self._open)
                if await in_thread(self._is_over, runner):
                    return "ended"
                failures = 0
            except Exception:
                # One failing look fails nothing: the attempt goes on whether or not it can be seen.
                failures += 1
                if failures >= _PATIENCE:
                    self.log.exception("attempt %s cannot be looked at", self.ref["name"])
                    return "unreadable"
            left = float("inf") if self.deadline is None else self.deadline - time.time()
            if left <= 0:
                return "deadline"
            await asyncio.sleep(min(interval, left))
            if self.await_gone:
                interval = max(interval, min(interval * _BACK_OFF, _LONGEST_INTERVAL))

    def _open(self) -> SparkRunner:
        return runner_for(environment_for(self.ref["environment"]))

    def _is_over(self, runner: SparkRunner) -> bool:
        ref = AttemptRef(**self.ref)
        attempt = runner.backend.get(ref)
        if attempt is None:
            return True
        return runner.backend.is_gone(ref) if self.await_gone else attempt.state.is_terminal

    async def on_kill(self) -> None:
        """Cancel the attempt, because somebody marked, cleared or failed the deferred task (Airflow 3.3 and later call this).

        Airflow calls it also where a triggerer that had stalled finds its triggers given to another one: the task is still deferred
        then, and nothing is cancelled.
        """
        if self._fired:
            return
        if await still_deferred(self.task_instance):
            self.log.info("another triggerer waits for attempt %s now", self.ref["name"])
        else:
            await in_thread(self._cancel, executor=KILLS)

    async def cleanup(self) -> None:
        """Before Airflow 3.3, which has no ``on_kill``: cancel the attempt when the task is deferred no more.

        A triggerer that restarts or had stalled ends its triggers too; then the task is still deferred and nothing is cancelled.
        """
        if not NATIVE_ON_KILL and not self._fired and await killed_by_user(self.task_instance):
            await in_thread(self._cancel, executor=KILLS)

    def _cancel(self) -> None:
        self.log.info("the task was killed: cancelling attempt %s", self.ref["name"])
        self._open().cancel(AttemptRef(**self.ref), Cancellation(Actor(**self.actor), "kill", time.time()))


def watch(ref: AttemptRef, actor: Actor, **options: Any) -> SparkExecutionTrigger:
    """Return the trigger that watches ``ref`` for ``actor``; ``options`` are the trigger's other arguments."""
    return SparkExecutionTrigger(ref=asdict(ref), actor=asdict(actor), **options)
