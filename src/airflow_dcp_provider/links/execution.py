"""The links of an execution. The task pushes each address to XCom as soon as it is known; the link reads it from there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom, conf

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context
    from airflow.sdk.types import TaskInstanceKey

    from airflow_dcp_provider.model.environment import Environment
    from airflow_dcp_provider.model.execution import Attempt
    from airflow_dcp_provider.model.job import JobSpec

SPARK_UI_KEY = "dcp_link_spark_ui"
EXECUTION_KEY = "dcp_link_execution"
TABLE_KEY = "dcp_link_table"


def _pushed(ti_key: TaskInstanceKey, key: str) -> str:
    return XCom.get_value(ti_key=ti_key, key=key) or ""


class SparkUiLink(BaseOperatorLink):
    """Spark's own page while the attempt runs; afterwards the environment's history server, where it has one."""

    name = "Spark UI"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's signature
        """Return the address, empty while there is none."""
        return _pushed(ti_key, SPARK_UI_KEY)


class ExecutionLink(BaseOperatorLink):
    """The task that waits for the execution, with the driver's log."""

    name = "Execution"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's signature
        """Return the address, empty while there is none."""
        return _pushed(ti_key, EXECUTION_KEY)


class TableLink(BaseOperatorLink):
    """The asset of the first table that the job writes."""

    name = "Table"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's signature
        """Return the address, empty while there is none."""
        return _pushed(ti_key, TABLE_KEY)


def push_links(context: Context, job: JobSpec, environment: Environment, attempt: Attempt, waiting_task: str) -> None:
    """Push every address that is known now.

    :param waiting_task: id of the task that waits for the execution.
    """
    ti: Any = context["ti"]
    if spark := attempt.spark_ui_url or str(environment.extra.get("history_server_url") or ""):
        ti.xcom_push(key=SPARK_UI_KEY, value=spark)
    run = f"/dags/{quote(ti.dag_id)}/runs/{quote(ti.run_id)}/tasks/{quote(waiting_task)}"
    ti.xcom_push(key=EXECUTION_KEY, value=_airflow(run))
    push_table_link(context, job)


def push_table_link(context: Context, job: JobSpec) -> None:
    """Push the address of the asset of the job's first table."""
    if sinks := job.core_etl.job.sinks:
        ti: Any = context["ti"]
        ti.xcom_push(key=TABLE_KEY, value=_airflow(f"/assets?name_pattern={quote(sinks[0].asset_uri, safe='')}"))


def _airflow(path: str) -> str:
    return f"{(conf.get('api', 'base_url', fallback='') or '').rstrip('/')}{path}"
