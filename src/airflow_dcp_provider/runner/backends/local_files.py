"""The files of one local attempt: what is written, how it is written whole or not at all, and who holds the lock.

``request.json``   what was asked; the folder appears with it, in one rename
``settings.json``  the machine's settings for the supervisor, removed when the attempt has ended (it may hold credentials)
``claim.json``     which round waits; the first writer wins
``cancel.json``    who wants the end; the first writer wins
``launched``       Spark was started, or is about to be; it is never started again. It also says how the driver is to report
``result``         what the driver delivers; nobody else writes it
``status.json``    what the supervisor knows, replaced whole
``supervisor.lock`` held by the supervisor for life: a free lock and no final status mean that it died
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.execution import AttemptRequest
from airflow_dcp_provider.runner.locks import locked

REQUEST, SETTINGS, CLAIM, CANCEL, STATUS = "request.json", "settings.json", "claim.json", "cancel.json", "status.json"
LAUNCHED, SUPERVISOR_LOCK, CREATE_LOCK = "launched", "supervisor.lock", "create.lock"
DRIVER_LOG, SUPERVISOR_LOG, JOB_SPEC, PROPERTIES = "driver.log", "supervisor.log", "job-spec.json", "spark.properties"
RESULT = "result"
#: What ``launched`` says under ``reports`` when the driver is to deliver its result in the file. Without it an earlier version has
#: started the driver, whose result is in its log alone.
REPORTS_IN_FILE = "file"
#: Folders: Spark's temporary files, removed at the end, and its event log for a History Server.
SCRATCH, EVENTS = "scratch", "events"

#: How long a lock is tried for before its holder counts as staying; observers hold it for microseconds only.
_LOCK_PATIENCE = 1.0


@contextlib.contextmanager
def disk(path: Path) -> Iterator[None]:
    """Say what the disk refuses inside the block as an error of ours.

    :param path: what is used there, for the message.
    :raises DcpEnvironmentError: DCP445 when the disk is full, or the rights or owners are wrong.
    """
    try:
        yield
    except OSError as error:
        raise DcpEnvironmentError(
            f"the local backend cannot use {path}: {error.strerror or error}",
            code="DCP445",
            hint="check the rights and the free space of DCP_HOME",
        ) from error


@dataclass(frozen=True)
class AttemptFolder:
    """The folder of one attempt. Whatever the disk refuses is the error DCP445.

    :param path: ``<home>/executions/<execution id>/<attempt>``.
    """

    path: Path

    def exists(self) -> bool:
        """Whether the attempt was ever created."""
        return self.has(REQUEST)

    def make(self, request: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
        """Make the folder with its request, whole or not at all; False when another creator was first.

        :raises DcpEnvironmentError: DCP445 when the disk refuses.
        """
        parent = self.path.parent
        with disk(self.path):
            # One by one: what `parents` makes on the way has other rights.
            parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            parent.mkdir(mode=0o700, exist_ok=True)
            # A folder of its own name, made whole, then renamed: a reader never sees half an attempt.
            new = Path(tempfile.mkdtemp(prefix=".new-", dir=parent))
            try:
                _write(new / REQUEST, request)
                _write(new / SETTINGS, settings)
                new.rename(self.path)
            except BaseException as error:
                shutil.rmtree(new, ignore_errors=True)
                if isinstance(error, OSError) and self.exists():
                    return False
                raise
            _sync_folder(parent)
        return True

    def read(self, name: str) -> dict[str, Any] | None:
        """Return the JSON object in file ``name``, or None when there is no such file.

        :raises DcpEnvironmentError: DCP445 when the file holds something else.
        """
        path = self.path / name
        try:
            data = json.loads(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            raise DcpEnvironmentError(
                f"{path} cannot be read: {error}",
                code="DCP445",
                hint="the record was damaged from outside; remove the execution's folder and submit again",
            ) from error
        if not isinstance(data, dict):
            raise DcpEnvironmentError(f"{path} holds no JSON object", code="DCP445", hint="the record was damaged from outside")
        return data

    def request(self) -> AttemptRequest:
        """Return what was asked for.

        :raises DcpEnvironmentError: DCP445 when the record is not there any more or holds something else.
        """
        data = self.read(REQUEST)
        try:
            return AttemptRequest.from_dict(data or {})
        except (KeyError, TypeError) as error:
            what = "holds no request" if data else "is not there any more"
            raise DcpEnvironmentError(
                f"{self.path / REQUEST} {what}",
                code="DCP445",
                hint="the record was removed or damaged from outside; submit again",
            ) from error

    def replace(self, name: str, data: Mapping[str, Any]) -> None:
        """Write file ``name`` whole, over what was there."""
        with self._new_file(name, data) as new:
            new.replace(self.path / name)
            _sync_folder(self.path)

    def write_once(self, name: str, data: Mapping[str, Any]) -> bool:
        """Write file ``name`` whole unless it is there; False when it is."""
        with self._new_file(name, data) as new:
            try:
                os.link(new, self.path / name)
            except FileExistsError:
                return False
            finally:
                new.unlink()
            _sync_folder(self.path)
        return True

    def has(self, name: str) -> bool:
        """Whether file ``name`` is there."""
        with disk(self.path / name):
            return (self.path / name).exists()

    def remove(self, *names: str) -> None:
        """Remove files that may not be there."""
        for name in names:
            with disk(self.path / name):
                (self.path / name).unlink(missing_ok=True)

    def is_supervised(self) -> bool:
        """Whether a supervisor lives."""
        with disk(self.path / SUPERVISOR_LOCK):
            try:
                descriptor = os.open(self.path / SUPERVISOR_LOCK, os.O_RDWR)
            except FileNotFoundError:
                return False
            try:
                # Shared, so that two observers do not take each other for a supervisor.
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            finally:
                os.close(descriptor)
            return False

    @contextlib.contextmanager
    def supervising(self) -> Iterator[bool]:
        """Hold the supervisor's lock inside the block; yields False when another process holds it."""
        with self.holding(SUPERVISOR_LOCK, patience=_LOCK_PATIENCE) as held:
            yield held

    @contextlib.contextmanager
    def holding(self, name: str, patience: float | None = None) -> Iterator[bool]:
        """Hold the lock on file ``name`` inside the block; see :func:`airflow_dcp_provider.runner.locks.locked`."""
        with contextlib.ExitStack() as stack:
            with disk(self.path / name):
                held = stack.enter_context(locked(self.path / name, patience))
            yield held

    @contextlib.contextmanager
    def _new_file(self, name: str, data: Mapping[str, Any]) -> Iterator[Path]:
        """Yield a whole new file that is to become file ``name``; nothing of it stays when the block fails."""
        with disk(self.path / name):
            descriptor, path = tempfile.mkstemp(prefix=f".{name}-", dir=self.path)
            os.close(descriptor)
            new = Path(path)
            try:
                _write(new, data)
                yield new
            except BaseException:
                new.unlink(missing_ok=True)
                raise


def _write(path: Path, data: Mapping[str, Any]) -> None:
    path.touch(mode=0o600)
    with path.open("w", encoding="utf-8") as file:
        json.dump(data, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
