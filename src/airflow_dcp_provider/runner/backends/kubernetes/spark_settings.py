"""The Spark configuration of an attempt on a cluster: the environment's below the manifest's below the platform's. Pure functions.

Credentials never stand here: a resource is read by many. The driver gets them from Secrets as files and sets them when its session
starts (:mod:`airflow_dcp_provider.core_etl.session`). In its environment any code in the JVM could read them.
"""

from __future__ import annotations

from collections.abc import Mapping

from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.job import JobSpec
from airflow_dcp_provider.runner.spark_conf import check_job
from airflow_dcp_provider.runner.spark_guards import DEFAULTS, guards, is_secret

_ICEBERG_EXTENSIONS = "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"
_SPARK_CATALOG = "org.apache.iceberg.spark.SparkCatalog"

#: Below everything: what an environment's defaults may change.
_DEFAULTS = {
    **DEFAULTS,
    "spark.ui.showConsoleProgress": "false",
    # Dead executors and their pods are removed; a job is never judged by them.
    "spark.kubernetes.executor.deleteOnTermination": "true",
    # The driver's account needs pods alone (`deploy/kubernetes/role.yaml`): executors read the image's own configuration, the
    # driver's service goes with the driver's pod, and no claims of volumes are made.
    "spark.kubernetes.executor.disableConfigMap": "true",
    "spark.kubernetes.driver.service.deleteOnTermination": "false",
    "spark.kubernetes.driver.ownPersistentVolumeClaim": "false",
    "spark.kubernetes.driver.reusePersistentVolumeClaim": "false",
}

#: What the operator takes in a field of the resource of its own.
DYNAMIC_ALLOCATION = tuple(
    f"spark.dynamicAllocation.{name}"
    for name in ("enabled", "initialExecutors", "minExecutors", "maxExecutors", "shuffleTracking.enabled")
)


def _in_clear(setting: str, value: str) -> bool:
    """Whether this would show a secret; the name that AWS gave a key is none."""
    return bool(value) and is_secret(setting) and not value.startswith("arn:")


def spark_conf(job: JobSpec, environment: Environment, catalogs: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return ``spec.sparkConf``.

    :param catalogs: alias -> Spark's properties of its Iceberg catalog; secret ones are left to the environment's Secrets.
    :raises DcpEnvironmentError: DCP412 when a credential could only be written in clear.
    :raises ExecutionError: DCP311 for what the environment leaves to no manifest.
    """
    asked = {**environment.spark_defaults, **job.spark_conf}
    secret = {f"spark.sql.catalog.{alias}.{name}" for alias, names in environment.catalog_secrets.items() for name in names}
    for setting in sorted(asked):
        if setting in secret or _in_clear(setting, asked[setting]):
            raise DcpEnvironmentError(
                f"{setting} of {job.manifest_id} would stand in clear in a resource of environment {environment.name}",
                code="DCP412",
                hint="keep it in a Kubernetes Secret: name that in the field `catalog_secrets` of the environment's connection",
            )
    check_job(job, environment.allowed_spark_conf)
    conf = {
        **_DEFAULTS,
        **_event_log(environment),
        **asked,
        **_platform(asked, environment, catalogs),
        **guards(secret),
    }
    return {key: conf[key] for key in sorted(conf) if key not in DYNAMIC_ALLOCATION}


def _platform(asked: Mapping[str, str], environment: Environment, catalogs: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return what neither a manifest nor an environment's defaults decide."""
    extensions = [_ICEBERG_EXTENSIONS, *asked.get("spark.sql.extensions", "").split(",")]
    return {
        **_catalog_properties(environment, catalogs),
        "spark.sql.extensions": ",".join(dict.fromkeys(name for name in extensions if name)),
        **({"spark.sql.defaultCatalog": environment.write_catalog} if environment.write_catalog in catalogs else {}),
    }


def _catalog_properties(environment: Environment, catalogs: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    properties: dict[str, str] = {}
    for alias, own in sorted(catalogs.items()):
        prefix = f"spark.sql.catalog.{alias}"
        by_secret = environment.catalog_secrets.get(alias, {})
        missing = sorted(key for key, value in own.items() if _in_clear(key, value) and key not in by_secret)
        if missing:
            raise DcpEnvironmentError(
                f"environment {environment.name} names no Secret for {', '.join(missing)} of catalog `{alias}`",
                code="DCP412",
                hint=f'pods read credentials from Secrets only; add {{"{alias}": {{"{missing[0]}": "<Secret>/<key>"}}}} '
                "to the field `catalog_secrets` of its connection",
            )
        properties[prefix] = _SPARK_CATALOG
        # A cached table would hide what another run commits meanwhile.
        properties[f"{prefix}.cache-enabled"] = "false"
        # Whatever its name, a property that comes from a Secret does not stand here too.
        plain = {key: value for key, value in own.items() if key not in by_secret and (value or not is_secret(key))}
        properties.update({f"{prefix}.{key}": value for key, value in plain.items()})
    return properties


def _event_log(environment: Environment) -> dict[str, str]:
    if not environment.event_log_dir:
        return {}
    return {"spark.eventLog.enabled": "true", "spark.eventLog.dir": environment.event_log_dir}
