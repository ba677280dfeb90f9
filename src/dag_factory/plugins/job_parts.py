"""The parts that every kind of batch manifest has alike: engine, resources, configuration, schedule, retries.

For each part there is a check, which records problems, and a reading, which gives JSON-ready values with every default filled in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_dcp_provider.model.job import JobSpec
from airflow_dcp_provider.model.parameters import declared_of, defaults_of
from airflow_dcp_provider.runner.spark_conf import refusals
from airflow_dcp_provider.runner.spark_options import option_refusals
from dag_factory.manifest.addresses import check_notifications
from dag_factory.manifest.node import Node
from dag_factory.manifest.parameters import check_parameters
from dag_factory.manifest.problems import Problems
from dag_factory.manifest.values import check_dates, check_executor_counts, check_memory, check_schedule, schedule_assets
from dag_factory.primitives.model import AirflowDag, CoreEtlJob, IcebergTable

_TAG_LIMIT = 100
#: A value that holds one of these has a template, and is checked once that is rendered.
_TEMPLATES = ("{{", "{%", "{#")


def check_resources(resources: Node | None, problems: Problems, *, mended: bool) -> None:
    """Record bad sizes and, unless ``mended`` (see :class:`ResolvedManifest`), contradicting numbers of executors."""
    if resources is not None:
        check_memory(resources.get("driver", "memory"), problems)
        check_memory(resources.get("executor", "memory"), problems)
        if not mended:
            check_executor_counts(resources.get("executor"), problems)


def check_spark_conf(settings: Node | None, problems: Problems, allowed: Iterable[str] = ()) -> None:
    """Record DCP139 for settings and values that the Spark Runner refuses.

    :param allowed: settings that an environment's connection allows besides those of every environment.
    """
    fields = settings.fields if settings else {}
    for refusal in refusals(text_map(settings), allowed):
        node = fields[refusal.name]
        if refusal.of_value and _has_template(node):
            continue
        place = node.position if refusal.of_value else node.key_position
        problems.add("DCP139", f"`{_shown(refusal.name)}`: {refusal.reason}", place, refusal.hint)


def check_options(source: Node, problems: Problems) -> None:
    """Record DCP139 for options of a source that its reader does not have here."""
    options = source.get("options")
    kind = source.get("type")
    for refusal in option_refusals(kind.text if kind else "iceberg", text_map(options)):
        node = options.fields[refusal.name] if options else source
        if refusal.of_value and _has_template(node):
            continue
        place = node.position if refusal.of_value else node.key_position
        problems.add("DCP139", f"`{_shown(refusal.name)}`: {refusal.reason}", place, refusal.hint)


def _has_template(node: Node) -> bool:
    return isinstance(node.value, str) and any(mark in node.value for mark in _TEMPLATES)


def _shown(name: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in name[:200])


def check_orchestration(orchestration: Node | None, problems: Problems) -> None:
    """Record bad schedules and dates, and addresses that cannot be notified."""
    if orchestration is not None:
        check_notifications(orchestration.get("airflow", "notifications"), problems)
        check_parameters(orchestration.get("parameters"), problems)
        check_schedule(orchestration.get("schedule"), problems)
        check_dates(orchestration.get("startDate"), orchestration.get("endDate"), problems)


def plain(node: Node | None, default: Any = None) -> Any:
    """Return the node's value without places, or ``default`` where there is none."""
    return default if node is None else node.plain()


def text_map(node: Node | None) -> dict[str, str]:
    """Return a map with its values as Spark wants them: texts as they are written, ``true`` and ``false`` in small letters."""
    return {name: _spark_text(value) for name, value in (node.fields if node else {}).items()}


def _spark_text(node: Node) -> str:
    return node.written.lower() if isinstance(node.value, bool) else node.written


def engine(node: Node | None) -> dict[str, Any]:
    """Return the ``engine`` of a manifest as :class:`~airflow_dcp_provider.model.job.EngineSpec`'s values."""
    found = plain(node, {})
    return {"type": found.get("type", "spark-oss"), "version": found.get("version"), "image": found.get("image")}


def resources(node: Node | None) -> dict[str, Any]:
    """Return the ``resources`` of a manifest as :class:`~airflow_dcp_provider.model.job.ResourceSpec`'s values."""
    found = plain(node, {})
    driver, executor = found.get("driver", {}), found.get("executor", {})
    return {
        "driver": {"cores": driver.get("cores", 1), "memory": driver.get("memory", "1g")},
        "executor": {
            "cores": executor.get("cores", 1),
            "memory": executor.get("memory", "1g"),
            "instances": executor.get("instances", 1),
            "min_instances": executor.get("minInstances"),
            "max_instances": executor.get("maxInstances"),
        },
    }


def orchestration(node: Node | None) -> dict[str, Any]:
    """Return when a job runs and what follows a failure; the same for ``orchestration`` and a derived dataset's ``workflow``."""
    found = plain(node, {})
    retry = found.get("retryPolicy", {})
    assets = schedule_assets(node.get("schedule") if node else None)
    return {
        "schedule": [asset.text for asset in assets] if assets else found.get("schedule"),
        "start_date": found.get("startDate"),
        "end_date": found.get("endDate"),
        "catchup": found.get("catchup", False),
        "retry_policy": {"max_retries": retry.get("maxRetries", 0), "retry_interval": float(retry.get("retryInterval", 60))},
        "timeout": None if found.get("timeout") is None else float(found["timeout"]),
        "max_active_runs": found.get("maxActiveRuns"),
        "parameters": defaults_of(found.get("parameters", {})),
        "declared_parameters": declared_of(found.get("parameters", {})),
        "airflow": found.get("airflow", {}),
    }


def airflow_dag(dag_id: str, job: JobSpec, when: Mapping[str, Any], *, description: str, tags: tuple[str, ...]) -> AirflowDag:
    """Return the DAG of a job.

    :param when: what :func:`orchestration` gave.
    """
    schedule = when["schedule"]
    return AirflowDag(
        dag_id=dag_id,
        manifest_id=job.manifest_id,
        owner=job.owner,
        schedule=tuple(schedule) if isinstance(schedule, list | tuple) else schedule,
        start_date=when["start_date"],
        end_date=when["end_date"],
        catchup=when["catchup"],
        max_active_runs=when["max_active_runs"],
        tags=tags,
        description=description,
        airflow=when["airflow"],
        params=when["parameters"],
        declared_params=when["declared_parameters"],
    )


def tags(kind: str, team: str, labels: Mapping[str, str]) -> tuple[str, ...]:
    """Return a DAG's tags: its kind, its team and its labels, each once and none longer than Airflow allows."""
    found = [kind, f"team:{team}", *(f"{name}:{value}" for name, value in labels.items())]
    return tuple(dict.fromkeys(tag[:_TAG_LIMIT] for tag in found))


def tables(job: JobSpec) -> tuple[IcebergTable, ...]:
    """Return the Iceberg tables that a job reads and writes, each role's once."""
    etl = job.core_etl.job
    found = [
        IcebergTable(source.catalog or "", source.database or "", source.table or "", role="source")
        for source in etl.sources
        if source.type == "iceberg"
    ]
    found += [
        IcebergTable(
            sink.catalog,
            sink.database,
            sink.table,
            role="sink",
            columns=sink.columns,
            partition_by=sink.partition_by,
            description=sink.description,
        )
        for sink in etl.sinks
    ]
    # By name and role, not by value: one table may be read through two filters.
    return tuple({(each.role, each.catalog, each.database, each.table): each for each in found}.values())


def core_etl_job(job: JobSpec) -> CoreEtlJob:
    """Return the job with its fingerprint, which is taken over the unrendered spec."""
    from airflow_dcp_provider.runner.identity import job_fingerprint

    return CoreEtlJob(job, job_fingerprint(job.to_dict()))
