"""``pretzel executions``: what the history knows of Spark executions, and what this machine's backend says of them now."""

from __future__ import annotations

import argparse
import getpass
import os
import time
from dataclasses import asdict, replace

from airflow_dcp_provider.model.errors import UsageError
from airflow_dcp_provider.model.execution import Actor, Attempt, AttemptRef, Cancellation
from airflow_dcp_provider.model.home import dcp_home
from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.runner.backends.local import LocalBackend
from airflow_dcp_provider.runner.runner import SparkRunner
from airflow_dcp_provider.runner.store import EventRecord, ExecutionRecord, SqlStore
from dag_factory.cli.manifests import environment_of
from dag_factory.cli.output import Output, count, moment, table

#: How often `logs --follow` looks for more, in seconds.
FOLLOW_INTERVAL = 0.5

#: So many executions are looked through for the beginning of an id.
_SEARCHED = 10_000

#: The history's database, as Airflow reads it from the environment; see ``[dcp] store_conn_id``.
_STORE_VARIABLE = "AIRFLOW_CONN_DCP_STORE"


def list_executions(options: argparse.Namespace, output: Output) -> int:
    """``executions list``: the newest executions with their present states."""
    environment = environment_of(options.environment) if options.environment else ""
    runner, store = open_runner()
    records = [_present(runner, record) for record in store.executions(options.limit, environment=environment)]
    rows = [
        {**asdict(record), "submitted": moment(record.first_submitted_at), "execution": record.execution_id} for record in records
    ]
    text = table(rows, ("execution", "manifest_id", "environment", "ds", "attempt", "state", "submitted"))
    output.result({"executions": [asdict(record) for record in records]}, f"{text}\n({count(len(records), 'execution')})")
    return 0


def show(options: argparse.Namespace, output: Output) -> int:
    """``executions show``: one execution with its attempts, what happened to it, and its proof."""
    runner, store = open_runner()
    execution_id = find_execution(store, options.execution_id)
    attempts = _attempts(runner, store, execution_id)
    events = store.events(execution_id)
    proofs = [dict(event.details) for event in events if event.event == "PROOF"]
    data = {
        "execution_id": execution_id,
        "attempts": [attempt.to_dict() for attempt in attempts],
        "events": [asdict(event) for event in events],
        "proofs": proofs,
    }
    output.result(data, "\n\n".join(part for part in (_head(attempts[-1]), _attempt_text(attempts), _event_text(events)) if part))
    return 0


def logs(options: argparse.Namespace, output: Output) -> int:
    """``executions logs``: the driver's log of one attempt."""
    runner, store = open_runner()
    attempts = _attempts(runner, store, find_execution(store, options.execution_id))
    number = options.attempt or attempts[-1].ref.attempt
    wanted = next((attempt for attempt in attempts if attempt.ref.attempt == number), None)
    if wanted is None:
        raise UsageError(
            f"execution {attempts[-1].ref.execution_id} has no attempt {number}",
            code="DCP212",
            hint=f"it has {count(len(attempts), 'attempt')}",
        )
    text, offset = "", 0
    while True:
        ended = runner.check(wanted.ref).state.is_terminal
        more, offset = runner.backend.read_log(wanted.ref, offset)
        text += more
        if more and not output.json:
            print(more, end="", flush=True)
        if not more and (ended or not options.follow):
            break
        if not more:
            time.sleep(FOLLOW_INTERVAL)
    if output.json:
        output.result({"execution_id": wanted.ref.execution_id, "attempt": number, "log": text}, "")
    elif not text:
        output.note(f"attempt {number} has no log yet" if not wanted.state.is_terminal else f"attempt {number} has no log")
    return 0


def cancel(options: argparse.Namespace, output: Output) -> int:
    """``executions cancel``: ask for the end of an execution's last attempt, in the name of who runs the command."""
    runner, store = open_runner()
    latest = _attempts(runner, store, find_execution(store, options.execution_id))[-1]
    if latest.state.is_terminal:
        text = f"attempt {latest.ref.attempt} of {latest.ref.execution_id} has ended already: {latest.state}"
        output.result({"cancelled": False, "attempt": latest.to_dict()}, text)
        return 0
    after = runner.cancel(latest.ref, Cancellation(Actor(user=getpass.getuser()), "asked for on the command line", time.time()))
    text = f"asked attempt {after.ref.attempt} of {after.ref.execution_id} to end; a task that waits for it fails"
    output.result({"cancelled": True, "attempt": after.to_dict()}, text)
    return 0


def open_runner() -> tuple[SparkRunner, SqlStore]:
    """Return this machine's runner, and the history: where the connection ``dcp_store`` leads as a variable, else of the home."""
    store = SqlStore(os.environ.get(_STORE_VARIABLE, "").replace("postgres://", "postgresql://", 1))
    return SparkRunner(LocalBackend(dcp_home()), store), store


def find_execution(store: SqlStore, beginning: str) -> str:
    """Return the id of the one execution whose id begins so. The history is asked, and this machine's records as well.

    :raises UsageError: DCP212 when there is none, or more than one.
    """
    records = dcp_home() / "executions"
    here = [folder.name for folder in records.iterdir()] if records.is_dir() else []
    known = {record.execution_id for record in store.executions(_SEARCHED)} | set(here)
    found = sorted(each for each in known if each.startswith(beginning))
    if len(found) != 1:
        raise UsageError(
            f"no execution's id begins with `{beginning}`"
            if not found
            else f"more than one execution's id begins with `{beginning}`",
            code="DCP212",
            hint=f"it is one of {', '.join(found[:5])}" if found else "`pretzel executions list` shows them",
        )
    return found[0]


def _present(runner: SparkRunner, record: ExecutionRecord) -> ExecutionRecord:
    """Return a record with its state of now: the history hears of a change only from who looks."""
    if ExecutionState(record.state).is_terminal:
        return record
    latest = runner.backend.latest(AttemptRef(record.execution_id, 1, record.environment, "", "", ""))
    return record if latest is None else replace(record, attempt=latest.ref.attempt, state=latest.state.value)


def _attempts(runner: SparkRunner, store: SqlStore, execution_id: str) -> list[Attempt]:
    """Return an execution's attempts: the history's, as this machine's records know them now where they do."""
    known = {attempt.ref.attempt: attempt for attempt in store.attempts(execution_id)}
    latest = runner.backend.latest(AttemptRef(execution_id, 1, "", "", "", ""))
    for number in range(1, latest.ref.attempt + 1 if latest else 1):
        now = runner.backend.get(replace(latest.ref, attempt=number)) if latest else None
        if now is not None:
            known[number] = now
    return [known[number] for number in sorted(known)]


def _head(latest: Attempt) -> str:
    request = latest.request
    lines = {
        "execution": latest.ref.execution_id,
        "manifest": request.manifest_id,
        "environment": latest.ref.environment,
        "day": request.ds,
        "run": request.run_key,
        "state": latest.state.value,
    }
    return "\n".join(f"{name:<12}{value}" for name, value in lines.items())


def _attempt_text(attempts: list[Attempt]) -> str:
    rows = [
        {
            "attempt": attempt.ref.attempt,
            "state": attempt.state.value,
            "begun by": str(attempt.request.begun_by),
            "started": moment(attempt.started_at),
            "ended": moment(attempt.ended_at),
            "why": _why(attempt),
        }
        for attempt in attempts
    ]
    return table(rows, ("attempt", "state", "begun by", "started", "ended", "why"))


def _why(attempt: Attempt) -> str:
    if attempt.failure:
        return f"{attempt.failure.code} {attempt.failure.message}".splitlines()[0]
    if attempt.cancellation:
        return f"cancelled by {attempt.cancellation.asked_by}: {attempt.cancellation.reason}"
    return attempt.request.remediation or attempt.message


def _event_text(events: list[EventRecord]) -> str:
    rows = [
        {"at": moment(event.at), "attempt": event.attempt, "event": event.event, "details": _details(event)} for event in events
    ]
    return table(rows, ("at", "attempt", "event", "details")) if rows else ""


def _details(event: EventRecord) -> str:
    return ", ".join(f"{key}={value}" for key, value in event.details.items() if value not in (None, "", {}))
