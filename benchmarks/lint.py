"""What ``pretzel`` costs before it does anything, what ``pretzel lint`` costs for many manifests, and how it grows with large ones.

Many manifests are copies of the first design document's, each with its own name. A large one grows in one way each, and is checked
in two sizes: where the larger takes twice as long, a check grows no faster than what it reads.

python -m benchmarks.lint [--write] [--count 1000]
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._side_by_side import machine, table, write_section
from tests.support.large_manifests import SHAPES

from airflow_dcp_provider.model.errors import ManifestError
from dag_factory.compiled import CompileSettings, compile_manifest

ROOT = Path(__file__).parent.parent
MANIFEST = ROOT / "examples" / "manifests" / "user_features_daily" / "user-features-daily.yaml"


def cost(*words: str) -> tuple[float, float]:
    """Return the wall and CPU seconds of one ``pretzel`` command."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "dag_factory.cli", *words], check=True, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def seconds_of(text: str, folder: Path) -> float:
    """Return the least CPU seconds of three checks of one manifest."""
    (folder / "large.yaml").write_text(text, encoding="utf-8")
    taken = []
    for _ in range(3):
        start = time.process_time()
        with contextlib.suppress(ManifestError):
            compile_manifest(folder / "large.yaml", folder, ("local", "prod"), CompileSettings())
        taken.append(time.process_time() - start)
    return min(taken)


def growth() -> str:
    """Return a table of large manifests: seconds for a size and for twice that size."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        # Nothing that is measured pays for imports.
        seconds_of(MANIFEST.read_text(encoding="utf-8"), Path(folder))
        for name, (make, size) in SHAPES.items():
            once, twice = (seconds_of(make(size * factor), Path(folder)) for factor in (1, 2))
            rows.append((name, f"{len(make(size)) // 1000}", f"{once:.2f}", f"{twice:.2f}", f"{twice / once:.1f}"))
    return table(("a manifest of", "kB", "CPU s", "twice as large", "ratio"), rows)


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
    report += (
        "\n\nA ratio of 2 is linear growth; it is less where the larger one is refused before it is read whole.\n\n" + growth()
    )
    print(report)
    if given.write:
        write_section("lint", report)


if __name__ == "__main__":
    main()
