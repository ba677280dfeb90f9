"""One manifest of each kind with every free text that an author may write, and the three ways in which a value arrives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

#: The ways in which a value reaches a manifest.
WAYS = ("manifest", "defaults", "override")
KINDS = ("spark_job", "derived_dataset")


def spark_job(name: str = "daily", **orchestration: Any) -> dict[str, Any]:
    """A SparkJob that reads ``raw.flights``."""
    return {
        "apiVersion": "dcp.example.com/v1",
        "kind": "SparkJob",
        "metadata": {"name": name, "namespace": "tests", "team": "data", "owner": "data@example.com"},
        "spec": {
            "coreEtl": {
                "jobSpec": {
                    "sources": [{"name": "flights", "database": "raw", "table": "flights"}],
                    "transformations": [{"name": "daily", "query": "SELECT origin, ds FROM flights"}],
                    "sinks": [{"name": "out", "database": "out", "table": name.replace("-", "_"), "partitionBy": ["ds"]}],
                }
            },
            "orchestration": {"schedule": "0 6 * * *", **orchestration},
        },
    }


def derived_dataset(name: str = "daily", **workflow: Any) -> dict[str, Any]:
    """A derived dataset that reads ``raw.flights``; its SQL is :data:`SQL`."""
    return {
        "metadata": {"technical_owner": "data"},
        "dataset": {
            "name": name.replace("-", "_"),
            "fields": [{"name": "origin", "type": "string"}, {"name": "ds", "type": "string"}],
            "partitioning": ["ds"],
        },
        "workflow": {"schedule": "0 6 * * *", "sql": "daily.sql", **workflow},
    }


SQL = "SELECT origin, ds FROM raw.flights"


def manifest_of(kind: str, name: str = "daily") -> dict[str, Any]:
    """A sound manifest of a kind."""
    return spark_job(name) if kind == "spark_job" else derived_dataset(name)


def orchestration_path(kind: str) -> tuple[str, ...]:
    """Where a kind of manifest says when it runs."""
    return ("spec", "orchestration") if kind == "spark_job" else ("workflow",)


def nested(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """A map in which ``path`` leads to ``value``."""
    result = value
    for step in reversed(path):
        result = {step: result}
    return result


def merged(base: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Two maps in one, the second above the first."""
    result = dict(base)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


def write_with(root: Path, kind: str, way: str, values: dict[str, Any], name: str = "daily") -> Path:
    """Write a sound manifest into which ``values`` arrive in one of :data:`WAYS`; return its path."""
    root.mkdir(parents=True, exist_ok=True)
    manifest = manifest_of(kind, name)
    if way == "manifest":
        manifest = merged(manifest, values)
    elif way == "defaults":
        section = "SparkJob" if kind == "spark_job" else "DerivedDataset"
        (root / "defaults.yaml").write_text(yaml.safe_dump({section: values}), encoding="utf-8")
    elif kind == "spark_job":
        manifest["spec"]["environments"] = {"local": values.get("spec", values)}
    else:
        manifest["environments"] = {"local": values}
    path = root / f"{name}.yaml"
    path.write_text(yaml.safe_dump(manifest, sort_keys=False), encoding="utf-8")
    (root / "daily.sql").write_text(SQL, encoding="utf-8")
    return path
