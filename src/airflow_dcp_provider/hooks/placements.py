"""Asks the gateway where an execution of an Airflow task runs."""

from __future__ import annotations

from airflow_dcp_provider.gateway.circuit import Circuits
from airflow_dcp_provider.gateway.gateway import Gateway, Placement
from airflow_dcp_provider.gateway.places import Places
from airflow_dcp_provider.hooks.cluster_access import apis_of
from airflow_dcp_provider.model.cluster import Cluster
from airflow_dcp_provider.model.environment import KUBERNETES_BACKENDS, Environment
from airflow_dcp_provider.model.execution import AttemptRef
from airflow_dcp_provider.model.job import JobSpec
from airflow_dcp_provider.model.names import resource_name

#: Where jobs of the local backend run.
LOCAL = Placement(Cluster("local", ""), "local", "")

#: The health of clusters as this process has seen it.
_CIRCUITS = Circuits()


def place(
    environment: Environment,
    job: JobSpec,
    execution_id: str,
    *,
    first_try: bool,
    triggered_by: str = "",
    places: Places | None = None,
) -> Placement:
    """Return cluster, namespace and image of an execution; see :meth:`airflow_dcp_provider.gateway.gateway.Gateway.place`.

    :param first_try: whether the asking task's try is the one that began its round.
    :param triggered_by: the user who triggered the DAG run, or empty.
    :param places: where fields of the job stand in its manifest.
    :raises DcpError: as ``Gateway.place``.
    """
    if environment.backend not in KUBERNETES_BACKENDS:
        return LOCAL
    from airflow_dcp_provider.runner.backends.kubernetes.names import GROUP_VERSIONS
    from airflow_dcp_provider.runner.backends.kubernetes.placing import ClusterQuestions

    first = AttemptRef(execution_id, 1, environment.name, "", "", resource_name(job.name, execution_id, 1))
    questions = ClusterQuestions(apis_of(environment), first, GROUP_VERSIONS[environment.backend])
    return Gateway(environment, _CIRCUITS).place(
        job,
        execution_id,
        first_try=first_try,
        holds=questions.holds,
        fence=questions.fence,
        live=questions.live,
        triggered_by=triggered_by,
        places=places,
    )
