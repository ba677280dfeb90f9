"""Why an attempt on a cluster ended badly: from resource, pods, events and log to a :class:`Failure`. Pure.

What the driver itself reports is believed first, unless it only saw the consequences; then come the cluster's own words, then the
exception in the driver's log, then what happened to executors, and last the exit code. ``docs/failures.md`` lists every cause.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_dcp_provider.core_etl import diagnosis as spark
from airflow_dcp_provider.model.execution import Failure, FailureKind
from airflow_dcp_provider.runner import diagnosis as exits
from airflow_dcp_provider.runner.diagnosis_clues import Clues, Evidence, read_clues
from airflow_dcp_provider.runner.diagnosis_log_rules import EXECUTOR_RULES, LOG_RULES
from airflow_dcp_provider.runner.diagnosis_rules import DRIVER_END_RULES, SUBMISSION_RULES, Rule, first_match
from airflow_dcp_provider.runner.diagnosis_start_rules import START_RULES
from airflow_dcp_provider.runner.diagnosis_text import HINT_LIMIT, SENTENCE_LIMIT, one_line

__all__ = ["FAULTS", "KIND_OF_CODE", "Evidence", "diagnose"]

#: How a sentence ends: whose fault it is.
FAULTS = {
    FailureKind.USER: "the job's own fault",
    FailureKind.RESOURCES: "a matter of resources",
    FailureKind.PLATFORM: "the platform's fault",
}

#: What a driver reports when it saw only consequences: its JVM or an executor is gone, or something that it cannot explain.
_VAGUE = frozenset({"DCP340", "DCP341", "DCP342", "DCP349", "DCP350"})

#: Kinds of the driver's own codes; they say more than the exit code, which a wrapper may have changed.
KIND_OF_CODE = {
    **dict.fromkeys((f"DCP3{number}" for number in (*range(20, 32), 44, 45)), FailureKind.USER),
    **dict.fromkeys(("DCP332", "DCP334", "DCP390", "DCP391", "DCP393", "DCP394", "DCP395"), FailureKind.USER),
    "DCP333": FailureKind.PLATFORM,
    **dict.fromkeys(("DCP335", "DCP336", "DCP337", "DCP342", "DCP348", "DCP349"), FailureKind.PLATFORM),
    **dict.fromkeys(("DCP340", "DCP341"), FailureKind.RESOURCES),
}

_KIND_OF_EXIT = {
    **dict.fromkeys((20, 21), FailureKind.USER),
    **dict.fromkeys((3, 52, 137), FailureKind.RESOURCES),
}


def diagnose(evidence: Evidence) -> Failure:
    """Return why the attempt failed: whose fault, a stable code, one sentence, what to do, and the log's last useful lines.

    Never raises, whatever the resources hold. The sentence is one line; sentence, hint and tail are bounded and show no secrets.
    """
    clues = read_clues(evidence)
    kind, code, message, hint = _cause(clues)
    sentence = one_line(message, SENTENCE_LIMIT - 40).rstrip(" .:,;")
    return Failure(
        kind,
        code,
        f"{sentence} ({FAULTS[kind]})",
        one_line(hint, HINT_LIMIT),
        exits.log_tail(clues.log),
    )


_Cause = tuple[FailureKind, str, str, str]


def _cause(clues: Clues) -> _Cause:
    report = _reported(clues)
    if report and report[1] not in _VAGUE:
        return report
    started = clues.started
    tables = (SUBMISSION_RULES, DRIVER_END_RULES, () if started else START_RULES, LOG_RULES)
    for table in tables:
        if found := first_match(table, clues):
            return _of_rule(*found)
    thrown = _thrown(clues)
    if thrown and thrown[1] not in _VAGUE:
        return thrown
    if found := first_match(EXECUTOR_RULES, clues):
        return _of_rule(*found)
    return report or thrown or _by_exit_code(clues) or _by_state(clues)


def _of_rule(rule: Rule, match: re.Match[str]) -> _Cause:
    return rule.kind, rule.code, rule.sentence(match), rule.hint


def _reported(clues: Clues) -> _Cause | None:
    """Return what the driver reported of itself in its termination message; an earlier version's driver also in its log."""
    result = exits.authentic_result(clues.report, clues.log) or (None if clues.reports else exits.parse_result(clues.log))
    error: Any = (result or {}).get("error")
    if not isinstance(error, Mapping) or not error.get("message"):
        return None
    code = str(error.get("code") or "DCP350")
    kind = KIND_OF_CODE.get(code) or _KIND_OF_EXIT.get(clues.exit_code or 0, FailureKind.PLATFORM)
    return kind, code if re.fullmatch(r"DCP\d{3}", code) else "DCP350", str(error["message"]), str(error.get("hint") or "")


def _thrown(clues: Clues) -> _Cause | None:
    """Return the cause that the last uncaught exceptions show; Spark's own are explained as ``core_etl`` explains them."""
    if not clues.chain:
        return None
    chain = tuple(spark.Throwable(link.kind, link.message) for link in clues.chain)
    error = spark.diagnose(chain, "the driver", reading=True)
    if error.code == "DCP349":
        return _python_exception(clues) or _crash(clues)
    what = error.message
    if error.code == "DCP340":
        what = what.replace("the driver: ", "the driver ran out of heap memory: ", 1)
    return KIND_OF_CODE[error.code], error.code, what, error.hint


#: Python's own exceptions that a program meets by its own doing; those of connections are left to the platform.
_PYTHON = frozenset(
    (
        *(
            "ArithmeticError",
            "AssertionError",
            "AttributeError",
            "EOFError",
            "FileNotFoundError",
            "FloatingPointError",
            "ImportError",
        ),
        *("IndentationError", "IndexError", "KeyError", "LookupError", "ModuleNotFoundError", "NameError", "NotImplementedError"),
        *("OverflowError", "RecursionError", "RuntimeError", "StopIteration", "SyntaxError", "TabError", "TypeError"),
        *("UnboundLocalError", "UnicodeDecodeError", "UnicodeEncodeError", "UnicodeError", "ValueError", "ZeroDivisionError"),
        *("PySparkTypeError", "PySparkValueError", "PySparkAttributeError", "PySparkRuntimeError", "PySparkAssertionError"),
    )
)


def _crash(clues: Clues) -> _Cause | None:
    """Return a crash with its innermost exception; None when it is not known how the driver ended."""
    if not clues.exit_code:
        return None
    return (
        FailureKind.PLATFORM,
        "DCP350",
        f"the driver crashed (exit code {clues.exit_code}): {clues.chain[-1]}",
        "read the last lines of the driver's log",
    )


def _python_exception(clues: Clues) -> _Cause | None:
    # A class's name somewhere in a log proves nothing; a traceback does.
    if "Traceback (most recent call last):" not in clues.log:
        return None
    for link in reversed(clues.chain):
        if link.name in _PYTHON and not link.kind.startswith(("java.", "scala.")):
            return (
                FailureKind.USER,
                "DCP364",
                f"the job's Python code failed with {link.name}: {spark.shorten(spark.Throwable(link.kind, link.message))}",
                "mend the code; the traceback is in the driver's log",
            )
    return None


def _by_exit_code(clues: Clues) -> _Cause | None:
    """Return what the exit code says by itself; None when it is not known."""
    if clues.exit_code is None:
        return None
    if clues.exit_code == 137:
        return (
            FailureKind.RESOURCES,
            "DCP360",
            "the driver's container was killed (signal 9), as the kernel does when memory runs out",
            "raise spark.driver.memoryOverhead or resources.driver.memory; a retry gets more by itself",
        )
    if clues.exit_code in {3, 52}:
        return (
            FailureKind.RESOURCES,
            "DCP340",
            f"the driver ran out of heap memory (exit code {clues.exit_code})",
            "raise resources.driver.memory, or collect less to the driver; a retry gets more by itself, within the limits",
        )
    failure = exits.diagnose(clues.exit_code, None, clues.log)
    return failure.kind, failure.code, failure.message, failure.hint


def _by_state(clues: Clues) -> _Cause:
    """Return what is left to say when neither cluster nor log explain the end."""
    if clues.state == "gone":
        return (
            FailureKind.PLATFORM,
            "DCP387",
            "the application has vanished from the cluster, so that nothing proves how it ended",
            "somebody deleted it, or its time to live passed before its end was seen; clear the task to run it again",
        )
    if clues.is_waiting and not clues.driver and not clues.started:
        if clues.state in {"", "Submitted"}:
            return (
                FailureKind.PLATFORM,
                "DCP385",
                "the Spark operator has not taken up the application: it is down, or does not watch this namespace",
                "the platform team must look at the operator's pods and at the namespaces that it is set to watch",
            )
        return (
            FailureKind.PLATFORM,
            "DCP385",
            f"the Spark operator took up the application (state {clues.state}) and made no driver pod",
            "the platform team must look at the operator's log; it may be overloaded",
        )
    if clues.state == "ExecutorsStartTimedOut":
        return (
            FailureKind.RESOURCES,
            "DCP368",
            "the executors did not start in time",
            "ask for fewer or smaller executors, wait for other jobs to end, or have the cluster enlarged",
        )
    if clues.is_waiting or clues.state in {"DriverStartTimedOut", "DriverReadyTimedOut"}:
        return (
            FailureKind.PLATFORM,
            "DCP386",
            "the driver's pod was made and had not started in time",
            "a large image is slow to pull the first time; otherwise the platform team must look at the node",
        )
    return (
        FailureKind.PLATFORM,
        "DCP350",
        f"the application ended in the state {clues.state or 'unknown'}: {clues.operator or 'nothing says why'}",
        "read the last lines of the driver's log",
    )
