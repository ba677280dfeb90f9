"""What a task knows of its run, as our values: the run's date, its template names, its environment, and who asks."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_dcp_provider.model.environment import canonical_environment
from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.execution import Actor
from airflow_dcp_provider.model.parameters import RESERVED, check_values
from airflow_dcp_provider.model.templates import date_names, macros

if TYPE_CHECKING:
    from airflow.sdk import Context

#: Under this key a value is kept that lives as long as the DAG run: in the task's state (Airflow 3.3) or in XCom (before).
NONCE_KEY = "dcp_run_nonce"

#: Under this key the task's state (Airflow 3.3) holds the try that began this round, its ``max_tries``, and ``ended`` once it has.
_ROUND_KEY = "dcp_round"


@dataclass(frozen=True)
class RunDate:
    """The date that a run stands for.

    :param source: where ``moment`` comes from: ``logical_date``, or ``run_after`` for a run without a logical date.
    """

    moment: dt.datetime
    interval_start: dt.datetime
    interval_end: dt.datetime
    source: str

    @property
    def ds(self) -> str:
        """The run's own day, ``YYYY-MM-DD``."""
        return self.moment.strftime("%Y-%m-%d")


def run_date(context: Context) -> RunDate:
    """Return the run's date: its logical date's, or for a run without one (by hand, by an asset) its ``run_after``'s."""
    run: Any = context["dag_run"]
    source = "logical_date" if run.logical_date is not None else "run_after"
    moment: dt.datetime = run.logical_date or run.run_after
    return RunDate(moment, run.data_interval_start or moment, run.data_interval_end or moment, source)


def template_context(context: Context, environment: str) -> dict[str, Any]:
    """Return the names that a job's templates may use, see :data:`airflow_dcp_provider.model.templates.ALLOWED_NAMES`.

    The trigger form's free parameters are ``params.<name>`` and ``params.parameters.<name>``, above the DAG's own defaults of them;
    in a DAG without a parameter ``parameters``, they are all of the run's.
    """
    date = run_date(context)
    parameters = _parameters(context)
    return {
        **date_names(date.moment, date.interval_start, date.interval_end),
        "run_id": context["run_id"],
        "dag_id": context["ti"].dag_id,
        "environment": environment,
        "params": {**parameters, "parameters": parameters, "environment": environment},
        "macros": macros(),
    }


def _parameters(context: Context) -> dict[str, Any]:
    """Return a run's free parameters: those of the map ``parameters``, and those that are fields of the trigger form.

    A field counts where it is set, or where the map does not say otherwise: whoever triggers a run may use either.
    """
    params = dict(context["params"])
    named = params.get("parameters")
    if not isinstance(named, Mapping):
        return params
    defaults = _defaults(context)
    if defaults is None:
        declared = getattr(context["dag"], "params", None)
        value = declared.get_param("parameters").value if declared is not None and "parameters" in declared else None
        return {**(value if isinstance(value, Mapping) else {}), **named}
    fields = {name: params[name] for name in defaults if name in params and (name not in named or params[name] != defaults[name])}
    return {**defaults, **named, **fields}


def _defaults(context: Context) -> dict[str, Any] | None:
    """Return what a generated DAG's own parameters are in runs that are given no others; None in another DAG.

    They are read from the schema of the DAG's parameter ``parameters``: over its value Airflow may have written the run's.
    """
    params = getattr(context.get("dag"), "params", None)
    if params is None or "parameters" not in params:
        return None
    properties = params.get_param("parameters").schema.get("properties")
    return {name: each["default"] for name, each in properties.items()} if isinstance(properties, Mapping) else None


def check_parameters(context: Context) -> None:
    """Refuse a run of a generated DAG whose parameters its manifest does not know, or that are too much.

    Airflow holds the values of fields that it knows against their types; of other names in a run's configuration it says nothing.

    :raises UsageError: DCP219 or DCP220.
    """
    defaults = _defaults(context)
    if defaults is None:
        return
    configuration: Any = getattr(context["dag_run"], "conf", None) or {}
    own = [name for name in defaults if name in context["dag"].params]
    check_values(configuration if isinstance(configuration, Mapping) else {}, [*RESERVED, *own], {})
    check_values(_parameters(context), defaults, {})


def choose_environment(context: Context, own: str | None, default: str, allowed: Collection[str]) -> str:
    """Return the run's environment: the trigger form's, else the task's own, else the deployment's.

    :param own: what the task was given, or None.
    :param default: the deployment's environment.
    :param allowed: the environments that the DAG was built for.
    :raises DcpEnvironmentError: DCP410 for an unknown name, DCP415 for one that is not allowed.
    """
    name = canonical_environment(str(context["params"].get("environment") or own or default))
    if name not in allowed:
        raise DcpEnvironmentError(
            f"this run is to use the environment {name}, which is not offered here",
            code="DCP415",
            hint=f"choose one of: {', '.join(sorted(allowed))}; [dcp] environments lists those of the deployment",
        )
    return name


def actor_of(context: Context) -> Actor:
    """Return who asks: the task, its try, and the try that began this round of tries, as far as Airflow's own count tells it.

    Clearing a task raises ``max_tries``, an automatic retry does not; so does Airflow's SDK count (``get_first_reschedule_date``).
    The count is wrong once the DAG's ``retries`` have changed, because ``max_tries`` is of the time when the task instance was made
    or cleared. What it gives is always a try that there has been.
    """
    ti: Any = context["ti"]
    began = ti.max_tries - (context["task"].retries or 0) + 1
    return Actor(task_id=ti.task_id, try_number=ti.try_number, round_try=max(1, min(began, ti.try_number)))


def submitter_of(context: Context) -> Actor:
    """Return who submits. From Airflow 3.3 on its round lasts until :func:`end_round` was called and the task is cleared.

    What a running task had begun goes on when that is cleared; only clearing a ``submit`` that had come to its end begins a new
    execution. Before Airflow 3.3, which has no task state, Airflow's own count decides, see :func:`actor_of`.
    """
    return _in_kept_round(context, lambda cleared, ended, first: ended and (cleared or first))


def waiter_of(context: Context, round_try: int | None = None) -> Actor:
    """Return who waits. From Airflow 3.3 on its round lasts until the task is cleared.

    Before Airflow 3.3, which has no task state, Airflow's own count decides, see :func:`actor_of`.

    :param round_try: the round that the task was deferred in; a deferral ends with its round.
    """
    if round_try is not None:
        return replace(actor_of(context), round_try=round_try)
    return _in_kept_round(context, lambda cleared, ended, first: cleared or (ended and first))


def end_round(context: Context, actor: Actor) -> None:
    """Record that the task did what this round of its tries was for; clearing it begins another one.

    :param actor: what :func:`submitter_of` or :func:`waiter_of` returned. When a newer round has begun meanwhile, that goes on.
    """
    if _kept_round(context)[0] <= actor.round_try:
        _keep_round(context, actor, ended=True)


def _in_kept_round(context: Context, is_another: Callable[[bool, bool, bool], bool]) -> Actor:
    """Return who asks, in the round that is kept in the task's state; the round is kept where it is not yet.

    :param is_another: whether another round begins, from three signs: ``max_tries`` is not what it was, as after a clear; the round
        had ended; this is a round's first try by Airflow's own count. None is enough alone: a clear after ``retries`` were lowered
        may leave ``max_tries`` as it was, and a worker that dies as it ends its round is followed by a mere retry.
    """
    actor = actor_of(context)
    number, rest = _kept_round(context)
    if number:
        cleared = rest[:1] != [str(_max_tries(context))]
        if not is_another(cleared, "ended" in rest, actor.round_try == actor.try_number):
            return replace(actor, round_try=number)
        # No earlier round can have begun with this try.
        actor = replace(actor, round_try=actor.try_number)
    _keep_round(context, actor)
    return actor


def _kept_round(context: Context) -> tuple[int, list[str]]:
    """Return the round that is kept, 0 for none, and what is kept beside it."""
    state: Any = context.get("task_state_store")
    kept = None if state is None else state.get(_ROUND_KEY)
    number, *rest = str(kept or "0").split()
    return int(number), rest


def _keep_round(context: Context, actor: Actor, *, ended: bool = False) -> None:
    state: Any = context.get("task_state_store")
    if state is not None:
        state.set(_ROUND_KEY, f"{actor.round_try} {_max_tries(context)}{' ended' if ended else ''}")


def _max_tries(context: Context) -> int:
    ti: Any = context["ti"]
    return int(ti.max_tries)


def map_index(context: Context) -> int:
    """Return the task's map index, -1 for a task that is not mapped."""
    found = context["ti"].map_index
    return -1 if found is None else int(found)


def run_key(context: Context) -> str:
    """Return ``dag_id/run_id/map_index``."""
    ti = context["ti"]
    return f"{ti.dag_id}/{ti.run_id}/{map_index(context)}"


def triggered_by(context: Context) -> str:
    """Return the user who triggered the DAG run; empty for a run that nobody triggered, and before Airflow 3.1."""
    run: Any = context["dag_run"]
    return str(getattr(run, "triggering_user_name", None) or "")


def run_nonce(context: Context) -> str:
    """Return the value that lives as long as the DAG run, so that a run that is deleted and made again is another execution.

    From Airflow 3.3 on it is in the task's state, which survives tries and clears and goes with the run; it is stored before it is
    used. Before 3.3 it is what an upstream :class:`~airflow_dcp_provider.operators.tables.EnsureTablesOperator` pushed, else empty.
    """
    state: Any = context.get("task_state_store")
    if state is not None:
        known = state.get(NONCE_KEY)
        if not known:
            known = uuid.uuid4().hex
            state.set(NONCE_KEY, known)
        return str(known)
    upstream = sorted(context["task"].upstream_task_ids)
    pushed = context["ti"].xcom_pull(task_ids=upstream, key=NONCE_KEY) if upstream else []
    return next((str(value) for value in pushed or [] if value), "")


def push_nonce(context: Context) -> None:
    """Keep a nonce in XCom where Airflow has no task state (before 3.3)."""
    if context.get("task_state_store") is None:
        context["ti"].xcom_push(key=NONCE_KEY, value=uuid.uuid4().hex)
