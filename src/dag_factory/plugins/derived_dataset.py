"""The plugin of derived datasets: one query makes one table, as in the second design document.

The query reads tables by their names, and runs as it was written. The plugin makes each table a source of the job, so that it is
known what the job reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_dcp_provider.model.errors import Problem
from airflow_dcp_provider.model.job import JobSpec
from dag_factory.manifest.problems import Problems
from dag_factory.manifest.resolved import ResolvedManifest
from dag_factory.plugins import job_parts
from dag_factory.plugins.plan import LogicalPlan
from dag_factory.primitives.model import Primitive

#: The database of every derived dataset.
DATABASE = "derived_datasets"


class DerivedDatasetPlugin:
    """Reads derived dataset manifests."""

    kind = "DerivedDataset"

    def get_manifest_type(self) -> str:
        """Return ``derived_dataset``."""
        return "derived_dataset"

    def matches(self, value: Mapping[str, Any]) -> bool:
        """Whether it has the shape: no ``kind``, and a ``dataset`` with a ``workflow``."""
        return "kind" not in value and "apiVersion" not in value and "dataset" in value and "workflow" in value

    def schema(self) -> Mapping[str, Any]:
        """Return the schema ``derived_dataset.json``."""
        from dag_factory.manifest.schema_check import load_schema

        return load_schema("derived_dataset")

    def lint(self, manifest: ResolvedManifest) -> tuple[Problem, ...]:
        """Return what the schema cannot say: names, types, schedule, SQL, and whether its result fits the fields."""
        from dag_factory.plugins.derived_dataset_lint import lint

        problems = Problems(manifest.sources)
        lint(manifest, problems)
        return problems.sorted()

    def parse_manifest(self, manifest: ResolvedManifest) -> LogicalPlan:
        """Return the plan: the table, its query and sources, whose it is and when it runs."""
        from dag_factory.plugins.derived_sources import derive

        name = manifest.text("dataset", "name")
        owner = manifest.text("metadata", "technical_owner")
        when = job_parts.orchestration(manifest.get("workflow"))
        sql = manifest.read_named_file(manifest.root.fields["workflow"].fields["sql"], Problems())
        text = sql.text if sql else ""
        parameters = {**when["parameters"], **when["declared_parameters"]}
        sources = derive(text, parameters, manifest.settings.default_catalog, manifest.environment)
        return LogicalPlan(
            plugin_type="DERIVED_DATASET",
            id=f"{self.get_manifest_type()}/{name}",
            environment=manifest.environment,
            plugin_spec={
                "table_name": name,
                "sql": text,
                "schedule": when["schedule"],
                "owner_team": owner,
                "team": manifest.text("metadata", "team", default=owner),
                "tier": job_parts.plain(manifest.get("metadata", "tier")),
                "description": manifest.text("metadata", "description"),
                "labels": job_parts.text_map(manifest.get("metadata", "labels")),
                "catalog": manifest.settings.default_catalog,
                "database": DATABASE,
                "table_description": job_parts.plain(manifest.get("dataset", "description")),
                "fields": [_column(field.plain()) for field in manifest.root.fields["dataset"].fields["fields"].items],
                "partitioning": job_parts.plain(manifest.get("dataset", "partitioning"), []),
                "sources": list(sources),
                "engine": job_parts.engine(manifest.get("workflow", "engine")),
                "resources": job_parts.resources(manifest.get("workflow", "resources")),
                "spark_conf": job_parts.text_map(manifest.get("workflow", "sparkConf")),
                "workflow": when,
            },
        )

    def primitives(self, plan: LogicalPlan) -> tuple[Primitive, ...]:
        """Return the table with its schema, the tables that it is made from, the job and the DAG."""
        spec = plan.plugin_spec
        when = spec["workflow"]
        name = spec["table_name"]
        sink = {
            "name": name,
            "catalog": spec["catalog"],
            "database": spec["database"],
            "table": name,
            "input": name,
            "mode": "overwrite",
            "partition_by": spec["partitioning"],
            "columns": spec["fields"],
            "description": spec["table_description"],
        }
        job = JobSpec.from_dict(
            {
                "manifest_id": plan.id,
                "name": f"{name}_job",
                "environment": plan.environment,
                "team": spec["team"],
                "owner": spec["owner_team"],
                **{key: spec[key] for key in ("labels", "engine", "resources", "spark_conf")},
                "core_etl": {
                    "job": {
                        "sources": spec["sources"],
                        "transformations": [{"name": name, "query": spec["sql"]}],
                        "sinks": [sink],
                        "default_catalog": spec["catalog"],
                    }
                },
                "retry_policy": when["retry_policy"],
                "timeout": when["timeout"],
            }
        )
        tags = job_parts.tags(self.kind, job.team, job.labels)
        if spec["tier"] is not None:
            tags = (*tags, f"tier:{spec['tier']}")
        dag = job_parts.airflow_dag(f"{name}_dag", job, when, description=spec["description"], tags=tags)
        return (*job_parts.tables(job), job_parts.core_etl_job(job), dag)


def _column(field: Mapping[str, Any]) -> dict[str, Any]:
    from dag_factory.manifest.types import iceberg_type

    return {
        "name": field["name"],
        "type": iceberg_type(field["type"]),
        "required": field.get("required", False),
        "description": field.get("description"),
    }
