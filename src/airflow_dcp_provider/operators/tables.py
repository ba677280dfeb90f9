"""Makes sure of a job's tables before it is submitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_dcp_provider.hooks.dcp import environment_for
from airflow_dcp_provider.hooks.settings import read_settings
from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.operators.faults import faults
from airflow_dcp_provider.operators.jobs import check_writable
from airflow_dcp_provider.operators.run_context import check_parameters, choose_environment, push_nonce
from airflow_dcp_provider.tables.model import TableSpec

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_dcp_provider.hooks.iceberg_table import IcebergTableHook
    from airflow_dcp_provider.model.environment import Environment


class EnsureTablesOperator(BaseOperator):
    """Makes the databases and the declared tables, checks that the sources are there and that the sinks' partitions fit.

    :param tables: environment -> its tables, each a mapping with :class:`TableSpec`'s fields. Not part of the serialized DAG.
    :param environment: as for :class:`~airflow_dcp_provider.operators.spark_runner.SparkRunnerSubmitOperator`.
    """

    template_fields: Sequence[str] = ("run",)
    template_fields_renderers = {"run": "json"}  # noqa: RUF012 - as BaseOperator declares it
    ui_color = "#eaf7ea"

    def __init__(self, *, tables: Mapping[str, Sequence[Mapping[str, Any]]], environment: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tables = tables
        self.environment = environment
        #: What the Rendered Template tab shows; filled when the task runs.
        self.run: dict[str, Any] = {}

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:  # noqa: ARG002 - nothing here is a template
        """Choose the run's environment, and show its tables."""
        with faults():
            check_parameters(context)
            name = choose_environment(context, self.environment, read_settings().environment, list(self.tables))
        self.run = {"environment": name, "tables": [_shown(TableSpec.from_dict(table)) for table in self.tables[name]]}

    def execute(self, context: Context) -> dict[str, str]:
        """Make sure of each table and return what was done, table -> one sentence."""
        if not self.run:
            self.render_template_fields(context)
        push_nonce(context)
        with faults():
            environment = environment_for(self.run["environment"])
            specs = [TableSpec.from_dict(table) for table in self.tables[environment.name]]
            done: dict[str, str] = {}
            hooks: dict[str, IcebergTableHook] = {}
            try:
                # Sources first: a run that cannot read makes no table. What the job itself makes is no source of the first run.
                written = {spec.name for spec in specs if spec.role != "source"}
                made = {spec.name for spec in specs if spec.role != "source" and spec.columns is not None}
                needed = [spec for spec in specs if spec.role != "source" or spec.name not in made]
                for spec in sorted(needed, key=lambda one: one.role != "source"):
                    if spec.catalog not in hooks:
                        hooks[spec.catalog] = _hook(environment, spec)
                    hook = hooks[spec.catalog]
                    done[spec.name] = _ensure(hook, spec, environment, reads_itself=spec.name in written)
                    self.log.info("%s %s: %s", spec.role, spec.name, done[spec.name])
            finally:
                for hook in hooks.values():
                    hook.close()
        return done


def _hook(environment: Environment, spec: TableSpec) -> IcebergTableHook:
    from airflow_dcp_provider.hooks.iceberg_table import IcebergTableHook

    return IcebergTableHook.for_alias(environment, spec.catalog)


def _ensure(hook: IcebergTableHook, spec: TableSpec, environment: Environment, *, reads_itself: bool) -> str:
    if spec.role == "source":
        try:
            hook.check_source(spec, environment.name)
        except DcpEnvironmentError as error:
            if error.code != "DCP422" or not reads_itself:
                raise
            raise DcpEnvironmentError(
                f"{error.message}, and the job that reads it is the one that makes it",
                code="DCP422",
                hint="before the first run make the table: load a file with its columns with `pretzel data load`, "
                "or write it once by a job that does not read it",
            ) from error
        return "is there"
    check_writable(environment, spec.catalog, spec.name)
    return hook.ensure(spec)


def _shown(spec: TableSpec) -> dict[str, Any]:
    shown: dict[str, Any] = {"table": spec.name, "role": spec.role}
    if spec.partition_by:
        shown["partitioned by"] = list(spec.partition_by)
    if spec.columns is not None:
        shown["columns"] = {column.name: column.type for column in spec.columns}
    return shown
