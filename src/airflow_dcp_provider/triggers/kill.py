"""Whether somebody killed a task, asked of Airflow itself where no ``on_kill`` says so, or says so wrongly."""

from __future__ import annotations

import logging
from typing import Any

from airflow.triggers.base import BaseTrigger
from asgiref.sync import sync_to_async

logger = logging.getLogger(__name__)

#: Whether this Airflow calls ``BaseTrigger.on_kill``.
NATIVE_ON_KILL: bool = hasattr(BaseTrigger, "on_kill")


async def killed_by_user(task_instance: Any) -> bool:
    """Whether the task is deferred no more although its trigger fired no event. When that cannot be told, the answer is no.

    :param task_instance: the trigger's own, or None.
    """
    if task_instance is None:
        return False
    return await sync_to_async(task_state)(task_instance) not in {"deferred", ""}


async def still_deferred(task_instance: Any) -> bool:
    """Whether the task is deferred, whatever Airflow said of a kill. When that cannot be told, the answer is no.

    :param task_instance: the trigger's own, or None.
    """
    return task_instance is not None and await sync_to_async(task_state)(task_instance) == "deferred"


class KillWatch:
    """Notices that a running task was failed or cleared although nobody told its process.

    Airflow tells it with the next heartbeat; a task that ends before that is never told, and what it has begun would go on.

    :param task_instance: the running task's.
    """

    def __init__(self, task_instance: Any) -> None:
        self._task_instance = task_instance
        self._before = task_state(task_instance)

    def killed(self) -> bool:
        """Whether the task was running when this object was made and is not any more. When that cannot be told: no."""
        return self._before == "running" and task_state(self._task_instance) not in {"running", ""}


def task_state(task_instance: Any) -> str:
    """Return the state that Airflow holds of a task instance now, or nothing when it cannot be asked."""
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    try:
        states = RuntimeTaskInstance.get_task_states(
            dag_id=task_instance.dag_id,
            task_ids=[task_instance.task_id],
            run_ids=[task_instance.run_id],
            map_index=task_instance.map_index,
        )
        # A mapped task's state is listed with its map index.
        mapped = task_instance.map_index is not None and task_instance.map_index >= 0
        key = f"{task_instance.task_id}_{task_instance.map_index}" if mapped else task_instance.task_id
        return str(states[task_instance.run_id][key])
    except Exception:
        logger.warning("the task's state cannot be read", exc_info=True)
        return ""
