"""The child process of ``pretzel run``, see :func:`dag_factory.cli.airflow_run.airflow_run`; its argument is its folder.

It runs the DAG of ``request.json``, writes a line of ``events.jsonl`` for whatever happens to a task, and at the end
``result.json``::

    {"parts": DagParts, "interval": ["2013-01-05T00:00:00+00:00", ...], "environment": "local", "parameters": {...}, "rows": 10}
    {"task": "submit", "state": "success", "value": what the task returned}
    {"task": "wait", "state": "failed", "error": {"code", "message", "hint"}}
    {"state": "success" | "failed", "tables": [{"table", "partition", "columns", "rows"}]}
"""

from __future__ import annotations

import datetime as dt
import importlib
import json
import os
import sys
import threading
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from airflow.listeners import hookimpl

from airflow_dcp_provider.model.errors import DcpError, ExecutionError
from dag_factory.cli.airflow_run import EVENTS, REQUEST, RESULT
from dag_factory.dag import TASK_IDS, build_dag_from_parts
from dag_factory.parts import DagParts

if TYPE_CHECKING:
    from airflow.sdk import DAG

_FOLDER = "DCP_RUN_FOLDER"


def main() -> None:
    """Run the DAG of the request and write how it ended."""
    folder = Path(sys.argv[1])
    os.environ[_FOLDER] = str(folder)
    request = _request()
    dag = this_dag()
    _listener_manager().add_listener(_Listener(folder / EVENTS))
    _register()
    start, end = (dt.datetime.fromisoformat(text) for text in request["interval"])
    with _inferred(start, end):
        run = dag.test(logical_date=start, run_conf={"environment": request["environment"], "parameters": request["parameters"]})
    proofs: list[dict[str, Any]] = next(
        (event["value"] for event in _events() if event["task"] == TASK_IDS[-1] and event["state"] == "success"), []
    )
    tables = [_first_rows(proof, request["environment"], request["rows"]) for proof in proofs]
    partial = folder / f"{RESULT}.part"
    partial.write_text(json.dumps({"state": str(run.state), "tables": tables}, default=str), encoding="utf-8")
    partial.replace(folder / RESULT)


def this_dag() -> DAG:
    """Return the request's DAG, as the loader would build it; two settings differ, because somebody waits for this run.

    A task that fails is not tried again, and nobody is notified.
    """
    request = _request()
    parts = DagParts.from_dict(request["parts"])
    settings = {name: value for name, value in parts.dag["airflow"].items() if name != "notifications"}
    parts = DagParts.from_dict({**parts.to_dict(), "dag": {**parts.dag, "airflow": settings}})
    dag = build_dag_from_parts(parts, [request["environment"]], request["environment"])
    for task in dag.tasks:
        task.retries = 0
    return dag


def _register() -> None:
    """Write the DAG and its assets to the metadata database, as `airflow dags reserialize` does.

    ``dag.test()`` does so itself in Airflow 3.3; before, a task whose assets are not known there fails.
    """
    import airflow

    if tuple(int(part) for part in airflow.__version__.split(".")[:2]) < (3, 3):
        from airflow.cli.cli_parser import get_parser

        command = get_parser().parse_args(["dags", "reserialize"])
        command.func(command)


def _inferred(start: dt.datetime, end: dt.datetime) -> AbstractContextManager[Any]:
    """Give the run the data interval of the scheduled one. For a run by hand Airflow infers the interval before it."""
    import pendulum
    from airflow.timetables.base import DataInterval
    from airflow.timetables.interval import CronDataIntervalTimetable

    interval = DataInterval(start=pendulum.instance(start), end=pendulum.instance(end))
    return mock.patch.object(CronDataIntervalTimetable, "infer_manual_data_interval", return_value=interval)


def _first_rows(proof: dict[str, Any], environment: str, limit: int) -> dict[str, Any]:
    """Return some rows of the partition that a run has written, through the connections that the run had."""
    from airflow_dcp_provider.hooks.dcp import environment_for
    from airflow_dcp_provider.hooks.iceberg_table import IcebergTableHook
    from dag_factory.cli.data import first_rows, partition_condition

    alias, database, table = proof["table"].split(".")
    with IcebergTableHook.for_alias(environment_for(environment), alias) as hook:
        if not hook.exists(f"{database}.{table}"):
            return {"table": proof["table"], "partition": proof["partition"], "columns": [], "rows": []}
        found = hook.catalog.load_table((database, table))
        columns, rows = first_rows(found, partition_condition(found.schema(), proof.get("partitions") or ()), limit)
    return {"table": proof["table"], "partition": proof["partition"], "columns": columns, "rows": rows}


def _request() -> dict[str, Any]:
    request: dict[str, Any] = json.loads((Path(os.environ[_FOLDER]) / REQUEST).read_text(encoding="utf-8"))
    return request


def _events() -> list[dict[str, Any]]:
    path = Path(os.environ[_FOLDER]) / EVENTS
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


class _Listener:
    """Writes down what happens to tasks, as Airflow tells its listeners.

    :param path: the file of events.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @hookimpl
    def on_task_instance_running(self, task_instance: Any) -> None:
        """A task begins, or goes on after it was deferred."""
        self._note(task_instance, "running")
        if task_instance.task_id == TASK_IDS[2]:
            # What reads the result's rows is loaded while Spark works.
            threading.Thread(target=importlib.import_module, args=("pyiceberg.io.pyarrow",), daemon=True).start()

    @hookimpl
    def on_task_instance_success(self, task_instance: Any) -> None:
        """A task is done; what it returned is noted as well."""
        self._note(task_instance, "success", value=task_instance.xcom_pull(task_ids=task_instance.task_id))

    @hookimpl
    def on_task_instance_failed(self, task_instance: Any, error: BaseException | str | None) -> None:
        """A task failed; why is our own error behind what Airflow was told, where there is one."""
        told = str(error) if error else "the task failed"
        while isinstance(error, BaseException) and not isinstance(error, DcpError):
            error = error.__cause__
        found = error if isinstance(error, DcpError) else ExecutionError(told)
        self._note(task_instance, "failed", error={"code": found.code, "message": found.message, "hint": found.hint})

    def _note(self, task_instance: Any, state: str, **details: Any) -> None:
        line = json.dumps({"task": task_instance.task_id, "state": state, **details}, default=str)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def _listener_manager() -> Any:
    """Return the manager whose listeners hear of this process's tasks."""
    try:
        from airflow.sdk.listener import get_listener_manager
    except ImportError:  # Airflow 3.0 and 3.1 have one for everything
        from airflow.listeners.listener import get_listener_manager  # type: ignore[assignment]
    return get_listener_manager()
