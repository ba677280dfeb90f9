"""Writes that are safe to repeat: each changes a resource only as it was seen, or makes what is not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_dcp_provider.runner.backends.kubernetes import states
from airflow_dcp_provider.runner.backends.kubernetes.api import MERGE_PATCH, KubernetesApi
from airflow_dcp_provider.runner.backends.kubernetes.names import path_of
from airflow_dcp_provider.runner.backends.kubernetes.problems import CONFLICT, NOT_FOUND, KubernetesProblem

#: How often a write is tried again after another process was first, or without a clear answer.
TRIES = 5
#: How often an application is looked at again because it changed between the look and the write. Its operator writes the status
#: many times in the moments in which the driver starts, and a busy process is slow between the two.
LOOKS = 30


def make(api: KubernetesApi, path: str, resource: dict[str, Any]) -> dict[str, Any]:
    """Create a resource, or return the one of that name; where no answer tells, look before asking again."""
    for left in reversed(range(TRIES)):
        try:
            return api.request("POST", path, body=resource)
        except KubernetesProblem as problem:
            # A quota is checked before the name: who is late may be refused for it though the resource is there.
            existing = api.get(f"{path}/{resource['metadata']['name']}")
            if existing is not None:
                return existing
            if not left or not (problem.ambiguous or problem.cause == CONFLICT):
                raise
    raise AssertionError


def delete_application(api: KubernetesApi, application: dict[str, Any]) -> bool:
    """Delete this very application as it was seen, and all that it runs; False when it has changed meanwhile."""
    metadata = application["metadata"]
    if states.is_being_deleted(application):
        return True
    body = {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        # The name is free again only when driver and executors are gone.
        "propagationPolicy": "Foreground",
        "preconditions": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]},
    }
    try:
        api.request("DELETE", path_of(application), body=body)
    except KubernetesProblem as problem:
        if problem.cause == NOT_FOUND:
            return True
        if problem.cause == CONFLICT:
            return False
        raise
    return True


def remove(api: KubernetesApi, path: str, resource: dict[str, Any]) -> None:
    """Remove this very ConfigMap, if it is still as it was seen."""
    preconditions = {key: resource["metadata"][key] for key in ("uid", "resourceVersion")}
    try:
        api.request("DELETE", path, body={"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions})
    except KubernetesProblem as problem:
        if problem.cause not in {NOT_FOUND, CONFLICT}:
            raise


def annotate(api: KubernetesApi, path: str, resource: dict[str, Any], annotations: Mapping[str, str]) -> dict[str, Any] | None:
    """Add annotations to a resource as it was seen; None when it has changed or gone meanwhile."""
    body = {"metadata": {"resourceVersion": resource["metadata"]["resourceVersion"], "annotations": dict(annotations)}}
    try:
        return api.request("PATCH", path, body=body, content_type=MERGE_PATCH)
    except KubernetesProblem as problem:
        if problem.cause in {CONFLICT, NOT_FOUND}:
            return None
        raise
