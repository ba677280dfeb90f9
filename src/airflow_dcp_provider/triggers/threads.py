"""Functions that block, called from a triggerer's event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from asgiref.sync import sync_to_async

_Result = TypeVar("_Result")

#: Threads for kills alone: Airflow waits for one only so long, and looks at a cluster that does not answer may hold all others.
KILLS = ThreadPoolExecutor(16, "dcp-kill")

#: Threads for following logs alone, which is a comfort: it may become slow, and never hold up what a task waits for.
LOGS = ThreadPoolExecutor(8, "dcp-live-log")


async def in_thread(function: Callable[..., _Result], *arguments: Any, executor: ThreadPoolExecutor | None = None) -> _Result:
    """Return what a function that blocks returns. Once asked for, it is called, whatever becomes of the caller.

    Connections are read through the event loop, which only asgiref's threads can reach. The shield keeps a cancellation away from
    asgiref, which would drop its message (Airflow's only sign that the user killed the task), forget a call that still waits for a
    thread, and wait for the end of one that has begun.

    :param executor: whose threads to use, None for the event loop's own.
    """
    calling = asyncio.ensure_future(sync_to_async(function, thread_sensitive=False, executor=executor)(*arguments))
    calling.add_done_callback(_seen)
    return await asyncio.shield(calling)


def _seen(calling: asyncio.Future[Any]) -> None:
    """Take note of an error that nobody waits for any more, or asyncio would complain that nobody did."""
    if not calling.cancelled():
        calling.exception()
