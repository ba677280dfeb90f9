"""An Iceberg table in a hand-written DAG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_dcp_provider.operators.faults import faults

if TYPE_CHECKING:
    from airflow.sdk import Context


class IcebergTableOperator(BaseOperator):
    """Makes sure of one table: creates it, or adds and widens columns of the one that is there. What would lose data is refused.

    :param table: ``<database>.<table>``.
    :param columns: name -> Iceberg type, in order; or a list of mappings with ``name``, ``type``, ``required``, ``description``.
    :param partition_by: identity partition columns.
    :param iceberg_conn_id: a connection of type ``iceberg``; empty for this machine's embedded catalog.
    """

    template_fields: Sequence[str] = ("table", "columns", "partition_by", "description", "iceberg_conn_id")
    ui_color = "#eaf7ea"

    def __init__(
        self,
        *,
        table: str,
        columns: Mapping[str, str] | Sequence[Mapping[str, Any]],
        partition_by: Sequence[str] = (),
        description: str | None = None,
        iceberg_conn_id: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.table = table
        self.columns = columns
        self.partition_by = partition_by
        self.description = description
        self.iceberg_conn_id = iceberg_conn_id

    def execute(self, context: Context) -> str:  # noqa: ARG002 - Airflow's signature
        """Make sure of the table and return one sentence on what was done."""
        from airflow_dcp_provider.hooks.iceberg_table import IcebergTableHook, split_name

        columns = self.columns
        listed = [{"name": name, "type": kind} for name, kind in columns.items()] if isinstance(columns, Mapping) else list(columns)
        with faults(), IcebergTableHook(self.iceberg_conn_id) as hook:
            database, name = split_name(self.table)
            done = hook.ensure(
                {
                    "catalog": hook.alias,
                    "database": database,
                    "table": name,
                    "columns": listed,
                    "partition_by": list(self.partition_by),
                    "description": self.description,
                }
            )
        self.log.info("%s: %s", self.table, done)
        return done
