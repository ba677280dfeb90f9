"""What Airflow may render of our tasks: what the author of a DAG wrote, never what another task handed on."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context


def render_references(task: BaseOperator, context: Context, jinja_env: Any, *, plain: Collection[str] = ()) -> None:
    """Render the task's template fields but for those that hold a value already.

    A handed-on execution holds the job's SQL. A task that is rendered twice, as one that was deferred in ``dag.test()`` is, would
    have that SQL rendered as a template of Airflow's, outside of our sandbox.

    :param plain: fields that only show something and are never rendered.
    """
    fields = [name for name in task.template_fields if name not in plain and not isinstance(getattr(task, name, None), dict)]
    task._do_render_template_fields(task, fields, context, jinja_env or task.get_template_env(), set())
