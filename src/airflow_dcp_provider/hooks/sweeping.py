"""Sweeping a whole environment: every place that its attempts may live in, with its own connections and its own store."""

from __future__ import annotations

import logging
import string
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from airflow_dcp_provider.gateway.namespaces import namespace_for
from airflow_dcp_provider.hooks.cluster_access import apis_of
from airflow_dcp_provider.hooks.metrics import AirflowMetrics
from airflow_dcp_provider.hooks.runners import runner_for, store_url
from airflow_dcp_provider.hooks.settings import read_settings
from airflow_dcp_provider.model.cluster import Cluster
from airflow_dcp_provider.model.environment import PLAYGROUND_PREFIX, Environment
from airflow_dcp_provider.model.errors import DcpError
from airflow_dcp_provider.model.execution import AttemptRef, Cancellation
from airflow_dcp_provider.runner.sweeper import Place, Rules, Swept, Waits, nobody_knows, sweep

if TYPE_CHECKING:
    from airflow_dcp_provider.runner.backends.kubernetes.kubeflow import KubeflowBackend
    from airflow_dcp_provider.runner.backends.kubernetes.sweep import ClusterPlace
    from airflow_dcp_provider.runner.backends.local import LocalBackend
    from airflow_dcp_provider.runner.store import SqlStore

logger = logging.getLogger(__name__)

_DAY = 86_400.0

#: How long notes are kept where the environment removes applications sooner: as long as a task may take to ask for them.
_LEAST_RETENTION = _DAY


@dataclass(frozen=True)
class Sweep:
    """What was found and done in one environment.

    :param unseen: places that could not be looked at -> why.
    """

    environment: str
    swept: tuple[Swept, ...]
    unseen: Mapping[str, str]

    @property
    def complete(self) -> bool:
        """Whether everything was looked at, and all that was to be done was done."""
        return not self.unseen and not any(one.error for one in self.swept)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return {
            "environment": self.environment,
            "swept": [one.to_dict() for one in self.swept],
            "unseen": dict(self.unseen),
            "complete": self.complete,
        }


def rules_for(environment: Environment) -> Rules:
    """Return the rules of an environment: notes are kept as long as it keeps applications that have ended, and at least a day."""
    if environment.ttl_seconds is None:
        return Rules()
    return Rules(retention=max(float(environment.ttl_seconds), _LEAST_RETENTION))


def sweep_environment(
    environment: Environment, waits: Waits = nobody_knows, *, rules: Rules | None = None, dry_run: bool = False
) -> Sweep:
    """Sweep every place of an environment. One that cannot be looked at keeps none of the others from being swept.

    :param waits: says whether a task waits for an attempt.
    :param rules: by default the environment's own, which only name what nobody waits for.
    :param dry_run: change nothing.
    """
    rules = rules or rules_for(environment)
    metrics = AirflowMetrics()
    swept: list[Swept] = []
    unseen: dict[str, str] = {}
    for name, open_place in _places(environment, _intents(environment, rules)):
        try:
            found = sweep(open_place(), rules, time.time(), waits, dry_run=dry_run)
        except DcpError as error:
            logger.warning("%s cannot be swept: %s", name, error)
            unseen[name] = str(error)
            continue
        swept += found
        tags = {"environment": environment.name, "backend": environment.backend}
        for one in found:
            if one.done:
                metrics.count(f"dcp.swept.{one.finding.leftover}", tags)
    return Sweep(environment.name, tuple(swept), unseen)


def find_attempts(environment: Environment, beginning: str) -> list[AttemptRef]:
    """Return the attempts on the environment's clusters whose execution's id begins so.

    :raises DcpError: when a cluster cannot be asked: it may be the one that has them.
    """
    return [
        remains.ref
        for cluster in environment.clusters
        for namespace in namespaces_of(environment, cluster)
        for remains in _in_cluster(environment, cluster, namespace, {}).remains()
        if remains.ref.execution_id.startswith(beginning)
    ]


def namespaces_of(environment: Environment, cluster: Cluster) -> tuple[str, ...]:
    """Return the namespaces of a cluster that the environment's attempts may be in; one empty text for "any".

    Which they are is known where the template names no more than the environment and teams that are listed, or where the cluster
    has a namespace of its own.

    :raises DcpEnvironmentError: DCP481 when the template makes no sense.
    """
    if cluster.namespace:
        return (cluster.namespace,)
    names = {name for _, name, _, _ in string.Formatter().parse(environment.namespace_template) if name}
    if ("user" in names and not environment.name.startswith(PLAYGROUND_PREFIX)) or ("team" in names and not environment.teams):
        return ("",)
    teams = environment.teams or ("",)
    return tuple(dict.fromkeys(namespace_for(environment, cluster, team) for team in teams))


def history() -> SqlStore:
    """Return the deployment's history."""
    from airflow_dcp_provider.runner.store import SqlStore

    return SqlStore(store_url(read_settings()))


def _intents(environment: Environment, rules: Rules) -> dict[str, Cancellation]:
    """Return the cancellations that could not be sent; none when the store is down, which decides nothing."""
    try:
        return history().cancel_intents(environment.name, time.time() - rules.retention)
    except DcpError as error:
        logger.warning("cancellations that wait in the store are left for the next sweep: %s", error)
        return {}


def _places(environment: Environment, intents: Mapping[str, Cancellation]) -> Iterator[tuple[str, Callable[[], Place]]]:
    """Yield each place's name and what opens it, which may fail."""
    if environment.backend == "local":
        yield "this machine", partial(_this_machine, environment, intents)
        return
    for cluster in environment.clusters:
        # Drained clusters as well: what they hold is still the environment's.
        try:
            namespaces = namespaces_of(environment, cluster)
        except DcpError as error:
            yield f"cluster {cluster.name}", partial(_fail, error)
            continue
        for namespace in namespaces:
            where = f"cluster {cluster.name}, {f'namespace {namespace}' if namespace else 'all namespaces'}"
            yield where, partial(_in_cluster, environment, cluster, namespace, intents)


def _fail(error: DcpError) -> Place:
    raise error


def _this_machine(environment: Environment, intents: Mapping[str, Cancellation]) -> Place:
    from airflow_dcp_provider.runner.backends.local_sweep import LocalPlace

    runner = runner_for(environment)
    backend = cast("LocalBackend", runner.backend)
    return LocalPlace(backend, read_settings().home, environment.name, intents=intents, cancel=runner.cancel)


def _in_cluster(environment: Environment, cluster: Cluster, namespace: str, intents: Mapping[str, Cancellation]) -> ClusterPlace:
    from airflow_dcp_provider.runner.backends.kubernetes.sweep import ClusterPlace

    runner = runner_for(environment)
    backend = cast("KubeflowBackend", runner.backend)
    api = apis_of(environment)(cluster.name)
    return ClusterPlace(backend, api, environment.name, namespace, intents=intents, cancel=runner.cancel)
