"""Connections of type ``dcp``: one per environment, ``dcp_<environment>``."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_dcp_provider.hooks.connection_extra import extra_of
from airflow_dcp_provider.hooks.environment_fields import FIELDS, field_behaviour, parse_environment
from airflow_dcp_provider.model.environment import Environment, canonical_environment
from airflow_dcp_provider.model.errors import DcpEnvironmentError, DcpError
from airflow_dcp_provider.runner.runner import SparkRunner

CONNECTION_PREFIX = "dcp_"

#: Names under which an environment's connection is looked for, beside ``dcp_<name>`` itself.
_ALIASES = {"prod": "dcp_production"}

#: Stands for an environment of which only the fields are known.
_NAMELESS = "playground_nameless"


class DcpHook(BaseHook):
    """Reads one environment from its connection. ``dcp_local`` need not be defined.

    :param dcp_conn_id: the connection's id, ``dcp_<environment>``.
    """

    conn_name_attr = "dcp_conn_id"
    default_conn_name = "dcp_local"
    conn_type = "dcp"
    hook_name = "DCP environment"

    def __init__(self, dcp_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.dcp_conn_id = dcp_conn_id

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's fields for Airflow before 3.2, which does not read them from the provider's metadata."""
        try:
            from flask_appbuilder.fieldwidgets import BS3TextFieldWidget  # type: ignore[import-not-found, unused-ignore]
            from wtforms import IntegerField, StringField  # type: ignore[import-untyped, import-not-found, unused-ignore]
            from wtforms.validators import Optional  # type: ignore[import-untyped, import-not-found, unused-ignore]
        except ImportError:
            # Without these packages there is no form that could show the fields.
            return {}
        classes = {"integer": IntegerField}
        return {
            name: classes.get(field.json_type, StringField)(
                field.label if field.json_type in {"string", "integer", "boolean"} else f"{field.label} (JSON)",
                validators=[Optional()],
                widget=BS3TextFieldWidget(),
                description=field.description,
            )
            for name, field in FIELDS.items()
        }

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return which standard fields the form hides, for Airflow before 3.2."""
        return field_behaviour()

    def get_conn(self) -> Environment:
        """Return the environment; see :meth:`get_environment`."""
        return self.get_environment()

    def get_environment(self) -> Environment:
        """Return the environment that the connection describes.

        :raises DcpEnvironmentError: DCP410 when the connection's id names no environment, DCP412 or DCP413 when a field is wrong,
            DCP416 when the connection is not defined or its extra is no JSON object.
        """
        return self._environment(canonical_environment(self.dcp_conn_id.removeprefix(CONNECTION_PREFIX)))

    def _environment(self, name: str) -> Environment:
        try:
            connection = self.get_connection(self.dcp_conn_id)
        except AirflowNotFoundException as error:
            if name == "local":
                return Environment("local")
            raise DcpEnvironmentError(
                f"environment {name} has no connection {self.dcp_conn_id}",
                code="DCP416",
                hint=f"define a connection {self.dcp_conn_id} of type dcp",
            ) from error
        return parse_environment(name, self.dcp_conn_id, extra_of(connection, self.dcp_conn_id))

    def get_runner(self) -> SparkRunner:
        """Return the Spark Runner of the connection's environment; see :func:`airflow_dcp_provider.hooks.runners.runner_for`."""
        from airflow_dcp_provider.hooks.runners import runner_for

        return runner_for(self.get_environment())

    def test_connection(self) -> tuple[bool, str]:
        """Whether the environment can be read and its backend is offered, and one sentence on it.

        Airflow tests a connection under an id of its own making, which names no environment; all but the name is tested then.
        """
        from airflow_dcp_provider.hooks.runners import runner_for

        try:
            name = canonical_environment(self.dcp_conn_id.removeprefix(CONNECTION_PREFIX))
        except DcpEnvironmentError:
            name = ""
        try:
            environment = self._environment(name or _NAMELESS)
            runner_for(environment)
        except DcpError as error:
            return False, str(error)
        which = f"environment {name}" if name else "an environment with these fields"
        return True, f"{which} runs on the backend {environment.backend}"


def environment_for(name: str) -> Environment:
    """Return an environment by its name (``production`` is ``prod``).

    :raises DcpEnvironmentError: as :meth:`DcpHook.get_environment`.
    """
    canonical = canonical_environment(name)
    first = f"{CONNECTION_PREFIX}{canonical}"
    missing: DcpEnvironmentError | None = None
    for conn_id in dict.fromkeys((first, _ALIASES.get(canonical, first))):
        try:
            return DcpHook(conn_id).get_environment()
        except DcpEnvironmentError as error:
            if error.code != "DCP416" or not isinstance(error.__cause__, AirflowNotFoundException):
                raise
            # The message names the connection under the environment's own name.
            missing = missing or error
    if missing is None:
        raise AssertionError
    raise missing
