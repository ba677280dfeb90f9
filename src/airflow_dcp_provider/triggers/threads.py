"""Functions that block, called from a triggerer's event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from asgiref.sync import sync_to_async

_Result = TypeVar("_Result")


async def in_thread(function: Callable[..., _Result], *arguments: Any) -> _Result:
    """Return what a function that blocks returns.

    Connections are read through the event loop, which only asgiref's threads can reach. The shield keeps a cancellation away from
    asgiref, which would drop its message (Airflow's only sign that the user killed the task) and wait for the function's end.
    """
    calling = asyncio.ensure_future(sync_to_async(function, thread_sensitive=False)(*arguments))
    calling.add_done_callback(_seen)
    return await asyncio.shield(calling)


def _seen(calling: asyncio.Future[Any]) -> None:
    """Take note of an error that nobody waits for any more, or asyncio would complain that nobody did."""
    if not calling.cancelled():
        calling.exception()
