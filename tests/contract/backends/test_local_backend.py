"""What the local backend alone promises: nobody else ends an attempt on a machine whose Airflow is gone."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.execution import FailureKind
from airflow_dcp_provider.model.job import EngineSpec
from airflow_dcp_provider.model.states import ExecutionState as State
from airflow_dcp_provider.runner.backends.local import LocalBackend
from airflow_dcp_provider.runner.backends.local_files import CANCEL, STATUS, AttemptFolder
from airflow_dcp_provider.runner.backends.local_supervisor import supervise
from tests.contract.backends.conftest import LocalRig
from tests.contract.backends.test_backend import ended
from tests.support.executions import FAKE_SPARK_SUBMIT, cancellation, job, local_settings, request, wait_for
from tests.support.spark_homes import a_spark


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[LocalRig]:
    made = LocalRig(tmp_path)
    yield made
    made.close()


class TestDeadline:
    def test_the_backend_itself_ends_an_attempt_at_its_deadline(self, backend):
        asked = request(spec=job(hold=True), deadline=time.time() + 1.0)
        backend.create(asked)
        done = ended(backend, asked.ref)
        assert (done.state, done.cancellation) == (State.TIMEOUT, None)
        assert done.ended_at >= asked.deadline

    def test_an_attempt_that_is_created_past_its_deadline_does_not_start(self, rig, backend):
        asked = request(deadline=time.time() - 1.0)
        backend.create(asked)
        assert ended(backend, asked.ref).state is State.TIMEOUT
        assert rig.starts() == []


class TestSpark:
    """A job never runs on another Spark than it asks for, and what the machine lacks is said before there is an attempt."""

    @pytest.mark.parametrize("version", ["4.1", "4.0.99", "9"])
    def test_a_version_that_is_not_installed_starts_nothing(self, rig, backend, version):
        spec = replace(job(), engine=EngineSpec(version=version))
        asked = request(spec=spec)
        before = everything(rig.home)
        with pytest.raises(DcpEnvironmentError, match=f"{spec.manifest_id} asks for Spark {version}, ") as caught:
            backend.create(asked)
        assert caught.value.code == "DCP436"
        assert caught.value.hint
        assert backend.get(asked.ref) is None
        assert everything(rig.home) == before
        assert rig.starts() == []

    def test_a_version_of_another_home_is_the_one_that_is_started(self, rig, tmp_path):
        home = a_spark(tmp_path / "spark", "4.1.4")
        script = f'#!/bin/sh\necho "SPARK_HOME=$SPARK_HOME"\nexec {sys.executable} {FAKE_SPARK_SUBMIT} "$@"\n'
        (home / "bin" / "spark-submit").write_text(script)
        asked = request(spec=replace(job(), engine=EngineSpec(version="4.1")))
        backend = LocalBackend(rig.home, local_settings(rig.home, spark_homes=(str(home),), spark_submit=()))
        backend.create(asked)
        assert ended(backend, asked.ref).state is State.SUCCEEDED
        log, _ = backend.read_log(asked.ref)
        assert "Spark in one local process: version 4.1.4, " in log
        assert f"SPARK_HOME={home}" in log

    def test_one_that_is_gone_by_the_time_it_starts_fails_the_attempt(self, rig, tmp_path):
        home = a_spark(tmp_path / "spark", "4.1.4")
        settings = local_settings(rig.home, spark_homes=(str(home),), max_processes=1)
        backend = LocalBackend(rig.home, settings)
        holding = request("other", spec=job(hold=True))
        backend.create(holding)
        asked = request(spec=replace(job(), engine=EngineSpec(version="4.1")))
        backend.create(asked)
        (home / "jars" / "spark-core_2.13-4.1.4.jar").rename(home / "jars" / "spark-core_2.13-4.0.5.jar")
        rig.release()
        done = ended(backend, asked.ref)
        assert (done.state, done.failure.kind, done.failure.code) == (State.FAILED, FailureKind.PLATFORM, "DCP436")
        assert len(rig.starts()) == 1


class TestLog:
    @pytest.mark.parametrize("hold", [True, False])
    def test_a_piece_ends_with_a_line(self, rig, backend, hold):
        lines = [f"line {number} of a driver that says much" for number in range(40)]
        asked = request(spec=job(lines=lines, hold=hold))
        backend.create(asked)
        wait_for(lambda: lines[-1] in backend.read_log(asked.ref)[0], "the driver's lines")
        if not hold:
            ended(backend, asked.ref)
        pieces = pieces_of(backend, asked.ref, 100)
        assert set(lines) < {line for piece in pieces for line in piece.splitlines()}
        assert len(pieces) > 10

    def test_a_line_longer_than_a_piece_is_read_in_several(self, rig, backend):
        long = "ü" * 75
        asked = request(spec=job(lines=["before", long, "after"], hold=True))
        backend.create(asked)
        wait_for(lambda: "after\n" in backend.read_log(asked.ref)[0], "the driver's lines")
        pieces = pieces_of(backend, asked.ref, 51)
        assert "".join(pieces) == backend.read_log(asked.ref)[0]
        assert f"before\n{long}\nafter\n" in "".join(pieces)


def pieces_of(backend, ref, limit: int) -> list[str]:
    pieces, offset = [], 0
    while True:
        text, offset = backend.read_log(ref, offset, limit)
        if not text:
            return pieces
        pieces.append(text)


def everything(home: Path) -> set[Path]:
    return set(home.rglob("*"))


class TestDisk:
    """A disk that is full or somebody else's is one clear error, also in a signal handler, and leaves nothing half written."""

    def fill(self, patched: pytest.MonkeyPatch, function: str = "fsync", code: int = errno.ENOSPC) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise OSError(code, os.strerror(code))

        patched.setattr(os, function, refuse)

    def test_nothing_is_created_on_a_full_disk(self, rig, backend, monkeypatch):
        rig.backend()
        (rig.home / "executions").mkdir()
        before = everything(rig.home)
        with monkeypatch.context() as patched:
            self.fill(patched)
            with pytest.raises(DcpEnvironmentError, match="No space left on device") as caught:
                backend.create(request())
        assert caught.value.code == "DCP445"
        assert everything(rig.home) - before == {rig.home / "executions" / request().ref.execution_id}

    @pytest.mark.parametrize("function", ["fsync", "link"])
    def test_a_cancellation_or_claim_that_cannot_be_written(self, rig, backend, monkeypatch, function):
        asked = request(spec=job(hold=True))
        backend.create(asked)
        folder = backend._folder(asked.ref).path
        for ask in (lambda: backend.cancel(asked.ref, cancellation()), lambda: backend.claim(asked.ref, 1)):
            with monkeypatch.context() as patched:
                self.fill(patched, function)
                with pytest.raises(DcpEnvironmentError, match="No space left on device") as caught:
                    ask()
            assert caught.value.code == "DCP445"
        assert not [*folder.glob(".c*"), *folder.glob("c*.json")]
        assert backend.cancel(asked.ref, cancellation()).cancellation is not None
        ended(backend, asked.ref)

    @pytest.mark.parametrize("function", ["fsync", "replace"])
    def test_a_status_that_cannot_be_replaced_stays(self, tmp_path, monkeypatch, function):
        folder = AttemptFolder(tmp_path)
        folder.replace(STATUS, {"state": "PENDING"})
        with monkeypatch.context() as patched:
            self.fill(patched, function)
            with pytest.raises(DcpEnvironmentError, match="No space left on device") as caught:
                folder.replace(STATUS, {"state": "RUNNING"})
        assert caught.value.code == "DCP445"
        assert folder.read(STATUS) == {"state": "PENDING"}
        assert everything(tmp_path) == {tmp_path / STATUS}

    @pytest.mark.parametrize(
        "look", [lambda one: one.is_supervised(), lambda one: one.supervising().__enter__(), lambda one: one.has(CANCEL)]
    )
    def test_somebody_elses_folder(self, tmp_path, monkeypatch, look):
        """As root, who runs the tests in containers, may do everything, the refusal is made up."""
        with monkeypatch.context() as patched:
            self.fill(patched, "open", errno.EACCES)
            self.fill(patched, "stat", errno.EACCES)
            with pytest.raises(DcpEnvironmentError, match="Permission denied") as caught:
                look(AttemptFolder(tmp_path))
        assert caught.value.code == "DCP445"

    def test_spark_is_watched_also_where_its_start_cannot_be_written_down(self, rig, backend, monkeypatch):
        """Else it would count as failed while it runs, and its next attempt would run beside it."""
        folder = backend._folder(request().ref)
        folder.make(request().to_dict(), local_settings(rig.home).to_dict())
        replace = AttemptFolder.replace

        def full(self: AttemptFolder, name: str, data: dict[str, object]) -> None:
            if data.get("state") == "RUNNING":
                raise DcpEnvironmentError("No space left on device", code="DCP445")
            replace(self, name, data)

        monkeypatch.setattr(AttemptFolder, "replace", full)
        supervise(folder, lambda: None)
        assert backend.get(request().ref).state is State.SUCCEEDED

    def test_a_supervisor_that_is_killed_at_once_did_not_start(self, backend, monkeypatch):
        killed = subprocess.CompletedProcess([], 1)
        with monkeypatch.context() as patched:
            patched.setattr(subprocess, "run", lambda *_, **__: killed)
            with pytest.raises(DcpEnvironmentError, match="it ended with exit code 1") as caught:
                backend.create(request())
        assert caught.value.code == "DCP444"
        backend.create(request())
        assert ended(backend, request().ref).state is State.SUCCEEDED
