"""The driver's contract suite, the examples and the local backend on every version of Spark: ``python -m dev.spark [VERSION ...]``.

The default version is the one in ``.venv``. Each other one is a folder with pyspark alone, ``.dcp/spark/<version>``, put before
``.venv`` on the path of the same Python: all else that the tests need is the same for each.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from airflow_dcp_provider.model.spark_versions import DEFAULT_SPARK_VERSION, SPARK_VERSIONS

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
FOLDER = ROOT / ".dcp" / "spark"

#: Suite -> whether pyspark is imported by the tests' own process. The local backend finds its Spark itself.
SUITES = {
    "tests/contract/core_etl": True,
    "tests/contract/backends/test_real_spark.py": False,
    "tests/contract/backends/test_real_settings.py": False,
}


def main() -> int:
    """Run the suites on the versions that are named, or on all of them. Returns how many runs failed."""
    names = sys.argv[1:] or list(SPARK_VERSIONS)
    if unknown := [name for name in names if name not in SPARK_VERSIONS]:
        print(f"not a version of Spark that is supported: {', '.join(unknown)}; choose among {', '.join(SPARK_VERSIONS)}")
        return len(unknown)
    rows, failures = [], 0
    for name in names:
        folder = install(name)
        for suite, imports in SUITES.items():
            started = time.monotonic()
            code, summary = run(name, suite, folder, imports=imports)
            failures += code != 0
            rows.append(
                f"Spark {SPARK_VERSIONS[name].pyspark}  {suite}: {summary or f'exit {code}'}, {time.monotonic() - started:.0f} s"
            )
    print("\n".join(rows))
    return failures


def install(name: str) -> Path | None:
    """Return the folder with the pyspark of a version, installed where it is missing; None for the one in ``.venv``."""
    if name == DEFAULT_SPARK_VERSION:
        return None
    release, folder = SPARK_VERSIONS[name].pyspark, FOLDER / name
    if not (folder / f"pyspark-{release}.dist-info").exists():
        print(f"installing pyspark {release} into {folder}")
        lock = ROOT / "locks" / f"spark{name.replace('.', '')}.txt"
        command = [BIN / "uv", "pip", "install", "--quiet", "--python", sys.executable, "--target", folder, "--require-hashes"]
        subprocess.run([*command, "--upgrade", "-r", lock], check=True)
    return folder


def run(name: str, suite: str, folder: Path | None, *, imports: bool) -> tuple[int, str]:
    """Run one suite on one version; returns pytest's exit code and the counts of its last line."""
    path = [str(folder)] if folder and imports else []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*path, str(ROOT)]), "DCP_TEST_SPARK": name}
    if folder:
        environment["DCP_LOCAL_SPARK_HOMES"] = str(folder / "pyspark")
    command = [BIN / "pytest", "-n", "0", "-q", "--timeout", "900", suite]
    lines = []
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            lines.append(line)
    counts = [re.findall(r"\d+ (?:passed|failed|errors?|skipped)", line) for line in lines]
    return process.returncode, ", ".join(next((count for count in reversed(counts) if count), []))


if __name__ == "__main__":
    sys.exit(main())
