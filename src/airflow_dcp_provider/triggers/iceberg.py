"""Watches an Iceberg catalog for a table, a partition or a snapshot while a task is deferred."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from airflow_dcp_provider.tables.partitions import PartitionRows
from airflow_dcp_provider.triggers.settling import settle


class IcebergTableTrigger(BaseTrigger):
    """Fires once the table is as it is waited for; the event carries what was found.

    :param table: ``<database>.<table>``.
    :param iceberg_conn_id: a connection of type ``iceberg``; empty for this machine's embedded catalog.
    :param partition: a partition like ``ds=2013-01-05`` that must have rows, or empty. Columns may be left out, and
        named in any order; a null is ``country=null``.
    :param execution_id: an execution whose snapshot the table must have, or empty.
    :param newer_than: epoch seconds after which the table must have been written, or None.
    :param poll_interval: seconds between two looks.
    :param settling: seconds within which a triggerer fires nothing, see :mod:`~airflow_dcp_provider.triggers.settling`.
    """

    def __init__(
        self,
        *,
        table: str,
        iceberg_conn_id: str = "",
        partition: str = "",
        execution_id: str = "",
        newer_than: float | None = None,
        poll_interval: float = 30.0,
        settling: float = 0.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.table = table
        self.iceberg_conn_id = iceberg_conn_id
        self.partition = partition
        self.execution_id = execution_id
        self.newer_than = newer_than
        self.poll_interval = poll_interval
        self.settling = settling

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class's path and its arguments."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "table": self.table,
                "iceberg_conn_id": self.iceberg_conn_id,
                "partition": self.partition,
                "execution_id": self.execution_id,
                "newer_than": self.newer_than,
                "poll_interval": self.poll_interval,
                "settling": self.settling,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until the table is as it is waited for, then fire one event: ``{"found": ...}``, or ``{"error": ...}``."""
        began = time.monotonic()
        told = await self._looked_at()
        await settle(began, self.settling, self.task_instance)
        yield TriggerEvent(told)  # type: ignore[no-untyped-call]

    async def _looked_at(self) -> dict[str, Any]:
        failures = 0
        while True:
            try:
                found = await sync_to_async(self.look, thread_sensitive=False)()
                failures = 0
                if found is not None:
                    return {"found": found}
            except Exception as error:  # noqa: BLE001 - whatever the catalog says, the next look may succeed
                # A catalog that is away for a moment fails nothing; one that stays away is the task's to report.
                failures += 1
                self.log.warning("table %s cannot be looked at: %s", self.table, error)
                if failures >= 10:
                    return {"error": str(error)}
            await asyncio.sleep(self.poll_interval)

    def look(self) -> dict[str, Any] | None:
        """Return what is waited for, as JSON-ready values, or None while it is not there. It blocks.

        :raises DcpEnvironmentError: when the catalog cannot be read.
        """
        from airflow_dcp_provider.hooks.iceberg_table import IcebergTableHook

        with IcebergTableHook(self.iceberg_conn_id) as hook:
            if not hook.exists(self.table):
                return None
            found: dict[str, Any] = {"table": self.table}
            if self.execution_id:
                proof = hook.verify(self.table, self.execution_id)
                if proof is None:
                    return None
                found["proof"] = proof.to_dict()
            if self.newer_than is not None:
                newest = next(iter(hook.snapshots(self.table)), None)
                if newest is None or newest.committed_at <= self.newer_than:
                    return None
                found["snapshot"] = newest.to_dict()
            if self.partition:
                there = [one for one in hook.partitions(self.table) if one.is_in(self.partition)]
                if not there:
                    return None
                rows, files = sum(one.rows for one in there), sum(one.files for one in there)
                found["partition"] = PartitionRows(self.partition, rows, files).to_dict()
            return found
