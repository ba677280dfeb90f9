"""Copies the driver's log into the task's own, each line once in each try, and so that nothing in a line acts there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_dcp_provider.core_etl.text import lines_of
from airflow_dcp_provider.model.errors import DcpError

if TYPE_CHECKING:
    from airflow_dcp_provider.model.execution import AttemptRef
    from airflow_dcp_provider.runner.backends.base import Backend


class DriverLog:
    """Knows how far each attempt's log has been copied. It travels through a deferral as a mapping.

    :param backend: whose logs are read.
    :param log: the task's logger.
    :param copied: attempt number -> the backend's own offset up to which its log is copied already.
    """

    def __init__(self, backend: Backend, log: Any, copied: Mapping[str, int] | None = None) -> None:
        self._backend = backend
        self._log = log
        self.copied = dict(copied or {})

    def copy(self, ref: AttemptRef) -> None:
        """Write the lines of the attempt's log that are new since the last call. A log that cannot be read fails nothing."""
        key = str(ref.attempt)
        started = False
        try:
            while True:
                text, offset = self._backend.read_log(ref, self.copied.get(key, 0))
                if not text:
                    break
                if not started:
                    self._log.info("::group::Driver log, attempt %s", ref.attempt)
                    started = True
                for line in lines_of(text):
                    self._log.info("%s", line)
                self.copied[key] = offset
        except DcpError as error:
            self._log.warning("The driver's log cannot be read: %s", error)
        if started:
            self._log.info("::endgroup::")
