"""What the tasks of :mod:`benchmarks.submit` have in common: each notes when its process began and how long it held its slot."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent

#: The environment variable that names the file of notes.
NOTES = "DCP_BENCHMARK_NOTES"

#: How long the task that waits for nothing waits.
IDLE_SECONDS = 5.0


def process_began() -> float:
    """Return when this process was started or forked, in epoch seconds; the kernel counts it in hundredths of a second."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))


@contextmanager
def noted(context: Any, what: str) -> Iterator[None]:
    """Write down from when to when the block ran, however it ends."""
    entered = time.time()
    try:
        yield
    finally:
        ti = context["ti"]
        note = {"run": ti.run_id, "task": ti.task_id, "what": what}
        note |= {"process": process_began(), "entered": entered, "left": time.time()}
        with Path(os.environ[NOTES]).open("a", encoding="utf-8") as notes:
            notes.write(json.dumps(note) + "\n")


class Noted:
    """Put before an operator's class, it notes the time in ``execute`` and in what follows a deferral."""

    def execute(self, context: Any) -> Any:
        with noted(context, "execute"):
            return super().execute(context)  # type: ignore[misc]

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        with noted(context, "resume"):
            return super().resume_execution(next_method, next_kwargs, context)  # type: ignore[misc]


class IdleTrigger(BaseTrigger):
    """Fires at a moment."""

    def __init__(self, moment: float) -> None:
        super().__init__()
        self.moment = moment

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "benchmarks._submit_tasks.IdleTrigger", {"moment": self.moment}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        await asyncio.sleep(self.moment - time.time())
        yield TriggerEvent({"moment": time.time()})


class IdleOperator(BaseOperator):
    """Defers and does nothing after it: what any deferrable task costs."""

    def execute(self, context: Any) -> None:  # noqa: ARG002 - Airflow's signature
        self.defer(trigger=IdleTrigger(time.time() + IDLE_SECONDS), method_name="resume")

    def resume(self, context: Any, event: dict[str, float]) -> float:  # noqa: ARG002 - Airflow's signature
        return event["moment"]
