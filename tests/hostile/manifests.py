"""Manifests whose Spark settings, labels and options an attacker chooses, by each of the three ways that values arrive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from airflow_dcp_provider.model.errors import ManifestError, Problem
from dag_factory.compiled import CompiledManifest, CompileSettings, compile_manifest

KINDS = ("SparkJob", "derived_dataset")
WAYS = ("manifest", "defaults", "override")

_SPARK_JOB = {
    "apiVersion": "dcp.example.com/v1",
    "kind": "SparkJob",
    "metadata": {"name": "attacked", "namespace": "tests", "team": "team-a"},
    "spec": {
        "coreEtl": {
            "jobSpec": {
                "sources": [{"name": "src", "database": "d", "table": "t"}],
                "transformations": [{"name": "out", "query": "SELECT a FROM src"}],
                "sinks": [{"name": "out", "database": "d", "table": "o"}],
            }
        },
        "orchestration": {"schedule": "@daily", "startDate": "2013-01-01"},
    },
}
_DERIVED = {
    "metadata": {"technical_owner": "team-a", "tier": 1},
    "dataset": {"name": "attacked", "fields": [{"name": "a", "type": "string"}]},
    "workflow": {"schedule": "@daily", "sql": "attacked.sql"},
}


def compile_with(folder: Path, kind: str, way: str, settings: dict[str, Any], **options: Any) -> CompiledManifest | None:
    """Compile a manifest of ``kind`` with ``settings`` as its ``sparkConf``, which arrive by ``way``.

    :raises ManifestError: with every problem.
    """
    manifest: dict[str, Any] = yaml.safe_load(yaml.safe_dump(_SPARK_JOB if kind == "SparkJob" else _DERIVED))
    body = "spec" if kind == "SparkJob" else "workflow"
    conf = {"sparkConf": settings}
    if way == "manifest":
        manifest[body].update(conf)
    elif way == "override":
        # In a SparkJob they stand in its spec, in a derived dataset beside the workflow.
        (manifest["spec"] if kind == "SparkJob" else manifest)["environments"] = {
            "local": conf if kind == "SparkJob" else {"workflow": conf}
        }
    else:
        whose = "SparkJob" if kind == "SparkJob" else "DerivedDataset"
        (folder / "defaults.yaml").write_text(yaml.safe_dump({whose: {body: conf}}))
    (folder / "attacked.sql").write_text("SELECT a FROM d.t")
    path = folder / "attacked.yaml"
    path.write_text(yaml.safe_dump(manifest, sort_keys=False))
    return compile_manifest(path, folder, ("local",), CompileSettings("local", **options))


def problems_of(folder: Path, kind: str, way: str, settings: dict[str, Any], **options: Any) -> tuple[Problem, ...]:
    """Return what is wrong with such a manifest; nothing when it compiles."""
    try:
        compile_with(folder, kind, way, settings, **options)
    except ManifestError as error:
        return error.problems
    return ()
