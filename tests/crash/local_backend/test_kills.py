"""Whoever is killed and whenever: Spark starts at most once per attempt, and the attempt's end is told as it was."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from airflow_dcp_provider.model.errors import DcpError
from airflow_dcp_provider.model.execution import Attempt, AttemptRequest
from airflow_dcp_provider.model.states import ExecutionState as State
from airflow_dcp_provider.runner.backends.local import LocalBackend
from airflow_dcp_provider.runner.backends.local_processes import processes_of
from tests.crash.local_backend.killing import CREATOR, OBSERVER, SUPERVISOR, act, was_killed
from tests.support.executions import cancellation, job, local_settings, request, starts, wait_for

#: More steps than anybody takes; a loop that gets here does not see the end of its process.
TOO_MANY = 200


def backend(home: Path) -> LocalBackend:
    return LocalBackend(home, local_settings(home))


def folder(home: Path, asked: AttemptRequest) -> Path:
    return home / "executions" / asked.ref.execution_id / str(asked.ref.attempt)


def ended(home: Path, asked: AttemptRequest) -> Attempt:
    return wait_for(lambda: (now := backend(home).get(asked.ref)) and now.state.is_terminal and now, f"the end of {home}")


def create_in_spite_of_all(home: Path, asked: AttemptRequest) -> None:
    """Create again until it is accepted, as the retries of the submitting task do."""

    def accepted() -> bool:
        try:
            backend(home).create(asked)
        except DcpError:
            return False
        return True

    wait_for(accepted, "the attempt to be created")


def is_supervised(home: Path, asked: AttemptRequest) -> bool:
    return backend(home)._folder(asked.ref).is_supervised()


def supervisor_pid(home: Path, asked: AttemptRequest) -> int:
    return int(backend(home)._folder(asked.ref).read("status.json")["supervisor"])


def all_steps(tmp_path: Path, run: Callable[[Path, int], bool]) -> int:
    """Call ``run(home, step)`` for step 0, 1, 2, ... until a step is not reached any more; return how many were."""
    with ThreadPoolExecutor(3) as pool:
        for base in range(0, TOO_MANY, 3):
            homes = [tmp_path / str(step) for step in range(base, base + 3)]
            for home in homes:
                home.mkdir()
            killed = list(pool.map(run, homes, range(base, base + 3)))
            if not all(killed):
                return base + killed.index(False)
    raise AssertionError("the process under test never came to its end")


def test_a_creator_killed_at_every_step(tmp_path):
    asked = request()

    def run(home: Path, step: int) -> bool:
        act(home, asked, "creating", kill=CREATOR, kill_at=step).wait()
        create_in_spite_of_all(home, asked)
        assert ended(home, asked).state is State.SUCCEEDED
        assert len(starts(home)) == 1
        return was_killed(home)

    assert all_steps(tmp_path, run) > 8


def test_a_supervisor_killed_at_every_step(tmp_path):
    asked = request()

    def run(home: Path, step: int) -> bool:
        act(home, asked, "creating", kill=SUPERVISOR, kill_at=step).wait()
        wait_for(lambda: not is_supervised(home, asked), "the supervisor's end or death")
        # Nobody has looked yet: whoever creates again finds what the dead one left.
        create_in_spite_of_all(home, asked)
        done = ended(home, asked)
        began = len(starts(home))
        assert began <= 1
        if done.state is State.SUCCEEDED:
            assert began == 1
            assert done.result["status"] == "succeeded"
        else:
            assert (done.state, done.failure.code) == (State.FAILED, "DCP352")
        assert processes_of(folder(home, asked)) == []
        # What was once told stays true, and nothing starts any more.
        create_in_spite_of_all(home, asked)
        assert backend(home).get(asked.ref) == done
        assert len(starts(home)) == began
        return was_killed(home)

    assert all_steps(tmp_path, run) > 20


def test_a_supervisor_that_is_cancelled_killed_at_every_step(tmp_path):
    asked = request(spec=job(hold=True))

    def run(home: Path, step: int) -> bool:
        act(home, asked, "creating", kill=SUPERVISOR, kill_at=step).wait()
        wait_for(lambda: starts(home) or not is_supervised(home, asked), "the driver or the supervisor's death")
        create_in_spite_of_all(home, asked)
        wait_for(lambda: starts(home) or backend(home).get(asked.ref).state.is_terminal, "the driver or the end")
        backend(home).cancel(asked.ref, cancellation())
        done = ended(home, asked)
        create_in_spite_of_all(home, asked)
        assert backend(home).get(asked.ref) == done
        # A supervisor that died before the wish was there has failed; nothing else can have happened.
        assert done.state is State.CANCELLED or (was_killed(home) and done.failure.code == "DCP352")
        assert processes_of(folder(home, asked)) == []
        assert len(starts(home)) <= 1
        return was_killed(home)

    assert all_steps(tmp_path, run) > 20


def test_an_observer_of_a_dead_supervisor_killed_at_every_step(tmp_path):
    asked = request(spec=job(hold=True))

    def run(home: Path, step: int) -> bool:
        create_in_spite_of_all(home, asked)
        wait_for(lambda: backend(home).get(asked.ref).state is State.RUNNING and starts(home), "the driver")
        os.kill(supervisor_pid(home, asked), signal.SIGKILL)
        wait_for(lambda: not is_supervised(home, asked), "the supervisor's death")
        act(home, asked, "observing", kill=OBSERVER, kill_at=step).wait()
        done = ended(home, asked)
        assert (done.state, done.failure.code) == (State.FAILED, "DCP352")
        assert processes_of(folder(home, asked)) == []
        assert len(starts(home)) == 1
        return was_killed(home)

    assert all_steps(tmp_path, run) > 4


def test_spark_dies_with_its_supervisor(tmp_path):
    asked = request(spec=job(hold=True))
    backend(tmp_path).create(asked)
    wait_for(lambda: starts(tmp_path), "the driver")
    os.kill(supervisor_pid(tmp_path, asked), signal.SIGKILL)
    # Nobody observes: the kernel ends the driver.
    wait_for(lambda: not processes_of(folder(tmp_path, asked)), "the driver's death")


def test_what_a_driver_leaves_behind_is_ended_before_the_end_is_told(tmp_path):
    asked = request(spec=job(child=True, exit=20))
    backend(tmp_path).create(asked)
    assert ended(tmp_path, asked).failure.code == "DCP329"
    assert processes_of(folder(tmp_path, asked)) == []


def test_what_a_driver_leaves_behind_is_ended_by_the_observer_of_a_dead_supervisor(tmp_path):
    asked = request(spec=job(child=True, hold=True))
    backend(tmp_path).create(asked)
    wait_for(lambda: len(processes_of(folder(tmp_path, asked))) == 2, "the driver and its child")
    os.kill(supervisor_pid(tmp_path, asked), signal.SIGKILL)
    wait_for(lambda: not is_supervised(tmp_path, asked), "the supervisor's death")
    assert ended(tmp_path, asked).failure.code == "DCP352"
    assert processes_of(folder(tmp_path, asked)) == []


def test_a_driver_that_had_reported_success_when_its_supervisor_died_has_succeeded(tmp_path):
    asked = request(spec=job(child=True))
    supervisor = act(tmp_path, asked, "creating")
    supervisor.wait()
    wait_for(lambda: "DCP_RESULT" in backend(tmp_path).read_log(asked.ref)[0], "the driver's report")
    os.kill(supervisor_pid(tmp_path, asked), signal.SIGKILL)
    assert ended(tmp_path, asked).state is State.SUCCEEDED


def test_eight_creating_processes_start_it_once(tmp_path):
    asked = request(spec=job(hold=True))
    creators = [act(tmp_path, asked, "creating") for _ in range(8)]
    assert [creator.wait() for creator in creators] == [0] * 8
    wait_for(lambda: starts(tmp_path), "the driver")
    assert backend(tmp_path).get(asked.ref).state is State.RUNNING
    (tmp_path / "release").touch()
    assert ended(tmp_path, asked).state is State.SUCCEEDED
    assert len(starts(tmp_path)) == 1


def test_no_more_sparks_at_once_than_the_host_allows(tmp_path):
    settings = local_settings(tmp_path, max_processes=1)
    first, second = request("first", spec=job(hold=True)), request("second")
    LocalBackend(tmp_path, settings).create(first)
    wait_for(lambda: starts(tmp_path), "the first driver")
    assert LocalBackend(tmp_path, settings).create(second).state is State.PENDING
    assert len(starts(tmp_path)) == 1
    # A killed holder gives its place up.
    os.kill(supervisor_pid(tmp_path, first), signal.SIGKILL)
    assert ended(tmp_path, second).state is State.SUCCEEDED
    assert len(starts(tmp_path)) == 2


def test_a_waiting_attempt_is_cancelled_without_ever_starting(tmp_path):
    settings = local_settings(tmp_path, max_processes=1)
    first, second = request("first", spec=job(hold=True)), request("second")
    LocalBackend(tmp_path, settings).create(first)
    wait_for(lambda: starts(tmp_path), "the first driver")
    LocalBackend(tmp_path, settings).create(second)
    LocalBackend(tmp_path, settings).cancel(second.ref, cancellation())
    assert ended(tmp_path, second).state is State.CANCELLED
    (tmp_path / "release").touch()
    assert ended(tmp_path, first).state is State.SUCCEEDED
    assert len(starts(tmp_path)) == 1


def test_the_environment_of_the_asking_process_stays_behind(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW_CONN_SECRET", "postgres://user:password@host/db")
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "secret")
    asked = request(spec=job(hold=True))
    backend(tmp_path).create(asked)
    driver = wait_for(lambda: starts(tmp_path), "the driver")[0].split()[-1]
    for pid in (driver, str(supervisor_pid(tmp_path, asked))):
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        assert b"AIRFLOW" not in environment
        assert b"PATH=" in environment
    (tmp_path / "release").touch()
    assert ended(tmp_path, asked).state is State.SUCCEEDED


def test_a_supervisor_that_cannot_begin_is_said_to_whoever_submits(tmp_path, monkeypatch: pytest.MonkeyPatch):
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text("import os, sys\nprint('no luck today', file=sys.stderr, flush=True)\nos._exit(3)\n")
    asked = request()
    with monkeypatch.context() as broken:
        broken.setenv("PYTHONPATH", str(hook))
        with pytest.raises(DcpError, match="no luck today") as caught:
            backend(tmp_path).create(asked)
    assert caught.value.code == "DCP444"
    # The next try goes on where that one failed.
    assert backend(tmp_path).create(asked).request == asked
    assert ended(tmp_path, asked).state is State.SUCCEEDED


def test_a_supervisor_that_breaks_leaves_its_reason_in_the_failure(tmp_path):
    asked = request()
    LocalBackend(tmp_path, local_settings(tmp_path, max_processes="no number")).create(asked)
    failure = ended(tmp_path, asked).failure
    assert failure.code == "DCP352"
    assert "TypeError" in failure.log_tail
    assert starts(tmp_path) == []
