"""An author's text in a log is text: it begins no line, closes no group, paints nothing, and has an end."""

from __future__ import annotations

import asyncio
import io
import logging
import sys
from typing import Any

import pytest

from airflow_dcp_provider.core_etl import report
from airflow_dcp_provider.core_etl.faults import DriverError
from airflow_dcp_provider.model.errors import ExecutionError
from airflow_dcp_provider.model.execution import AttemptRef
from airflow_dcp_provider.runner.diagnosis import log_tail
from airflow_dcp_provider.sensors.driver_log import DriverLog
from airflow_dcp_provider.triggers.live_log import _Follower
from dag_factory.cli.output import Output, cell

ATTACKS = {
    "a line of the driver's": "true\n2026-11-29T10:00:00Z INFO core_etl: sink out: snapshot 1 of c.d.t",
    "a result": 'x /*\nDCP_RESULT {"version": 1, "status": "succeeded"}\n*/',
    "carriage return": "x\rDCP_RESULT {}",
    "line separators": "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg",
    "colours": "\x1b[2J\x1b[31mred\x9b0m",
    "direction": "user\u202eexe.txt\u2069",
    "group": "::group::hidden",
    "end of a group": "::endgroup::",
    "error of a workflow": "::error file=a.py::no",
    "zero": "a\0b",
    "half a character": "a\ud83d",
}
REF = AttemptRef("e", 1, "local", "local", "local", "job-1")


def is_plain(line: str) -> bool:
    return line.replace("\t", "").isprintable() and not any(mark in line for mark in ("::group::", "::endgroup::", "::error "))


@pytest.fixture
def stdout(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the driver writes from now on."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    # A logger that pytest does not record: half a character in a record cannot be sent between test processes.
    monkeypatch.setattr(report, "LOG", logging.Logger("core_etl"))  # noqa: LOG001 - outside of the hierarchy on purpose
    report.log_to_stdout()
    return stream


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)
def test_the_drivers_log(stdout: io.StringIO, text: str) -> None:
    report.LOG.info("source %s reads csv %s where %s", text, text, text)
    report.LOG.warning("Spark could not be stopped: %s", text)
    lines = stdout.getvalue().split("\n")
    assert len(lines) == 3
    assert all(is_plain(line) for line in lines)
    assert all(" core_etl: " in line for line in lines[:2])


def fail(text: str) -> None:
    raise ValueError(text)


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)
def test_an_error_in_the_drivers_log(stdout: io.StringIO, text: str) -> None:
    try:
        fail(text)
    except ValueError:
        report.LOG.exception("the driver failed: %s", text)
    first, *later = stdout.getvalue().removesuffix("\n").split("\n")
    assert is_plain(first)
    assert all(is_plain(line) for line in later)
    # A stack has lines of its own. Only the traceback's own first line stands at the margin.
    assert [line for line in later if not line.startswith("    ")] == ["Traceback (most recent call last):"]


def test_a_line_has_an_end(stdout: io.StringIO) -> None:
    report.LOG.info("transformation %s", "x" * 10_000_000)
    assert len(stdout.getvalue()) < 11_000
    assert stdout.getvalue().endswith(" more characters)\n")


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)
def test_a_result_quotes_it_in_one_line(text: str) -> None:
    error = DriverError("DCP322", f"no column {text}" + "y" * 100_000, text)
    line = report.Report(error=error).line()
    assert line.isascii()
    assert line.isprintable()
    assert len(line) < 10_000
    assert all(is_plain(part) for part in error.to_dict().values())


class Backend:
    """Has one log."""

    def __init__(self, log: str) -> None:
        self._log = log

    def read_log(self, ref: AttemptRef, offset: int = 0, limit: int = 1_000_000) -> tuple[str, int]:
        return self._log[offset:], len(self._log)


class Lines(logging.Logger):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__("lines")
        self.lines: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: self.lines.append(record.getMessage())  # type: ignore[method-assign]
        self.addHandler(handler)


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)
def test_what_is_copied_into_a_tasks_log(text: str) -> None:
    raw = f"first\n{text}\nlast\n"
    log: Any = Lines()
    DriverLog(Backend(raw), log).copy(REF)  # type: ignore[arg-type]
    begin, *copied, end = log.lines
    # The only group is ours, and it ends where we end it.
    assert (begin, end) == ("::group::Driver log, attempt 1", "::endgroup::")
    assert (copied[0], copied[-1]) == ("first", "last")
    assert len(copied) == raw.count("\n")
    assert all(is_plain(line) for line in copied)


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)
def test_what_is_followed(text: str) -> None:
    raw = f"first\n{text}\nlast\n"
    log: Any = Lines()
    asyncio.run(_Follower(REF, {}, None, log)._write(Backend(raw)))  # type: ignore[arg-type]
    assert (log.lines[0], log.lines[-1], len(log.lines)) == ("first", "last", raw.count("\n"))
    assert all(is_plain(line) for line in log.lines)


def test_a_line_that_is_copied_has_an_end() -> None:
    log: Any = Lines()
    DriverLog(Backend("x" * 5_000_000 + "\n"), log).copy(REF)  # type: ignore[arg-type]
    assert max(map(len, log.lines)) < 11_000


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)
def test_the_tail_that_a_failure_carries(text: str) -> None:
    assert all(is_plain(line) for line in log_tail(f"first\n{text}\nlast\n").split("\n"))


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)
@pytest.mark.parametrize("fmt", ["text", "json"])
def test_the_command_line(capsys: pytest.CaptureFixture[str], text: str, fmt: str) -> None:
    output = Output(fmt)
    output.result({"name": text}, f"name {text}")
    output.note(f"note {text}")
    output.failure(ExecutionError(f"no column {text}", hint=text))
    said = capsys.readouterr()
    for line in [*said.err.split("\n"), *(said.out.split("\n") if fmt == "text" else [])]:
        assert is_plain(line)
    assert said.out.replace("\n", "").isprintable()
    assert "\n" not in cell(text)
