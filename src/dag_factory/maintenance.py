"""The DAG that sweeps what executions have left over; there is one where ``[dcp] maintenance_schedule`` is set."""

from __future__ import annotations

import datetime as dt

from airflow.sdk import DAG

from airflow_dcp_provider.model.errors import DcpEnvironmentError

DAG_ID = "dcp_maintenance"

_DOCUMENTATION = """\
Sweeps every environment of `[dcp] environments` whose connection has `sweep` set: mends or removes what executions have left over,
sends cancellations again that were lost, and cancels executions whose waiting task has ended. The task's log names each thing.
"""


def maintenance_dag(schedule: str) -> DAG:
    """Return the maintenance DAG.

    :param schedule: a cron expression, or an alias like ``@hourly``.
    :raises DcpEnvironmentError: DCP417 when Airflow does not know such a schedule.
    """
    # Parsing manifests does not pay for what this one operator needs.
    from airflow_dcp_provider.operators.maintenance import SweepOperator

    try:
        dag = DAG(
            DAG_ID,
            schedule=schedule,
            start_date=dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
            catchup=False,
            max_active_runs=1,
            description="Sweeps what Spark executions have left over",
            doc_md=_DOCUMENTATION,
            tags=["dcp", "maintenance"],
            default_args={"owner": "airflow", "retries": 1, "retry_delay": dt.timedelta(minutes=1)},
            auto_register=False,
        )
        SweepOperator(task_id="sweep", dag=dag)
        dag.validate()  # type: ignore[no-untyped-call]
    except Exception as error:
        raise DcpEnvironmentError(
            f"[dcp] maintenance_schedule is `{schedule}`, which is no schedule: {error}",
            code="DCP417",
            hint="write a cron expression such as `0 * * * *`, or @hourly, or leave it empty for no maintenance DAG",
        ) from error
    return dag
