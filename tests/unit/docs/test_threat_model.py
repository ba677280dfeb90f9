"""Every boundary of the threat model names tests, and those tests exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]
_PAGE = (_ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
_ROWS = [line for line in _PAGE.split("## Boundaries")[1].split("## ")[0].splitlines() if line.startswith("| ")][1:]
_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def test_there_are_boundaries() -> None:
    assert len(_ROWS) > 10


@pytest.mark.parametrize("row", _ROWS, ids=lambda row: row.split("|")[1].strip()[:40])
def test_a_boundary_is_attacked_by_tests_that_exist(row: str) -> None:
    named = _TEST.findall(row.split("|")[-2])
    assert named, row
    for file, function in named:
        text = (_ROOT / file).read_text(encoding="utf-8")
        assert f"def {function}(" in text if function else "def test_" in text, (file, function)
