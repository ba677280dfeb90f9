"""The SparkApplication of an attempt, whole, as a pure function of its request and its environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow_dcp_provider.core_etl.report import TERMINATION_LOG
from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.execution import AttemptRequest
from airflow_dcp_provider.model.job import JobSpec
from airflow_dcp_provider.model.names import is_own_mark, label_value
from airflow_dcp_provider.model.quantities import memory_bytes
from airflow_dcp_provider.runner.backends.kubernetes.credentials import secret_mounts, secret_variables, secret_volumes
from airflow_dcp_provider.runner.backends.kubernetes.driver_files import IMAGE_MAIN, JOB_SPEC, MAIN, MOUNT
from airflow_dcp_provider.runner.backends.kubernetes.names import (
    GROUP_VERSION,
    KIND,
    REPORTS,
    REPORTS_IN_MESSAGE,
    REQUEST,
    files_name,
    labels,
)
from airflow_dcp_provider.runner.backends.kubernetes.source_paths import check_source_paths
from airflow_dcp_provider.runner.backends.kubernetes.spark_settings import spark_conf
from airflow_dcp_provider.runner.drivers import driver_of
from airflow_dcp_provider.runner.overhead import default_overhead, overhead_setting

#: The volume of the driver's files, and the one that the log sidecar reads.
_FILES_VOLUME = "dcp-files"

#: A JVM driver's jar in the image, as the first design document's image has it.
_JVM_JAR = "local:///opt/spark/jars/core-etl-driver-bundle{version}.jar"


_PULL_POLICY = "spark.kubernetes.container.image.pullPolicy"

_OPENTELEMETRY = "-javaagent:{path} -Dotel.service.name={service} -Dotel.resource.attributes={attributes}"


def spark_application(
    request: AttemptRequest,
    environment: Environment,
    *,
    image: str,
    catalogs: Mapping[str, Mapping[str, str]] | None = None,
    core_etl_main_classes: tuple[str, ...] | None = None,
) -> dict[str, Any]:
    """Return the resource to create for an attempt.

    :param image: of driver and executors, as the gateway chose it.
    :param catalogs: alias -> Spark's properties of its Iceberg catalog.
    :param core_etl_main_classes: ends of main class names that mean our own driver; None for the built-in ones.
    :raises DcpEnvironmentError: DCP412 when a credential could only be written in clear, DCP173 for a number of executors that is
        none.
    :raises ExecutionError: DCP345 for a source that reads the pod's own files.
    """
    job = JobSpec.from_dict(request.job)
    own = labels(request)
    # A JVM driver reads no files of ours: it finds its credentials where it always did.
    by_file = not _is_jvm(job, core_etl_main_classes)
    if by_file:
        check_source_paths(job, environment)
    return {
        "apiVersion": GROUP_VERSION,
        "kind": KIND,
        "metadata": {
            "name": request.ref.name,
            "namespace": request.ref.namespace,
            "labels": {**_pod_labels(job, environment), **own},
            "annotations": {REQUEST: json.dumps(request.to_dict()), REPORTS: REPORTS_IN_MESSAGE},
        },
        "spec": {
            **_program(job, environment, core_etl_main_classes),
            "mode": "cluster",
            "image": image,
            "imagePullPolicy": environment.spark_defaults.get(_PULL_POLICY) or _pull_policy(image),
            "sparkVersion": environment.spark_version_of(job.engine),
            "sparkConf": spark_conf(job, environment, catalogs or {}),
            # Retries are the execution's: each has a resource of its own.
            "restartPolicy": {"type": "Never"},
            "driver": _driver(request, job, environment, by_file=by_file),
            "executor": _executor(request, job, environment),
            "volumes": [
                {"name": _FILES_VOLUME, "configMap": {"name": files_name(request.ref)}},
                *(secret_volumes(environment) if by_file else ()),
                *map(dict, environment.volumes),
            ],
            **_dynamic_allocation(job, environment),
            **_lifetime(environment),
            **_scheduler(environment),
        },
    }


def _pull_policy(image: str) -> str:
    """Return Kubernetes' own default, which Spark's differs from: only what has no tag of its own is looked for each time."""
    tag = image.rpartition("/")[2].partition(":")[2]
    return "IfNotPresent" if "@" in image or tag not in {"", "latest"} else "Always"


def _program(job: JobSpec, environment: Environment, core_etl_main_classes: tuple[str, ...] | None) -> dict[str, Any]:
    """Return what the driver runs: ``core_etl`` from the ConfigMap or the image, or the manifest's own JVM class."""
    spec = ["--job-spec", f"{MOUNT}/{JOB_SPEC}"]
    if _is_jvm(job, core_etl_main_classes):
        version = f"-{job.core_etl.version}" if job.core_etl.version else ""
        return {
            "type": "Scala",
            "mainClass": job.core_etl.main_class,
            "mainApplicationFile": _JVM_JAR.format(version=version),
            "arguments": [*job.core_etl.arguments, *spec],
        }
    main = IMAGE_MAIN if environment.images.core_etl else f"{MOUNT}/{MAIN}"
    return {"type": "Python", "pythonVersion": "3", "mainApplicationFile": f"local://{main}", "arguments": spec}


def _is_jvm(job: JobSpec, core_etl_main_classes: tuple[str, ...] | None) -> bool:
    known = () if core_etl_main_classes is None else (core_etl_main_classes,)
    return driver_of(job.core_etl, *known) == "jvm"


def _driver(request: AttemptRequest, job: JobSpec, environment: Environment, *, by_file: bool) -> dict[str, Any]:
    """Return the driver's part.

    :param by_file: the driver reads credentials from files, not from environment variables.
    """
    size = job.resources.driver
    mount = {"name": _FILES_VOLUME, "mountPath": MOUNT, "readOnly": True}
    found: dict[str, Any] = {
        "cores": size.cores,
        "memory": size.memory,
        **_overhead("driver", size.memory, job, environment),
        "env": [{"name": TERMINATION_LOG, "value": "/dev/termination-log"}, *secret_variables(environment, by_file=by_file)],
        "volumeMounts": [mount, *(secret_mounts(environment) if by_file else ()), *map(dict, environment.volume_mounts)],
        **_pod(request, job, environment, "driver"),
    }
    if environment.fluent_bit:
        found["sidecars"] = [_fluent_bit(environment)]
    return {key: value for key, value in found.items() if value not in ([], {})}


def _executor(request: AttemptRequest, job: JobSpec, environment: Environment) -> dict[str, Any]:
    size = job.resources.executor
    found: dict[str, Any] = {
        "cores": size.cores,
        "memory": size.memory,
        "instances": size.instances,
        **_overhead("executor", size.memory, job, environment),
        "volumeMounts": [*map(dict, environment.volume_mounts)],
        **_pod(request, job, environment, "executor"),
    }
    return {key: value for key, value in found.items() if value not in ([], {})}


def _pod(request: AttemptRequest, job: JobSpec, environment: Environment, role: str) -> dict[str, Any]:
    """Return what driver and executors have in common."""
    found: dict[str, Any] = {
        "labels": {**_pod_labels(job, environment), **labels(request)},
        "nodeSelector": dict(environment.node_selector),
        "tolerations": [dict(toleration) for toleration in environment.tolerations],
    }
    if environment.service_account:
        found["serviceAccount"] = environment.service_account
    # With a batch scheduler the whole application has the class, and the scheduler gives it to the pods.
    if environment.priority_class and not environment.batch_scheduler:
        found["priorityClassName"] = environment.priority_class
    if environment.opentelemetry_agent:
        agent = _OPENTELEMETRY.format(
            path=environment.opentelemetry_agent,
            service=request.ref.name,
            attributes=f"dcp.execution.id={request.ref.execution_id},dcp.attempt={request.ref.attempt},spark.role={role}",
        )
        # The operator takes this field instead of the setting, so both stand in it.
        asked = environment.spark_defaults.get(f"spark.{role}.extraJavaOptions", "")
        found["javaOptions"] = f"{asked} {agent}".strip()
    return found


def _pod_labels(job: JobSpec, environment: Environment) -> dict[str, str]:
    """Return the manifest's and the environment's labels, without those that are neither's to set.

    With one of Spark's own labels in a resource, Spark refuses to start the driver; with one of ours or an operator's, a pod could
    pass for another attempt's.
    """
    both = {**environment.labels, **job.labels}
    return {key: label_value(str(value)) for key, value in both.items() if not is_own_mark(key)}


def _overhead(role: str, memory: str, job: JobSpec, environment: Environment) -> dict[str, str]:
    """Return the memory beside the heap, unless a Spark setting says it."""
    setting = overhead_setting(role)
    asked = {**environment.spark_defaults, **job.spark_conf}
    if setting in asked or f"{setting}Factor" in asked:
        return {}
    return {"memoryOverhead": f"{default_overhead(role, memory_bytes(memory)) // 2**20}m"}


def _dynamic_allocation(job: JobSpec, environment: Environment) -> dict[str, Any]:
    """Return how many executors there may be, where their number is not fixed; a manifest's ``resources`` go before settings."""
    size = job.resources.executor
    asked = {**environment.spark_defaults, **job.spark_conf}
    bounded = size.min_instances is not None or size.max_instances is not None
    if not bounded and asked.get("spark.dynamicAllocation.enabled") != "true":
        return {}
    initial, least, most = (_executors(job, asked, name) for name in ("initial", "min", "max"))
    least = size.min_instances if size.min_instances is not None else least
    first = max(size.instances, initial or 0, least or 0)
    if size.max_instances is not None:
        most = size.max_instances
    else:
        most = first if most is None else max(most, size.instances, size.min_instances or 0)
    least = min(1 if least is None else least, most)
    return {
        "dynamicAllocation": {
            "enabled": True,
            "initialExecutors": min(max(first, least), most),
            "minExecutors": least,
            "maxExecutors": most,
            "shuffleTrackingEnabled": asked.get("spark.dynamicAllocation.shuffleTracking.enabled") != "false",
        }
    }


def _executors(job: JobSpec, asked: Mapping[str, str], name: str) -> int | None:
    setting = f"spark.dynamicAllocation.{name}Executors"
    text = asked.get(setting, "").strip()
    if text and not text.isdecimal():
        raise DcpEnvironmentError(
            f"{setting} of {job.manifest_id} is `{text}`, which is no number of executors",
            code="DCP173",
            hint="write a whole number",
        )
    return int(text) if text else None


def _lifetime(environment: Environment) -> dict[str, Any]:
    return {} if environment.ttl_seconds is None else {"timeToLiveSeconds": environment.ttl_seconds}


def _scheduler(environment: Environment) -> dict[str, Any]:
    if not environment.batch_scheduler:
        return {}
    options = {"priorityClassName": environment.priority_class} if environment.priority_class else {}
    return {"batchScheduler": environment.batch_scheduler, **({"batchSchedulerOptions": options} if options else {})}


def _fluent_bit(environment: Environment) -> dict[str, Any]:
    """Return the sidecar that forwards logs; its configuration is its image's."""
    return {
        "name": "fluent-bit",
        "image": environment.fluent_bit,
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
        "volumeMounts": [dict(mount) for mount in environment.volume_mounts],
    }
