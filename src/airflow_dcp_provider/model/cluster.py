"""One of an environment's clusters, as its connection describes it. Choosing one is :mod:`airflow_dcp_provider.gateway`'s."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cluster:
    """A Kubernetes cluster of an environment.

    :param name: what attempts, labels and messages call it; unique in its environment.
    :param connection: id of an Airflow connection of type ``kubernetes``; credentials stay there.
    :param region: where it is; empty when that says nothing.
    :param weight: its share of new executions beside the other clusters'; 0 drains it: it gets no new ones and keeps those it has.
    :param spark_versions: engine versions that it serves, for example ``3.5``; empty means every version.
    :param namespace: takes the place of the environment's namespace template on this cluster; empty for the template.
    """

    name: str
    connection: str
    region: str = ""
    weight: float = 1.0
    spark_versions: tuple[str, ...] = ()
    namespace: str = ""

    def serves(self, spark_version: str) -> bool:
        """Whether jobs of this Spark version may run here; ``3.5`` serves ``3.5.1`` too."""
        return not self.spark_versions or any(
            spark_version == served or spark_version.startswith(f"{served}.") for served in self.spark_versions
        )
