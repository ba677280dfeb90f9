"""``pretzel run``: a manifest's DAG once, without a scheduler, with progress, rows and proof."""

from __future__ import annotations

import argparse
import getpass
import signal
import subprocess
import time
from collections.abc import Mapping
from typing import Any

from airflow_dcp_provider.model.errors import DcpError
from airflow_dcp_provider.model.execution import Actor, Cancellation
from airflow_dcp_provider.model.home import dcp_home
from dag_factory.cli.airflow_run import AirflowRun, airflow_run
from dag_factory.cli.days import interval_of, moment_of
from dag_factory.cli.executions import open_runner
from dag_factory.cli.manifests import compile_named, environment_of, parameters_of
from dag_factory.cli.output import Output, count, table
from dag_factory.cli.progress import Progress
from dag_factory.parts import dag_parts

#: How often the run is looked at, in seconds.
INTERVAL = 0.2

#: How long a cancelled run may take to end by itself, in seconds.
CANCEL_PATIENCE = 30.0

_PROOF_COLUMNS = ("table", "result", "partition", "rows", "added_rows", "deleted_rows", "total_rows", "snapshot_id")


def run(options: argparse.Namespace, output: Output) -> int:
    """``run``: 0 when every task succeeded and every table is proved; else the exit code of the failed task's error.

    :raises DcpError: with the code of what a task failed of.
    """
    environment, moment = environment_of(options.environment), moment_of(options.date)
    began = time.monotonic()
    compiled, _ = compile_named(options.manifest, environment, options.kind)
    parameters = parameters_of(options.parameter, compiled.dag)
    for warning in compiled.warnings:
        output.note(str(warning))
    interval = interval_of(compiled.dag.schedule, moment)
    request = {
        "parts": dag_parts(compiled, environment).to_dict(),
        "interval": [each.isoformat() for each in interval],
        "environment": environment,
        "parameters": {**compiled.dag.params, **parameters},
        "rows": options.rows,
    }
    output.note(f"{compiled.manifest_id} in {environment} for {interval[0]:%Y-%m-%d}")
    with airflow_run(dcp_home(), request, output.note, debug=options.debug) as child:
        events = _watch(child, output, quiet=options.quiet)
        result = child.result()
    if result["state"] != "success":
        raise _failure(events)
    proofs = next(event["value"] for event in events if event["task"] == "publish" and event["state"] == "success")
    data = {
        "manifest_id": compiled.manifest_id,
        "environment": environment,
        "ds": f"{interval[0]:%Y-%m-%d}",
        "execution_id": _execution_id(events),
        "seconds": round(time.monotonic() - began, 1),
        "proofs": proofs,
        "tables": result["tables"],
    }
    output.result(data, _text(data))
    return 0


def _watch(child: AirflowRun, output: Output, *, quiet: bool) -> list[dict[str, Any]]:
    """Show what happens until the child has ended; return what happened to the tasks."""
    runner, _ = open_runner()
    progress = Progress(output.note, None if quiet else runner.backend)
    # A terminal that is closed ends the run as Ctrl-C does.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while not child.has_ended(INTERVAL):
            progress.update(child.events())
    except KeyboardInterrupt:
        if progress.ref is not None:
            output.note("cancelling the execution")
            actor = Actor(user=getpass.getuser())
            latest = runner.backend.latest(progress.ref)
            runner.cancel(latest.ref if latest else progress.ref, Cancellation(actor, "interrupted", time.time()))
            _wait_for(child)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
    events = child.events()
    progress.update(events)
    return events


def _wait_for(child: AirflowRun) -> None:
    """Let the run end by itself; it sees that its attempt was cancelled."""
    try:
        child.process.wait(CANCEL_PATIENCE)
    except subprocess.TimeoutExpired:
        # It is ended on the way out; the attempt's supervisor needs nobody for its own end.
        return


def _failure(events: list[dict[str, Any]]) -> DcpError:
    """Return the error of the task that failed first."""
    failed = next((event for event in events if event["state"] == "failed"), None)
    error: Mapping[str, str] = failed["error"] if failed else {"message": "the DAG run failed", "code": "DCP300", "hint": ""}
    message = f"task {failed['task']} failed: {error['message']}" if failed else error["message"]
    execution = _execution_id(events)
    look = f"`pretzel executions show {execution}` tells more" if execution else ""
    return DcpError(message, code=error["code"], hint="; ".join(part for part in (error["hint"], look) if part))


def _execution_id(events: list[dict[str, Any]]) -> str | None:
    for event in events:
        if event["task"] == "submit" and event["state"] == "success":
            return str(event["value"]["request"]["ref"]["execution_id"])
    return None


def _text(data: Mapping[str, Any]) -> str:
    parts = []
    for found in data["tables"]:
        where = f", {found['partition']}" if found["partition"] else ""
        parts.append(f"{found['table']}{where}, first {count(len(found['rows']), 'row')}\n{table(found['rows'], found['columns'])}")
    parts.append(f"proof of execution {data['execution_id']}\n{table(data['proofs'], _PROOF_COLUMNS)}")
    return "\n\n".join([*parts, f"done in {data['seconds']} s"])
