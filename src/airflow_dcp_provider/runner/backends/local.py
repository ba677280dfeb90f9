"""The local backend: attempts are folders under ``DCP_HOME`` and detached processes of this host. It serves one host.

Everything is answered from an attempt's files and from whether its supervisor's lock is held; no process keeps anything in memory.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from airflow_dcp_provider.model.errors import DcpEnvironmentError, ExecutionError
from airflow_dcp_provider.model.execution import Attempt, AttemptRef, AttemptRequest, Cancellation, Failure
from airflow_dcp_provider.model.home import private_home
from airflow_dcp_provider.model.job import JobSpec
from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.runner.backends.local_files import (
    CANCEL,
    CLAIM,
    CREATE_LOCK,
    DRIVER_LOG,
    LAUNCHED,
    STATUS,
    SUPERVISOR_LOG,
    AttemptFolder,
    disk,
)
from airflow_dcp_provider.runner.backends.local_processes import clean_environment
from airflow_dcp_provider.runner.backends.local_settings import LocalSettings
from airflow_dcp_provider.runner.backends.local_verdict import is_final, settle
from airflow_dcp_provider.runner.backends.machine_check import check_machine

#: Seconds that a supervisor may take to say that it has taken an attempt over.
_START_PATIENCE = 60.0


class LocalBackend:
    """Runs attempts as local Spark processes that outlive whoever asked for them.

    :param home: the machine's folder, see :func:`airflow_dcp_provider.model.home.dcp_home`.
    :param settings: Java, jar, limits, catalogs; None for what the environment variables say.
    """

    name = "local"

    def __init__(self, home: Path, settings: LocalSettings | None = None) -> None:
        self._home = home
        self._settings = settings or LocalSettings.from_environment()

    def create(self, request: AttemptRequest) -> Attempt:
        """Start the attempt exactly once and return at once; see :meth:`Backend.create`.

        :raises ExecutionError: DCP310 when the attempt's folder belongs to another owner.
        :raises DcpEnvironmentError: DCP436 to DCP448 when this machine cannot run it, for example because it lacks the Spark that
            the job asks for; nothing was created then.
        """
        folder = self._folder(request.ref)
        if not folder.exists():
            # What is surely missing is said now, to whoever submits, and not by an attempt that fails.
            check_machine(JobSpec.from_dict(request.job), self._settings)
            private_home(self._home)
            folder.make(request.to_dict(), self._settings.to_dict())
        existing = folder.request()
        if existing.idempotency_key != request.idempotency_key:
            raise ExecutionError(
                f"{request.ref.name} exists and belongs to another owner: {existing.manifest_id}",
                code="DCP310",
                hint="find out who made it; an execution's resources are never taken over",
            )
        self._start(folder)
        return self._attempt(folder)

    def get(self, ref: AttemptRef) -> Attempt | None:
        """Return the attempt as it is now, or None when there is none."""
        folder = self._folder(ref)
        return self._attempt(folder) if folder.exists() else None

    def latest(self, ref: AttemptRef) -> Attempt | None:
        """Return the execution's attempt with the highest number, or None."""
        execution = self._folder(ref).path.parent
        with disk(execution):
            try:
                numbers = [int(entry.name) for entry in execution.iterdir() if entry.name.isdecimal()]
            except FileNotFoundError:
                return None
        return self._attempt(AttemptFolder(self._folder(ref).path.with_name(str(max(numbers))))) if numbers else None

    def claim(self, ref: AttemptRef, round_try: int) -> Attempt:
        """Record that a round of the wait task waits for the attempt, unless one is recorded; return the attempt.

        :raises DcpEnvironmentError: DCP444 when it was not started yet and cannot be, DCP445 when there is no such attempt.
        """
        folder = self._folder(ref)
        if not folder.exists():
            raise DcpEnvironmentError(f"there is no attempt {ref.name}", code="DCP445", hint="it was removed from DCP_HOME")
        if folder.read(STATUS) is None and not folder.has(CANCEL):
            # Who made it may have died before it was started. This comes first: what is claimed is only waited for.
            self._start(folder)
        folder.write_once(CLAIM, {"round": round_try})
        return self._attempt(folder)

    def cancel(self, ref: AttemptRef, cancellation: Cancellation) -> Attempt | None:
        """Ask for the attempt's end; its supervisor sees the wish within a fraction of a second."""
        attempt = self.get(ref)
        if attempt is None or attempt.state.is_terminal:
            return attempt
        asked_by = vars(cancellation.asked_by)
        self._folder(ref).write_once(CANCEL, {"asked_by": asked_by, "reason": cancellation.reason, "at": cancellation.at})
        return self.get(ref)

    def is_gone(self, ref: AttemptRef) -> bool:
        """Whether nothing of the attempt runs any more: a final status is written only after that."""
        attempt = self.get(ref)
        return attempt is None or attempt.state.is_terminal

    def read_log(self, ref: AttemptRef, offset: int = 0, limit: int = 1_000_000) -> tuple[str, int]:
        """Return driver log text from byte ``offset`` and the offset to go on from.

        Its lines are whole, except for one longer than ``limit`` and the last one of a driver that has ended.
        """
        folder = self._folder(ref)
        # Asked before the log is read: what is final then is all that will ever be.
        ended = is_final(folder.read(STATUS))
        try:
            with (folder.path / DRIVER_LOG).open("rb") as file:
                file.seek(offset)
                data = file.read(limit)
        except FileNotFoundError:
            return "", offset
        full, whole = len(data) == limit, data.rfind(b"\n") + 1
        # A line that is longer than a piece comes in parts: to wait for its end would be to wait for ever.
        if (full and whole) or not (full or ended):
            data = data[:whole]
        # A character that is not whole yet is left for the next call.
        for missing in range(min(4, len(data))):
            try:
                return data[: len(data) - missing].decode("utf-8"), offset + len(data) - missing
            except UnicodeDecodeError:
                continue
        return data.decode("utf-8", errors="replace"), offset + len(data)

    def _folder(self, ref: AttemptRef) -> AttemptFolder:
        return AttemptFolder(self._home / "executions" / ref.execution_id / str(ref.attempt))

    def _start(self, folder: AttemptFolder) -> None:
        """Make sure that somebody supervises the attempt, or that it has ended."""
        with folder.holding(CREATE_LOCK):
            status = folder.read(STATUS)
            if is_final(status) or folder.has(LAUNCHED) or (status is not None and folder.is_supervised()):
                return
            command = [sys.executable, "-P", "-m", "airflow_dcp_provider.runner.backends.local_supervisor", str(folder.path)]
            environment = clean_environment(os.environ, self._settings.pass_environment)
            why = ""
            try:
                (folder.path / SUPERVISOR_LOG).touch(mode=0o600)
                with (folder.path / SUPERVISOR_LOG).open("ab") as log:
                    done = subprocess.run(
                        command,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        cwd=folder.path,
                        env=environment,
                        start_new_session=True,
                        timeout=_START_PATIENCE,
                        check=False,
                    )
                if done.returncode != 0:
                    # One that was killed says nothing.
                    said = (folder.path / SUPERVISOR_LOG).read_text(errors="replace")[-500:].strip()
                    why = said or f"it ended with exit code {done.returncode}"
            except (OSError, subprocess.TimeoutExpired) as error:
                why = str(error)
        if why and folder.read(STATUS) is None:
            raise DcpEnvironmentError(
                f"the supervisor of {folder.path} did not start: {why}",
                code="DCP444",
                hint="the next try starts it; if it fails again, run the command in the message's folder by hand",
            )

    def _attempt(self, folder: AttemptFolder) -> Attempt:
        status = folder.read(STATUS)
        if not is_final(status) and (status is not None or folder.has(CANCEL)) and not folder.is_supervised():
            with folder.supervising() as held:
                if held:
                    settle(folder)
            status = folder.read(STATUS)
        return _attempt(folder, status or {"state": ExecutionState.SUBMITTED.value})


def _attempt(folder: AttemptFolder, status: dict[str, Any]) -> Attempt:
    claim, cancellation, failure = folder.read(CLAIM), folder.read(CANCEL), status.get("failure")
    return Attempt(
        request=folder.request(),
        state=ExecutionState(status["state"]),
        waited_by=claim["round"] if claim else None,
        cancellation=Cancellation.from_dict(cancellation) if cancellation else None,
        failure=Failure.from_dict(failure) if failure else None,
        result=status.get("result"),
        started_at=status.get("started_at"),
        ended_at=status.get("ended_at"),
        spark_ui_url=status.get("spark_ui_url") or "",
        message=status.get("message") or "",
    )
