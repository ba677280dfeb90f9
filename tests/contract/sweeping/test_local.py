"""What is left over on this machine: real supervisors, real folders."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from airflow_dcp_provider.model.execution import Actor, AttemptRequest
from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.runner.backends.local import LocalBackend
from airflow_dcp_provider.runner.backends.local_sweep import LocalPlace
from airflow_dcp_provider.runner.sweeper import Action, Answer, Leftover, Rules, Waiting, Waits, nobody_knows, sweep
from tests.support.executions import cancellation, job, local_settings, request, wait_for

DAY = 86_400.0


@pytest.fixture
def backend(tmp_path: Path) -> LocalBackend:
    return LocalBackend(tmp_path, local_settings(tmp_path))


def ended(_: AttemptRequest) -> Answer:
    return Answer(Waiting.ENDED, Actor("wait"))


def swept(
    home: Path, backend: LocalBackend, later: float, waits: Waits = nobody_knows, *, cancel: bool = False
) -> list[tuple[Leftover, Action, int]]:
    found = sweep(LocalPlace(backend, home, "local"), Rules(cancel_orphans=cancel), time.time() + later, waits)
    assert [one.error for one in found if one.error] == []
    return [(one.finding.leftover, one.finding.action, one.finding.ref.attempt) for one in found]


def run(backend: LocalBackend, made: AttemptRequest) -> AttemptRequest:
    backend.create(made)
    wait_for(lambda: backend.is_gone(made.ref), "the attempt to end")
    return made


def test_a_record_goes_when_all_of_its_attempts_ended_long_ago(tmp_path: Path, backend: LocalBackend) -> None:
    first = run(backend, request(spec=job(exit=1)))
    run(backend, request(attempt=2))
    other = run(backend, request("other"))
    assert swept(tmp_path, backend, 6 * DAY) == []
    found = swept(tmp_path, backend, 8 * DAY)
    assert sorted(found) == [(Leftover.RECORD, Action.DELETE, 1), (Leftover.RECORD, Action.DELETE, 2)]
    assert backend.latest(first.ref) is None
    assert backend.latest(other.ref) is None
    assert list((tmp_path / "executions").iterdir()) == []


def test_a_living_attempt_keeps_the_whole_record(tmp_path: Path, backend: LocalBackend) -> None:
    run(backend, request(spec=job(exit=1)))
    living = request(attempt=2, spec=job(hold=True))
    backend.create(living)
    assert swept(tmp_path, backend, 100 * DAY) == []
    (tmp_path / "release").touch()
    wait_for(lambda: backend.is_gone(living.ref), "the attempt to end")
    assert swept(tmp_path, backend, 100 * DAY) == [(Leftover.RECORD, Action.DELETE, 2)]


def test_an_orphan_is_said_and_cancelled_when_asked(tmp_path: Path, backend: LocalBackend) -> None:
    living = request(spec=job(hold=True), submitted_at=time.time())
    backend.create(living)
    assert swept(tmp_path, backend, 60, ended) == []
    assert swept(tmp_path, backend, 600, ended) == [(Leftover.ORPHAN, Action.SAY, 1)]
    assert swept(tmp_path, backend, 600, ended, cancel=True) == [(Leftover.ORPHAN, Action.CANCEL, 1)]
    wait_for(lambda: backend.is_gone(living.ref), "the attempt to end")
    attempt = backend.get(living.ref)
    assert attempt is not None
    assert (attempt.state, attempt.cancellation is not None) == (ExecutionState.CANCELLED, True)


def test_a_cancel_that_could_not_be_sent_is_sent(tmp_path: Path, backend: LocalBackend) -> None:
    living = request(spec=job(hold=True))
    backend.create(living)
    place = LocalPlace(backend, tmp_path, "local", intents={living.ref.name: cancellation()})
    (one,) = sweep(place, Rules(), time.time())
    assert (one.finding.leftover, one.done) == (Leftover.CANCEL_INTENT, True)
    wait_for(lambda: backend.is_gone(living.ref), "the attempt to end")


def test_damaged_and_foreign_records_are_left_alone(tmp_path: Path, backend: LocalBackend) -> None:
    made = run(backend, request())
    record = tmp_path / "executions" / made.ref.execution_id / "1" / "request.json"
    record.write_text("{")
    (tmp_path / "executions" / "notes").mkdir()
    assert swept(tmp_path, backend, 100 * DAY) == []
    assert record.exists()


def test_a_stray_file_keeps_nothing_from_being_swept(tmp_path: Path, backend: LocalBackend) -> None:
    run(backend, request())
    (tmp_path / "executions" / "0-stray-file").touch()
    assert swept(tmp_path, backend, 100 * DAY) == [(Leftover.RECORD, Action.DELETE, 1)]


def test_another_environments_records_are_left_alone(tmp_path: Path, backend: LocalBackend) -> None:
    run(backend, request())
    assert sweep(LocalPlace(backend, tmp_path, "playground_jane"), Rules(), time.time() + 100 * DAY) == []


def test_a_machine_without_executions_has_nothing_to_sweep(tmp_path: Path, backend: LocalBackend) -> None:
    assert swept(tmp_path, backend, 100 * DAY) == []
