"""The links of an execution.

A task keeps each address that it knows in ``link_addresses``; as the task ends or is deferred, Airflow asks the links for them and
keeps the answers itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import BaseOperatorLink, conf

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context
    from airflow.sdk.types import TaskInstanceKey

    from airflow_dcp_provider.model.environment import Environment
    from airflow_dcp_provider.model.execution import Attempt
    from airflow_dcp_provider.model.job import JobSpec


def _address(operator: BaseOperator, name: str) -> str:
    known: dict[str, str] = getattr(operator, "link_addresses", {})
    return known.get(name, "")


class SparkUiLink(BaseOperatorLink):
    """Spark's own page while the attempt runs; afterwards the environment's history server, where it has one."""

    name = "Spark UI"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's signature
        """Return the address, empty while there is none."""
        return _address(operator, self.name)


class ExecutionLink(BaseOperatorLink):
    """The task that waits for the execution, with the driver's log."""

    name = "Execution"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's signature
        """Return the address, empty while there is none."""
        return _address(operator, self.name)


class TableLink(BaseOperatorLink):
    """The asset of the first table that the job writes."""

    name = "Table"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's signature
        """Return the address, empty while there is none."""
        return _address(operator, self.name)


def addresses(context: Context, job: JobSpec, environment: Environment, attempt: Attempt, waiting_task: str) -> dict[str, str]:
    """Return every address that is known now, link's name -> address.

    :param waiting_task: id of the task that waits for the execution.
    """
    ti: Any = context["ti"]
    run = f"/dags/{quote(ti.dag_id)}/runs/{quote(ti.run_id)}/tasks/{quote(waiting_task)}"
    return {
        SparkUiLink.name: attempt.spark_ui_url or environment.history_server_url,
        ExecutionLink.name: _airflow(run),
        **table_address(job),
    }


def table_address(job: JobSpec) -> dict[str, str]:
    """Return the address of the asset of the job's first table."""
    sinks = job.core_etl.job.sinks
    return {TableLink.name: _airflow(f"/assets?name_pattern={quote(sinks[0].asset_uri, safe='')}")} if sinks else {}


def _airflow(path: str) -> str:
    return f"{(conf.get('api', 'base_url', fallback='') or '').rstrip('/')}{path}"
