"""What is left over on this machine: records of executions that ended long ago, and attempts that nobody waits for."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.execution import Attempt, AttemptRef, Cancellation
from airflow_dcp_provider.runner.backends.local import LocalBackend
from airflow_dcp_provider.runner.backends.local_files import disk
from airflow_dcp_provider.runner.sweeper import Action, Files, Finding, Leftover, Remains, Rules, Waits, decide, expired

logger = logging.getLogger(__name__)

#: A record that is being removed has this before its name, so that nobody takes what is left of it for an execution.
_REMOVED = ".removed-"


class LocalPlace:
    """The executions of one environment in this machine's ``DCP_HOME``.

    :param home: the machine's folder.
    :param intents: attempt's name -> a cancellation that could not be sent.
    :param cancel: ends an attempt; by default the backend does.
    """

    def __init__(
        self,
        backend: LocalBackend,
        home: Path,
        environment: str,
        *,
        intents: Mapping[str, Cancellation] | None = None,
        cancel: Callable[[AttemptRef, Cancellation], Any] | None = None,
    ) -> None:
        self.name = f"this machine, {home}"
        self._backend = backend
        self._records = home / "executions"
        self._environment = environment
        self._intents = intents or {}
        self._cancel = cancel or backend.cancel

    def findings(self, rules: Rules, now: float, waits: Waits) -> Sequence[Finding]:
        """Return what is left over; see :meth:`airflow_dcp_provider.runner.sweeper.Place.findings`."""
        attempts = self._attempts()
        found = [finding for attempt in attempts for finding in decide(self._remains(attempt), rules, now, waits)]
        ends = ((one.ref.execution_id, one.ended_at if one.state.is_terminal else None) for one in attempts)
        latest = {one.ref.execution_id: one.ref for one in attempts}
        why = f"its execution ended more than {rules.retention / 86_400:.3g} days ago"
        for execution_id in expired(ends, rules.retention, now):
            found.append(Finding(Leftover.RECORD, Action.DELETE, latest[execution_id], why))  # noqa: PERF401 - it reads better
        return found

    def carry_out(self, finding: Finding) -> None:
        """Do what the finding says; see :meth:`airflow_dcp_provider.runner.sweeper.Place.carry_out`.

        :raises DcpEnvironmentError: DCP445 when the disk refuses.
        """
        if finding.action is Action.CANCEL and finding.cancellation is not None:
            self._cancel(finding.ref, finding.cancellation)
        elif finding.leftover is Leftover.RECORD:
            self._remove(self._records / finding.ref.execution_id)

    def _attempts(self) -> list[Attempt]:
        """Return every attempt of the environment, those of one execution in order."""
        with disk(self._records):
            folders = sorted(self._records.iterdir()) if self._records.is_dir() else []
        return [attempt for folder in folders if not folder.name.startswith(".") for attempt in self._attempts_of(folder)]

    def _attempts_of(self, folder: Path) -> list[Attempt]:
        place = AttemptRef(folder.name, 1, self._environment, "local", "local", "")
        try:
            with disk(folder):
                numbers = sorted(int(one.name) for one in folder.iterdir() if one.name.isdecimal())
            found = [self._backend.get(replace(place, attempt=number)) for number in numbers]
        except DcpEnvironmentError as error:
            logger.warning("the record %s is left alone: %s", folder, error)
            return []
        return [one for one in found if one is not None and one.ref.environment == self._environment]

    def _remains(self, attempt: Attempt) -> Remains:
        return Remains(
            attempt.ref,
            attempt.request,
            attempt.state,
            attempt.request.submitted_at,
            being_deleted=attempt.cancellation is not None,
            files=Files.OWNED,
            intent=self._intents.get(attempt.ref.name),
        )

    def _remove(self, folder: Path) -> None:
        removed = folder.with_name(f"{_REMOVED}{folder.name}")
        for unfinished in self._records.glob(f"{_REMOVED}*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        try:
            # Renamed first: nobody ever sees half a record.
            folder.rename(removed)
            shutil.rmtree(removed)
        except FileNotFoundError:
            return
        except OSError as error:
            raise DcpEnvironmentError(
                f"the record {folder} cannot be removed: {error.strerror or error}",
                code="DCP445",
                hint="check the rights of DCP_HOME",
            ) from error
