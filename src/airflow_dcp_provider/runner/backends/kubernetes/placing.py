"""What the gateway asks a cluster about one execution before it places it: what is there, how much runs, and to stay away.

A *fence* is a ConfigMap that takes the name under which a create keeps its files (:mod:`.driver_files`). A create makes those
first, and the API server gives a name to one of two only: so either the fence stands and that create is refused, however late it
comes, or the files are there already and the fence is not made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_dcp_provider.model.cluster import Cluster
from airflow_dcp_provider.model.execution import AttemptRef
from airflow_dcp_provider.model.names import label_value
from airflow_dcp_provider.runner.backends.kubernetes import states
from airflow_dcp_provider.runner.backends.kubernetes.api import KubernetesApi
from airflow_dcp_provider.runner.backends.kubernetes.names import (
    ENVIRONMENT,
    EXECUTION_ID,
    FENCE_KIND,
    GROUP_VERSION,
    KIND_LABEL,
    applications_path,
    core_path,
    execution_selector,
    files_name,
)
from airflow_dcp_provider.runner.backends.kubernetes.problems import CONFLICT, KubernetesProblem

#: How often a write without a clear answer is looked at again.
_TRIES = 3


class ClusterQuestions:
    """The questions of :meth:`airflow_dcp_provider.gateway.gateway.Gateway.place` about one execution.

    :param api_for: returns the client of a cluster by its name.
    :param first: the execution's first attempt; its cluster and namespace do not matter.
    :param group_version: of the applications, by the environment's backend.
    """

    def __init__(self, api_for: Callable[[str], KubernetesApi], first: AttemptRef, group_version: str = GROUP_VERSION) -> None:
        self._api_for = api_for
        self._first = first
        self._group_version = group_version

    def holds(self, cluster: Cluster, namespace: str) -> bool:
        """Whether the namespace has an application, a tombstone or files of the execution.

        :raises KubernetesProblem: when the cluster cannot be asked.
        """
        api = self._api_for(cluster.name)
        mine = {"labelSelector": execution_selector(self._first.execution_id)}
        if api.request("GET", self._applications(namespace), params=mine).get("items"):
            return True
        kept = api.request("GET", core_path(namespace, "configmaps"), params=mine).get("items") or []
        return any(_kind(config_map) != FENCE_KIND for config_map in kept)

    def fence(self, cluster: Cluster, namespace: str) -> bool:
        """Close the namespace to the execution; False when it holds something of it.

        :raises KubernetesProblem: when the cluster does not answer clearly.
        """
        api = self._api_for(cluster.name)
        path = core_path(namespace, "configmaps")
        for left in reversed(range(_TRIES)):
            try:
                api.request("POST", path, body=self._fence(namespace))
            except KubernetesProblem as problem:
                existing = api.get(f"{path}/{files_name(self._first)}")
                if existing is not None:
                    return _kind(existing) == FENCE_KIND
                if not left or not (problem.ambiguous or problem.cause == CONFLICT):
                    raise
            else:
                return True
        raise AssertionError

    def live(self, cluster: Cluster, namespace: str) -> int:
        """Return how many of the environment's applications in the namespace have not ended.

        :raises KubernetesProblem: when the cluster cannot be asked.
        """
        selector = {"labelSelector": f"{ENVIRONMENT}={label_value(self._first.environment)}"}
        applications = self._api_for(cluster.name).each(self._applications(namespace), params=selector)
        return sum(not states.execution_state(application).is_terminal for application in applications)

    def _applications(self, namespace: str) -> str:
        return applications_path(namespace, group_version=self._group_version)

    def _fence(self, namespace: str) -> dict[str, Any]:
        mine = {EXECUTION_ID: label_value(self._first.execution_id), ENVIRONMENT: label_value(self._first.environment)}
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": files_name(self._first), "namespace": namespace, "labels": {**mine, KIND_LABEL: FENCE_KIND}},
            "immutable": True,
            "data": {"why": "a later try of this execution has chosen another cluster, so that it never runs on both"},
        }


def _kind(config_map: dict[str, Any]) -> str:
    return str((config_map["metadata"].get("labels") or {}).get(KIND_LABEL, ""))
