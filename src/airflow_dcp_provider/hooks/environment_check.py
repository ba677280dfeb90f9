"""Looks at environments as a run would use them, so that their owner mends a misconfigured one from what is said here alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_dcp_provider.gateway.images import image_for
from airflow_dcp_provider.gateway.namespaces import PLACEHOLDERS, namespace_for, template_fault
from airflow_dcp_provider.hooks.cluster_access import cluster_access
from airflow_dcp_provider.hooks.dcp import environment_for
from airflow_dcp_provider.hooks.runners import cluster_backend, spark_catalogs
from airflow_dcp_provider.model.cluster import Cluster
from airflow_dcp_provider.model.environment import KUBERNETES_BACKENDS, PLAYGROUND_PREFIX, Environment
from airflow_dcp_provider.model.errors import DcpEnvironmentError, DcpError
from airflow_dcp_provider.model.execution import Actor, AttemptRef, AttemptRequest
from airflow_dcp_provider.model.findings import Finding
from airflow_dcp_provider.model.job import CoreEtlSpec, EngineSpec, EtlJob, JobSpec
from airflow_dcp_provider.model.names import resource_name
from airflow_dcp_provider.runner.identity import execution_id

if TYPE_CHECKING:
    from airflow_dcp_provider.runner.backends.kubernetes.api import KubernetesApi

#: Catalogs that Spark's Iceberg knows by these words; pyiceberg has others, which only Airflow's own tasks could use.
_SPARK_CATALOGS = ("rest", "hive", "glue", "jdbc", "nessie", "hadoop")

#: Seconds within which a catalog has to answer, and those that one try of a cluster's client may take.
CATALOG_SECONDS = 20.0
CLUSTER_SECONDS = 5.0


def check_environment(name: str, *, team: str = "", user: str = "") -> list[Finding]:
    """Return everything that is good and bad about an environment.

    :param name: canonical.
    :param team: stands for ``{team}`` in the namespace template; empty for each of the environment's teams.
    :param user: stands for ``{user}``; empty for the environment's own.
    """
    connection = f"connection dcp_{name}"
    try:
        environment = environment_for(name)
    except DcpError as error:
        return [_bad(connection, error)]
    found = [Finding(connection, "good", f"can be read; jobs run on the backend {environment.backend}")]
    if environment.backend in KUBERNETES_BACKENDS:
        found += [*_clusters(environment, team, user), *_images(environment)]
    return [*found, *_catalogs(environment)]


def _clusters(environment: Environment, team: str, user: str) -> Iterator[Finding]:
    field = f"of the connection dcp_{environment.name}"
    if not environment.clusters:
        yield Finding("clusters", "bad", "there are none", f"add one to the field `clusters` {field}")
    elif all(cluster.weight == 0 for cluster in environment.clusters):
        yield Finding("clusters", "bad", "all are drained (weight 0), so that no job begins", f"give one a weight above 0 {field}")
    if any(not cluster.namespace for cluster in environment.clusters):
        fault = template_fault(environment.namespace_template) if environment.namespace_template else "is missing"
        if fault:
            message = f"`{environment.namespace_template}` {fault}"
            yield Finding("namespace template", "bad", message, f"correct the field `namespace_template` {field}")
            environment = replace(environment, namespace_template="")
    for cluster in environment.clusters:
        yield from _cluster(environment, cluster, team, user)


def _cluster(environment: Environment, cluster: Cluster, team: str, user: str) -> Iterator[Finding]:
    from airflow_dcp_provider.runner.backends.kubernetes.api import KubernetesApi
    from airflow_dcp_provider.runner.backends.kubernetes.inspection import inspect_cluster
    from airflow_dcp_provider.runner.backends.kubernetes.names import GROUP_VERSIONS

    subject = f"cluster {cluster.name}"
    names, open_finding = _namespaces(environment, cluster, team, user)
    try:
        with KubernetesApi(cluster_access(cluster), patience=CLUSTER_SECONDS, read_seconds=CLUSTER_SECONDS) as api:
            found = list(
                inspect_cluster(
                    api,
                    names,
                    group_version=GROUP_VERSIONS[environment.backend],
                    service_account=environment.service_account,
                    connection=cluster.connection,
                )
            )
            yield from found
            if all(each.verdict != "bad" for each in found):
                for name in names:
                    yield from _takes_jobs(environment, cluster, name, api)
    except DcpEnvironmentError as error:
        yield _bad(subject, error)
    if open_finding:
        yield open_finding


def _takes_jobs(environment: Environment, cluster: Cluster, namespace: str, api: KubernetesApi) -> Iterator[Finding]:
    """Yield whether the namespace would take a job's application now: schema, webhooks, quotas. It is a dry run."""
    from airflow_dcp_provider.runner.backends.kubernetes.problems import KubernetesProblem

    subject = f"cluster {cluster.name}, namespace {namespace}"
    version = (cluster.spark_versions or (None,))[0]
    job = JobSpec("checks/check", "check", environment.name, engine=EngineSpec(version=version), core_etl=CoreEtlSpec(job=EtlJob()))
    identity = execution_id(f"check {subject}")
    request = AttemptRequest(
        ref=AttemptRef(identity, 1, environment.name, cluster.name, namespace, resource_name(job.name, identity, 1)),
        idempotency_key="check",
        manifest_id=job.manifest_id,
        job=job.to_dict(),
        fingerprint="",
        submitted_at=0.0,
        first_submitted_at=0.0,
        begun_by=Actor(user="check"),
    )
    try:
        cluster_backend(environment, lambda _: api).dry_run(request)
    except KubernetesProblem as problem:
        yield Finding(subject, "bad", f"does not take a job: {problem.code} {problem.message}", problem.hint)
    except DcpError as error:
        yield Finding(subject, "not checked", f"no job can be rendered for it: {error.code} {error.message}", error.hint)
    else:
        yield Finding(subject, "good", "takes a job (dry run)")


def _namespaces(environment: Environment, cluster: Cluster, team: str, user: str) -> tuple[list[str], Finding | None]:
    """Return the namespaces to look at, and what is to be named before all of them are known."""
    template = environment.namespace_template
    if not cluster.namespace and not template:
        return [], None
    needed = [name for name in PLACEHOLDERS if f"{{{name}}}" in template] if not cluster.namespace else []
    teams: Sequence[str] = [team] if team else environment.teams
    someone = user or environment.user or environment.name.startswith(PLAYGROUND_PREFIX)
    missing = [name for name, known in (("team", teams), ("user", someone)) if name in needed and not known]
    if missing:
        options = " and ".join(f"--{name} <{name}>" for name in missing)
        message = f"the namespaces of `{template}` are not known without a {' and a '.join(missing)}"
        return [], Finding(f"cluster {cluster.name}", "not checked", message, f"check again with {options}")
    found = []
    for each in teams if "team" in needed else teams[:1] or [""]:
        try:
            found.append(namespace_for(environment, cluster, each, user))
        except DcpEnvironmentError as error:
            return found, _bad(f"cluster {cluster.name}", error)
    return list(dict.fromkeys(found)), None


def _images(environment: Environment) -> Iterator[Finding]:
    """Yield which image each Spark version gets that the clusters serve or the rules name."""
    named = [version for cluster in environment.clusters for version in cluster.spark_versions]
    ruled = [key.rpartition("/")[2] for key in environment.images.rules if key.rpartition("/")[2][:1].isdigit()]
    for version in dict.fromkeys([*named, *ruled] or [environment.spark_version_of(EngineSpec())]):
        job = JobSpec("", "", environment.name, engine=EngineSpec(version=version))
        try:
            image = image_for(job, environment)
        except DcpError as error:
            yield _bad(f"image for Spark {version}", error)
        else:
            yield Finding(f"image for Spark {version}", "good", image)


def _catalogs(environment: Environment) -> Iterator[Finding]:
    on_clusters = environment.backend in KUBERNETES_BACKENDS
    if environment.embedded:
        yield from _embedded(environment, on_clusters=on_clusters)
        return
    for alias, ref in environment.catalogs.items():
        subject = f"catalog {alias} ({ref.mode})"
        if on_clusters and not ref.connection:
            yield _out_of_reach(environment, subject)
            continue
        if on_clusters and (unsafe := _unsafe(environment, alias)):
            yield unsafe
        yield _answers(environment, alias, subject)


def _embedded(environment: Environment, *, on_clusters: bool) -> Iterator[Finding]:
    if on_clusters:
        yield _out_of_reach(environment, "catalogs")
    else:
        yield _answers(environment, environment.write_catalog, "catalog of this machine (write)")


def _out_of_reach(environment: Environment, subject: str) -> Finding:
    return Finding(
        subject,
        "bad",
        "leads to the embedded catalog of this machine, which pods cannot reach",
        f"lead the aliases to connections of type iceberg in the field `catalogs` of the connection dcp_{environment.name}",
    )


def _unsafe(environment: Environment, alias: str) -> Finding | None:
    """Return what keeps Spark from a catalog that Airflow's tasks may well reach: its type, or a credential without a Secret."""
    from airflow_dcp_provider.runner.backends.kubernetes.spark_settings import spark_conf

    only = replace(environment, catalogs={alias: environment.catalogs[alias]}, spark_defaults={})
    try:
        properties: Mapping[str, Mapping[str, str]] = spark_catalogs(only)
        if (kind := properties[alias]["type"]) not in _SPARK_CATALOGS:
            return Finding(
                f"catalog {alias}",
                "bad",
                f"is of the type `{kind}`, which Spark does not know",
                f"use one of {', '.join(_SPARK_CATALOGS)} in the connection {only.catalogs[alias].connection}",
            )
        spark_conf(JobSpec("", "", environment.name), only, properties)
    except DcpEnvironmentError as error:
        return None if error.code == "DCP416" else _bad(f"catalog {alias}", error)
    return None


def _answers(environment: Environment, alias: str, subject: str) -> Finding:
    def ask() -> int:
        from airflow_dcp_provider.hooks.iceberg_table import IcebergTableHook
        from airflow_dcp_provider.tables.errors import wrapped

        with IcebergTableHook.for_alias(environment, alias) as hook, wrapped(f"list the databases of the catalog `{alias}`"):
            return len(hook.catalog.list_namespaces())

    connection = environment.catalog(alias).connection
    try:
        if connection:
            # Says which connection is missing; the hook below would not.
            spark_catalogs(replace(environment, catalogs={alias: environment.catalogs[alias]}))
        count = _within(CATALOG_SECONDS, ask, f"the catalog `{alias}`")
    except DcpEnvironmentError as error:
        return _bad(subject, error)
    return Finding(subject, "good", f"answers; databases: {count}" + (f" (connection {connection})" if connection else ""))


def _within(seconds: float, ask: Callable[[], int], what: str) -> int:
    """Return what ``ask`` returns, unless it takes longer; a catalog's client may wait for ever."""
    answers: list[int] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(ask())
        except BaseException as error:  # noqa: BLE001 - raised again where somebody waits for it
            errors.append(error)

    # A daemon: the process may end while it still waits.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not answers:
        raise DcpEnvironmentError(
            f"{what} did not answer within {seconds:.0f} s",
            code="DCP420",
            hint="check its address and that it can be reached from here",
        )
    return answers[0]


def _bad(subject: str, error: DcpError) -> Finding:
    return Finding(subject, "bad", f"{error.code} {error.message}", error.hint or f"docs/errors.md explains {error.code}")
