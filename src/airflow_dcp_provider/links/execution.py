"""The links of an execution.

A task keeps each address that it knows in ``link_addresses``; as the task ends or is deferred, Airflow asks the links for them and
keeps the answers itself.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

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
    """Spark's own page while the attempt runs; afterwards its page on the environment's history server, where it has one."""

    name = "Spark UI"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's signature
        """Return the address, empty while there is none."""
        return _address(operator, self.name)


class SparkHistoryLink(BaseOperatorLink):
    """The attempt's page on the environment's Spark History Server; the server itself until Spark has given the attempt an id."""

    name = "Spark History"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's signature
        """Return the address, empty where the environment has no history server."""
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

    :param waiting_task: id of the task that waits for the execution; of a mapped one, the part with the task's own index.
    """
    ti: Any = context["ti"]
    mapped = f"/mapped/{ti.map_index}" if ti.map_index is not None and ti.map_index >= 0 else ""
    page = f"/dags/{quote(ti.dag_id)}/runs/{quote(ti.run_id)}/tasks/{quote(waiting_task)}{mapped}"
    return {
        SparkUiLink.name: spark_page(attempt, environment.history_server_url),
        SparkHistoryLink.name: history_page(attempt, environment.history_server_url),
        ExecutionLink.name: _airflow(page),
        **table_address(job),
    }


def spark_page(attempt: Attempt, history_server: str) -> str:
    """Return where Spark shows the attempt: its own page while it runs, else its history.

    On Kubernetes the driver's own address often exists inside the cluster only. A history server, which shows what still runs as
    well, is then the better address; without one the inner address is given all the same: it is the one to forward a port to.

    :param history_server: the server's address, or empty.
    """
    history = history_page(attempt, history_server)
    if not attempt.spark_ui_url or attempt.state.is_terminal:
        return history
    return history if history and _is_inside(attempt.spark_ui_url) else attempt.spark_ui_url


def history_page(attempt: Attempt, history_server: str) -> str:
    """Return the attempt's page on the history server, the server's first page while Spark has no id for it, empty without one."""
    if not history_server or not attempt.spark_app_id:
        return history_server
    return f"{history_server.rstrip('/')}/history/{quote(attempt.spark_app_id, safe='')}/jobs/"


def _is_inside(url: str) -> bool:
    """Whether the address is one that only its own network knows."""
    try:
        address = ip_address(urlsplit(url).hostname or "")
    except ValueError:
        return False
    return address.is_private and not address.is_loopback


def table_address(job: JobSpec) -> dict[str, str]:
    """Return the address of the asset of the job's first table."""
    sinks = job.core_etl.job.sinks
    return {TableLink.name: _airflow(f"/assets?name_pattern={quote(sinks[0].asset_uri, safe='')}")} if sinks else {}


def _airflow(path: str) -> str:
    return f"{(conf.get('api', 'base_url', fallback='') or '').rstrip('/')}{path}"
