"""``make bench``: every benchmark, one after the other, into docs/benchmarks.md."""

from __future__ import annotations

import subprocess
import sys

for name in ("parse", "lint", "core_etl", "waiting", "submit"):
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}", "--write"], check=True)
