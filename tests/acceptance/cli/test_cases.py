"""Every folder of ``cases`` is one test: its commands are run in a copy of it, and what they print is compared with ``expected.txt``.

``commands.txt`` holds one command a line, as one types it (lines that begin with ``#`` are comments). ``DCP_UPDATE_GOLDEN=1`` writes
what is printed now as what is expected; the difference is then to be read in the commit.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest

from dag_factory.cli import main

CASES = Path(__file__).parent / "cases"


def run(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run one command here and return it with all that it printed and its exit code."""
    words = shlex.split(command)
    assert words[0] == "pretzel"
    code = main(words[1:])
    printed = capsys.readouterr()
    errors = f"--- stderr\n{printed.err}" if printed.err else ""
    return f"$ {command}\n{printed.out}{errors}--- exit code {code}\n\n"


def neutral(text: str, folder: Path) -> str:
    """Replace what differs from run to run: the folder's own path."""
    return re.sub(re.escape(str(folder.resolve())), "<folder>", text)


@pytest.mark.parametrize("case", sorted(path.parent.name for path in CASES.glob("*/commands.txt")))
def test_prints_what_is_expected(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / case
    shutil.copytree(CASES / case, folder, ignore=shutil.ignore_patterns("commands.txt", "expected.txt"))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DCP_HOME", str(folder / "home"))
    lines = (CASES / case / "commands.txt").read_text().splitlines()
    printed = "".join(run(line, capsys) for line in lines if line.strip() and not line.startswith("#"))
    printed = neutral(printed, folder)
    expected = CASES / case / "expected.txt"
    if os.environ.get("DCP_UPDATE_GOLDEN"):
        expected.write_text(printed)
    assert printed == expected.read_text()
