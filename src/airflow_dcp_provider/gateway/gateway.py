"""Where an execution runs: cluster, namespace and image (``Gateway`` in the first design document).

An execution never gets a second cluster while the first may hold something of it:

- The first try of a round has created nothing yet. It may pass over a cluster that does not answer, before anything was sent.
- Every later try asks all of the environment's clusters for the execution. What holds it keeps it. If one cannot be asked, nothing
  is created. If none holds it, an earlier try may still be on its way (a process that was thought dead): the try *fences* every
  cluster but the one it takes, so that the other's create, however late, is refused or is found.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from airflow_dcp_provider.gateway.circuit import Circuits
from airflow_dcp_provider.gateway.images import image_for
from airflow_dcp_provider.gateway.limits import check_executions
from airflow_dcp_provider.gateway.namespaces import namespace_for
from airflow_dcp_provider.gateway.places import Places
from airflow_dcp_provider.gateway.routing import rank
from airflow_dcp_provider.model.cluster import Cluster
from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.job import JobSpec

logger = logging.getLogger(__name__)

#: The label of a manifest whose value names the region that its clusters should be in, where the environment has one there.
REGION_LABEL = "region"

#: Asks one cluster about this execution in one namespace; raises DcpEnvironmentError when it cannot be asked.
Ask = Callable[[Cluster, str], bool]


@dataclass(frozen=True)
class Placement:
    """Where an execution runs.

    :param cluster: the chosen cluster; executions remember it by its name.
    :param namespace: the Kubernetes namespace.
    :param image: of driver and executors.
    """

    cluster: Cluster
    namespace: str
    image: str


class Gateway:
    """Places executions on the clusters of one environment.

    :param circuits: the process's own, see :class:`Circuits`.
    """

    def __init__(self, environment: Environment, circuits: Circuits) -> None:
        self._environment = environment
        self._circuits = circuits

    def place(
        self,
        job: JobSpec,
        execution_id: str,
        *,
        first_try: bool,
        holds: Ask,
        fence: Ask,
        live: Callable[[Cluster, str], int],
        triggered_by: str = "",
        places: Places | None = None,
    ) -> Placement:
        """Return where an execution runs.

        :param first_try: whether no earlier try of the task's round can have created anything.
        :param holds: whether a cluster's namespace holds anything of this execution: an application, a tombstone, or files that
            were sent ahead of an application.
        :param fence: forbids a cluster's namespace to create this execution from now on, and returns True; returns False and
            forbids nothing when it holds something of it after all. Both in one step that no create can come between.
        :param live: how many applications of a cluster's namespace have not ended.
        :param triggered_by: the user who triggered the run, or empty.
        :param places: where fields of the job stand in its manifest, for messages.
        :raises ManifestError: when the manifest names an image that the environment does not run.
        :raises DcpEnvironmentError: DCP480 when no cluster may run it, DCP481 or DCP482 without namespace or image, DCP483 when no
            cluster answers, DCP484 when a later try cannot ask a cluster, DCP485 when too many executions are there already.
        """
        image = image_for(job, self._environment, places)
        clusters = self._environment.clusters
        namespaces = {each.name: namespace_for(self._environment, each, job.team, triggered_by) for each in clusters}
        ranked = rank(clusters, execution_id, self._environment.spark_version_of(job.engine), job.labels.get(REGION_LABEL))
        if len(clusters) == 1 and ranked and self._environment.limits.max_executions is None:
            # Nothing to choose and nothing to count: what the cluster holds, the Runner asks it itself.
            return Placement(clusters[0], namespaces[clusters[0].name], image)
        if first_try:
            chosen, held = self._first(ranked, namespaces, holds, job)
        else:
            chosen, held = self._later(ranked, namespaces, holds, fence, job)
        namespace = namespaces[chosen.name]
        if not held:
            check_executions(self._environment, namespace, lambda: live(chosen, namespace))
        return Placement(chosen, namespace, image)

    def _first(self, ranked: tuple[Cluster, ...], namespaces: dict[str, str], holds: Ask, job: JobSpec) -> tuple[Cluster, bool]:
        if not ranked:
            raise self._no_cluster(job)
        errors: list[str] = []
        for cluster in self._to_ask(ranked):
            try:
                held = self._ask(cluster, namespaces, holds)
            except DcpEnvironmentError as error:
                logger.warning("cluster %s is passed over, nothing was sent to it: %s", cluster.name, error.message)
                errors.append(f"{cluster.name}: {error.message}")
            else:
                return cluster, held
        raise DcpEnvironmentError(
            f"no cluster of environment {self._environment.name} answers: {'; '.join(errors)}",
            code="DCP483",
            hint=f"nothing was created; `pretzel environments check {self._environment.name}` says what each of them lacks",
        )

    def _to_ask(self, ranked: tuple[Cluster, ...]) -> Iterator[Cluster]:
        """Yield the clusters in order, without those whose circuits are open.

        A circuit saves time and forbids nothing: where all are open, all are yielded.
        """
        allowed = False
        for cluster in ranked:
            # Not before its turn: a half-open circuit lets one probe through, and it is for a cluster that is asked.
            if self._circuits.of(cluster.connection, cluster.name).allows():
                allowed = True
                yield cluster
        if not allowed:
            yield from ranked

    def _later(
        self, ranked: tuple[Cluster, ...], namespaces: dict[str, str], holds: Ask, fence: Ask, job: JobSpec
    ) -> tuple[Cluster, bool]:
        unknown: list[str] = []
        # Drained clusters and those that no longer serve the job's Spark may hold what an earlier try created.
        for cluster in self._environment.clusters:
            try:
                if self._ask(cluster, namespaces, holds):
                    return cluster, True
            except DcpEnvironmentError as error:
                unknown.append(f"{cluster.name}: {error.message}")
        if unknown:
            raise self._unknown(unknown)
        if not ranked:
            raise self._no_cluster(job)
        chosen = ranked[0]
        for cluster in self._environment.clusters:
            if cluster == chosen:
                continue
            try:
                if not self._ask(cluster, namespaces, fence):
                    return cluster, True
            except DcpEnvironmentError as error:
                raise self._unknown([f"{cluster.name}: {error.message}"]) from error
        return chosen, False

    def _ask(self, cluster: Cluster, namespaces: dict[str, str], question: Ask) -> bool:
        circuit = self._circuits.of(cluster.connection, cluster.name)
        try:
            found = question(cluster, namespaces[cluster.name])
        except DcpEnvironmentError:
            circuit.failed()
            raise
        circuit.succeeded()
        return found

    def _unknown(self, unknown: list[str]) -> DcpEnvironmentError:
        return DcpEnvironmentError(
            f"an earlier try may have created this execution on a cluster of environment {self._environment.name} that cannot be "
            f"asked: {'; '.join(unknown)}",
            code="DCP484",
            hint="nothing was created, so that the job cannot run twice; the task tries again. If a cluster is gone for good, "
            f"take it out of the connection dcp_{self._environment.name}",
        )

    def _no_cluster(self, job: JobSpec) -> DcpEnvironmentError:
        name, clusters = self._environment.name, self._environment.clusters
        if not clusters:
            what, hint = "it has no clusters", "add one to the field `clusters`"
        elif all(cluster.weight == 0 for cluster in clusters):
            what, hint = "all of its clusters are drained (weight 0)", "give one of them a weight above 0 in the field `clusters`"
        else:
            served = ", ".join(f"{each.name}: {', '.join(each.spark_versions) or 'any'}" for each in clusters if each.weight > 0)
            what = f"none of its clusters serves Spark {self._environment.spark_version_of(job.engine)} ({served})"
            hint = (
                "choose another engine version in the manifest, or add it to a cluster's `spark_versions` in the field `clusters`"
            )
        return DcpEnvironmentError(
            f"environment {name} cannot run {job.manifest_id}: {what}", code="DCP480", hint=f"{hint} of the connection dcp_{name}"
        )
