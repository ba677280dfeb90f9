"""The register of error codes and the code that raises them agree."""

from __future__ import annotations

import re
from pathlib import Path

from airflow_dcp_provider.model.error_codes import all_codes

SOURCE = Path(__file__).resolve().parents[3] / "src"


def raised() -> set[str]:
    """Every code that some module names, the register and documentation strings of ranges apart."""
    found: set[str] = set()
    for file in SOURCE.rglob("*.py"):
        if file.name != "error_codes.py":
            found.update(re.findall(r"[\"'](DCP\d{3})\b", file.read_text(encoding="utf-8")))
    return found


def test_every_code_of_the_register_is_raised_and_every_raised_code_is_in_it():
    known = set(all_codes())
    assert raised() - known == set()
    assert known - raised() == set()
