"""The Spark Runner of an environment: which backend, with which settings, and where its history goes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_dcp_provider.hooks.cluster_access import apis_of
from airflow_dcp_provider.hooks.connection_extra import extra_of
from airflow_dcp_provider.hooks.metrics import AirflowMetrics
from airflow_dcp_provider.hooks.settings import DcpSettings, read_settings
from airflow_dcp_provider.model.environment import KUBERNETES_BACKENDS, Environment
from airflow_dcp_provider.model.errors import CapabilityError, DcpEnvironmentError
from airflow_dcp_provider.model.execution import Attempt
from airflow_dcp_provider.model.proof import Proof
from airflow_dcp_provider.model.quantities import memory_bytes
from airflow_dcp_provider.runner.runner import SparkRunner

if TYPE_CHECKING:
    from airflow_dcp_provider.runner.backends.kubernetes.api import KubernetesApi
    from airflow_dcp_provider.runner.backends.kubernetes.kubeflow import KubeflowBackend
    from airflow_dcp_provider.runner.backends.local import LocalBackend

logger = logging.getLogger(__name__)

#: More bytes than any machine has.
_NO_LIMIT = 2**60


def runner_for(environment: Environment) -> SparkRunner:
    """Return the Spark Runner that runs jobs of ``environment``.

    :raises CapabilityError: DCP414 when this version cannot run jobs on the environment's backend.
    :raises DcpEnvironmentError: when a connection or an option of ``[dcp]`` is wrong.
    """
    from airflow_dcp_provider.runner.store import SqlStore

    settings = read_settings()
    options: dict[str, Any] = {
        "store": SqlStore(store_url(settings)),
        "metrics": AirflowMetrics(),
        "allowed_spark_conf": environment.allowed_spark_conf,
    }
    if environment.backend == "local":
        return SparkRunner(_local_backend(environment, settings), **options)
    if environment.backend in KUBERNETES_BACKENDS:
        return SparkRunner(
            cluster_backend(environment),
            memory_limit=_bytes(environment.limits.driver_memory),
            executor_memory_limit=_bytes(environment.limits.executor_memory),
            spark_defaults=environment.spark_defaults,
            # Nothing is for ever: 0 is how a connection says that it waits without an end.
            start_timeout=environment.start_timeout_seconds or None,
            **options,
        )
    raise CapabilityError(
        f"environment {environment.name} runs on the backend `{environment.backend}`, which is not available in this version",
        code="DCP414",
        hint=f"choose an environment whose backend is one of: local, {', '.join(KUBERNETES_BACKENDS)}",
    )


def cluster_backend(environment: Environment, api_for: Callable[[str], KubernetesApi] | None = None) -> KubeflowBackend:
    """Return the backend of an environment with clusters, that of its operator; connections are read when first needed.

    :param api_for: returns the client of a cluster by its name, where not those of the environment's connections are wanted.
    """
    from airflow_dcp_provider.runner.backends.kubernetes.apache import ApacheBackend
    from airflow_dcp_provider.runner.backends.kubernetes.kubeflow import KubeflowBackend

    kind = ApacheBackend if environment.backend == ApacheBackend.name else KubeflowBackend
    return kind(environment, api_for or apis_of(environment), lambda: spark_catalogs(environment))


def _bytes(limit: str) -> int:
    """Return a limit of the environment in bytes; without one the bounds of raising memory are enough."""
    return memory_bytes(limit) if limit else _NO_LIMIT


def _local_backend(environment: Environment, settings: DcpSettings) -> LocalBackend:
    from airflow_dcp_provider.runner.backends.local import LocalBackend
    from airflow_dcp_provider.runner.backends.local_settings import LocalSettings, places

    configured = {"java": settings.java_home, "iceberg_jar": settings.iceberg_jar, "spark_homes": places(settings.spark_homes)}
    local = LocalSettings.from_environment(
        None,
        **{name: value for name, value in configured.items() if value},
        max_processes=settings.max_local_executions,
        catalogs=spark_catalogs(environment),
        write_catalog=environment.write_catalog,
        spark_version=environment.spark_version,
        spark_defaults=dict(environment.spark_defaults),
        allowed_spark_conf=environment.allowed_spark_conf,
    )
    return LocalBackend(settings.home, local)


def record_proof(attempt: Attempt, proof: Proof) -> None:
    """Keep a proof in the history. The history decides nothing: when it cannot be written, a line is logged and the run goes on."""
    from airflow_dcp_provider.runner.store import SqlStore

    try:
        SqlStore(store_url(read_settings())).record(attempt, "PROOF", proof.to_dict())
    except Exception as error:  # noqa: BLE001 - whatever ails the store, the proof stands
        logger.warning("the store did not record the proof of %s: %s", proof.table, error)


def store_url(settings: DcpSettings) -> str:
    """Return the SQLAlchemy URL of the history: the store connection's, else a SQLite file under the home folder."""
    try:
        connection = BaseHook.get_connection(settings.store_conn_id)
    except AirflowNotFoundException:
        return f"sqlite:///{settings.home / 'dcp.db'}"
    # Airflow's URIs say `postgres`, which SQLAlchemy no longer reads.
    return connection.get_uri().replace("postgres://", "postgresql://", 1)


def spark_catalogs(environment: Environment) -> dict[str, dict[str, str]]:
    """Return each alias's Spark properties, from the Airflow connections of type ``iceberg`` that it leads to.

    :raises DcpEnvironmentError: DCP416 when such a connection is not defined or its extra is no JSON object.
    """
    return {
        alias: catalog_properties(environment.name, alias, ref.connection)
        for alias, ref in environment.catalogs.items()
        if ref.connection
    }


def catalog_properties(environment: str, alias: str, conn_id: str) -> dict[str, str]:
    """Return the properties of the catalog behind one connection, as Spark's Iceberg catalogs spell them.

    The reading is the apache-iceberg provider's: host is the URI, login and password are the credential, all else is in extra.

    :raises DcpEnvironmentError: DCP416 when the connection is not defined or its extra is no JSON object.
    """
    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException as error:
        raise DcpEnvironmentError(
            f"catalog `{alias}` of environment {environment} leads to the connection {conn_id}, which is not defined",
            code="DCP416",
            hint=f"define a connection {conn_id} of type iceberg, or correct the field `catalogs` of dcp_{environment}",
        ) from error
    properties = {"type": "rest", **{key: str(value) for key, value in extra_of(connection, conn_id).items()}}
    if connection.host:
        properties["uri"] = connection.host.rstrip("/")
    if properties["type"] == "rest" and connection.login and connection.password:
        properties["credential"] = f"{connection.login}:{connection.password}"
    return properties
