"""Every folder of ``cases`` is one test: ``input`` is a DAGs folder, ``expected.txt`` is what ``pretzel lint`` prints of it.

``commands.txt`` holds the commands, as one types them in ``input``. ``DCP_UPDATE_GOLDEN=1`` writes what is printed now as what is
expected; the difference is then to be read in the commit.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest

from airflow_dcp_provider.model.error_codes import DAG_CODES, MANIFEST_CODES
from dag_factory.cli import main

CASES = Path(__file__).parent / "cases"
NAMES = sorted(path.parent.name for path in CASES.glob("*/commands.txt"))

WITHOUT_PROBLEM = {"good", "foreign_yaml_is_left_alone", "ignored_files", "kind_before_the_command"}

#: Codes that no folder of files can show; each has a test of its own among the unit tests.
ELSEWHERE = {
    "DCP100": "the default of ManifestError, which every problem's own code replaces",
    "DCP101": "a file that may not be read: tests/unit/manifest/test_files.py",
    "DCP102": "a file that is too large: tests/unit/manifest/test_files.py",
    "DCP122": "an item without a name, where the schema does not ask for it: tests/unit/manifest/test_merge.py",
    "DCP128": "a file name that git or a checkout may refuse: tests/hostile/test_odd_files.py",
    "DCP129": "a process that dies: tests/hostile/test_odd_files.py",
    "DCP184": "an address that the schema's pattern lets through: tests/hostile/test_airflow_templates.py",
    "DCP185": "what other checks find first: tests/hostile/test_handover.py",
    "DCP186": "a manifest that takes too much: tests/hostile/test_budget.py",
    "DCP187": "a manifest that ends its process: tests/hostile/test_budget.py",
    "DCP188": "a parse without time for all: tests/hostile/test_budget.py",
    "DCP189": "folders that a deployment binds to teams: tests/hostile/test_teams.py",
    "DCP182": "a plugin that cannot be loaded: tests/unit/plugins/test_registry.py",
    "DCP183": "two plugins that claim a manifest: tests/unit/plugins/test_registry.py",
}


def run(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run one command here and return it with all that it printed and its exit code."""
    words = shlex.split(command)
    assert words[0] == "pretzel"
    code = main(words[1:])
    printed = capsys.readouterr()
    errors = f"--- stderr\n{printed.err}" if printed.err else ""
    return f"$ {command}\n{printed.out}{errors}--- exit code {code}\n"


@pytest.mark.parametrize("case", NAMES)
def test_prints_what_is_expected(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / case
    shutil.copytree(CASES / case, folder, symlinks=True)
    monkeypatch.chdir(folder / "input")
    printed = "".join(run(line, capsys) for line in (CASES / case / "commands.txt").read_text().splitlines() if line.strip())
    expected = CASES / case / "expected.txt"
    if os.environ.get("DCP_UPDATE_GOLDEN"):
        expected.write_text(printed)
    assert printed == expected.read_text()


def test_every_code_of_manifests_is_shown_by_a_case() -> None:
    shown = {code for case in NAMES for code in re.findall(r"DCP1\d\d", (CASES / case / "expected.txt").read_text())}
    # From DCP190 on, codes are about making DAGs, which lint does not.
    assert {code for code in (*MANIFEST_CODES, *DAG_CODES) if code < "DCP190"} - shown == set(ELSEWHERE)


@pytest.mark.parametrize("case", [name for name in NAMES if name not in WITHOUT_PROBLEM])
def test_every_problem_says_where_and_what_to_do(case: str) -> None:
    text = (CASES / case / "expected.txt").read_text()
    problems = re.findall(r"^(\S+): DCP\d{3} ", text, re.MULTILINE)
    hints = re.findall(r"^    hint: \S", text, re.MULTILINE)
    assert problems
    assert all(re.fullmatch(r"[^:]+:\d+:\d+", where) for where in problems)
    assert len(hints) >= len(problems)
