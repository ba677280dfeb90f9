"""What an environment on Kubernetes has where its connection says nothing: the figures of the first design document.

They are in its sections *Namespace Strategy*, *Environment-Specific Image Selection* and ``buildSparkConf``. Registries, images,
buckets and addresses are each deployment's own, so none is a default; without an event log folder no event log is written. The
local backend runs on one machine and has none of these.
"""

from __future__ import annotations

from airflow_dcp_provider.model.environment import KUBERNETES_BACKENDS, PLAYGROUND_PREFIX, Environment
from airflow_dcp_provider.model.images import Images
from airflow_dcp_provider.model.limits import Limits

#: Dynamic allocation is on everywhere; the limits bound it.
_DYNAMIC = {"spark.dynamicAllocation.enabled": "true", "spark.dynamicAllocation.shuffleTracking.enabled": "true"}

#: How many driver logs one triggerer follows at once where the connection does not say.
LIVE_LOGS = 10

_HOUR = 3600


def _sized(driver: tuple[int, str], executor: tuple[int, str], executors: int) -> Limits:
    return Limits(
        driver_cores=driver[0],
        driver_memory=driver[1],
        executor_cores=executor[0],
        executor_memory=executor[1],
        max_executors=executors,
    )


def _spark(shuffle_partitions: int, *, adaptive: bool = False) -> dict[str, str]:
    found = {"spark.sql.shuffle.partitions": str(shuffle_partitions), **_DYNAMIC}
    return {**found, "spark.sql.adaptive.enabled": "true"} if adaptive else found


#: Environment -> its defaults. A playground's are those of ``local``, the document's *developer sandbox*.
_TABLE: dict[str, Environment] = {
    "local": Environment(
        "local",
        namespace_template="sjns-playground-local-{user}",
        limits=_sized((2, "4g"), (2, "4g"), 2),
        ttl_seconds=4 * _HOUR,
        spark_defaults=_spark(4),
        images=Images(policy="any"),
        live_logs=LIVE_LOGS,
    ),
    "test": Environment(
        "test",
        namespace_template="sjns-playground-test",
        limits=_sized((2, "4g"), (4, "8g"), 5),
        ttl_seconds=_HOUR,
        spark_defaults=_spark(10),
        images=Images(policy="tag"),
        live_logs=LIVE_LOGS,
    ),
    "staging": Environment(
        "staging",
        namespace_template="sjns-{team}-{environment}",
        limits=_sized((4, "8g"), (4, "8g"), 10),
        ttl_seconds=24 * _HOUR,
        spark_defaults=_spark(100),
        images=Images(policy="tag"),
        live_logs=LIVE_LOGS,
    ),
    "prod": Environment(
        "prod",
        namespace_template="sjns-{team}-{environment}",
        limits=_sized((4, "16g"), (8, "32g"), 100),
        ttl_seconds=_HOUR,
        spark_defaults=_spark(200, adaptive=True),
        images=Images(policy="tag"),
        live_logs=LIVE_LOGS,
    ),
}


def environment_defaults(name: str, backend: str) -> Environment:
    """Return what the environment ``name`` has before its connection is read.

    :param name: canonical, see :func:`airflow_dcp_provider.model.environment.canonical_environment`.
    :param backend: the local backend's environments have no defaults beyond the values of :class:`Environment` itself.
    """
    if backend not in KUBERNETES_BACKENDS:
        return Environment(name)
    return _TABLE["local" if name.startswith(PLAYGROUND_PREFIX) else name]
