"""From exit code, report and log to a failure. The logs are what Spark 3.5 and the JVM really print."""

from __future__ import annotations

import json

import pytest

from airflow_dcp_provider.model.error_codes import FAILURE_CODES
from airflow_dcp_provider.model.execution import FailureKind
from airflow_dcp_provider.runner.diagnosis import TAIL_LINES, diagnose, is_success, log_tail, parse_result

REPORT = {"version": 1, "status": "failed", "error": {"code": "DCP321", "message": "no column x", "hint": "did you mean y?"}}
OUT_OF_MEMORY = "26/11/22 ERROR Executor: Exception in task 0.0\njava.lang.OutOfMemoryError: Java heap space\n\tat java.base/x\n"
NATIVE = "# There is insufficient memory for the Java Runtime Environment to continue.\n"


@pytest.mark.parametrize(
    ("exit_code", "log", "kind", "code"),
    [
        (20, "", FailureKind.USER, "DCP355"),
        (21, "", FailureKind.USER, "DCP356"),
        (22, "", FailureKind.PLATFORM, "DCP357"),
        (3, "", FailureKind.RESOURCES, "DCP351"),
        (52, "", FailureKind.RESOURCES, "DCP351"),
        (137, "", FailureKind.RESOURCES, "DCP351"),
        (-9, "", FailureKind.RESOURCES, "DCP351"),
        (1, OUT_OF_MEMORY, FailureKind.RESOURCES, "DCP351"),
        (1, NATIVE, FailureKind.RESOURCES, "DCP351"),
        (1, "MemoryError\n", FailureKind.RESOURCES, "DCP351"),
        (20, OUT_OF_MEMORY, FailureKind.USER, "DCP355"),
        (1, "", FailureKind.PLATFORM, "DCP350"),
        (134, "", FailureKind.PLATFORM, "DCP353"),
        (-15, "", FailureKind.PLATFORM, "DCP353"),
        (143, "", FailureKind.PLATFORM, "DCP353"),
        (0, "", FailureKind.PLATFORM, "DCP358"),
        (None, "", FailureKind.PLATFORM, "DCP352"),
    ],
)
def test_exit_codes(exit_code, log, kind, code):
    failure = diagnose(exit_code, None, log)
    assert (failure.kind, failure.code) == (kind, code)
    assert failure.message
    assert failure.hint
    assert code in FAILURE_CODES


def test_the_drivers_own_words_are_kept_and_the_exit_code_says_whose_fault():
    failure = diagnose(20, REPORT, "")
    assert (failure.kind, failure.code, failure.message, failure.hint) == (
        FailureKind.USER,
        "DCP321",
        "no column x",
        "did you mean y?",
    )


def test_a_good_exit_with_another_report_than_success_says_what_was_reported():
    failure = diagnose(0, {"status": "partial"}, "")
    assert (failure.kind, failure.code) == (FailureKind.PLATFORM, "DCP358")
    assert "reports the status `partial`" in failure.message
    assert diagnose(0, REPORT, "").message == "no column x"


def test_a_signal_is_named():
    assert "SIGTERM" in diagnose(-15, None, "").message


def test_a_crash_names_the_last_exception():
    log = "Traceback (most recent call last):\n  File x\npy4j.protocol.Py4JNetworkError: Answer from Java side is empty\nbye\n"
    assert "py4j.protocol.Py4JNetworkError: Answer from Java side is empty" in diagnose(1, None, log).message


def test_the_tail_has_no_noise_and_an_end():
    noise = "26/11/22 INFO ShutdownHookManager: Deleting directory /tmp/spark-1\n\nDCP_RESULT {}\n"
    log = "".join(f"line {number}\n{noise}" for number in range(100))
    assert log_tail(log).splitlines() == [f"line {number}" for number in range(100 - TAIL_LINES, 100)]


class TestResult:
    def test_the_last_whole_line_counts(self):
        first, last = {"status": "failed"}, {"status": "succeeded"}
        log = f"x\nDCP_RESULT {json.dumps(first)}\ny\nDCP_RESULT {json.dumps(last)}\nbye\n"
        assert parse_result(log) == last
        assert parse_result(f"DCP_RESULT {json.dumps(last)}\n") == last

    @pytest.mark.parametrize(
        "log",
        [
            "",
            "nothing\n",
            'DCP_RESULT {"status": "succ',
            'DCP_RESULT {"status": "succeeded"}',
            "DCP_RESULT []\n",
            "x DCP_RESULT {}\n",
        ],
    )
    def test_half_a_line_or_another_thing_is_no_result(self, log):
        assert parse_result(log) is None

    @pytest.mark.parametrize(
        ("exit_code", "result", "success"),
        [
            (0, {"status": "succeeded"}, True),
            (None, {"status": "succeeded"}, True),
            (1, {"status": "succeeded"}, False),
            (-9, {"status": "succeeded"}, False),
            (0, {"status": "failed"}, False),
            (0, {}, False),
            (0, None, False),
            (None, None, False),
        ],
    )
    def test_success_takes_both_the_exit_and_the_report(self, exit_code, result, success):
        assert is_success(exit_code, result) is success


class TestSecrets:
    SAID = "cannot reach jdbc:postgresql://etl:hunter2@db/x with password=hunter2"

    def test_what_the_driver_reports_is_masked(self):
        error = {"code": "DCP357", "message": self.SAID, "hint": self.SAID}
        failure = diagnose(22, {"status": "failed", "error": error}, "")
        assert failure.message == failure.hint == "cannot reach jdbc:postgresql://***@db/x with password=***"

    def test_an_exception_of_the_log_is_masked_before_it_is_cut(self):
        for padding in (0, 300 - len("java.io.IOException: jdbc:postgresql://etl:hunt")):
            log = f"java.io.IOException: {'x' * padding}{self.SAID.removeprefix('cannot reach ')}\n"
            message = diagnose(1, None, log).message
            assert "java.io.IOException" in message
            assert "hunt" not in message

    def test_a_result_is_masked_as_it_is_read(self):
        report = {"status": "failed", "error": {"code": "DCP357", "message": self.SAID, "hint": None}, "sinks": []}
        result = parse_result(f"DCP_RESULT {json.dumps(report)}\n")
        assert result is not None
        assert result["error"] == {
            "code": "DCP357",
            "message": "cannot reach jdbc:postgresql://***@db/x with password=***",
            "hint": None,
        }
        assert {**result, "error": report["error"]} == report


@pytest.mark.parametrize(
    ("exit_code", "code", "expected"),
    [
        (3, "DCP342", "DCP351"),
        (-9, "DCP342", "DCP351"),
        (143, "DCP349", "DCP353"),
        (None, "DCP342", "DCP352"),
        (1, "DCP342", "DCP342"),
        (20, "DCP322", "DCP322"),
        (3, "DCP340", "DCP340"),
    ],
)
def test_how_the_jvm_ended_says_more_than_that_it_has_gone(exit_code: int | None, code: str, expected: str) -> None:
    report = {"status": "failed", "error": {"code": code, "message": "[Errno 111] Connection refused", "hint": ""}}
    assert diagnose(exit_code, report, "").code == expected
