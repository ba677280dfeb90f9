"""What ``pretzel`` costs before it does anything, and what ``pretzel lint`` costs for many manifests.

They are copies of the first design document's, each with its own name.

python -m benchmarks.lint [--write] [--count 1000]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._side_by_side import machine, table, write_section

ROOT = Path(__file__).parent.parent
MANIFEST = ROOT / "examples" / "manifests" / "user_features_daily" / "user-features-daily.yaml"


def cost(*words: str) -> tuple[float, float]:
    """Return the wall and CPU seconds of one ``pretzel`` command."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "dag_factory.cli", *words], check=True, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--write", action="store_true", help="write the table into docs/benchmarks.md")
    arguments.add_argument("--count", type=int, default=1000)
    given = arguments.parse_args()
    text = MANIFEST.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        for number in range(given.count):
            changed = text.replace("name: user-features-daily", f"name: user-features-{number}", 1)
            changed = changed.replace("SELECT\n", f"SELECT\n                {number} AS copy,\n", 1)
            (Path(folder) / f"{number}.yaml").write_text(changed, encoding="utf-8")
        rows = [
            ("`pretzel --help`, median of nine", *sorted(cost("--help") for _ in range(9))[4]),
            (f"`pretzel lint` of {given.count} manifests, each with its own SQL", *cost("lint", folder)),
        ]
    report = f"## Command line\n\n{machine()}\n\n" + table(
        ("command", "wall s", "CPU s"), [(what, f"{wall:.2f}", f"{cpu:.2f}") for what, wall, cpu in rows]
    )
    print(report)
    if given.write:
        write_section("lint", report)


if __name__ == "__main__":
    main()
