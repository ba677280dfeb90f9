"""Names, labels, annotations and API paths of what an attempt has on a cluster. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_dcp_provider.model.execution import AttemptRef, AttemptRequest
from airflow_dcp_provider.model.names import label_value

#: The custom resource of the Kubeflow Spark operator. The full group is always used: another operator has the same short names.
GROUP_VERSION = "sparkoperator.k8s.io/v1beta2"
#: That of the Apache Spark operator, which has the same kind and plural.
APACHE_GROUP_VERSION = "spark.apache.org/v1"
#: Backend -> its custom resource.
GROUP_VERSIONS = {"kubeflow": GROUP_VERSION, "apache": APACHE_GROUP_VERSION}
KIND = "SparkApplication"
PLURAL = "sparkapplications"

_PREFIX = "spark-runner"
EXECUTION_ID = f"{_PREFIX}/execution-id"
ATTEMPT = f"{_PREFIX}/attempt"
JOB_NAME = f"{_PREFIX}/job-name"
TEAM = f"{_PREFIX}/team"
ENVIRONMENT = f"{_PREFIX}/environment"
FINGERPRINT = f"{_PREFIX}/fingerprint"
#: On the ConfigMaps beside an application: what they are.
KIND_LABEL = f"{_PREFIX}/kind"
FILES_KIND, CANCELLED_KIND, FENCE_KIND = "files", "cancelled", "fence"

#: Annotations of an application: the :class:`AttemptRequest` as JSON, and how the attempt ended once that is known.
REQUEST = f"{_PREFIX}/request"
VERDICT = f"{_PREFIX}/verdict"
#: Another one: how the driver is to report its result. An application without it is of an earlier version, whose driver reports a
#: long result in its log alone.
REPORTS = f"{_PREFIX}/reports"
REPORTS_IN_MESSAGE = "termination-message"
#: Annotations of the ConfigMaps beside it: the round that waits for the attempt, and that a cancellation has read which one it is.
WAITED_BY = f"{_PREFIX}/waited-by"
CLOSED = f"{_PREFIX}/closed"

#: The operator puts it on every pod of an application: group and version of the application -> its operator's label.
APP_NAMES = {
    GROUP_VERSION: "sparkoperator.k8s.io/app-name",
    APACHE_GROUP_VERSION: "spark.operator/spark-app-name",
}

#: Spark's own name for the driver's container.
DRIVER_CONTAINER = "spark-kubernetes-driver"


def labels(request: AttemptRequest) -> dict[str, str]:
    """Return the labels of everything that belongs to the attempt; they lead back to it without a database."""
    ref, job = request.ref, request.job
    return {
        EXECUTION_ID: label_value(ref.execution_id),
        ATTEMPT: str(ref.attempt),
        JOB_NAME: label_value(str(job.get("name", ""))),
        TEAM: label_value(str(job.get("team", ""))),
        ENVIRONMENT: label_value(ref.environment),
        FINGERPRINT: label_value(request.fingerprint),
    }


def files_name(ref: AttemptRef) -> str:
    """Return the name of the ConfigMap that holds the driver's files."""
    return f"{ref.name}-files"


def tombstone_name(ref: AttemptRef) -> str:
    """Return the name of the ConfigMap that says that the attempt was cancelled."""
    return f"{ref.name}-cancelled"


def applications_path(namespace: str, name: str = "", group_version: str = GROUP_VERSION) -> str:
    """Return the path of a namespace's applications, or of one of them."""
    base = f"/apis/{group_version}/namespaces/{namespace}/{PLURAL}"
    return f"{base}/{name}" if name else base


def path_of(resource: Mapping[str, Any]) -> str:
    """Return the path of an application or a ConfigMap that a server has sent."""
    metadata = resource["metadata"]
    # Within a list a server sends ConfigMaps without their kind.
    if resource.get("kind") == KIND:
        return applications_path(metadata["namespace"], metadata["name"], resource["apiVersion"])
    return core_path(metadata["namespace"], "configmaps", metadata["name"])


def core_path(namespace: str, plural: str, name: str = "") -> str:
    """Return the path of core resources (``pods``, ``configmaps``, ``events``), or of one of them."""
    base = f"/api/v1/namespaces/{namespace}/{plural}"
    return f"{base}/{name}" if name else base


def execution_selector(execution_id: str) -> str:
    """Return the label selector of everything that belongs to an execution."""
    return f"{EXECUTION_ID}={label_value(execution_id)}"
