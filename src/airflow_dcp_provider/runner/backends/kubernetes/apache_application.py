"""The Apache operator's SparkApplication of an attempt: what the Kubeflow operator's says, in its terms. A pure function.

The Apache operator takes sizes and images as Spark settings and everything about pods as templates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.runner.backends.kubernetes.names import APACHE_GROUP_VERSION, DRIVER_CONTAINER

_EXECUTOR_CONTAINER = "spark-kubernetes-executor"

#: Milliseconds that stand for no limit where the operator knows none: a year.
_FOR_EVER = 365 * 24 * 3600 * 1000


def apache_application(kubeflow: Mapping[str, Any], environment: Environment) -> dict[str, Any]:
    """Return the resource that means what a Kubeflow operator's one means.

    :param kubeflow: as :func:`.spark_application.spark_application` makes it.
    """
    spec = kubeflow["spec"]
    return {
        "apiVersion": APACHE_GROUP_VERSION,
        "kind": kubeflow["kind"],
        "metadata": kubeflow["metadata"],
        "spec": {
            **_program(spec),
            "deploymentMode": "ClusterMode",
            "runtimeVersions": {"sparkVersion": spec["sparkVersion"]},
            "sparkConf": dict(sorted(_spark_conf(kubeflow).items())),
            "driverSpec": {"podTemplateSpec": _template(spec, spec["driver"], DRIVER_CONTAINER)},
            "executorSpec": {"podTemplateSpec": _template(spec, spec["executor"], _EXECUTOR_CONTAINER)},
            "applicationTolerations": _tolerations(spec, environment),
        },
    }


def _program(spec: Mapping[str, Any]) -> dict[str, Any]:
    arguments = {"driverArgs": list(spec.get("arguments") or [])}
    if spec["type"] == "Python":
        return {"pyFiles": spec["mainApplicationFile"], **arguments}
    return {"mainClass": spec["mainClass"], "jars": spec["mainApplicationFile"], **arguments}


def _spark_conf(kubeflow: Mapping[str, Any]) -> dict[str, str]:
    spec = kubeflow["spec"]
    return {
        **spec["sparkConf"],
        **_sizes(spec),
        **_dynamic_allocation(spec.get("dynamicAllocation")),
        "spark.kubernetes.container.image": spec["image"],
        "spark.kubernetes.container.image.pullPolicy": spec["imagePullPolicy"],
        # The operator would name it after an attempt of its own, of which there is only one.
        "spark.kubernetes.driver.pod.name": f"{kubeflow['metadata']['name']}-driver",
        **({"spark.kubernetes.scheduler.name": spec["batchScheduler"]} if spec.get("batchScheduler") else {}),
    }


def _sizes(spec: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for role in ("driver", "executor"):
        wanted = spec[role]
        settings = {
            f"spark.{role}.cores": wanted["cores"],
            f"spark.{role}.memory": wanted["memory"],
            f"spark.{role}.memoryOverhead": wanted.get("memoryOverhead"),
            f"spark.{role}.extraJavaOptions": wanted.get("javaOptions"),
            f"spark.kubernetes.authenticate.{role}.serviceAccountName": wanted.get("serviceAccount"),
        }
        found.update({key: str(value) for key, value in settings.items() if value})
    return {**found, "spark.executor.instances": str(spec["executor"]["instances"])}


def _dynamic_allocation(wanted: Mapping[str, Any] | None) -> dict[str, str]:
    if not wanted:
        return {}
    return {
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.shuffleTracking.enabled": str(wanted["shuffleTrackingEnabled"]).lower(),
        "spark.dynamicAllocation.initialExecutors": str(wanted["initialExecutors"]),
        "spark.dynamicAllocation.minExecutors": str(wanted["minExecutors"]),
        "spark.dynamicAllocation.maxExecutors": str(wanted["maxExecutors"]),
    }


def _template(spec: Mapping[str, Any], role: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the template of driver or executors; Spark takes the first container for its own."""
    own = {"name": name, **{key: role[key] for key in ("env", "volumeMounts") if key in role}}
    containers = [own, *role.get("sidecars", ())]
    mounted = {mount["name"] for container in containers for mount in container.get("volumeMounts") or ()}
    priority = role.get("priorityClassName") or (spec.get("batchSchedulerOptions") or {}).get("priorityClassName")
    pod = {
        "containers": containers,
        "volumes": [volume for volume in spec["volumes"] if volume["name"] in mounted],
        "nodeSelector": role.get("nodeSelector"),
        "tolerations": role.get("tolerations"),
        "priorityClassName": priority,
    }
    return {"metadata": {"labels": dict(role["labels"])}, "spec": {key: value for key, value in pod.items() if value}}


def _tolerations(spec: Mapping[str, Any], environment: Environment) -> dict[str, Any]:
    # The start time-out is the execution's own; the operator's would end the driver before a diagnosis has been made.
    start = environment.start_timeout_seconds * 2000 if environment.start_timeout_seconds else _FOR_EVER
    lifetime = {"ttlAfterStopMillis": spec["timeToLiveSeconds"] * 1000} if "timeToLiveSeconds" in spec else {}
    return {
        "restartConfig": {"restartPolicy": "Never"},
        # Pods are kept until the application goes: their ends and logs are what a diagnosis reads.
        "resourceRetainPolicy": "Always",
        "applicationTimeoutConfig": {"driverStartTimeoutMillis": start, "driverReadyTimeoutMillis": start},
        **lifetime,
    }
