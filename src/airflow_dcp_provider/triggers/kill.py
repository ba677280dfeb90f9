"""Whether a trigger ends because somebody killed its task, for Airflow before 3.3, where no ``on_kill`` says so."""

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
    try:
        return bool(await sync_to_async(_state)(task_instance) != "deferred")
    except Exception:
        logger.warning("the task's state cannot be read; nothing is cancelled", exc_info=True)
        return False


def _state(task_instance: Any) -> str:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

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
