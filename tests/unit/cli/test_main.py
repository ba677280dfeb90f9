"""Exit codes, and where errors go."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_dcp_provider.model.error_codes import all_codes
from airflow_dcp_provider.model.errors import DcpEnvironmentError, ExecutionError, ManifestError, Problem, UsageError
from dag_factory import cli
from dag_factory.cli import data, lint, main


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch):
    """Make `pretzel lint` raise something."""

    def set_error(error: BaseException) -> None:
        def fails(*_: object) -> int:
            raise error

        monkeypatch.setattr(lint, "lint", fails)

    return set_error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ManifestError([Problem("DCP110", "unknown field")]), 1),
        (UsageError("no"), 2),
        (ExecutionError("no"), 3),
        (DcpEnvironmentError("no"), 4),
        (RuntimeError("no"), 4),
        (KeyboardInterrupt(), 3),
    ],
)
def test_the_exit_code_says_whose_fault_it_is(raising, error: BaseException, code: int):
    raising(error)
    assert main(["lint", "x"]) == code


def test_an_unexpected_error_is_explained_without_a_traceback(raising, capsys: pytest.CaptureFixture[str]):
    raising(RuntimeError("the disk is on fire"))
    assert main(["lint", "x"]) == 4
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("DCP401 pretzel itself failed: RuntimeError: the disk is on fire\n")
    assert "Traceback" not in printed.err


def test_debug_prints_the_traceback(raising, capsys: pytest.CaptureFixture[str]):
    raising(RuntimeError("the disk is on fire"))
    main(["lint", "x", "--debug"])
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--format", "json", "lint", "x"], ["lint", "x", "--format=json"]])
def test_in_json_an_error_is_the_one_document_of_stdout(raising, capsys: pytest.CaptureFixture[str], words: list[str]):
    raising(UsageError("no", hint="yes", code="DCP213"))
    assert main(words) == 2
    assert json.loads(capsys.readouterr().out) == {"error": {"code": "DCP213", "message": "no", "hint": "yes"}}


def test_home_may_stand_before_and_after_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DCP_HOME", "elsewhere")
    for words in (["--home", str(tmp_path), "data", "show", "a.b"], ["data", "show", "a.b", "--home", str(tmp_path)]):
        monkeypatch.setenv("DCP_HOME", "elsewhere")
        seen: list[str] = []
        monkeypatch.setattr(data, "show", lambda *_, seen=seen: seen.append(os.environ["DCP_HOME"]) or 0)
        assert main(words) == 0
        assert seen == [str(tmp_path)]


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]):
    from importlib.metadata import version

    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"pretzel {version('airflow-dcp-provider')}\n"


def test_a_reader_that_stops_early_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "dag_factory.cli", "schema", "SparkJob"], stdout=closed, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (0, b"")


def test_every_code_that_the_command_line_uses_is_explained():
    sources = Path(cli.__file__).parent.glob("*.py")
    used = {code for source in sources for code in re.findall(r'"(DCP\d{3})"', source.read_text())}
    assert used - all_codes().keys() == set()
    assert len(used) > 10
