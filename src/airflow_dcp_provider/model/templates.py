"""Which names a manifest's templates may use, and the rendering of a run's job.

The names are a subset of Airflow's template context: what follows from the run and its trigger form alone. Connections, variables
and task instances are not in it, because a manifest must render to the same job whoever renders it, and must not read secrets.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow_dcp_provider.model.errors import ExecutionError
from airflow_dcp_provider.model.template_methods import ds_add, ds_format
from airflow_dcp_provider.model.template_values import TemplateFault, plain, weight

if TYPE_CHECKING:
    from airflow_dcp_provider.model.template_evaluation import Evaluation

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
    """Return what stands for ``macros`` among a run's names; what templates call there is the evaluation's own."""
    return SimpleNamespace(ds_add=ds_add, ds_format=ds_format, datetime=dt.datetime, timedelta=dt.timedelta)


def render_job(job: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``job`` (a :class:`~airflow_dcp_provider.model.job.JobSpec` as a mapping) with every text rendered.

    All its templates share one budget, so that rendering ends soon, whatever they hold and in whichever thread.

    :param values: the names that templates may use, see :data:`ALLOWED_NAMES`.
    :raises ExecutionError: DCP312 with the field and the text of the first template that cannot be rendered.
    """
    rendered: dict[str, Any] = _Rendering(values).of(dict(job), "")
    return {**rendered, "rendered": True}


class _Rendering:
    """Renders the texts of one job."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = {name: value for name, value in values.items() if name in ALLOWED_NAMES and name != "macros"}
        self._evaluation: Evaluation | None = None

    def of(self, value: Any, where: str) -> Any:
        if isinstance(value, str):
            return self._text(value, where) if "{" in value else value
        if isinstance(value, Mapping):
            return {key: self.of(item, f"{where}.{key}" if where else str(key)) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.of(item, f"{where}[{_label(item, place)}]") for place, item in enumerate(value)]
        return value

    def _text(self, text: str, where: str) -> str:
        # Not at the top: where Airflow parses, nothing is rendered.
        from airflow_dcp_provider.model.template_evaluation import Evaluation
        from airflow_dcp_provider.model.template_state import Budget
        from airflow_dcp_provider.model.template_tree import parse_template

        parsed = parse_template(text)
        if parsed.tree is None:
            problem, hint = parsed.faults[0].message, parsed.faults[0].hint
        else:
            try:
                if self._evaluation is None:
                    self._evaluation = Evaluation({name: _checked(name, value) for name, value in self._values.items()}, Budget())
                return self._evaluation.render(parsed.tree)
            except TemplateFault as fault:
                problem, hint = fault.message, fault.hint
        names = f"templates may use: {', '.join(sorted(ALLOWED_NAMES))}; write {{% raw %}} around braces that are no template"
        shown = text if len(text) <= 200 else f"{text[:200]}..."
        raise ExecutionError(
            f"the template in {where} cannot be rendered: {problem}; the text is: {shown}",
            code="DCP312",
            hint=f"{hint}; {names}" if hint else names,
        )


def _checked(name: str, value: Any) -> Any:
    """Return one of the run's values as templates compute with it."""
    try:
        checked = plain(value)
        weight(checked)
    except RecursionError:
        raise TemplateFault(f"`{name}` of the run nests too deep") from None
    except TemplateFault as fault:
        raise TemplateFault(f"`{name}` of the run cannot be used: {fault.message}", hint=fault.hint) from None
    return checked


def _label(item: Any, place: int) -> str:
    """Name a list's item as a reader knows it: by its own name, where it has one."""
    name = item.get("name") if isinstance(item, Mapping) else None
    return str(name if name is not None else place)
