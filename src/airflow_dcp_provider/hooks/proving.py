"""Whether the tables show that an attempt succeeded of which its cluster no longer knows anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_dcp_provider.hooks.dcp import environment_for
from airflow_dcp_provider.model.execution import AttemptRequest
from airflow_dcp_provider.model.job import JobSpec


def prove(request: AttemptRequest) -> Mapping[str, Any] | None:
    """Return what the attempt's driver would have reported, when every table that it writes carries this very attempt's snapshot.

    A snapshot of an earlier attempt does not count, and a sink that was left unchanged on purpose cannot be told from one that was
    never reached: then there is no proof.

    :raises DcpEnvironmentError: when a catalog cannot be asked; that proves nothing either way.
    """
    from airflow_dcp_provider.hooks.iceberg_table import IcebergTableHook

    environment = environment_for(request.ref.environment)
    sinks = []
    for sink in JobSpec.from_dict(request.job).core_etl.job.sinks:
        table = f"{sink.database}.{sink.table}"
        with IcebergTableHook.for_alias(environment, sink.catalog) as hook:
            proof = hook.verify(table, request.ref, sink.name) if hook.exists(table) else None
        if proof is None or proof.attempt != request.ref.attempt:
            return None
        sinks.append(
            {
                "name": sink.name,
                "table": proof.table,
                "result": proof.result,
                "snapshot_id": proof.snapshot_id,
                "previous_snapshot_id": proof.previous_snapshot_id,
                "partition": proof.partition,
                "rows": proof.rows,
                "added_rows": proof.added_rows,
                "deleted_rows": proof.deleted_rows,
                "reason": "",
            }
        )
    return {"version": 1, "status": "succeeded", "error": None, "sinks": sinks, "seconds": {}} if sinks else None
