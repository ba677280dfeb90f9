"""Measures things side by side in one run, so that only ratios are compared, and writes the figures into docs/benchmarks.md.

Shared by every benchmark. Each sample is a fresh process that prints one JSON object as its last line; the cases take turns, so
that whatever else the machine does falls on all of them alike.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).parent.parent / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Case:
    """One thing to measure: a command, and what its environment has besides this process's."""

    command: Sequence[str]
    environment: Mapping[str, str] | None = None

    def run(self) -> dict[str, Any]:
        """Run the command once and return the JSON object that it prints last."""
        done = subprocess.run(
            self.command, env={**os.environ, **(self.environment or {})}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(self.command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return result


def measure(cases: Mapping[str, Case], rounds: int = 5) -> dict[str, dict[str, float]]:
    """Run every case ``rounds`` times, in turns, and return the median of each number that it printed.

    :param cases: name -> case.
    """
    samples: dict[str, list[dict[str, Any]]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            samples[name].append(case.run())
    return {name: {key: statistics.median(sample[key] for sample in taken) for key in taken[0]} for name, taken in samples.items()}


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> str:
    """Return one sentence on where the figures come from."""
    return f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}; medians, cases taking turns."


def write_section(name: str, text: str) -> None:
    """Replace the section ``name`` of docs/benchmarks.md, or add it, and leave the others."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    section = f"{begin}\n{text.strip()}\n{end}"
    whole = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else "# Benchmarks\n"
    if begin in whole and end in whole:
        whole = whole[: whole.index(begin)] + section + whole[whole.index(end) + len(end) :]
    else:
        whole = f"{whole.rstrip()}\n\n{section}\n"
    DOCUMENT.write_text(whole, encoding="utf-8")
