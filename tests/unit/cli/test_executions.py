"""``pretzel executions`` on real attempts: supervised processes of this machine, which a small program stands in for Spark in."""

from __future__ import annotations

import getpass
import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_dcp_provider.model.execution import AttemptRequest
from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.runner.backends.local import LocalBackend
from airflow_dcp_provider.runner.store import SqlStore
from dag_factory.cli import main
from tests.support.executions import job, local_settings, request, wait_for


class Machine:
    """A home with its backend and its history."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.backend = LocalBackend(home, local_settings(home))
        self.store = SqlStore(f"sqlite:///{home / 'dcp.db'}")

    def start(self, key: str, *, number: int = 1, recorded: bool = True, **orders: object) -> AttemptRequest:
        wanted = request(key, number, job(**orders))
        attempt = self.backend.create(wanted)
        if recorded:
            self.store.record(attempt, "SUBMIT", {"actor": "task submit, try 1"})
        return wanted

    def until(self, wanted: AttemptRequest, state: ExecutionState) -> None:
        wait_for(lambda: getattr(self.backend.get(wanted.ref), "state", None) is state, f"{state}")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setenv("DCP_HOME", str(tmp_path))
    monkeypatch.delenv("AIRFLOW_CONN_DCP_STORE", raising=False)
    return Machine(tmp_path)


@pytest.fixture
def pretzel(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(*words: str) -> tuple[int, str, str]:
        code = main(["executions", *words])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def test_the_list_has_the_state_of_now_and_not_of_the_history(machine: Machine, pretzel):
    done = machine.start("one")
    machine.until(done, ExecutionState.SUCCEEDED)
    assert [record.state for record in machine.store.executions()] != ["SUCCEEDED"]
    code, out, _ = pretzel("list", "--format", "json")
    assert code == 0
    assert [(each["execution_id"], each["state"]) for each in json.loads(out)["executions"]] == [
        (done.ref.execution_id, "SUCCEEDED")
    ]


def test_the_list_of_another_environment_is_empty(machine: Machine, pretzel):
    machine.until(machine.start("one"), ExecutionState.SUCCEEDED)
    assert pretzel("list", "--environment", "prod")[1].endswith("(0 executions)\n")


def test_show_tells_attempts_history_and_fault(machine: Machine, pretzel):
    failed = machine.start("one", exit=20, message="column nothing is missing")
    machine.until(failed, ExecutionState.FAILED)
    code, out, _ = pretzel("show", failed.ref.execution_id[:8])
    assert code == 0
    assert f"execution   {failed.ref.execution_id}\n" in out
    assert "team/daily-flights" in out
    assert "DCP329" in out
    assert "column nothing is missing" in out
    assert "SUBMIT" in out


def test_show_works_without_a_history(machine: Machine, pretzel):
    done = machine.start("one", recorded=False)
    machine.until(done, ExecutionState.SUCCEEDED)
    code, out, _ = pretzel("show", done.ref.execution_id, "--format", "json")
    assert code == 0
    assert [each["state"] for each in json.loads(out)["attempts"]] == ["SUCCEEDED"]


def test_a_beginning_that_two_ids_have_is_refused(machine: Machine, pretzel):
    ids = [machine.start(key).ref.execution_id for key in ("one", "two")]
    code, _, err = pretzel("show", "")
    assert code == 2
    assert err.startswith("DCP212 more than one")
    assert all(each in err for each in ids)


def test_logs_print_the_drivers_log(machine: Machine, pretzel):
    done = machine.start("one", lines=["hello", "grüße"])
    machine.until(done, ExecutionState.SUCCEEDED)
    code, out, _ = pretzel("logs", done.ref.execution_id)
    assert code == 0
    assert out.splitlines()[-3:-1] == ["hello", "grüße"]
    assert json.loads(pretzel("logs", done.ref.execution_id, "--format", "json")[1])["log"] == out


def test_logs_of_an_attempt_that_is_not_there(machine: Machine, pretzel):
    done = machine.start("one")
    code, _, err = pretzel("logs", done.ref.execution_id, "--attempt", "7")
    assert (code, err.splitlines()[0]) == (2, f"DCP212 execution {done.ref.execution_id} has no attempt 7")


def test_logs_follow_until_the_attempt_has_ended(machine: Machine, pretzel):
    running = machine.start("one", lines=["hello"], hold=True)
    wait_for(lambda: "hello" in machine.backend.read_log(running.ref)[0], "the first line")
    releaser = threading.Timer(0.7, (machine.home / "release").touch)
    releaser.start()
    code, out, _ = pretzel("logs", running.ref.execution_id, "--follow")
    releaser.join()
    assert code == 0
    assert "hello\n" in out
    assert "DCP_RESULT" in out.splitlines()[-1]


def test_cancel_ends_the_attempt_in_the_users_name(machine: Machine, pretzel):
    running = machine.start("one", hold=True)
    machine.until(running, ExecutionState.RUNNING)
    code, out, _ = pretzel("cancel", running.ref.execution_id)
    assert code == 0
    assert out.startswith(f"asked attempt 1 of {running.ref.execution_id} to end")
    machine.until(running, ExecutionState.CANCELLED)
    attempt = machine.backend.get(running.ref)
    assert attempt is not None
    assert attempt.cancellation is not None
    assert attempt.cancellation.asked_by.user == getpass.getuser()
    assert [each.event for each in machine.store.events(running.ref.execution_id)][-1] == "CANCEL"
    assert "cancelled by user" in pretzel("show", running.ref.execution_id)[1]


def test_what_has_ended_is_not_cancelled(machine: Machine, pretzel):
    done = machine.start("one")
    machine.until(done, ExecutionState.SUCCEEDED)
    code, out, _ = pretzel("cancel", done.ref.execution_id, "--format", "json")
    assert code == 0
    assert json.loads(out)["cancelled"] is False
    assert machine.backend.get(done.ref).cancellation is None


def airflow_database(path: Path, state: str, execution_id: str) -> None:
    """What the sweep reads of Airflow's database: one run with its tasks, and the execution that it submitted."""
    import sqlite3

    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE dag_run (dag_id, run_id, state)")
        connection.execute("CREATE TABLE task_instance (dag_id, run_id, task_id, map_index, state)")
        connection.execute("INSERT INTO dag_run VALUES ('dag', 'run', 'running')")
        connection.execute(
            "INSERT INTO task_instance VALUES ('dag', 'run', 'submit', -1, 'success'), ('dag', 'run', 'wait', -1, ?)", [state]
        )
        connection.execute("CREATE TABLE xcom (dag_id, run_id, task_id, map_index, key, value)")
        handle = json.dumps({"request": {"ref": {"execution_id": execution_id}}})
        connection.execute("INSERT INTO xcom VALUES ('dag', 'run', 'submit', -1, 'return_value', ?)", [handle])
    connection.close()


@pytest.mark.parametrize(("state", "left_over"), [("deferred", []), ("failed", ["orphan"])])
def test_sweep_asks_airflows_database_who_waits(
    machine: Machine, pretzel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, state: str, left_over: list[str]
):
    database = tmp_path / "airflow.db"
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", f"sqlite:///{database}")
    held = machine.start("one", hold=True)
    other = machine.start("of another Airflow with a run of this name", hold=True)
    airflow_database(database, state, held.ref.execution_id)
    code, out, _ = pretzel("sweep", "--environment", "local", "--cancel-orphans", "--format", "json")
    assert code == 0
    assert [one["leftover"] for one in json.loads(out)["environments"][0]["swept"]] == left_over
    assert machine.backend.get(other.ref).state is not ExecutionState.CANCELLED
    if left_over:
        machine.until(held, ExecutionState.CANCELLED)
    (machine.home / "release").touch()
    machine.until(other, ExecutionState.SUCCEEDED)
    machine.until(held, ExecutionState.CANCELLED if left_over else ExecutionState.SUCCEEDED)


def test_sweep_without_airflows_database_looks_for_no_orphans(
    machine: Machine, pretzel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", f"sqlite:///{tmp_path / 'nothing.db'}")
    code, out, err = pretzel("sweep", "--environment", "local")
    assert (code, out) == (0, "(0 things left over in 1 environment)\n")
    assert "executions that no task waits for are not looked for" in err
    assert not (tmp_path / "nothing.db").exists()
