"""The history in real databases: SQLite, which is the default, and PostgreSQL."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest

from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.execution import Failure, FailureKind
from airflow_dcp_provider.model.states import ExecutionState as State
from airflow_dcp_provider.runner.store import SqlStore
from airflow_dcp_provider.runner.store_tables import HEAD, VERSION_TABLE, metadata
from tests.support.executions import attempt, cancellation, request
from tests.support.postgres import new_database, postgres_server


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    with postgres_server(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'deep' / 'dcp.db'}"
    return new_database(request.getfixturevalue("postgres"))


@pytest.fixture
def store(url):
    return SqlStore(url)


ID = request().ref.execution_id


def test_an_attempts_life_is_kept(store, url):
    failure = Failure(FailureKind.USER, "DCP321", "no column", "mend", "tail")
    store.record(attempt(State.SUBMITTED), "SUBMIT", {"actor": "task submit, try 1"})
    store.record(attempt(State.RUNNING, started_at=5.0), "RUNNING")
    store.record(attempt(State.RUNNING, started_at=5.0, cancellation=cancellation()), "CANCEL", {"actor": "user jane"})
    last = attempt(State.FAILED, started_at=5.0, ended_at=6.0, failure=failure, cancellation=cancellation())
    store.record(last, "FAILED")
    again = SqlStore(url)
    assert again.attempts(ID) == [last]
    assert [event.event for event in again.events(ID)] == ["SUBMIT", "RUNNING", "CANCEL", "FAILED"]
    assert [(row.actor, row.action) for row in again.audit()] == [("user jane", "CANCEL"), ("task submit, try 1", "SUBMIT")]
    (record,) = again.executions()
    assert (record.execution_id, record.state, record.attempt) == (ID, "FAILED", 1)
    assert (record.manifest_id, record.job_name, record.team, record.ds) == (
        "team/daily-flights",
        "daily-flights",
        "team",
        "2013-01-05",
    )


def test_a_state_that_is_known_is_no_event(store):
    for _ in range(3):
        store.record(attempt(State.RUNNING), "RUNNING")
    assert len(store.events(ID)) == 1


def test_an_end_is_not_taken_back_by_a_late_observer(store):
    store.record(attempt(State.SUCCEEDED), "SUCCEEDED")
    store.record(attempt(State.RUNNING), "RUNNING")
    assert store.attempts(ID)[0].state is State.SUCCEEDED
    assert store.executions()[0].state == "SUCCEEDED"
    assert len(store.events(ID)) == 1


def test_the_latest_attempt_is_the_executions(store):
    store.record(attempt(State.FAILED, 1), "FAILED")
    store.record(attempt(State.RUNNING, 2), "RUNNING")
    store.record(attempt(State.CANCELLED, 1), "CANCELLED")
    (record,) = store.executions()
    assert (record.attempt, record.state) == (2, "RUNNING")
    assert [known.ref.attempt for known in store.attempts(ID)] == [1, 2]


def test_executions_are_listed_latest_first_and_filtered(store):
    for number, state in enumerate([State.SUCCEEDED, State.FAILED, State.RUNNING]):
        made = attempt(state)
        named = request(f"key {number}", first_submitted_at=float(number), manifest_id=f"m/{number}")
        store.record(made.with_state(state, request=named), state.value)
    assert [record.manifest_id for record in store.executions()] == ["m/2", "m/1", "m/0"]
    assert [record.manifest_id for record in store.executions(limit=1)] == ["m/2"]
    assert [record.manifest_id for record in store.executions(state="FAILED")] == ["m/1"]
    assert [record.manifest_id for record in store.executions(manifest_id="m/0")] == ["m/0"]
    assert store.executions(environment="prod") == []


def test_nothing_is_known_of_what_was_never_recorded(store):
    assert store.attempts(ID) == []
    assert store.events(ID) == []
    assert store.executions() == []


def test_migrations_make_what_the_tables_say(store, url):
    """The migrations and the tables that queries use are two texts; they must agree."""
    store.executions()
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from sqlalchemy import create_engine

    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg2:"))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert context.get_current_revision() == HEAD
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_a_database_that_is_up_to_date_is_used_without_alembic(store, url):
    store.record(attempt(State.RUNNING), "RUNNING")
    code = (
        "import sys\n"
        "from airflow_dcp_provider.runner.store import SqlStore\n"
        "print(len(SqlStore(sys.argv[1]).executions()))\n"
        "assert 'alembic' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


def test_processes_that_race_for_an_empty_database_all_succeed(url):
    code = (
        "import sys\n"
        "from airflow_dcp_provider.model.states import ExecutionState\n"
        "from airflow_dcp_provider.runner.store import SqlStore\n"
        "from tests.support.executions import attempt\n"
        "SqlStore(sys.argv[2]).record(attempt(ExecutionState.RUNNING), 'ADVANCE', {'actor': sys.argv[1]})\n"
    )
    racing = [
        subprocess.Popen([sys.executable, "-c", code, str(number), url], stderr=subprocess.PIPE, text=True) for number in range(4)
    ]
    for process in racing:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    store = SqlStore(url)
    assert len(store.executions()) == 1
    assert sorted(row.actor for row in store.audit()) == [str(number) for number in range(4)]


def test_a_writer_waits_for_another_one(tmp_path):
    store = SqlStore(f"sqlite:///{tmp_path / 'dcp.db'}")
    store.record(attempt(State.SUBMITTED), "SUBMIT")
    from threading import Timer

    with closing(sqlite3.connect(tmp_path / "dcp.db", check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        release = Timer(0.5, other.rollback)
        release.start()
        began = time.monotonic()
        store.record(attempt(State.RUNNING), "RUNNING")
        assert time.monotonic() - began > 0.3
        release.join()
    assert store.attempts(ID)[0].state is State.RUNNING


@pytest.mark.parametrize("wrong", ["nonsense", "nodialect://x/y", "sqlite:////proc/no/such/dcp.db", "postgresql+nodriver://x/y"])
def test_a_database_that_cannot_be_used_is_one_clear_error(wrong):
    with pytest.raises(DcpEnvironmentError) as caught:
        SqlStore(wrong).record(attempt(State.RUNNING), "RUNNING")
    assert caught.value.code == "DCP446"
    with pytest.raises(DcpEnvironmentError):
        SqlStore(wrong).executions()


def test_a_file_that_is_no_database_is_one_clear_error(tmp_path):
    (tmp_path / "dcp.db").write_text("not a database, by far not a database")
    with pytest.raises(DcpEnvironmentError, match="not a database"):
        SqlStore(f"sqlite:///{tmp_path / 'dcp.db'}").executions()
