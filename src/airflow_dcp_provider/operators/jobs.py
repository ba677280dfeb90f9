"""From what an operator was given to the one job of this run: resolved for its environment and rendered for its date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_dcp_provider.gateway.images import image_for
from airflow_dcp_provider.gateway.limits import check_limits
from airflow_dcp_provider.gateway.namespaces import check_team
from airflow_dcp_provider.gateway.places import Places
from airflow_dcp_provider.hooks.settings import read_settings
from airflow_dcp_provider.model.environment import KUBERNETES_BACKENDS
from airflow_dcp_provider.model.errors import DcpEnvironmentError, UsageError
from airflow_dcp_provider.model.execution import Actor, AttemptRequest
from airflow_dcp_provider.model.job import JobSpec
from airflow_dcp_provider.model.templates import render_job
from airflow_dcp_provider.operators.run_context import RunDate, check_parameters, choose_environment, run_date, template_context
from airflow_dcp_provider.runner.identity import job_fingerprint

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_dcp_provider.model.environment import Environment


@dataclass(frozen=True)
class RunJob:
    """The job of one run.

    :param job: resolved and rendered.
    :param fingerprint: of the job as it was before it was rendered.
    :param places: where the manifest says what environments limit; empty for a hand-written DAG's job.
    """

    job: JobSpec
    fingerprint: str
    environment: str
    date: RunDate
    places: Places = field(default_factory=dict)


def resolve_job(
    context: Context,
    job: Mapping[str, Any] | JobSpec | None,
    jobs: Mapping[str, Mapping[str, Any]] | None,
    own_environment: str | None = None,
) -> RunJob:
    """Return this run's job.

    :param job: a hand-written DAG's one job, as a mapping with :class:`JobSpec`'s fields; it runs in any environment.
    :param jobs: a generated DAG's jobs, environment -> ``{"job", "fingerprint", "places"}``; only the chosen one is looked at.
    :param own_environment: the environment that the task was given, or None.
    :raises DcpEnvironmentError: DCP415 when the run chose an environment that is not offered.
    :raises ExecutionError: DCP312 when a template cannot be rendered.
    :raises UsageError: DCP200 when the job is no job.
    """
    settings = read_settings()
    date = run_date(context)
    if jobs is not None:
        check_parameters(context)
        name = choose_environment(context, own_environment, settings.environment, list(jobs))
        entry = jobs[name]
        plain, mark, places = dict(entry["job"]), str(entry["fingerprint"]), entry.get("places") or {}
    else:
        plain = job.to_dict() if isinstance(job, JobSpec) else dict(job or {})
        wanted = own_environment or plain.get("environment")
        name = choose_environment(context, wanted, settings.environment, settings.environments)
        plain["environment"] = name
        mark, places = job_fingerprint(plain), {}
    rendered = plain if plain.get("rendered") else render_job(plain, template_context(context, name))
    try:
        return RunJob(JobSpec.from_dict(rendered), mark, name, date, places)
    except (AttributeError, TypeError) as error:
        raise UsageError(
            f"the job is not complete, or a field of it is unknown or of the wrong kind: {error}",
            hint="see airflow_dcp_provider.model.job.JobSpec for its fields",
        ) from error


def check_job(job: JobSpec, environment: Environment, places: Places | None = None) -> None:
    """Refuse a job that the environment does not serve, before anything is started for it.

    :param places: where fields of the job stand in its manifest, for messages.
    :raises DcpEnvironmentError: DCP418 for the job's team, DCP411 for a catalog alias that the environment lacks, DCP419 for a sink
        in a catalog that it only reads, DCP482 or DCP486 when the environment has no image for it.
    :raises ManifestError: when it asks for more than the environment's limits, or for an image that it does not run.
    """
    check_team(environment, job.team)
    check_limits(job, environment, places)
    if environment.backend in KUBERNETES_BACKENDS:
        image_for(job, environment, places)
    for source in job.core_etl.job.sources:
        if source.catalog:
            environment.catalog(source.catalog)
    for sink in job.core_etl.job.sinks:
        check_writable(environment, sink.catalog, f"{sink.catalog}.{sink.database}.{sink.table}")


def check_writable(environment: Environment, alias: str, table: str) -> None:
    """Refuse to write ``table`` where the environment only reads the catalog ``alias``.

    :raises DcpEnvironmentError: DCP419; DCP411 when there is no such alias.
    """
    if environment.catalog(alias).mode != "write":
        raise DcpEnvironmentError(
            f"table {table} is not to be written from environment {environment.name}: it only reads the catalog `{alias}`",
            code="DCP419",
            hint=f"write to `{environment.write_catalog}` there, for example by an override for {environment.name} in the manifest",
        )


def summary(found: RunJob, backend: str, airflow_retries: int) -> dict[str, Any]:
    """Return what the Rendered Template tab shows first: what runs, where, for which day, and who retries what."""
    policy = found.job.retry_policy
    spark = (
        f"{policy.max_retries}, {policy.retry_interval:g} s apart (the manifest's retryPolicy)" if policy.max_retries else "none"
    )
    return {
        "what": found.job.manifest_id,
        "environment": found.environment,
        "where": "a Spark process on the worker's host" if backend == "local" else backend,
        "ds": found.date.ds,
        "ds comes from": found.date.source,
        "data interval": f"{found.date.interval_start.isoformat()} to {found.date.interval_end.isoformat()}",
        "reads": [source.path or f"{source.catalog}.{source.database}.{source.table}" for source in found.job.core_etl.job.sources],
        "writes": [f"{sink.catalog}.{sink.database}.{sink.table} ({sink.mode})" for sink in found.job.core_etl.job.sinks],
        "Spark retries": spark,
        "Airflow retries": f"{airflow_retries}, for faults of the infrastructure only: they never start a Spark attempt",
        "time-out": "none" if found.job.timeout is None else f"{found.job.timeout:g} s from the first submit, retries included",
        "fingerprint": found.fingerprint,
    }


def attempt_summary(request: AttemptRequest, actor: Actor) -> dict[str, Any]:
    """Return what the Rendered Template tab of a waiting task shows."""
    return {
        "what": request.manifest_id,
        "environment": request.ref.environment,
        "execution": request.ref.execution_id,
        "submitted attempt": request.ref.attempt,
        "resource": request.ref.name,
        "ds": request.ds,
        "try": actor.try_number,
    }
