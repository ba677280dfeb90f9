"""``pretzel render --server``: the application that a cluster would keep for a manifest's job, by a server-side dry run."""

from __future__ import annotations

import getpass
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_dcp_provider.model.environment import KUBERNETES_BACKENDS
from airflow_dcp_provider.model.errors import UsageError
from airflow_dcp_provider.model.execution import Actor, AttemptRef, AttemptRequest
from airflow_dcp_provider.model.job import JobSpec
from airflow_dcp_provider.model.names import resource_name
from airflow_dcp_provider.runner.identity import execution_id, idempotency_key
from dag_factory.cli.with_airflow import airflow

if TYPE_CHECKING:
    from dag_factory.primitives.model import CoreEtlJob


def on_server(etl: CoreEtlJob, rendered: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the resource of the job's first attempt as its cluster would keep it. Nothing is made.

    It is checked as a run's is: the environment's limits and images, the operator's schema, webhooks, quotas and rights.

    :param etl: of the manifest, for its fingerprint and the places of its fields.
    :param rendered: the job of one day, :meth:`JobSpec.to_dict`'s values.
    :param values: the names that the run's templates may use.
    :raises UsageError: DCP218 when the environment has no cluster.
    :raises DcpError: whatever would keep a run from being submitted.
    """
    job = JobSpec.from_dict(dict(rendered))
    with airflow():
        # Airflow is imported only now: what it prints is no result.
        from airflow_dcp_provider.hooks.dcp import environment_for
        from airflow_dcp_provider.hooks.placements import place
        from airflow_dcp_provider.hooks.runners import cluster_backend
        from airflow_dcp_provider.operators.jobs import check_job

        environment = environment_for(job.environment)
        if environment.backend not in KUBERNETES_BACKENDS:
            raise UsageError(
                f"environment {environment.name} runs on the backend {environment.backend}, which has no API server",
                code="DCP218",
                hint="give --environment one whose connection names a cluster, or leave --server out",
            )
        check_job(job, environment, etl.places)
        key = idempotency_key(job.manifest_id, environment.name, values["dag_id"], values["run_id"], -1, 1, "")
        identity = execution_id(key)
        placement = place(environment, job, identity, first_try=True, triggered_by=getpass.getuser(), places=etl.places)
        name = resource_name(job.name, identity, 1)
        now = time.time()
        request = AttemptRequest(
            ref=AttemptRef(identity, 1, environment.name, placement.cluster.name, placement.namespace, name),
            idempotency_key=key,
            manifest_id=job.manifest_id,
            job=job.to_dict(),
            fingerprint=etl.fingerprint,
            submitted_at=now,
            first_submitted_at=now,
            begun_by=Actor(user=getpass.getuser()),
            run_key=f"{values['dag_id']}/{values['run_id']}/-1",
            ds=values["ds"],
        )
        return cluster_backend(environment).dry_run(request)
