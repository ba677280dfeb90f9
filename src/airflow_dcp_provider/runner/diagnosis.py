"""Why a driver ended badly: from its exit code, its own report and its log to a :class:`Failure`. Pure functions.

The exit codes are those of ``The driver's contract`` in ``docs/architecture.md``.
"""

from __future__ import annotations

import hashlib
import json
import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from airflow_dcp_provider.core_etl.report import RESULT_PREFIX
from airflow_dcp_provider.model.execution import Failure, FailureKind
from airflow_dcp_provider.runner.diagnosis_text import bounded_tail, masked, one_line, without_deep_stacks

#: How many of the log's last useful lines a failure carries.
TAIL_LINES = 40

#: Longest line in which an exception is looked for, in characters.
_LINE_LIMIT = 2_000

#: Longest text of an error that a driver reports, in characters; our own driver's are shorter.
_REPORTED_LIMIT = 5_000

#: Lines that say nothing about a failure.
_NOISE = re.compile(
    r"ShutdownHookManager|NativeCodeLoader|Setting default log level|To adjust logging level"
    r"|Picked up (_JAVA|JAVA_TOOL|JDK_JAVA)_?OPTIONS|OpenJDK 64-Bit Server VM warning|Using Spark's (default|repl) log4j"
    r"|SparkContext: (Successfully stopped|SparkContext is stopping|Invoking stop)|SparkUI: Stopped Spark web UI"
    r"|INFO (MapOutputTracker|MemoryStore|BlockManager|OutputCommitCoordinator)\w*(\$\w+)?: \S+ (stopped|cleared)"
    r"|SchedulerBackend(\$\w+)?: (Shutting down all executors|Asking each executor)|Kubernetes client has been closed"
    r"|SLF4J:|^\s*$"
)

_OUT_OF_MEMORY = re.compile(
    r"java\.lang\.OutOfMemoryError|insufficient memory for the Java Runtime|GC overhead limit exceeded|Cannot allocate memory"
    r"|exceeding (physical )?memory limits|^MemoryError",
    re.MULTILINE,
)
_EXCEPTION = re.compile(r"^(?:Exception in thread \"[^\"]*\" )?((?:[\w$]+\.)*[A-Z]\w*(?:Error|Exception)\b.*)$")


@dataclass(frozen=True)
class _Known:
    kind: FailureKind
    code: str
    message: str
    hint: str


_MEMORY = _Known(
    FailureKind.RESOURCES,
    "DCP351",
    "the driver ran out of memory",
    "raise resources.driver.memory, or read less: a filter on the source, fewer columns, a smaller partition",
)
_BY_EXIT_CODE = {
    20: _Known(FailureKind.USER, "DCP355", "the driver found the job wrong", "read the last lines of the driver's log"),
    21: _Known(
        FailureKind.USER,
        "DCP356",
        "a table or path is missing or may not be used",
        "check the names and the rights in the manifest",
    ),
    22: _Known(
        FailureKind.PLATFORM, "DCP357", "the catalog or its storage did not take the result", "try again; then look at the catalog"
    ),
    3: _MEMORY,
    52: _MEMORY,
    137: replace(_MEMORY, message="the driver was killed (signal 9), as the kernel does when memory runs out"),
}
_UNWATCHED = _Known(
    FailureKind.PLATFORM,
    "DCP352",
    "the process that watched the driver ended before it, so the driver was ended too",
    "it was killed or the machine was restarted; try again",
)
#: What a driver reports when its JVM has gone: how that ended says more.
_CONSEQUENCES = frozenset({"DCP342", "DCP349", "DCP350"})

_FORGED = _Known(
    FailureKind.PLATFORM,
    "DCP343",
    "the driver's log shows a result line that the driver did not deliver, so nothing proves what it wrote",
    "the driver ended before it was done, and something else wrote that line: look for it in the job's SQL and in the driver's log",
)
_SILENT = _Known(
    FailureKind.PLATFORM,
    "DCP358",
    "the driver ended without a result line, so nothing proves what it wrote",
    "look at the driver's log",
)


def authentic_result(message: str, log: str = "") -> dict[str, Any] | None:
    """Return the result that the driver delivered in the file that it alone writes, or None when there is none.

    Where the file has room for the result's digest only, ``log`` is looked through for the line with that digest; without it the
    result says how the driver ended and nothing of its sinks.

    :param message: what the file holds.
    :param log: the end of the driver's log. Nothing else in it is believed: a job's author decides what a log shows.
    """
    delivered = parse_result(f"{message}\n")
    digest = (delivered or {}).get("sha256")
    if delivered is None or digest is None:
        return delivered
    for line in log.split("\n"):
        if line.startswith(RESULT_PREFIX) and hashlib.sha256(line.encode("utf-8", "replace")).hexdigest() == digest:
            return parse_result(f"{line}\n")
    return delivered


def parse_result(log: str) -> dict[str, Any] | None:
    """Return what the last whole ``DCP_RESULT`` line of ``log`` says, or None when there is none.

    Its error's texts are masked: the result is kept where more people look than into the log.
    """
    start = log.rfind(f"\n{RESULT_PREFIX}") + 1
    if not log.startswith(RESULT_PREFIX, start):
        return None
    line, end, _ = log[start + len(RESULT_PREFIX) :].partition("\n")
    if not end:
        return None
    try:
        result = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(result, dict):
        return None
    error = result.get("error")
    if isinstance(error, dict):
        result["error"] = {
            key: masked(value[:_REPORTED_LIMIT]) if isinstance(value, str) else value for key, value in error.items()
        }
    return result


def is_success(exit_code: int | None, result: Mapping[str, Any] | None) -> bool:
    """Whether the driver ended well and said so.

    :param exit_code: None when nobody saw the end; then the driver's own last word decides.
    :param result: what the driver delivered.
    """
    return exit_code in {0, None} and result is not None and result.get("status") == "succeeded"


def diagnose(exit_code: int | None, result: Mapping[str, Any] | None, log: str) -> Failure:
    """Return why the driver failed, without secrets.

    :param exit_code: the process's exit code; negative for a signal, None when its supervisor died with it.
    :param result: what the driver reported, or None.
    :param log: the end of the driver's log.
    """
    tail = log_tail(log)
    known = _known(exit_code, log)
    reported = (result or {}).get("error")
    explains = known.code in {"DCP350", "DCP358"} or not isinstance(reported, Mapping) or reported.get("code") not in _CONSEQUENCES
    if explains and isinstance(reported, Mapping) and reported.get("message"):
        return Failure(
            known.kind,
            str(reported.get("code") or known.code),
            masked(str(reported["message"])),
            masked(str(reported.get("hint") or known.hint)),
            tail,
        )
    if known is _SILENT:
        return unproved(result, log)
    return Failure(known.kind, known.code, known.message, known.hint, tail)


def unproved(result: Mapping[str, Any] | None, log: str) -> Failure:
    """Return the failure of a driver that ended with 0 without reporting a success.

    :param result: what it reported instead, or None.
    :param log: the end of the driver's log.
    """
    message = _SILENT.message
    if result is None and f"\n{RESULT_PREFIX}" in f"\n{log}":
        return Failure(_FORGED.kind, _FORGED.code, _FORGED.message, _FORGED.hint, log_tail(log))
    if result is not None:
        status = f"the status `{result['status']}`" if result.get("status") else "no status"
        reported = result.get("error")
        said = reported.get("message") if isinstance(reported, Mapping) else None
        message = f"the driver ended with 0 and reports {status}, so nothing proves what it wrote"
        message = one_line(f"{message}: {said}" if said else message)
    return Failure(_SILENT.kind, _SILENT.code, message, _SILENT.hint, log_tail(log))


def log_tail(log: str, lines: int = TAIL_LINES) -> str:
    """Return the last useful lines of a driver's log, with secrets masked."""
    useful = (line for line in log.split("\n") if not _NOISE.search(line) and not line.startswith(RESULT_PREFIX))
    return bounded_tail(without_deep_stacks(useful), lines)


def _known(exit_code: int | None, log: str) -> _Known:
    if exit_code is None:
        return _UNWATCHED
    # A shell in between turns signal 9 into 128 + 9.
    code = 128 - exit_code if exit_code < 0 else exit_code
    if code in _BY_EXIT_CODE:
        return _BY_EXIT_CODE[code]
    return _MEMORY if _OUT_OF_MEMORY.search(log) else _crash(code, log)


def _crash(code: int, log: str) -> _Known:
    if code == 0:
        return _SILENT
    if code > 128:
        return _Known(
            FailureKind.PLATFORM, "DCP353", f"the driver was ended by {_signal_name(code - 128)}", "find out what sent it"
        )
    last = _last_exception(log)
    message = f"the driver crashed (exit code {code})" + (f": {last}" if last else "")
    return _Known(FailureKind.PLATFORM, "DCP350", message, "read the last lines of the driver's log")


def _signal_name(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"


def _last_exception(log: str) -> str:
    for line in reversed(log.splitlines()):
        if match := _EXCEPTION.match(line):
            # Masked first: what a cut leaves of a secret is not known for one.
            return masked(match.group(1)[:_LINE_LIMIT])[:300]
    return ""
