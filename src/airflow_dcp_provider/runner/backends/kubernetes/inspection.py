"""Looks at one cluster as the Spark Runner would use it: does it answer, has it the operator's resources, namespaces and rights.

Nothing is created: where a write has to be tried, it is a dry run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.findings import Finding
from airflow_dcp_provider.runner.backends.kubernetes.api import KubernetesApi
from airflow_dcp_provider.runner.backends.kubernetes.names import APACHE_GROUP_VERSION, GROUP_VERSION, PLURAL, core_path
from airflow_dcp_provider.runner.backends.kubernetes.problems import MISSING, NOT_FOUND, RBAC, KubernetesProblem
from airflow_dcp_provider.runner.backends.kubernetes.rights import Right, missing_rights, rights

_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

#: Custom resource -> what brings it.
_INSTALL = {
    GROUP_VERSION: "install the Kubeflow Spark operator, version 2 or later, with its custom resource definitions",
    APACHE_GROUP_VERSION: "install the Apache Spark Kubernetes operator with its custom resource definitions",
}


def inspect_cluster(
    api: KubernetesApi,
    namespaces: Sequence[str],
    *,
    group_version: str = GROUP_VERSION,
    service_account: str = "",
    connection: str = "",
) -> Iterator[Finding]:
    """Yield what is good and bad about a cluster; a cluster that does not answer ends it.

    :param namespaces: those that jobs of the environment get on it.
    :param group_version: of the applications, by the environment's backend.
    :param service_account: of drivers, or empty for the namespace's own.
    :param connection: id of the Airflow connection, for hints.
    """
    subject = f"cluster {api.cluster}"
    try:
        version = api.request("GET", "/version").get("gitVersion", "of an unknown version")
    except DcpEnvironmentError as error:
        # KubernetesProblem is one of them; credentials that cannot be had are another.
        yield Finding(subject, "bad", error.message, f"{error.hint} (connection {connection})" if connection else error.hint)
        return
    yield Finding(subject, "good", f"answers, Kubernetes {version}")
    try:
        yield _resource(api, subject, group_version)
        for name in namespaces:
            yield from _namespace(api, name, rights(group_version), service_account)
    except DcpEnvironmentError as error:
        yield Finding(subject, "bad", error.message, error.hint)


def _resource(api: KubernetesApi, subject: str, group_version: str) -> Finding:
    """Return whether the custom resource is served in the version that we write."""
    name, _, wanted = group_version.partition("/")
    group = _found(api, f"/apis/{name}")
    if group is None:
        return Finding(subject, "bad", f"has no custom resources of {name}", _INSTALL[group_version])
    versions = ", ".join(str(each["version"]) for each in group.get("versions") or [])
    served = _found(api, f"/apis/{group_version}")
    if served is None or PLURAL not in {each["name"] for each in served.get("resources") or []}:
        return Finding(
            subject,
            "bad",
            f"does not serve {PLURAL} in {wanted}, only {name} in {versions or 'no version'}",
            _INSTALL[group_version],
        )
    return Finding(subject, "good", f"has {PLURAL}.{name} in {versions}{_release(api, name)}")


def _release(api: KubernetesApi, group: str) -> str:
    """Return which release the definition is from, where it says so and this user may look."""
    try:
        definition = api.get(f"{_DEFINITIONS}/{PLURAL}.{group}") or {}
    except KubernetesProblem:
        return ""
    release = (definition.get("metadata", {}).get("labels") or {}).get("app.kubernetes.io/version")
    return f" (release {release})" if release else ""


def _found(api: KubernetesApi, path: str) -> dict[str, Any] | None:
    try:
        return api.request("GET", path)
    except KubernetesProblem as problem:
        if problem.cause in {MISSING, NOT_FOUND}:
            return None
        raise


def _namespace(api: KubernetesApi, name: str, needed: Sequence[Right], service_account: str) -> Iterator[Finding]:
    where = f"cluster {api.cluster}, namespace {name}"
    existence, exists = _existence(api, where, name)
    yield existence
    lacking = missing_rights(api, name, needed)
    if lacking:
        rules = json.dumps([right.rule() for right in lacking])
        yield Finding(
            where,
            "bad",
            f"the connection's user may not {'; '.join(map(str, lacking))}",
            f"bind it to the Role of deploy/kubernetes/role.yaml in {name}; the rules that are missing: {rules}",
        )
    else:
        yield Finding(where, "good", "rights suffice")
    if exists and service_account:
        yield _service_account(api, where, name, service_account)


def _existence(api: KubernetesApi, where: str, name: str) -> tuple[Finding, bool]:
    """Return whether the namespace takes what we create, and whether it is there as far as that can be told."""
    probe = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "spark-runner-check-"}}
    try:
        # Namespaces themselves are not in the Role; a dry run needs no more than the rights that jobs need.
        api.request("POST", core_path(name, "configmaps"), params={"dryRun": "All"}, body=probe)
    except KubernetesProblem as problem:
        if problem.cause == RBAC:
            return _looked_up(api, where, name)
        if problem.cause == MISSING:
            return Finding(where, "bad", "does not exist" if problem.status == 404 else problem.message, _create(name)), False
        return Finding(where, "bad", f"does not take what jobs need: {problem.message}", problem.hint), True
    return Finding(where, "good", "exists and takes what jobs need"), True


def _looked_up(api: KubernetesApi, where: str, name: str) -> tuple[Finding, bool]:
    try:
        found = api.request("GET", f"/api/v1/namespaces/{name}")
    except KubernetesProblem as problem:
        if problem.cause in {MISSING, NOT_FOUND}:
            return Finding(where, "bad", "does not exist", _create(name)), False
        if problem.cause != RBAC:
            raise
        text = "whether it exists cannot be told without rights in it"
        return Finding(where, "not checked", text, "give the rights below, or make sure that it exists"), False
    phase = (found.get("status") or {}).get("phase", "Active")
    if phase != "Active":
        return Finding(where, "bad", f"is {phase}", "wait until it is gone, then create it again"), False
    return Finding(where, "good", "exists"), True


def _create(name: str) -> str:
    return f"create it: kubectl create namespace {name}; then bind the user to the Role of deploy/kubernetes/role.yaml in it"


def _service_account(api: KubernetesApi, where: str, namespace: str, name: str) -> Finding:
    try:
        found = api.get(core_path(namespace, "serviceaccounts", name))
    except KubernetesProblem as problem:
        if problem.cause != RBAC:
            raise
        return Finding(where, "not checked", f"the connection's user may not look at the service account {name}")
    if found is None:
        return Finding(
            where,
            "bad",
            f"has no service account {name}",
            f"create it, with the rights that Spark's driver needs: kubectl create serviceaccount {name} --namespace {namespace}",
        )
    return Finding(where, "good", f"has the service account {name}")
