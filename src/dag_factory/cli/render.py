"""``pretzel render``: what a manifest becomes, step by step, without running anything."""

from __future__ import annotations

import argparse
import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from airflow_dcp_provider.model.templates import date_names, macros, render_job
from dag_factory.cli.days import interval_of, moment_of
from dag_factory.cli.located_yaml import origins, to_located_yaml, to_written_yaml, to_yaml
from dag_factory.cli.manifests import compile_named, environment_of, not_a_manifest, parameters_of, settings_of
from dag_factory.cli.output import Output
from dag_factory.cli.server_render import on_server
from dag_factory.compiled import CompiledManifest
from dag_factory.compiler import resolve_one
from dag_factory.manifest.files import absolute


def render(options: argparse.Namespace, output: Output) -> int:
    """``render``: the resolved manifest, its LogicalPlan, and the job of one day; or what a cluster would keep for that job."""
    environment, moment = environment_of(options.environment), moment_of(options.date)
    compiled, file = compile_named(options.manifest, environment, options.kind)
    parameters = parameters_of(options.parameter, compiled.dag)
    resolved = resolve_one(absolute(file.path), file.root, environment, settings_of(environment))
    if resolved is None:
        raise not_a_manifest(file)
    values = template_values(compiled, environment, interval_of(compiled.dag.schedule, moment), parameters)
    parts: dict[str, Any] = {
        "manifest": resolved.root.plain(),
        "plan": compiled.plans[environment].to_dict(),
        "job": render_job(compiled.jobs[environment].job.to_dict(), values),
    }
    if options.server:
        parts = {"server": on_server(compiled.jobs[environment], parts["job"], values)}
    wanted = [options.part] if options.part else list(parts)
    data = {"environment": environment, "ds": values["ds"], **{name: parts[name] for name in wanted}}
    if options.origins:
        data["origins"] = origins(resolved.root)
    to_text = to_located_yaml if options.origins else to_written_yaml
    output.result(data, _text({**parts, "manifest": to_text(resolved.root)}, wanted, f"{environment}, {values['ds']}"))
    return 0


def template_values(
    compiled: CompiledManifest, environment: str, interval: tuple[dt.datetime, dt.datetime], parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the names that the templates of the scheduled run of a data interval may use.

    They are those of :data:`airflow_dcp_provider.model.templates.ALLOWED_NAMES`.

    :param parameters: of the run; the manifest's own stand below them.
    """
    start, end = interval
    params = {**compiled.dag.params, **parameters}
    return {
        **date_names(start, start, end),
        "run_id": f"scheduled__{start.isoformat()}",
        "dag_id": compiled.dag.dag_id,
        "environment": environment,
        "params": {**params, "parameters": params, "environment": environment},
        "macros": macros(),
    }


def _text(parts: Mapping[str, Any], wanted: list[str], what: str) -> str:
    texts = {
        "manifest": lambda: str(parts["manifest"]),
        "plan": lambda: json.dumps(parts["plan"], indent=2, ensure_ascii=False) + "\n",
        "job": lambda: to_yaml(parts["job"]),
        "server": lambda: to_yaml(parts["server"]),
    }
    titles = {"manifest": "the manifest, resolved", "plan": "its LogicalPlan", "job": "its job"}
    if len(wanted) == 1:
        return texts[wanted[0]]().rstrip("\n")
    return "\n".join(f"--- # {titles[name]} ({what})\n{texts[name]()}" for name in wanted).rstrip("\n")
