"""What ``pretzel lint`` costs for many manifests: copies of the first design document's, each with its own name.

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
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "dag_factory.cli", "lint", folder], check=True, capture_output=True)
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    report = f"## Lint\n\n{machine()}\n\n" + table(
        ("`pretzel lint`", "wall s", "CPU s"), [(f"{given.count} manifests, each with its own SQL", f"{wall:.1f}", f"{cpu:.1f}")]
    )
    print(report)
    if given.write:
        write_section("lint", report)


if __name__ == "__main__":
    main()
