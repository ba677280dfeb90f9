"""What Airflow learns of this provider. It is imported with ``airflow`` itself, so it imports next to nothing."""

from __future__ import annotations

from typing import Any

from airflow_dcp_provider.hooks.environment_fields import conn_fields, field_behaviour

_INTEGRATION = "DCP"
_PACKAGE = "airflow_dcp_provider"


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata; it is valid by Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-dcp-provider",
        "name": "DCP",
        "description": "Spark executions that run once and prove the Iceberg tables that they wrote.",
        "integrations": [{"integration-name": _INTEGRATION, "tags": ["software"]}],
        "operators": [
            _modules(
                "operators.spark_runner", "operators.tables", "operators.publish", "operators.iceberg", "operators.maintenance"
            )
        ],
        "sensors": [_modules("sensors.spark_execution", "sensors.iceberg")],
        "hooks": [_modules("hooks.dcp", "hooks.iceberg_table")],
        "triggers": [_modules("triggers.spark_execution", "triggers.iceberg")],
        "connection-types": [
            {
                "connection-type": "dcp",
                "hook-class-name": f"{_PACKAGE}.hooks.dcp.DcpHook",
                "hook-name": "DCP environment",
                "conn-fields": conn_fields(),
                "ui-field-behaviour": _kebab(field_behaviour()),
            }
        ],
        "extra-links": [
            f"{_PACKAGE}.links.execution.{name}" for name in ("SparkUiLink", "SparkHistoryLink", "ExecutionLink", "TableLink")
        ],
        "asset-uris": [
            {
                "schemes": ["iceberg"],
                "handler": f"{_PACKAGE}.assets.sanitize_uri",
                "factory": f"{_PACKAGE}.assets.create_asset",
                "to_openlineage_converter": f"{_PACKAGE}.assets.convert_asset_to_openlineage",
            }
        ],
        "config": {"dcp": {"description": "Environments and local execution of the DCP provider.", "options": _options()}},
    }


def _modules(*names: str) -> dict[str, Any]:
    return {"integration-name": _INTEGRATION, "python-modules": [f"{_PACKAGE}.{name}" for name in names]}


def _kebab(behaviour: dict[str, Any]) -> dict[str, Any]:
    return {key.replace("_", "-"): value for key, value in behaviour.items()}


def _options() -> dict[str, dict[str, Any]]:
    return {
        "environment": _option("The deployment's own environment; asset events are sent for its tables only.", "local", "prod"),
        "environments": _option(
            "Every environment that a run may choose, with commas between them. Empty for the deployment's own alone.",
            "",
            "local,test,prod",
        ),
        "catalog": _option("The catalog alias of manifests that name none.", "pedregal", "lake"),
        "home": _option(
            "Folder of the embedded catalog, local executions and their history; the environment variable DCP_HOME is above it. "
            "Empty for .dcp in Airflow's home.",
            "",
            "/opt/airflow/.dcp",
        ),
        "iceberg_jar": _option(
            "Spark's Iceberg runtime for local executions: a path, package:<distribution> or a Maven coordinate; with commas "
            "between, one per Spark. Empty for the versions that the provider is tested with.",
            "",
            "/opt/jars/iceberg-spark-runtime.jar",
        ),
        "java_home": _option("The Java 17 that local executions use. Empty to find one.", "", "/usr/lib/jvm/java-17"),
        "max_local_executions": _option("How many local Spark processes run at once.", "2", "4", kind="integer"),
        "spark_homes": _option(
            "Sparks beside the installed one, for manifests that name another version: a list like PATH, each entry the home of a "
            "Spark or a virtual environment with pyspark.",
            "",
            "/opt/spark-4.0:/opt/spark-4.1",
        ),
        "maintenance_schedule": _option(
            "When the DAG dcp_maintenance sweeps the environments whose connection says so. Empty for no such DAG.",
            "",
            "@hourly",
        ),
        "allowed_spark_conf": _option(
            "Spark settings that manifests may set in some environment besides those of every environment, with commas between "
            "them: names, or prefix.*. Lint and the reading of manifests know no connections; the environment's has to allow them.",
            "",
            "spark.sql.sources.default",
        ),
        "team_folders": _option(
            "Which teams the manifests of a folder may name, as JSON: folder below the DAGs folder -> teams. The nearest folder "
            "counts, `*` stands for all others. Without a `*`, folders that are not named may name any team.",
            "",
            '{"growth": ["growth", "growth-ml"], "*": []}',
        ),
        "store_conn_id": _option(
            "Connection of the database of the executions' history. Where it is not defined, a SQLite file in the home folder.",
            "dcp_store",
            "dcp_store",
        ),
    }


def _option(description: str, default: str, example: str, kind: str = "string") -> dict[str, Any]:
    return {"description": description, "version_added": "0.1.0", "type": kind, "example": example, "default": default}
