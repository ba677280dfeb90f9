"""The cluster under test: what the end-to-end run makes there beforehand, what it looks at, and what it removes at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.runner.backends.kubernetes.access import ClusterAccess
from airflow_dcp_provider.runner.backends.kubernetes.api import KubernetesApi
from airflow_dcp_provider.runner.backends.kubernetes.names import (
    APP_NAMES,
    ATTEMPT,
    EXECUTION_ID,
    GROUP_VERSION,
    JOB_NAME,
    PLURAL,
    applications_path,
    core_path,
)
from dev.airflow_api import wait_until
from dev.e2e.options import Options

Resource = dict[str, Any]

_RBAC = "/apis/rbac.authorization.k8s.io/v1"

#: What Spark's driver does in its own namespace: its executors' pods.
DRIVER_RULES = [
    {
        "apiGroups": [""],
        "resources": ["pods"],
        "verbs": ["create", "get", "list", "watch", "delete", "deletecollection"],
    }
]


class Cluster:
    """One cluster, by the caller's kubeconfig. Everything that is made here is remembered and removed by :meth:`clean`."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.api = KubernetesApi(ClusterAccess("e2e", kube_config_path=str(options.kubeconfig), context=options.context))
        self._made: list[str] = []

    # Before

    def prepare(self) -> list[str]:
        """Make namespaces and service accounts that are missing; returns what was made.

        :raises DcpEnvironmentError: when the cluster does not answer or refuses.
        """
        self.api.request("GET", "/version")
        made = []
        for namespace in self._options.namespaces:
            if self._missing(f"/api/v1/namespaces/{namespace}"):
                self.make("/api/v1/namespaces", {"metadata": {"name": namespace}})
                made.append(f"namespace {namespace}")
            made += self._service_account(namespace, self._options.service_account)
        return made

    def _service_account(self, namespace: str, name: str) -> list[str]:
        if not self._missing(core_path(namespace, "serviceaccounts", name)):
            return []
        self.make(core_path(namespace, "serviceaccounts"), {"metadata": {"name": name}})
        role, base = self._options.name, f"{_RBAC}/namespaces/{namespace}"
        self.make(f"{base}/roles", {"metadata": {"name": role}, "rules": DRIVER_RULES})
        binding = {
            "metadata": {"name": role},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        }
        self.make(f"{base}/rolebindings", binding)
        return [f"service account {name} in {namespace}"]

    def _missing(self, path: str) -> bool:
        """Whether something is surely not there. A kubeconfig that may not look is told by `environments check`."""
        try:
            return self.api.get(path) is None
        except DcpEnvironmentError as error:
            if getattr(error, "status", 0) in (403, 404):
                return getattr(error, "status", 0) == 404
            raise

    def make(self, collection: str, body: Resource) -> None:
        """Create something that :meth:`clean` removes again."""
        self.api.request("POST", collection, body=body)
        self._made.append(f"{collection}/{body['metadata']['name']}")

    def wait_ready(self, deployment: str, seconds: float) -> None:
        """Wait until a Deployment of the first namespace has a ready pod."""
        path = f"/apis/apps/v1/namespaces/{self._options.namespace}/deployments/{deployment}"
        wait_until(lambda: self.api.request("GET", path)["status"].get("readyReplicas"), f"{deployment} to be ready", seconds)

    # Meanwhile

    def applications(self, execution_id: str, namespace: str = "") -> list[Resource]:
        """Return an execution's applications, the first attempt first."""
        path = applications_path(namespace or self._options.namespace)
        found = self.api.request("GET", path, params={"labelSelector": f"{EXECUTION_ID}={execution_id}"})["items"]
        return sorted(found, key=lambda each: int(each["metadata"]["labels"][ATTEMPT]))

    def files_of_job(self, job: str, namespace: str = "") -> list[Resource]:
        """Return the ConfigMaps of a job's attempts, which are made before the applications."""
        path = core_path(namespace or self._options.namespace, "configmaps")
        found: list[Resource] = self.api.request("GET", path, params={"labelSelector": f"{JOB_NAME}={job}"})["items"]
        return found

    def pods(self, application: str, namespace: str = "") -> list[Resource]:
        """Return the pods of an application."""
        label = f"{APP_NAMES[GROUP_VERSION]}={application}"
        path = core_path(namespace or self._options.namespace, "pods")
        found: list[Resource] = self.api.request("GET", path, params={"labelSelector": label})["items"]
        return found

    def wait_state(self, execution_id: str, attempt: int, state: str, seconds: float) -> Resource:
        """Wait until an attempt's application is in a state of the operator's and return it."""

        def found() -> Resource | None:
            for each in self.applications(execution_id):
                if each["metadata"]["labels"][ATTEMPT] == str(attempt) and state_of(each) == state:
                    return each
            return None

        application: Resource = wait_until(found, f"attempt {attempt} of {execution_id} to be {state}", seconds)
        return application

    def wait_next(self, execution_id: str, after: int, state: str, seconds: float) -> Resource:
        """Wait until an attempt later than ``after`` is in a state of the operator's and return its application."""

        def found() -> Resource | None:
            for each in self.applications(execution_id):
                if int(each["metadata"]["labels"][ATTEMPT]) > after and state_of(each) == state:
                    return each
            return None

        application: Resource = wait_until(found, f"an attempt of {execution_id} after {after} to be {state}", seconds)
        return application

    def wait_gone(self, execution_id: str, application: str, seconds: float = 120) -> None:
        """Wait until an application and all of its pods are gone."""

        def gone() -> bool:
            here = [each["metadata"]["name"] for each in self.applications(execution_id)]
            return application not in here and not self.pods(application)

        wait_until(gone, f"{application} and its pods to be gone", seconds)

    def delete(self, path: str) -> None:
        """Delete a resource; one that is gone already is no error. An application stays until its pods are gone."""
        policy = "Foreground" if f"/{PLURAL}/" in path else "Background"
        try:
            self.api.request("DELETE", path, body={"propagationPolicy": policy})
        except DcpEnvironmentError as error:
            if getattr(error, "status", 0) != 404:
                raise

    # Afterwards

    def clean(self) -> list[str]:
        """Remove everything of this run; returns what could not be removed."""
        left = []
        paths = [*self._of_this_run(left), *reversed(self._made)]
        for path in paths:
            try:
                self.delete(path)
            except DcpEnvironmentError as error:
                left.append(f"{path}: {error.message}")
        return left

    def close(self) -> None:
        """Give the connections back."""
        self.api.close()

    def _of_this_run(self, left: list[str]) -> Iterator[str]:
        for namespace in self._options.namespaces:
            for collection in (applications_path(namespace), core_path(namespace, "configmaps")):
                try:
                    found = list(self.api.each(collection, params={"labelSelector": JOB_NAME}))
                except DcpEnvironmentError as error:
                    left.append(f"{collection}: {error.message}")
                    continue
                for each in found:
                    if each["metadata"]["labels"][JOB_NAME].startswith(f"{self._options.name}-"):
                        yield f"{collection}/{each['metadata']['name']}"


def state_of(application: Resource) -> str:
    """Return the operator's state, empty for an application that it has not seen."""
    return str(((application.get("status") or {}).get("applicationState") or {}).get("state", ""))
