"""Which names a manifest's templates may use, and the one Jinja environment that lint and the operators share.

The names are a subset of Airflow's template context: what follows from the run and its trigger form alone. Connections, variables
and task instances are not in it, because a manifest must render to the same job whoever renders it, and must not read secrets.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow_dcp_provider.model.errors import ExecutionError

if TYPE_CHECKING:
    import jinja2

#: Names at the top of a template, as in ``{{ ds }}``. Each is defined in every run, also in one without a logical date.
ALLOWED_NAMES: frozenset[str] = frozenset(
    {
        "ds",
        "ds_nodash",
        "ts",
        "ts_nodash",
        "ts_nodash_with_tz",
        "logical_date",
        "data_interval_start",
        "data_interval_end",
        "run_id",
        "dag_id",
        "environment",
        "params",
        "macros",
    }
)

#: Names below ``macros``: Airflow's date helpers. Its modules (json, dateutil) lead to files, its random ones to another job.
ALLOWED_MACROS: frozenset[str] = frozenset({"ds_add", "ds_format", "datetime", "timedelta"})

#: Filters that Airflow adds to Jinja's own.
AIRFLOW_FILTERS: frozenset[str] = frozenset({"ds", "ds_nodash", "ts", "ts_nodash", "ts_nodash_with_tz"})


def template_environment() -> jinja2.Environment:
    """Return the sandboxed Jinja environment in which every manifest is checked and rendered; an undefined name is an error."""
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    environment.filters.update(
        ds=lambda value: value.strftime("%Y-%m-%d"),
        ds_nodash=lambda value: value.strftime("%Y%m%d"),
        ts=lambda value: value.isoformat(),
        ts_nodash=lambda value: value.strftime("%Y%m%dT%H%M%S"),
        ts_nodash_with_tz=lambda value: value.isoformat().replace("-", "").replace(":", ""),
    )
    return environment


def date_names(moment: dt.datetime, interval_start: dt.datetime, interval_end: dt.datetime) -> dict[str, Any]:
    """Return the names that follow from a run's date.

    :param moment: the logical date, or for a run without one the date that stands for it.
    """
    return {
        "logical_date": moment,
        "ds": moment.strftime("%Y-%m-%d"),
        "ds_nodash": moment.strftime("%Y%m%d"),
        "ts": moment.isoformat(),
        "ts_nodash": moment.strftime("%Y%m%dT%H%M%S"),
        "ts_nodash_with_tz": moment.isoformat().replace("-", "").replace(":", ""),
        "data_interval_start": interval_start,
        "data_interval_end": interval_end,
    }


def macros() -> SimpleNamespace:
    """Return what templates see as ``macros``."""
    return SimpleNamespace(ds_add=_ds_add, ds_format=_ds_format, datetime=dt.datetime, timedelta=dt.timedelta)


def render_job(job: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``job`` (a :class:`~airflow_dcp_provider.model.job.JobSpec` as a mapping) with every text rendered.

    :param values: the names that templates may use, see :data:`ALLOWED_NAMES`.
    :raises ExecutionError: DCP312 with the field and the text of the first template that cannot be rendered.
    """
    environment = template_environment()
    rendered: dict[str, Any] = _render(dict(job), values, environment, "")
    return {**rendered, "rendered": True}


def _render(value: Any, values: Mapping[str, Any], environment: jinja2.Environment, where: str) -> Any:
    if isinstance(value, str):
        return _render_text(value, values, environment, where) if "{" in value else value
    if isinstance(value, Mapping):
        return {key: _render(item, values, environment, f"{where}.{key}" if where else str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_render(item, values, environment, f"{where}[{_label(item, place)}]") for place, item in enumerate(value)]
    return value


def _label(item: Any, place: int) -> str:
    """Name a list's item as a reader knows it: by its own name, where it has one."""
    name = item.get("name") if isinstance(item, Mapping) else None
    return str(name if name is not None else place)


def _render_text(text: str, values: Mapping[str, Any], environment: jinja2.Environment, where: str) -> str:
    import jinja2

    try:
        return environment.from_string(text).render(values)
    except jinja2.TemplateError as error:
        problem = error.message or type(error).__name__
    except Exception as error:  # noqa: BLE001 - a template can make any call fail; the user needs to know which template
        problem = f"{type(error).__name__}: {error}"
    shown = text if len(text) <= 200 else f"{text[:200]}..."
    raise ExecutionError(
        f"the template in {where} cannot be rendered: {problem}; the text is: {shown}",
        code="DCP312",
        hint=f"templates may use: {', '.join(sorted(ALLOWED_NAMES))}; write {{% raw %}} around braces that are no template",
    )


def _ds_add(ds: str, days: int) -> str:
    """Return the day ``days`` after (or, negative, before) ``ds``; both as ``YYYY-MM-DD``."""
    return (dt.date.fromisoformat(str(ds)) + dt.timedelta(days=days)).isoformat()


def _ds_format(ds: str, input_format: str, output_format: str) -> str:
    """Return ``ds``, written as ``input_format``, as ``output_format`` writes it."""
    return dt.datetime.strptime(str(ds), input_format).replace(tzinfo=dt.UTC).strftime(output_format)
