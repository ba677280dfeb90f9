"""The Airflow of the end-to-end run: its connections describe the environments on the given cluster."""

from __future__ import annotations

import json
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dev.demo import LOADER
from dev.e2e.dags import Queries, dag_file, job, manifest
from dev.e2e.options import Options
from dev.standalone import BIN, StandaloneAirflow

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".dcp" / "cache"


def environment_fields(options: Options, namespace: str, *, volumes: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the extra of a connection of type ``dcp`` for one namespace of the cluster.

    :param volumes: the fields ``volumes`` and ``volume_mounts`` of a warehouse that pods mount.
    """
    spark = {
        "spark.kubernetes.container.image.pullPolicy": options.pull_policy,
        # Sizes are to be those that were asked for.
        "spark.dynamicAllocation.enabled": "false",
        "spark.sql.shuffle.partitions": "1",
    }
    if options.iceberg_jar:
        spark["spark.jars"] = options.iceberg_jar
    found: dict[str, Any] = {
        "backend": "kubeflow",
        "clusters": [{"name": "e2e", "connection": "k8s_e2e"}],
        "namespace_template": namespace,
        "image_rules": {"default": options.image},
        "image_policy": "any",
        "serviceaccount": options.service_account,
        "ttl_seconds": 3600,
        "start_timeout_seconds": options.start_timeout,
        "labels": {"dcp-e2e": options.name},
        "spark_defaults": spark,
        "live_logs": 2,
        **(volumes or {}),
    }
    if options.catalog:
        found["catalogs"] = {"pedregal": {"connection": "iceberg_e2e", "mode": "write"}}
    return found


def connections(options: Options, volumes: dict[str, Any] | None = None) -> dict[str, str]:
    """Return the environment variables that define every connection."""
    kubernetes: dict[str, Any] = {"kube_config_path": str(options.kubeconfig), "cluster_context": options.context or None}
    found: dict[str, dict[str, Any]] = {"k8s_e2e": {"conn_type": "kubernetes", "extra": kubernetes}}
    for name, namespace in options.environments.items():
        # The claim is one of the first namespace.
        mine = volumes if namespace == options.namespace else None
        found[f"dcp_{name}"] = {"conn_type": "dcp", "extra": environment_fields(options, namespace, volumes=mine)}
    if options.catalog:
        found["iceberg_e2e"] = {"conn_type": "iceberg", "host": options.catalog, "extra": {"type": "rest"}}
    return {f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps(value) for conn_id, value in found.items()}


def new_airflow(
    home: Path, options: Options, volumes: dict[str, Any] | None = None, further: dict[str, str] | None = None
) -> StandaloneAirflow:
    """Return an Airflow below ``home`` that is not started yet.

    :param further: more environment variables.
    """
    dags = home / "dags"
    dags.mkdir(parents=True, exist_ok=True)
    settings = {
        "DCP_HOME": str(home / "dcp"),
        "AIRFLOW__DCP__ENVIRONMENT": "test",
        "AIRFLOW__DCP__ENVIRONMENTS": ",".join(options.environments),
        # A dead worker is noticed fast.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "4",
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
        **connections(options, volumes),
        **(further or {}),
    }
    return StandaloneAirflow(home / "airflow", dags, settings, database_template=CACHE / f"airflow-{version('apache-airflow')}.db")


def lay_out(dags: Path, options: Options, queries: Queries) -> set[str]:
    """Write the manifests and the DAG file. Returns the ids of their DAGs."""
    jobs = [
        job(options, "good", queries.good),
        job(options, "twice", queries.good),
        job(options, "hungry", queries.hungry, retries=3),
        job(options, "endless", queries.endless, retries=1),
    ]
    manifests = {
        "wrong": manifest(options, "wrong", queries.wrong, retries=2),
        "table": manifest(options, "table", queries.rows),
    }
    (dags / "load_manifests.py").write_text(LOADER)
    (dags / "jobs.py").write_text(dag_file(jobs))
    for name, text in manifests.items():
        (dags / f"{name}.yaml").write_text(text)
    return {each["name"] for each in jobs} | {f"{options.name}-{name}" for name in manifests}


def check(airflow: StandaloneAirflow, options: Options) -> list[str]:
    """Return what `pretzel environments check` finds bad, with its hints, one text each.

    Catalogs are looked at only where there is one: without it no step needs any.
    """
    command = [str(BIN / "pretzel"), "environments", "check", *options.environments, "--format", "json"]
    done = subprocess.run(command, env=airflow.environment, capture_output=True, text=True, timeout=300, check=False)
    try:
        environments = json.loads(done.stdout)["environments"]
    except (ValueError, KeyError):
        return [f"`pretzel environments check` ended with {done.returncode}: {done.stderr[-2000:] or done.stdout[-2000:]}"]
    return [
        f"{name}: {each['subject']}: {each['message']}\n    hint: {each['hint']}"
        for name, findings in environments.items()
        for each in findings
        if each["verdict"] == "bad" and (options.catalog or not each["subject"].startswith("catalog"))
    ]
