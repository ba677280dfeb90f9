"""Environments as values: what an Airflow connection of type ``dcp`` says about one environment.

``local``, ``test``, ``staging``, ``prod`` (alias ``production``) and ``playground_<user>``. The connection's reading is in
:mod:`airflow_dcp_provider.hooks.dcp`; which cluster is chosen is the gateway's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from airflow_dcp_provider.model.cluster import Cluster
from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.images import Images
from airflow_dcp_provider.model.job import EngineSpec
from airflow_dcp_provider.model.limits import Limits
from airflow_dcp_provider.model.spark_versions import DEFAULT_SPARK_VERSION

#: The alias that manifests use when they name no catalog; ``[dcp] catalog`` sets another.
DEFAULT_CATALOG = "pedregal"

#: Backends that run jobs on clusters.
KUBERNETES_BACKENDS = ("kubeflow", "apache")

#: A playground's name is this and its user's.
PLAYGROUND_PREFIX = "playground_"

_ALIASES = {"production": "prod"}
_NAME = re.compile(r"local|test|staging|prod|playground_[a-z0-9][a-z0-9_]{0,40}")


def canonical_environment(name: str) -> str:
    """Return the environment's one name (``production`` is ``prod``).

    :raises DcpEnvironmentError: DCP410 when the name is none of the documents' environments.
    """
    found = _ALIASES.get(name, name)
    if not _NAME.fullmatch(found):
        raise DcpEnvironmentError(
            f"`{name}` is not an environment",
            code="DCP410",
            hint="use local, test, staging, prod (or production), or playground_<user>",
        )
    return found


@dataclass(frozen=True)
class CatalogRef:
    """Where a catalog alias leads.

    :param connection: id of an Airflow connection of type ``iceberg``, or empty for the embedded catalog.
    :param mode: ``read`` or ``write``.
    """

    connection: str = ""
    mode: str = "write"


@dataclass(frozen=True)
class SecretKey:
    """Where pods find a credential.

    :param secret: name of a Kubernetes Secret in the job's namespace.
    :param key: the Secret's key that holds it.
    """

    secret: str
    key: str


@dataclass(frozen=True)
class Environment:
    """One environment, whole.

    :param backend: ``local`` or ``kubeflow`` (``apache`` is experimental).
    :param teams: teams that the environment serves; empty means every team.
    :param catalogs: alias -> where it leads; empty for an environment whose aliases are all the embedded catalog.
    :param write_catalog: the alias that is written to.
    :param spark_defaults: Spark configuration below the manifest's own.
    :param allowed_spark_conf: settings that manifests may set besides those of every environment: names, or ``prefix.*``.
    :param clusters: where jobs run; none for the local backend.
    :param namespace_template: Kubernetes namespace with ``{user}``, ``{team}`` and ``{environment}`` in it.
    :param images: which images run.
    :param spark_version: the Spark version of jobs that name none; empty for the default, on ``local`` for what is installed.
    :param service_account: of driver and executors; empty for the namespace's default one.
    :param limits: the most that a job gets.
    :param ttl_seconds: seconds after its end at which an application is removed; None leaves it.
    :param event_log_dir: where Spark writes event logs; empty for no event log.
    :param history_server_url: address of the Spark History Server, or empty.
    :param node_selector: labels of the nodes that run driver and executors.
    :param tolerations: Kubernetes tolerations of driver and executors.
    :param labels: labels that every resource gets, below the Spark Runner's own.
    :param user: whose environment it is where the run was started by nobody (a schedule); see ``{user}``.
    :param start_timeout_seconds: seconds that an attempt may wait for its driver to start; 0 for ever.
    :param priority_class: PriorityClass of driver and executors, or empty.
    :param batch_scheduler: batch scheduler that the operator hands pods to (``volcano``, ``yunikorn``, ...), or empty.
    :param volumes: Kubernetes volumes of driver and executors.
    :param volume_mounts: where driver and executors see them.
    :param opentelemetry_agent: path of OpenTelemetry's Java agent in the image, or empty.
    :param fluent_bit: image of a fluent-bit sidecar of the driver, or empty.
    :param sweep: whether the maintenance DAG sweeps this environment.
    :param live_logs: how many driver logs one triggerer follows at once while they are written; 0 for none.
    :param catalog_secrets: alias -> property -> where pods read it from. A resource never holds a credential in clear.
    """

    name: str
    backend: str = "local"
    teams: tuple[str, ...] = ()
    catalogs: Mapping[str, CatalogRef] = field(default_factory=dict)
    write_catalog: str = DEFAULT_CATALOG
    spark_defaults: Mapping[str, str] = field(default_factory=dict)
    allowed_spark_conf: tuple[str, ...] = ()
    clusters: tuple[Cluster, ...] = ()
    namespace_template: str = ""
    images: Images = field(default_factory=Images)
    spark_version: str = ""
    service_account: str = ""
    limits: Limits = field(default_factory=Limits)
    ttl_seconds: int | None = None
    event_log_dir: str = ""
    history_server_url: str = ""
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    start_timeout_seconds: int = 600
    priority_class: str = ""
    batch_scheduler: str = ""
    volumes: tuple[Mapping[str, Any], ...] = ()
    volume_mounts: tuple[Mapping[str, Any], ...] = ()
    opentelemetry_agent: str = ""
    fluent_bit: str = ""
    sweep: bool = False
    live_logs: int = 0
    catalog_secrets: Mapping[str, Mapping[str, SecretKey]] = field(default_factory=dict)

    @property
    def embedded(self) -> bool:
        """Whether every catalog alias is the embedded catalog."""
        return not self.catalogs

    def spark_version_of(self, engine: EngineSpec) -> str:
        """Return the Spark version that runs a job on this environment's clusters."""
        return engine.version or self.spark_version or DEFAULT_SPARK_VERSION

    def catalog(self, alias: str) -> CatalogRef:
        """Return where ``alias`` leads.

        :raises DcpEnvironmentError: DCP411 when this environment has no such alias.
        """
        if self.embedded:
            return CatalogRef()
        if alias not in self.catalogs:
            known = ", ".join(sorted(self.catalogs))
            raise DcpEnvironmentError(
                f"environment {self.name} has no catalog `{alias}`",
                code="DCP411",
                hint=f"its catalogs are: {known}; add the alias to the connection dcp_{self.name} or change the manifest",
            )
        return self.catalogs[alias]

    def to_dict(self) -> dict[str, Any]:
        """Return the environment as JSON-ready values."""
        return asdict(self)
