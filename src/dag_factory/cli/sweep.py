"""``pretzel executions sweep``: what executions have left over, mended or said, environment by environment."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from airflow_dcp_provider.runner.sweeper import Waits, nobody_knows
from dag_factory.cli.manifests import environment_of
from dag_factory.cli.output import Output, count, table
from dag_factory.cli.with_airflow import airflow

_RUN = sa.text("SELECT state FROM dag_run WHERE dag_id = :dag_id AND run_id = :run_id")
_XCOM = sa.text(
    "SELECT value FROM xcom WHERE dag_id = :dag_id AND run_id = :run_id AND task_id = :task_id AND map_index = :map_index "
    "AND key = 'return_value'"
)
_TASKS = sa.text("SELECT task_id, map_index, state FROM task_instance WHERE dag_id = :dag_id AND run_id = :run_id")


@airflow()
def sweep(options: argparse.Namespace, output: Output) -> int:
    """``executions sweep``: every environment, or the one that was named. Exit code 4 when something could not be done."""
    from airflow_dcp_provider.hooks.dcp import environment_for
    from airflow_dcp_provider.hooks.settings import read_settings
    from airflow_dcp_provider.hooks.sweeping import rules_for, sweep_environment

    names = [environment_of(options.environment)] if options.environment else list(read_settings().environments)
    waits = _waits(output)
    swept = []
    for name in names:
        environment = environment_for(name)
        rules = replace(rules_for(environment), cancel_orphans=options.cancel_orphans)
        swept.append(sweep_environment(environment, waits, rules=rules, dry_run=options.dry_run))
    rows = [
        {
            "environment": one.environment,
            "left over": each.finding.leftover.value,
            "name": each.finding.ref.name or each.finding.ref.execution_id,
            "where": f"{each.finding.ref.cluster}/{each.finding.ref.namespace}",
            "what": each.finding.action.value,
            "done": "yes" if each.done else "no",
            "why": each.error or each.finding.why,
        }
        for one in swept
        for each in one.swept
    ]
    for one in swept:
        for place, why in one.unseen.items():
            output.note(f"{one.environment}: {place} could not be looked at: {why}")
    shown = table(rows, ("environment", "left over", "name", "where", "what", "done", "why")) if rows else ""
    total = f"({count(len(rows), 'thing')} left over in {count(len(swept), 'environment')})"
    data = {"dry_run": options.dry_run, "environments": [one.to_dict() for one in swept]}
    output.result(data, f"{shown}\n{total}" if shown else total)
    return 0 if all(one.complete for one in swept) else 4


def _waits(output: Output) -> Waits:
    """Return what tells whether a task waits: Airflow's database, where this machine may read it."""
    from airflow_dcp_provider.hooks.sweeping import history
    from airflow_dcp_provider.hooks.waiting import RunState, Submitted, execution_of, waits_of

    engine = _database()
    if engine is None:
        output.note("Airflow's database cannot be read here: executions that no task waits for are not looked for")
        return nobody_knows

    def ask(dag_id: str, run_id: str) -> RunState:
        run = {"dag_id": dag_id, "run_id": run_id}
        try:
            with engine.connect() as connection:
                active = connection.execute(_RUN, run).scalar() in {"queued", "running"}
                tasks = {_task_key(task_id, index): state for task_id, index, state in connection.execute(_TASKS, run)}
        except SQLAlchemyError:
            # What is not known is left alone.
            return RunState()
        return RunState(active, tasks)

    def handed_on(submitted: Submitted) -> str | None:
        try:
            with engine.connect() as connection:
                value = connection.execute(_XCOM, asdict(submitted)).scalar()
        except SQLAlchemyError:
            return "not to be read"
        return execution_of(json.loads(value) if isinstance(value, str) else value)

    store = history()
    return waits_of(ask, handed_on, lambda execution: bool(store.attempts(execution)))


def _task_key(task_id: str, map_index: int | None) -> str:
    return task_id if map_index is None or map_index < 0 else f"{task_id}_{map_index}"


def _database() -> sa.Engine | None:
    """Return Airflow's database, None where there is none that can be read."""
    from airflow.providers.common.compat.sdk import conf

    url = sa.engine.make_url(conf.get("database", "sql_alchemy_conn", fallback="") or "sqlite://")
    if url.get_backend_name() == "sqlite" and not (url.database and Path(url.database).is_file()):
        return None
    try:
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        with engine.connect() as connection:
            connection.execute(_RUN, {"dag_id": "", "run_id": ""})
    except (SQLAlchemyError, ImportError):
        return None
    return engine
