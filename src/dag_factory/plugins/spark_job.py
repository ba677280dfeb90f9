"""The plugin of ``kind: SparkJob``: sources, SQL transformations and sinks, as in the first design document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_dcp_provider.model.errors import Problem
from airflow_dcp_provider.model.job import JobSpec
from dag_factory.manifest.node import Node
from dag_factory.manifest.problems import Problems
from dag_factory.manifest.resolved import ResolvedManifest
from dag_factory.plugins import job_parts
from dag_factory.plugins.plan import LogicalPlan
from dag_factory.primitives.model import ContinuousJob, Primitive


class SparkJobPlugin:
    """Reads SparkJob manifests."""

    kind = "SparkJob"

    def get_manifest_type(self) -> str:
        """Return ``spark_job``."""
        return "spark_job"

    def matches(self, value: Mapping[str, Any]) -> bool:
        """Whether the ``kind`` is SparkJob."""
        return value.get("kind") == self.kind

    def schema(self) -> Mapping[str, Any]:
        """Return the schema ``spark_job.json``."""
        from dag_factory.manifest.schema_check import load_schema

        return load_schema("spark_job")

    def lint(self, manifest: ResolvedManifest) -> tuple[Problem, ...]:
        """Return what the schema cannot say: names, sizes, schedule, SQL and how its steps hang together."""
        from dag_factory.plugins.spark_job_lint import lint

        problems = Problems(manifest.sources)
        lint(manifest, problems)
        return problems.sorted()

    def parse_manifest(self, manifest: ResolvedManifest) -> LogicalPlan:
        """Return the plan: every field of the manifest, with defaults filled in and files read."""
        metadata = manifest.root.fields["metadata"]
        team = metadata.fields["team"].text
        name, namespace = metadata.fields["name"].text, manifest.text("metadata", "namespace", default="default")
        core = manifest.root.fields["spec"].fields["coreEtl"]
        return LogicalPlan(
            plugin_type="SPARK_JOB",
            id=f"{namespace}/{name}",
            environment=manifest.environment,
            plugin_spec={
                "name": name,
                "namespace": namespace,
                "team": team,
                "owner": manifest.text("metadata", "owner", default=team),
                "description": manifest.text("metadata", "description"),
                "labels": text_values(metadata.get("labels")),
                "engine": job_parts.engine(manifest.get("spec", "engine")),
                "job_type": manifest.text("spec", "jobType", default="batch"),
                "resources": job_parts.resources(manifest.get("spec", "resources")),
                "spark_conf": job_parts.text_map(manifest.get("spec", "sparkConf")),
                "core_etl": {
                    "version": job_parts.plain(core.get("version")),
                    "main_class": job_parts.plain(core.get("mainClass")),
                    "arguments": job_parts.plain(core.get("arguments"), []),
                    "job": _job(core.get("jobSpec"), manifest),
                },
                "orchestration": job_parts.orchestration(manifest.get("spec", "orchestration")),
            },
        )

    def primitives(self, plan: LogicalPlan) -> tuple[Primitive, ...]:
        """Return the tables, the job and, for a batch job, its DAG."""
        spec = plan.plugin_spec
        when = spec["orchestration"]
        job = JobSpec.from_dict(
            {
                "manifest_id": plan.id,
                "environment": plan.environment,
                **{key: spec[key] for key in _JOB_FIELDS},
                "retry_policy": when["retry_policy"],
                "timeout": when["timeout"],
            }
        )
        found = job_parts.core_etl_job(job)
        tags = job_parts.tags(self.kind, job.team, job.labels)
        dag = job_parts.airflow_dag(job.name, job, when, description=spec["description"], tags=tags)
        if job.job_type == "streaming":
            return (*job_parts.tables(job), ContinuousJob(job, found.fingerprint), dag)
        return (*job_parts.tables(job), found, dag)


_JOB_FIELDS = ("name", "team", "owner", "labels", "engine", "job_type", "resources", "spark_conf", "core_etl")


def text_values(node: Node | None) -> dict[str, str]:
    """Return a map of texts without places."""
    return {name: value.text for name, value in (node.fields if node else {}).items()}


def sink_input(sink: Node, transformations: tuple[str, ...], sources: tuple[str, ...]) -> str:
    """Return what a sink writes: its ``input``, else the transformation of its own name, else the last one, else the only source.

    :returns: an empty text when there is no such thing.
    """
    if given := sink.get("input"):
        return given.text
    own = sink.fields["name"].text
    if own in transformations:
        return own
    if transformations:
        return transformations[-1]
    return sources[0] if len(sources) == 1 else ""


def _job(spec: Node | None, manifest: ResolvedManifest) -> dict[str, Any]:
    if spec is None:
        return {"sources": [], "transformations": [], "sinks": []}
    default = manifest.settings.default_catalog
    sources = spec.fields["sources"].items if "sources" in spec.fields else ()
    steps = spec.fields["transformations"].items if "transformations" in spec.fields else ()
    step_names = tuple(step.fields["name"].text for step in steps)
    source_names = tuple(source.fields["name"].text for source in sources)
    return {
        "sources": [_source(source, default) for source in sources],
        "transformations": [
            {"name": step.fields["name"].text, "query": query_text(step, manifest, Problems()).text, "type": "sql"}
            for step in steps
        ],
        "sinks": [_sink(sink, default, sink_input(sink, step_names, source_names)) for sink in spec.fields["sinks"].items],
        "default_catalog": default,
    }


def query_text(step: Node, manifest: ResolvedManifest, problems: Problems) -> Node:
    """Return a transformation's SQL: its ``query``, or the text of its ``file``; the step itself when that cannot be read."""
    if query := step.get("query"):
        return query
    return manifest.read_named_file(step.fields["file"], problems) or step


def _source(source: Node, default_catalog: str) -> dict[str, Any]:
    found = source.plain()
    kind = found.get("type", "iceberg")
    return {
        "name": found["name"],
        "type": kind,
        "catalog": found.get("catalog", default_catalog) if kind == "iceberg" else None,
        "database": found.get("database"),
        "table": found.get("table"),
        "path": found.get("path"),
        "filter": found.get("filter"),
        "options": job_parts.text_map(source.get("options")),
    }


def _sink(sink: Node, default_catalog: str, reads: str) -> dict[str, Any]:
    found = sink.plain()
    return {
        "name": found["name"],
        "type": "iceberg",
        "catalog": found.get("catalog", default_catalog),
        "database": found["database"],
        "table": found["table"],
        "input": reads,
        "mode": found.get("mode", "overwrite"),
        "partition_by": found.get("partitionBy", []),
        "merge_keys": found.get("mergeKeys", []),
        "columns": None,
        "description": found.get("description"),
    }
