"""In which order an environment's clusters are asked for an execution: weighted rendezvous hashing, a pure function.

Each cluster draws a number from the execution's id and its own name; the largest, weighted, comes first. So every process finds
the same order without asking anybody, executions spread by weight, and a cluster that comes or goes moves only its own share.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable

from airflow_dcp_provider.model.cluster import Cluster


def rank(clusters: Iterable[Cluster], execution_id: str, spark_version: str, region: str | None = None) -> tuple[Cluster, ...]:
    """Return the clusters that may run an execution, the first choice first.

    :param spark_version: the job's; clusters that do not serve it are left out, and so are drained ones (weight 0).
    :param region: where the job would rather be; its clusters come before all others. None or empty for anywhere.
    """
    usable = [cluster for cluster in clusters if cluster.weight > 0 and cluster.serves(spark_version)]
    return tuple(
        sorted(
            usable, key=lambda cluster: (bool(region) and cluster.region != region, -_score(cluster, execution_id), cluster.name)
        )
    )


def _score(cluster: Cluster, execution_id: str) -> float:
    digest = hashlib.sha256(f"{execution_id}/{cluster.name}".encode()).digest()
    # From (0, 1): the half keeps the logarithm away from both ends.
    drawn = (int.from_bytes(digest[:6]) + 0.5) / 2**48
    return -cluster.weight / math.log(drawn)
