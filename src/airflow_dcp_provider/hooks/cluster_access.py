"""Clusters through Airflow's connections of type ``kubernetes``: the same fields that its ``KubernetesHook`` reads, as values.

Light: the clients are imported only when one is asked for.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_dcp_provider.hooks.connection_extra import extra_of
from airflow_dcp_provider.model.cluster import Cluster
from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.errors import DcpEnvironmentError

if TYPE_CHECKING:
    from airflow_dcp_provider.runner.backends.kubernetes.access import ClusterAccess
    from airflow_dcp_provider.runner.backends.kubernetes.api import KubernetesApi

#: Older forms wrote the fields with this before their names.
_PREFIX = "extra__kubernetes__"


def cluster_of(environment: Environment, name: str) -> Cluster:
    """Return one of the environment's clusters by its name.

    :raises DcpEnvironmentError: DCP469 when the environment has none of that name (any more).
    """
    for cluster in environment.clusters:
        if cluster.name == name:
            return cluster
    known = ", ".join(cluster.name for cluster in environment.clusters) or "none"
    raise DcpEnvironmentError(
        f"environment {environment.name} has no cluster `{name}`",
        code="DCP469",
        hint=f"its clusters are: {known}; a cluster that still runs jobs is drained (weight 0) and not removed",
    )


def cluster_access(cluster: Cluster) -> ClusterAccess:
    """Return how the cluster is reached.

    :raises DcpEnvironmentError: DCP416 when its connection is not defined or its extra is no JSON object.
    """
    from airflow_dcp_provider.runner.backends.kubernetes.access import ClusterAccess

    extra = _extra(cluster)

    def field(name: str) -> Any:
        return extra.get(name) or extra.get(f"{_PREFIX}{name}") or ""

    kube_config = field("kube_config")
    return ClusterAccess(
        name=cluster.name,
        kube_config=kube_config if isinstance(kube_config, str) else json.dumps(kube_config),
        kube_config_path=str(field("kube_config_path")),
        in_cluster=_flag(field("in_cluster")),
        context=str(field("cluster_context")),
        namespace=str(field("namespace")),
        verify=not _flag(field("disable_verify_ssl")),
    )


def apis_of(environment: Environment) -> Callable[[str], KubernetesApi]:
    """Return a function from a cluster's name to its client; any thread may call it.

    Each cluster's connection is read and its client made when it is first asked for. Clusters share nothing.
    """
    made: dict[str, KubernetesApi] = {}
    # The same thread may come in twice: Airflow calls `on_kill` in a signal handler, which asks for the client whose connection
    # the interrupted code may just be reading.
    lock = threading.RLock()

    def api_for(name: str) -> KubernetesApi:
        from airflow_dcp_provider.runner.backends.kubernetes.api import KubernetesApi

        with lock:
            if name not in made:
                made.setdefault(name, KubernetesApi(cluster_access(cluster_of(environment, name))))
            return made[name]

    return api_for


def _extra(cluster: Cluster) -> Mapping[str, Any]:
    try:
        connection = BaseHook.get_connection(cluster.connection)
    except AirflowNotFoundException as error:
        raise DcpEnvironmentError(
            f"cluster {cluster.name} has no connection {cluster.connection}",
            code="DCP416",
            hint=f"define a connection {cluster.connection} of type kubernetes",
        ) from error
    return extra_of(connection, cluster.connection)


def _flag(value: Any) -> bool:
    return value.strip().lower() in {"true", "1", "yes"} if isinstance(value, str) else bool(value)
