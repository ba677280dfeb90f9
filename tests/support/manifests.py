"""Manifests for tests, as text and as folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

LOADER = "from dag_factory import load_dags  # airflow\n\nglobals().update(load_dags())\n"


def spark_job(name: str, *, query: str = "SELECT origin, ds FROM flights", query_file: str = "", **orchestration: Any) -> str:
    """Return a SparkJob manifest that reads ``raw.flights`` and writes ``out.<name>``."""
    step: dict[str, Any] = {"name": "daily", "file": query_file} if query_file else {"name": "daily", "query": query}
    manifest = {
        "apiVersion": "dcp.example.com/v1",
        "kind": "SparkJob",
        "metadata": {"name": name, "namespace": "tests", "team": "data", "owner": "data@example.com", "labels": {"tier": "gold"}},
        "spec": {
            "coreEtl": {
                "jobSpec": {
                    "sources": [{"name": "flights", "catalog": "pedregal", "database": "raw", "table": "flights"}],
                    "transformations": [step],
                    "sinks": [
                        {
                            "name": "out",
                            "catalog": "pedregal",
                            "database": "out",
                            "table": name.replace("-", "_"),
                            "mode": "overwrite",
                            "partitionBy": ["ds"],
                        }
                    ],
                }
            },
            "orchestration": {"schedule": "0 6 * * *", **orchestration},
        },
    }
    return yaml.safe_dump(manifest, sort_keys=False)


def broken(text: str) -> str:
    """Return a manifest with a field that does not exist, in its sixth line at the third column."""
    lines = text.splitlines(keepends=True)
    assert lines[2] == "metadata:\n"
    return "".join([*lines[:5], "  tema: oops\n", *lines[5:]])


def write_folder(folder: Path, manifests: dict[str, str], *, loader: str = LOADER) -> Path:
    """Write manifests (path below ``folder`` -> text) and a loader file; return the loader file."""
    for name, text in manifests.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    file = folder / "loader.py"
    file.write_text(loader, encoding="utf-8")
    return file
