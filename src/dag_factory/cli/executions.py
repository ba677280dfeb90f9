"""``pretzel executions``: what the history knows of Spark executions, and what the place where they run says of them now."""

from __future__ import annotations

import argparse
import getpass
import os
import time
from dataclasses import asdict, replace

from airflow_dcp_provider.model.errors import DcpError, UsageError
from airflow_dcp_provider.model.execution import Actor, Attempt, AttemptRef, Cancellation
from airflow_dcp_provider.model.home import dcp_home
from airflow_dcp_provider.model.names import resource_name
from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.runner.backends.local import LocalBackend
from airflow_dcp_provider.runner.runner import SparkRunner
from airflow_dcp_provider.runner.store import EventRecord, ExecutionRecord, SqlStore
from dag_factory.cli.manifests import environment_of
from dag_factory.cli.output import Output, count, moment, table
from dag_factory.cli.with_airflow import airflow

#: How often `logs --follow` looks for more, in seconds.
FOLLOW_INTERVAL = 0.5

#: So many executions are looked through for the beginning of an id.
_SEARCHED = 10_000

#: The history's database, as Airflow reads it from the environment; see ``[dcp] store_conn_id``.
_STORE_VARIABLE = "AIRFLOW_CONN_DCP_STORE"

#: The cluster of what runs on this machine.
_LOCAL = "local"


@airflow()
def list_executions(options: argparse.Namespace, output: Output) -> int:
    """``executions list``: the newest executions with their present states."""
    environment = environment_of(options.environment) if options.environment else ""
    runners, store = Runners(), open_store()
    records = [_present(runners, store, record, output) for record in store.executions(options.limit, environment=environment)]
    rows = [
        {**asdict(record), "submitted": moment(record.first_submitted_at), "execution": record.execution_id} for record in records
    ]
    text = table(rows, ("execution", "manifest_id", "environment", "ds", "attempt", "state", "submitted"))
    output.result({"executions": [asdict(record) for record in records]}, f"{text}\n({count(len(records), 'execution')})")
    return 0


@airflow()
def show(options: argparse.Namespace, output: Output) -> int:
    """``executions show``: one execution with its attempts, what happened to it, and its proof."""
    runners, store = Runners(), open_store()
    ref = find_execution(store, options.execution_id, options.environment)
    execution_id = ref.execution_id
    attempts = _attempts(runners, store, ref, output)
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


@airflow()
def logs(options: argparse.Namespace, output: Output) -> int:
    """``executions logs``: the driver's log of one attempt."""
    runners, store = Runners(), open_store()
    attempts = _attempts(runners, store, find_execution(store, options.execution_id, options.environment), output)
    number = options.attempt or attempts[-1].ref.attempt
    wanted = next((attempt for attempt in attempts if attempt.ref.attempt == number), None)
    if wanted is None:
        raise UsageError(
            f"execution {attempts[-1].ref.execution_id} has no attempt {number}",
            code="DCP212",
            hint=f"it has {count(len(attempts), 'attempt')}",
        )
    runner = runners.of(wanted.ref)
    text, offset = "", 0
    while True:
        ended = runner.check(wanted.ref).state.is_terminal
        more, offset = runner.backend.read_log(wanted.ref, offset)
        text += more
        if more and not output.json:
            output.piece(more)
        if not more and (ended or not options.follow):
            break
        if not more:
            time.sleep(FOLLOW_INTERVAL)
    if output.json:
        output.result({"execution_id": wanted.ref.execution_id, "attempt": number, "log": text}, "")
    elif not text:
        output.note(f"attempt {number} has no log yet" if not wanted.state.is_terminal else f"attempt {number} has no log")
    return 0


@airflow()
def cancel(options: argparse.Namespace, output: Output) -> int:
    """``executions cancel``: ask for the end of an execution's last attempt, in the name of who runs the command."""
    runners, store = Runners(), open_store()
    latest = _attempts(runners, store, find_execution(store, options.execution_id, options.environment), output)[-1]
    if latest.state.is_terminal:
        text = f"attempt {latest.ref.attempt} of {latest.ref.execution_id} has ended already: {latest.state}"
        output.result({"cancelled": False, "attempt": latest.to_dict()}, text)
        return 0
    after = runners.of(latest.ref).cancel(
        latest.ref, Cancellation(Actor(user=getpass.getuser()), "asked for on the command line", time.time())
    )
    text = f"asked attempt {after.ref.attempt} of {after.ref.execution_id} to end; a task that waits for it fails"
    output.result({"cancelled": True, "attempt": after.to_dict()}, text)
    return 0


class Runners:
    """The Spark Runner of each environment that is asked about. This machine's needs no Airflow."""

    def __init__(self) -> None:
        self._made: dict[str, SparkRunner] = {}

    def of(self, ref: AttemptRef) -> SparkRunner:
        """Return the runner of an attempt's environment.

        :raises DcpEnvironmentError: when the environment's connections cannot be read here.
        """
        key = _LOCAL if ref.cluster == _LOCAL else ref.environment
        if key not in self._made:
            self._made[key] = open_runner()[0] if key == _LOCAL else _cluster_runner(ref.environment)
        return self._made[key]


def _cluster_runner(environment: str) -> SparkRunner:
    from airflow_dcp_provider.hooks.dcp import environment_for
    from airflow_dcp_provider.hooks.runners import runner_for

    return runner_for(environment_for(environment))


def open_store() -> SqlStore:
    """Return the history: where the connection ``dcp_store`` leads as a variable, else that of the home."""
    return SqlStore(os.environ.get(_STORE_VARIABLE, "").replace("postgres://", "postgresql://", 1))


def open_runner() -> tuple[SparkRunner, SqlStore]:
    """Return this machine's runner, and the history."""
    store = open_store()
    return SparkRunner(LocalBackend(dcp_home()), store), store


def find_execution(store: SqlStore, beginning: str, environment: str | None = None) -> AttemptRef:
    """Return where an attempt of the one execution lives whose id begins so.

    The history is asked, and this machine's records as well; then, where an environment is named, its clusters.

    :raises UsageError: DCP212 when there is none, or more than one.
    """
    records = dcp_home() / "executions"
    here = [folder.name for folder in records.iterdir()] if records.is_dir() else []
    known = {record.execution_id for record in store.executions(_SEARCHED)} | set(here)
    found = {each: _place(store, each) for each in known if each.startswith(beginning)}
    if not found and environment:
        found = {ref.execution_id: ref for ref in _on_clusters(environment, beginning)}
    if len(found) != 1:
        raise UsageError(
            f"no execution's id begins with `{beginning}`"
            if not found
            else f"more than one execution's id begins with `{beginning}`",
            code="DCP212",
            hint=f"it is one of {', '.join(sorted(found)[:5])}" if found else "`pretzel executions list` shows them",
        )
    return next(iter(found.values()))


def _place(store: SqlStore, execution_id: str) -> AttemptRef:
    """Return where the execution's last attempt lives by the history; what it does not know is this machine's."""
    attempts = store.attempts(execution_id)
    return attempts[-1].ref if attempts else AttemptRef(execution_id, 1, "", _LOCAL, _LOCAL, "")


def _on_clusters(environment: str, beginning: str) -> list[AttemptRef]:
    from airflow_dcp_provider.hooks.dcp import environment_for
    from airflow_dcp_provider.hooks.sweeping import find_attempts

    return find_attempts(environment_for(environment_of(environment)), beginning)


def _present(runners: Runners, store: SqlStore, record: ExecutionRecord, output: Output) -> ExecutionRecord:
    """Return a record with its state of now: the history hears of a change only from who looks."""
    if ExecutionState(record.state).is_terminal:
        return record
    try:
        ref = _place(store, record.execution_id)
        latest = runners.of(ref).backend.latest(ref)
    except DcpError as error:
        output.note(f"{record.execution_id} is shown as the history knows it: {error.message}")
        return record
    return record if latest is None else replace(record, attempt=latest.ref.attempt, state=latest.state.value)


def _attempts(runners: Runners, store: SqlStore, ref: AttemptRef, output: Output) -> list[Attempt]:
    """Return an execution's attempts: the history's, as the place where they live knows them now where it does.

    :param ref: any of them.
    :raises UsageError: DCP212 when nothing is known of any.
    """
    known = {attempt.ref.attempt: attempt for attempt in store.attempts(ref.execution_id)}
    try:
        backend = runners.of(ref).backend
        latest = backend.latest(ref)
        for number in range(1, latest.ref.attempt if latest else 1):
            now = backend.get(known[number].ref if number in known else _numbered(latest.ref, latest, number)) if latest else None
            if now is not None:
                known[number] = now
        if latest is not None:
            known[latest.ref.attempt] = latest
    except DcpError as error:
        if not known:
            raise
        output.note(f"the attempts are shown as the history knows them: {error.message}")
    if not known:
        raise UsageError(
            f"nothing is left of execution {ref.execution_id}", code="DCP212", hint="`pretzel executions list` shows what is known"
        )
    return [known[number] for number in sorted(known)]


def _numbered(ref: AttemptRef, latest: Attempt, number: int) -> AttemptRef:
    return replace(ref, attempt=number, name=resource_name(str(latest.request.job.get("name", "")), ref.execution_id, number))


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
