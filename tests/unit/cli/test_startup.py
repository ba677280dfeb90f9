"""What the command line must not import before it does anything; what its start costs is in the benchmarks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("airflow", "kubernetes", "pyiceberg", "pyspark", "pandas", "pyarrow")

_PROBE = """
import sys
from dag_factory.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print("IMPORTED", *{name.partition(".")[0] for name in sys.modules})
"""

MANIFEST = """\
apiVersion: dcp.example.com/v1
kind: SparkJob
metadata: {name: daily, team: t}
spec:
  coreEtl:
    jobSpec:
      sources: [{name: flights, database: raw, table: flights}]
      transformations: [{name: carriers, query: SELECT carrier FROM flights}]
      sinks: [{name: carriers, database: flights, table: carriers}]
"""


@pytest.mark.parametrize(
    "words", [("--help",), ("lint", "daily.yaml"), ("schema", "SparkJob"), ("render", "daily.yaml"), ("executions", "list")]
)
def test_what_needs_no_engine_imports_none(words: tuple[str, ...], tmp_path: Path):
    (tmp_path / "daily.yaml").write_text(MANIFEST)
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, *words, "--home", str(tmp_path)], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    imported = done.stdout.rpartition("IMPORTED")[2].split()
    assert "dag_factory" in imported
    assert not done.stderr
    assert set(imported).isdisjoint(HEAVY)
