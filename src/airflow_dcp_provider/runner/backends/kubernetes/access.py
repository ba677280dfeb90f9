"""How one cluster is reached, as a value. Two values never share a client, a token or a certificate."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import yaml
from lightkube.config.client_adapter import ConnectionParams
from lightkube.config.kubeconfig import DEFAULT_KUBECONFIG, SERVICE_ACCOUNT, KubeConfig, SingleConfig
from lightkube.core.exceptions import ConfigError

from airflow_dcp_provider.model.errors import DcpEnvironmentError

# One line a request, as httpx2 logs at INFO, would drown what a task has to say.
logging.getLogger("httpx2").setLevel(logging.WARNING)

#: Exec plugins answer in this form; lightkube knows it by its older name, and the two are the same for bearer tokens.
_EXEC_API = "client.authentication.k8s.io/v1"

#: What reading a kubeconfig and its certificates may raise.
_UNREADABLE = (ConfigError, OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError, msgspec.ValidationError)


@dataclass(frozen=True)
class ClusterAccess:
    """Where a cluster's API is and who asks.

    At most one of ``kube_config``, ``kube_config_path`` and ``in_cluster`` is given. Without any, the service account of this
    process's pod is used, else ``~/.kube/config``. The variable ``KUBECONFIG`` is never read: one process may use several clusters.

    :param name: what messages call the cluster.
    :param kube_config: a kubeconfig's text; it may hold credentials.
    :param kube_config_path: a kubeconfig's path; ``~`` and variables such as ``$KUBECONFIG`` are expanded.
    :param context: the kubeconfig's context; empty for its current one.
    :param namespace: the namespace to use where nothing else names one; empty for the context's own.
    :param verify: whether the server's certificate is checked.
    """

    name: str
    kube_config: str = field(default="", repr=False)
    kube_config_path: str = ""
    in_cluster: bool = False
    context: str = ""
    namespace: str = ""
    verify: bool = True


def client_options(access: ClusterAccess, timeout: httpx2.Timeout) -> dict[str, Any]:
    """Return the arguments of an httpx2 client of this cluster: address, certificates, authentication.

    :raises DcpEnvironmentError: DCP469 when the configuration cannot be used.
    """
    try:
        config, proxy = _single_config(access)
        return ConnectionParams(timeout=timeout, proxy=proxy).httpx_params(config)
    except _UNREADABLE as error:
        raise DcpEnvironmentError(
            f"the access to cluster {access.name} cannot be used: {_sentence(error)}",
            code="DCP469",
            hint="correct the fields in_cluster, kube_config_path, kube_config and cluster_context of its Airflow connection",
        ) from error


def default_namespace(access: ClusterAccess) -> str:
    """Return the namespace that the access itself names.

    :raises DcpEnvironmentError: DCP469 when the configuration cannot be used.
    """
    if access.namespace:
        return access.namespace
    try:
        return _single_config(access)[0].namespace
    except _UNREADABLE as error:
        raise DcpEnvironmentError(
            f"the access to cluster {access.name} cannot be used: {_sentence(error)}", code="DCP469", hint="see its connection"
        ) from error


def _single_config(access: ClusterAccess) -> tuple[SingleConfig, str | None]:
    """Return the chosen context's configuration and its proxy, if it has one."""
    given = [bool(access.in_cluster), bool(access.kube_config_path), bool(access.kube_config)]
    if sum(given) > 1:
        raise ConfigError("in_cluster, kube_config_path and kube_config exclude each other")
    if access.in_cluster or (not any(given) and Path(SERVICE_ACCOUNT, "token").is_file()):
        if "KUBERNETES_SERVICE_HOST" not in os.environ:
            raise ConfigError("in_cluster is set, but this process runs in no pod (KUBERNETES_SERVICE_HOST is not set)")
        return _chosen(KubeConfig.from_service_account(), access), None
    if access.kube_config:
        return _from_text(access.kube_config, None, access)
    path = Path(os.path.expandvars(access.kube_config_path or DEFAULT_KUBECONFIG)).expanduser()
    return _from_text(path.read_text(encoding="utf-8"), path, access)


def _from_text(text: str, path: Path | None, access: ClusterAccess) -> tuple[SingleConfig, str | None]:
    document = yaml.safe_load(text)
    if not isinstance(document, dict):
        raise ConfigError("the kubeconfig is no mapping")
    for user in document.get("users") or []:
        plugin = (user.get("user") or {}).get("exec") or {}
        if plugin.get("apiVersion") == _EXEC_API:
            plugin["apiVersion"] = f"{_EXEC_API}beta1"
    config = _chosen(KubeConfig.from_dict(document, path), access)
    cluster = next(item["cluster"] for item in document["clusters"] if item["name"] == config.context.cluster)
    if cluster.get("tls-server-name"):
        raise ConfigError("the kubeconfig sets tls-server-name, which is not supported")
    return config, cluster.get("proxy-url")


def _chosen(config: KubeConfig, access: ClusterAccess) -> SingleConfig:
    chosen = config.get(access.context or None)
    if chosen is None or chosen.user is None:
        raise ConfigError("the kubeconfig's context names no user")
    chosen.cluster.insecure = chosen.cluster.insecure or not access.verify
    if chosen.cluster.insecure:
        # A certificate authority would win over the wish not to check.
        chosen.cluster.certificate_auth = chosen.cluster.certificate_auth_data = None
    return chosen


def _sentence(error: BaseException) -> str:
    """Say what is wrong without the text of the configuration, which a YAML error would quote."""
    if isinstance(error, yaml.YAMLError):
        return "the kubeconfig is no YAML"
    if isinstance(error, KeyError):
        return f"the kubeconfig lacks {error}"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
