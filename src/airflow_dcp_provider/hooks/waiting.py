"""Whether a task of this Airflow still waits for an execution, from the states of its run's tasks. Pure but for the asking."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from airflow_dcp_provider.model.execution import Actor, AttemptRequest
from airflow_dcp_provider.runner.sweeper import Answer, Waiting, Waits

#: Which task waits for what which task submitted, in generated DAGs.
GENERATED_WAITS: Mapping[str, str] = {"submit": "wait"}

#: States of a task that waits, or will without anybody's doing. A task without a state is judged by its run.
_WAITING = frozenset({"running", "deferred", "queued", "scheduled", "up_for_retry", "up_for_reschedule", "restarting"})


@dataclass(frozen=True)
class RunState:
    """What Airflow knows of a DAG run.

    :param active: whether the run is queued or running.
    :param tasks: task's id (``<task id>_<map index>`` for a mapped one) -> its state, None for a task without one; empty where this
        Airflow knows no such run.
    """

    active: bool = False
    tasks: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Submitted:
    """Where a submit task left the handle of its execution."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int


def waits_of(
    ask: Callable[[str, str], RunState],
    handed_on: Callable[[Submitted], str | None],
    known: Callable[[str], bool],
    waiting_tasks: Mapping[str, str] = GENERATED_WAITS,
) -> Waits:
    """Return the predicate that the sweeper asks.

    Another Airflow may run the same DAG in the same environment, and its runs may have the same names. So an execution is judged
    only when it is proved to be of this one: its submit task here handed it on, or handed nothing on and the history here has it.

    :param ask: returns the state of a run by its DAG's id and its own id; it is asked once for each run.
    :param handed_on: returns the id of the execution that a submit task handed on, None when it handed none on.
    :param known: whether this deployment's history has an execution.
    :param waiting_tasks: submit task's id -> id of the task that waits for its execution.
    """
    remembered = lru_cache(maxsize=None)(ask)

    def waits(request: AttemptRequest) -> Answer:
        place = _run_of(request.run_key)
        if place is None:
            return Answer(Waiting.UNKNOWN)
        dag_id, run_id, map_index = place
        here = handed_on(Submitted(dag_id, run_id, _submitter(request, waiting_tasks), map_index))
        ours = known(request.ref.execution_id) if here is None else here == request.ref.execution_id
        if not ours:
            return Answer(Waiting.UNKNOWN)
        return answer(remembered(dag_id, run_id), _waiter(request, waiting_tasks), map_index)

    return waits


def answer(run: RunState, waiter: str | None, map_index: int) -> Answer:
    """Return whether a task waits.

    :param waiter: id of the task that waits for the execution, None where it is not known.
    :param map_index: the execution's, -1 for none.
    """
    if not run.tasks:
        # Another Airflow's run, or one that was deleted: that cannot be told apart, so nothing is done.
        return Answer(Waiting.UNKNOWN)
    actor = Actor(task_id=waiter) if waiter else None
    key = f"{waiter}_{map_index}" if map_index >= 0 else waiter
    if key is None or key not in run.tasks:
        waiting = run.active or any(state in _WAITING for state in run.tasks.values())
    else:
        state = run.tasks[key]
        waiting = run.active if state is None else state in _WAITING
    return Answer(Waiting.WAITS if waiting else Waiting.ENDED, actor)


def _submitter(request: AttemptRequest, waiting_tasks: Mapping[str, str]) -> str:
    begun_by = request.begun_by.task_id
    return next((submit for submit, wait in waiting_tasks.items() if wait == begun_by), begun_by)


def _waiter(request: AttemptRequest, waiting_tasks: Mapping[str, str]) -> str | None:
    begun_by = request.begun_by.task_id
    # Attempts after the first are begun by the waiting task itself.
    return begun_by if begun_by in waiting_tasks.values() else waiting_tasks.get(begun_by)


def execution_of(handle: Any) -> str | None:
    """Return the execution's id of a handle as a submit task hands it on; None of anything else."""
    try:
        return str(handle["request"]["ref"]["execution_id"])
    except (KeyError, TypeError):
        return None


def _run_of(run_key: str) -> tuple[str, str, int] | None:
    """Return DAG's id, run's id and map index of ``dag_id/run_id/map_index``; a run's id may hold slashes itself."""
    dag_id, _, rest = run_key.partition("/")
    run_id, _, index = rest.rpartition("/")
    if not dag_id or not run_id or not index.lstrip("-").isdecimal():
        return None
    return dag_id, run_id, int(index)
