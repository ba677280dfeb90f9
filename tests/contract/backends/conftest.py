"""One rig per backend; every test of the suite runs against each. A new backend adds its rig to ``RIGS``."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_dcp_provider.model.execution import AttemptRequest
from airflow_dcp_provider.runner.backends.base import Backend
from airflow_dcp_provider.runner.backends.local import LocalBackend
from airflow_dcp_provider.runner.backends.local_processes import processes_of
from tests.support.executions import local_settings, starts, wait_for


class LocalRig:
    """The local backend with a real supervisor and a small real process in Spark's place."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def backend(self) -> Backend:
        """A backend that shares nothing with an earlier one but what lies outside the process."""
        return LocalBackend(self.home, local_settings(self.home))

    def starts(self) -> list[str]:
        return starts(self.home)

    def release(self) -> None:
        """Let drivers end that were told to hold."""
        (self.home / "release").touch()

    def kill_driver(self, request: AttemptRequest) -> None:
        """End the driver from outside, as the kernel does when memory runs out."""
        folder = self.home / "executions" / request.ref.execution_id / str(request.ref.attempt)
        for process in wait_for(lambda: processes_of(folder), "the driver's process"):
            os.kill(process.pid, signal.SIGKILL)

    def close(self) -> None:
        self.release()
        for status in self.home.glob("executions/*/*/status.json"):
            folder = status.parent
            wait_for(lambda folder=folder: not processes_of(folder), f"the processes of {folder} to end")  # type: ignore[misc]


RIGS = {"local": LocalRig}


@pytest.fixture(params=sorted(RIGS))
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LocalRig]:
    made = RIGS[request.param](tmp_path)
    yield made
    made.close()


@pytest.fixture
def backend(rig: LocalRig) -> Backend:
    return rig.backend()
