"""What a run prints while it happens: a line for whatever happens to a task, and the driver's log as it comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_dcp_provider.core_etl.text import log_line
from airflow_dcp_provider.model.execution import AttemptRef
from airflow_dcp_provider.runner.backends.base import Backend

_WORDS = {"running": "runs", "success": "is done", "failed": "failed"}


class Progress:
    """Follows one run.

    :param note: prints a line.
    :param backend: where the driver's log is, or None to leave the log out.
    """

    def __init__(self, note: Callable[[str], None], backend: Backend | None) -> None:
        self._note = note
        self._backend = backend
        self._began = time.monotonic()
        self._seen = 0
        self._running = ""
        self._rest = ""
        self._offsets: dict[int, int] = {}
        #: The attempt that `submit` has handed on; what the run is about, for whoever wants to cancel it.
        self.ref: AttemptRef | None = None

    def update(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Print what is new.

        :param events: everything that happened to the run's tasks so far.
        """
        self._follow_log()
        for event in events[self._seen :]:
            task, state = event["task"], event["state"]
            # A task that was deferred begins again when it is resumed.
            if not (state == "running" and task == self._running):
                self.say(f"{task:<14}{_WORDS.get(state, state)}")
            self._running = task if state == "running" else ""
            if task == "submit" and state == "success":
                self.ref = AttemptRef(**event["value"]["request"]["ref"])
                self.say(f"{'':<14}execution {self.ref.execution_id}")
        self._seen = len(events)

    def say(self, text: str) -> None:
        """Print a line with the seconds since the beginning."""
        self._note(f"{time.monotonic() - self._began:6.1f} s  {text}")

    def _follow_log(self) -> None:
        if self._backend is None or self.ref is None:
            return
        latest = self._backend.latest(self.ref)
        if latest is None:
            return
        number = latest.ref.attempt
        text, self._offsets[number] = self._backend.read_log(latest.ref, self._offsets.get(number, 0))
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            # The last line is the driver's result for the runner; the proof says it better.
            if line and not line.startswith("DCP_RESULT"):
                self.say(f"{'':<14}| {log_line(line)}")
