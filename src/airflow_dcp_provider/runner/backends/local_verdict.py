"""How an attempt ended: the final status, from what the driver left behind.

Used by the supervisor that saw the end, and by whoever finds an attempt whose supervisor died. Both hold the supervisor's lock.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from typing import Any

from airflow_dcp_provider.model.execution import Failure
from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.runner.backends.local_files import (
    CANCEL,
    DRIVER_LOG,
    LAUNCHED,
    PROPERTIES,
    REPORTS_IN_FILE,
    RESULT,
    SCRATCH,
    SETTINGS,
    STATUS,
    SUPERVISOR_LOG,
    AttemptFolder,
)
from airflow_dcp_provider.runner.backends.local_processes import end_processes
from airflow_dcp_provider.runner.diagnosis import authentic_result, diagnose, is_success, parse_result

#: How much of the log's end is read for the result and the diagnosis, in bytes.
_TAIL_BYTES = 512 * 1024


def is_final(status: Mapping[str, Any] | None) -> bool:
    """Whether ``status`` is an attempt's last one."""
    return status is not None and ExecutionState(status["state"]).is_terminal


def settle(folder: AttemptFolder) -> None:
    """Give a final status to an attempt that nobody supervises any more; the caller holds the supervisor's lock.

    Nothing of the attempt runs when it is final. Where a process cannot be ended, the attempt keeps its status, so that the next
    observer tries again.
    """
    status = folder.read(STATUS)
    if is_final(status):
        return
    if folder.has(LAUNCHED) and not end_processes(folder.path, kindly=False):
        return
    if folder.has(LAUNCHED) or status is not None or folder.has(CANCEL):
        conclude(folder, exit_code=None)


def conclude(
    folder: AttemptFolder, exit_code: int | None, *, timed_out: bool = False, failure: Failure | None = None
) -> ExecutionState:
    """Write the final status; nothing of the attempt runs any more.

    :param exit_code: the driver's, or None when nobody saw it end.
    :param timed_out: the supervisor ended it because its deadline had passed.
    :param failure: why it could not be started at all, when that is so.
    """
    # Where no driver began, the supervisor's own log is all that there is.
    log = _tail(folder, DRIVER_LOG) or _tail(folder, SUPERVISOR_LOG)
    result = _result(folder, log)
    cancellation = folder.read(CANCEL)
    final: dict[str, Any] = {"result": result}
    if failure is None and is_success(exit_code, result):
        # A wish to end it that came too late changes nothing: the tables are written.
        state = ExecutionState.SUCCEEDED
    elif cancellation is not None:
        state = ExecutionState.TIMEOUT if cancellation["reason"] == "timeout" else ExecutionState.CANCELLED
    elif timed_out or _deadline_passed_unstarted(folder):
        state = ExecutionState.TIMEOUT
    else:
        state = ExecutionState.FAILED
        failed = failure or diagnose(exit_code, result, log)
        final["failure"] = {**vars(failed), "kind": failed.kind.value}
    # Both may hold credentials of catalogs, and nobody needs them any more. The status comes last: who reads it finds all done.
    folder.remove(SETTINGS, PROPERTIES)
    shutil.rmtree(folder.path / SCRATCH, ignore_errors=True)
    before = folder.read(STATUS) or {}
    folder.replace(
        STATUS,
        {**before, **final, "state": state.value, "ended_at": time.time(), "spark_ui_url": "", "message": ""},
    )
    return state


def _result(folder: AttemptFolder, log: str) -> dict[str, Any] | None:
    """Return what the driver delivered, or None.

    An attempt that an earlier version has started is settled by that version's rule: its driver knows of no file.
    """
    launched = folder.read(LAUNCHED)
    if launched is not None and launched.get("reports") != REPORTS_IN_FILE:
        return parse_result(log)
    result = authentic_result(_tail(folder, RESULT), log)
    ref = folder.request().ref
    if result is None or (result.get("execution_id"), result.get("attempt")) != (ref.execution_id, ref.attempt):
        return None
    return result


def _tail(folder: AttemptFolder, name: str) -> str:
    """Return the end of a log, empty when there is none."""
    try:
        with (folder.path / name).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL_BYTES))
            return file.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _deadline_passed_unstarted(folder: AttemptFolder) -> bool:
    if folder.has(LAUNCHED):
        return False
    deadline = folder.request().deadline
    return deadline is not None and time.time() >= deadline
