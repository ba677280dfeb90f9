"""Tables through Airflow's Iceberg connections, on top of the apache-iceberg provider's hook.

Importing this module imports pyiceberg: only tasks do so, when they run.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from airflow.providers.apache.iceberg.hooks.iceberg import IcebergHook

from airflow_dcp_provider.embedded_catalog.catalog import EmbeddedCatalog
from airflow_dcp_provider.hooks.settings import home
from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.errors import UsageError
from airflow_dcp_provider.model.execution import AttemptRef
from airflow_dcp_provider.model.home import private_home
from airflow_dcp_provider.model.proof import Proof
from airflow_dcp_provider.tables.ensure import check_source, ensure_table, evolve
from airflow_dcp_provider.tables.errors import wrapped
from airflow_dcp_provider.tables.model import TableSpec
from airflow_dcp_provider.tables.partitions import PartitionRows, partitions
from airflow_dcp_provider.tables.schema import Evolution
from airflow_dcp_provider.tables.snapshots import SnapshotInfo, snapshots
from airflow_dcp_provider.tables.verify import verify

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog


class IcebergTableHook(IcebergHook):
    """Makes sure of tables, lists them and proves runs.

    :param iceberg_conn_id: a connection of type ``iceberg``, or empty for this machine's embedded catalog.
    :param alias: the catalog's alias in manifests, for messages and proofs.
    """

    def __init__(self, iceberg_conn_id: str = "", alias: str = "") -> None:
        super().__init__(iceberg_conn_id)
        self.alias = alias or iceberg_conn_id or "embedded"

    @classmethod
    def for_alias(cls, environment: Environment, alias: str) -> IcebergTableHook:
        """Return the hook of one of an environment's catalogs.

        :raises DcpEnvironmentError: DCP411 when the environment has no such alias.
        """
        return cls(environment.catalog(alias).connection, alias)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back what the open catalog holds."""
        close = getattr(self.__dict__.pop("catalog", None), "close", None)
        if close:  # pyiceberg's catalogs can be closed from 0.10 on
            close()

    @cached_property
    def catalog(self) -> Catalog:
        """The open catalog.

        :raises DcpEnvironmentError: when it cannot be opened.
        """
        if not self.conn_id:
            return EmbeddedCatalog(private_home(home())).catalog()
        with wrapped(f"open the catalog `{self.alias}` of connection {self.conn_id}"):
            opened: Catalog = super().catalog
            return opened

    def ensure(self, table: TableSpec | Mapping[str, Any]) -> str:
        """Make the table, or change it where nothing is lost; return one sentence on what was done."""
        return ensure_table(self.catalog, _spec(table))

    def evolve(self, table: TableSpec | Mapping[str, Any]) -> Evolution:
        """Add and widen columns of a table that is there; return what was changed."""
        return evolve(self.catalog, _spec(table))

    def check_source(self, table: TableSpec | Mapping[str, Any], environment: str = "") -> None:
        """Raise :class:`DcpEnvironmentError` (DCP422) unless the table is there."""
        check_source(self.catalog, _spec(table), environment)

    def exists(self, table_name: str) -> bool:
        """Whether there is a table ``<database>.<table>``."""
        with wrapped(f"look for the table {table_name}"):
            return bool(self.catalog.table_exists(table_name))

    def partitions(self, table_name: str) -> list[PartitionRows]:
        """Return the partitions of ``<database>.<table>`` with their row counts."""
        return partitions(self.catalog, table_name)

    def snapshots(self, table_name: str) -> list[SnapshotInfo]:
        """Return the snapshots of ``<database>.<table>``, newest first."""
        return snapshots(self.catalog, table_name)

    def verify(self, table_name: str, execution: AttemptRef | str, sink: str = "") -> Proof | None:
        """Return the proof that an execution wrote ``<database>.<table>``, or None.

        :param execution: the execution's id, or the place of one of its attempts.
        :param sink: the sink's name in the job.
        """
        database, table = split_name(table_name)
        execution_id = execution if isinstance(execution, str) else execution.execution_id
        return verify(self.catalog, (database, table), execution_id, alias=self.alias, sink=sink)


def split_name(table_name: str) -> tuple[str, str]:
    """Return database and table of ``<database>.<table>``.

    :raises UsageError: DCP200 when the name has not exactly these two parts.
    """
    parts = table_name.split(".")
    if len(parts) != 2 or not all(parts):
        raise UsageError(f"`{table_name}` is no table name", hint="write <database>.<table>")
    return parts[0], parts[1]


def _spec(table: TableSpec | Mapping[str, Any]) -> TableSpec:
    return table if isinstance(table, TableSpec) else TableSpec.from_dict(table)
