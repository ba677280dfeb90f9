from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dag_factory.compiled import CompiledManifest, CompileSettings, compile_manifest

SPARK_JOB = """\
apiVersion: dcp.example.com/v1
kind: SparkJob
metadata:
  name: daily-events
  namespace: tests
  team: testing
spec:
  resources:
    executor: {cores: 2, memory: 2g, instances: 2}
  coreEtl:
    jobSpec:
      sources:
        - name: raw_events
          database: raw
          table: events
          filter: "ds = '{{ ds }}'"
      transformations:
        - name: totals
          query: SELECT user_id, COUNT(*) AS events FROM raw_events GROUP BY user_id
      sinks:
        - name: totals
          database: features
          table: totals
          partitionBy: [ds]
  orchestration:
    schedule: "0 6 * * *"
"""

ENVIRONMENTS = ("local", "test", "staging", "prod")

Compile = Callable[..., CompiledManifest | None]


@pytest.fixture
def compile_files(tmp_path: Path) -> Compile:
    """Writes files into a DAGs folder and compiles the first of them."""

    def run(
        files: dict[str, str], environments: tuple[str, ...] = ENVIRONMENTS, settings: CompileSettings | None = None
    ) -> CompiledManifest | None:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return compile_manifest(tmp_path / next(iter(files)), tmp_path, environments, settings or CompileSettings())

    return run
