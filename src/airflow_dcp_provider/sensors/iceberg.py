"""Waits for an Iceberg table in a hand-written DAG."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseSensorOperator

from airflow_dcp_provider.model.errors import DcpEnvironmentError, UsageError
from airflow_dcp_provider.operators.faults import faults
from airflow_dcp_provider.triggers.iceberg import IcebergTableTrigger
from airflow_dcp_provider.triggers.settling import settling

if TYPE_CHECKING:
    from airflow.sdk import Context

_NUMBER = re.compile(r"\d+(\.\d+)?")


class IcebergTableSensor(BaseSensorOperator):
    """Waits, deferred, until a table exists; with further conditions, until all of them hold. Returns what was found.

    :param table: ``<database>.<table>``.
    :param iceberg_conn_id: a connection of type ``iceberg``; empty for this machine's embedded catalog.
    :param partition: a partition like ``ds={{ ds }}`` that must have rows. Columns may be left out, and named in any order; a null
        is ``country=null``.
    :param execution_id: an execution whose snapshot the table must have.
    :param newer_than: the table must have been written after this time: ISO text, a datetime with a time zone, or epoch
        seconds, also as text.
    :param poll_interval: seconds between two looks.
    :param timeout: seconds after which the task fails.
    """

    template_fields: Sequence[str] = ("table", "iceberg_conn_id", "partition", "execution_id", "newer_than")
    ui_color = "#eaf7ea"

    def __init__(
        self,
        *,
        table: str,
        iceberg_conn_id: str = "",
        partition: str = "",
        execution_id: str = "",
        newer_than: str | datetime | float | None = None,
        poll_interval: float = 30.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.table = table
        self.iceberg_conn_id = iceberg_conn_id
        self.partition = partition
        self.execution_id = execution_id
        self.newer_than = newer_than
        self.watch_interval = poll_interval

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002 - Airflow's signature
        """Return what is there already, or defer."""
        with faults():
            trigger = IcebergTableTrigger(
                table=self.table,
                iceberg_conn_id=self.iceberg_conn_id,
                partition=self.partition,
                execution_id=self.execution_id,
                newer_than=_seconds(self.newer_than),
                poll_interval=self.watch_interval,
                settling=settling(),
            )
            found = trigger.look()
        if found is not None:
            return found
        self.defer(trigger=trigger, method_name="resume", timeout=timedelta(seconds=self.timeout))
        raise AssertionError  # `defer` always raises

    def resume(self, context: Context, event: Mapping[str, Any] | None = None) -> dict[str, Any]:  # noqa: ARG002 - Airflow's signature
        """Return what the trigger found.

        :raises DcpEnvironmentError: DCP420 when the catalog could not be read for long.
        """
        if not event or "found" not in event:
            raise DcpEnvironmentError(
                f"table {self.table} cannot be looked at: {(event or {}).get('error', 'the trigger said nothing')}",
                code="DCP420",
                hint="check that the catalog's connection is right and that the catalog and its storage answer",
            )
        found: dict[str, Any] = event["found"]
        return found


def _seconds(value: str | datetime | float | None) -> float | None:
    if value is None or value == "":
        return None
    try:
        moment = _moment(value) if isinstance(value, str) else value
    except ValueError as error:
        raise UsageError(f"`newer_than` is `{value}`: {error}", hint="write for example 2013-01-05T00:00:00+00:00") from error
    if not isinstance(moment, datetime):
        return float(moment)
    if moment.tzinfo is None:
        raise UsageError(f"`newer_than` is `{value}`, which has no time zone", hint="write for example 2013-01-05T00:00:00+00:00")
    return moment.timestamp()


def _moment(text: str) -> datetime | float:
    """Return what a text says, a time first: ``20130105`` is a day. A template makes a text of a number as well."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        if _NUMBER.fullmatch(text.strip()):
            return float(text)
        raise
