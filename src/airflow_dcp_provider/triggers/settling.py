"""How long a trigger keeps what it knows to itself after a task has deferred to it.

A task that resumes too early is failed now and then: the scheduler takes the report of the deferring process's end for the end of
the resumed one. Airflow's supervisor may wait for one heartbeat interval on the closed sockets of a process that is not quite gone.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from airflow.providers.common.compat.sdk import conf

#: Seconds that the report of a process's end may take from its supervisor to the scheduler.
_REPORTING = 2.0


def settling() -> float:
    """Return the seconds in which the scheduler hears that a process that defers now has ended."""
    return float(conf.getint("workers", "min_heartbeat_interval", fallback=5)) + _REPORTING


async def settle(began: float, seconds: float, task_instance: Any) -> None:
    """Wait until ``seconds`` have passed since the trigger ``began``, by the monotonic clock.

    :param task_instance: what the triggerer gives to a trigger. Where there is none, as in ``dag.test()``, no executor has anything
        to tell, and this returns at once.
    """
    if task_instance is not None:
        await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))
