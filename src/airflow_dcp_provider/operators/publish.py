"""Proves the tables that an execution wrote, and announces them as assets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_dcp_provider.hooks.dcp import environment_for
from airflow_dcp_provider.hooks.lineage import proved_lineage
from airflow_dcp_provider.hooks.runners import record_proof
from airflow_dcp_provider.hooks.settings import read_settings
from airflow_dcp_provider.links.execution import TableLink, table_address
from airflow_dcp_provider.model.errors import ExecutionError
from airflow_dcp_provider.model.execution import Attempt
from airflow_dcp_provider.model.job import JobSpec, Sink
from airflow_dcp_provider.model.proof import Proof
from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.operators.faults import faults
from airflow_dcp_provider.operators.rendering import render_references

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_dcp_provider.model.environment import Environment


class IcebergPublishOperator(BaseOperator):
    """Finds each sink's snapshot that carries the execution's id, and sends the outlets' asset events with the proof.

    A sink without such a snapshot is proved only by the driver's explicit ``no-change``. In a run for another environment than the
    deployment's nothing is announced: assets mean the deployment's tables.

    :param execution: the output of :class:`~airflow_dcp_provider.sensors.spark_execution.SparkExecutionSensor`.
    """

    template_fields: Sequence[str] = ("execution",)
    template_fields_renderers = {"execution": "json"}  # noqa: RUF012 - as BaseOperator declares it
    operator_extra_links = (TableLink(),)
    ui_color = "#fdf3e1"

    def __init__(self, *, execution: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.execution = execution
        self.link_addresses: dict[str, str] = {}
        self._proved: tuple[JobSpec, list[Proof]] | None = None

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        """Take the execution from the task before; nothing that it holds is rendered."""
        render_references(self, context, jinja_env)

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Prove every sink, announce the assets, and return the proofs.

        :raises AirflowFailException: DCP370 when a table is not proved, DCP371 when the execution did not succeed.
        """
        with faults():
            attempt = _attempt(self.execution)
            environment = environment_for(attempt.ref.environment)
            job = JobSpec.from_dict(attempt.request.job)
            proofs = [_prove(environment, sink, attempt) for sink in job.core_etl.job.sinks]
            announced = environment.name == read_settings().environment
        self._proved = job, proofs
        self.log.info("\n%s", proof_table(proofs))
        for proof in proofs:
            record_proof(attempt, proof)
        self.link_addresses = table_address(job)
        self._announce(context, proofs, environment.name, announced=announced)
        return [proof.to_dict() for proof in proofs]

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ARG002 - the openlineage provider's signature
        """Return the tables with the snapshots that were proved; nothing when none was."""
        return proved_lineage(*self._proved) if self._proved else None

    def _announce(self, context: Context, proofs: Sequence[Proof], environment: str, *, announced: bool) -> None:
        if not announced:
            self.log.info("Environment %s is not the deployment's own: no asset event is sent", environment)
            # Airflow sends one event per outlet of the task as it ends; without outlets there is none.
            self.outlets = []
            return
        by_uri = {proof.asset_uri: proof for proof in proofs}
        for outlet in self.outlets:
            proof = by_uri.get(getattr(outlet, "uri", "")) or by_uri.get(getattr(outlet, "name", ""))
            if proof is not None:
                context["outlet_events"][outlet].extra = proof.to_dict()


def _attempt(value: Any) -> Attempt:
    """Read the attempt from what the waiting task returned, and insist that it succeeded."""
    if not isinstance(value, Mapping) or "attempt" not in value:
        raise ExecutionError(
            "there is no execution to publish",
            code="DCP371",
            hint="give `execution` the output of a SparkExecutionSensor",
        )
    try:
        attempt = Attempt.from_dict(value["attempt"])
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ExecutionError(
            f"the execution that the waiting task handed on cannot be read: {type(error).__name__}: {str(error)[:200]}",
            code="DCP371",
            hint="clear the waiting task",
        ) from error
    if attempt.state is not ExecutionState.SUCCEEDED:
        raise ExecutionError(
            f"execution {attempt.ref.execution_id} is {attempt.state}, so there is nothing to publish",
            code="DCP371",
            hint="clear the waiting task",
        )
    return attempt


def _prove(environment: Environment, sink: Sink, attempt: Attempt) -> Proof:
    from airflow_dcp_provider.hooks.iceberg_table import IcebergTableHook

    said = _said(attempt, sink)
    explicit = said.get("result") == "no-change"
    proof = None
    with IcebergTableHook.for_alias(environment, sink.catalog) as hook:
        if not explicit or hook.exists(f"{sink.database}.{sink.table}"):
            proof = hook.verify(f"{sink.database}.{sink.table}", attempt.ref, sink.name)
    if proof is not None:
        return proof
    if not explicit:
        raise ExecutionError(
            f"execution {attempt.ref.execution_id} ended well, but no snapshot of {sink.catalog}.{sink.database}.{sink.table} "
            "carries its id, and its driver did not say that there was nothing to write",
            code="DCP370",
            hint="look at the driver's log in the waiting task; clear the submit task to run the job again as a new execution",
        )
    return Proof(
        result="no-change",
        sink=sink.name,
        table=f"{sink.catalog}.{sink.database}.{sink.table}",
        asset_uri=sink.asset_uri,
        execution_id=attempt.ref.execution_id,
        attempt=attempt.ref.attempt,
        snapshot_id=said.get("snapshot_id"),
        previous_snapshot_id=said.get("previous_snapshot_id"),
        partition=said.get("partition") or "",
        reason=said.get("reason") or "",
    )


def _said(attempt: Attempt, sink: Sink) -> Mapping[str, Any]:
    """Return what the driver reported for the sink."""
    for entry in (attempt.result or {}).get("sinks") or ():
        if entry.get("name") == sink.name:
            found: Mapping[str, Any] = entry
            return found
    return {}


def proof_table(proofs: Sequence[Proof]) -> str:
    """Return the proofs as a table for the log."""
    rows: list[tuple[str, ...]] = [("table", "result", "partition", "rows", "added", "deleted", "total", "snapshot", "previous")]
    for proof in proofs:
        numbers = (
            proof.rows,
            proof.added_rows,
            proof.deleted_rows,
            proof.total_rows,
            proof.snapshot_id,
            proof.previous_snapshot_id,
        )
        shown = ["-" if number is None else str(number) for number in numbers]
        rows.append((proof.table, proof.result, proof.partition or "-", *shown))
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
