"""Environments as values: what an Airflow connection of type ``dcp`` says about one environment.

``local``, ``test``, ``staging``, ``prod`` (alias ``production``) and ``playground_<user>``. The connection's reading is in
:mod:`airflow_dcp_provider.hooks.dcp`; which cluster is chosen is the gateway's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from airflow_dcp_provider.model.errors import DcpEnvironmentError

#: The alias that manifests use when they name no catalog; ``[dcp] catalog`` sets another.
DEFAULT_CATALOG = "pedregal"

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
class Environment:
    """One environment, whole.

    :param backend: ``local`` or ``kubeflow`` (``apache`` is experimental).
    :param teams: teams that the environment serves; empty means every team.
    :param catalogs: alias -> where it leads; empty for an environment whose aliases are all the embedded catalog.
    :param write_catalog: the alias that is written to.
    :param spark_defaults: Spark configuration below the manifest's own.
    :param extra: the connection's other fields (clusters, limits, images, ...), as they stand there.
    """

    name: str
    backend: str = "local"
    teams: tuple[str, ...] = ()
    catalogs: Mapping[str, CatalogRef] = field(default_factory=dict)
    write_catalog: str = DEFAULT_CATALOG
    spark_defaults: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def embedded(self) -> bool:
        """Whether every catalog alias is the embedded catalog."""
        return not self.catalogs

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
