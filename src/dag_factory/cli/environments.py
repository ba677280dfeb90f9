"""``pretzel environments``: which environments there are, and what keeps them from running jobs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from airflow_dcp_provider.model.errors import DcpError
from dag_factory.cli.manifests import environment_of
from dag_factory.cli.output import Output, count, table
from dag_factory.cli.with_airflow import airflow

if TYPE_CHECKING:
    from airflow_dcp_provider.model.findings import Finding

#: The exit code where an environment is to blame.
_ENVIRONMENTS_FAULT = 4

_COLUMNS = ("environment", "backend", "clusters", "namespace", "catalogs", "teams")


def list_environments(options: argparse.Namespace, output: Output) -> int:  # noqa: ARG001 - every command has these two
    """``environments list``: the deployment's environments as their connections describe them."""
    with airflow():
        rows = [_row(name) for name in _deployed()]
    text = table(rows, _COLUMNS)
    problems = [row for row in rows if row["problem"]]
    for row in problems:
        text += f"\n{row['environment']}: {row['problem']['code']} {row['problem']['message']}"
    output.result({"environments": rows}, text)
    return _ENVIRONMENTS_FAULT if problems else 0


def check(options: argparse.Namespace, output: Output) -> int:
    """``environments check``: everything that is good and bad about environments, and what to do about it."""
    names = [environment_of(name) for name in options.names]
    found: dict[str, list[Finding]] = {}
    with airflow():
        from airflow_dcp_provider.hooks.environment_check import check_environment

        for name in dict.fromkeys(names or _deployed()):
            output.note(f"checking {name} ...")
            found[name] = check_environment(name, team=options.team, user=options.user)
    bad = sum(finding.verdict == "bad" for findings in found.values() for finding in findings)
    data = {name: [finding.to_dict() for finding in findings] for name, findings in found.items()}
    output.result({"environments": data, "bad": bad}, _text(found, bad))
    return _ENVIRONMENTS_FAULT if bad else 0


def _deployed() -> tuple[str, ...]:
    from airflow_dcp_provider.hooks.settings import read_settings

    return read_settings().environments


def _row(name: str) -> dict[str, Any]:
    from airflow_dcp_provider.hooks.dcp import environment_for

    try:
        environment = environment_for(name)
    except DcpError as error:
        return {"environment": name, **dict.fromkeys(_COLUMNS[1:]), "problem": error.to_dict()}
    clusters = [f"{each.name} (drained)" if each.weight == 0 else each.name for each in environment.clusters]
    aliases = [
        f"{alias}{'*' if alias == environment.write_catalog else ''} -> {ref.connection or 'embedded'} ({ref.mode})"
        for alias, ref in environment.catalogs.items()
    ]
    return {
        "environment": name,
        "backend": environment.backend,
        "clusters": ", ".join(clusters) or "this machine",
        "namespace": environment.namespace_template,
        "catalogs": ", ".join(aliases) or "embedded",
        "teams": ", ".join(environment.teams) or "all",
        "problem": None,
    }


def _text(found: dict[str, list[Finding]], bad: int) -> str:
    lines = []
    for name, findings in found.items():
        lines.append(name)
        for finding in findings:
            mark = {"good": "good", "bad": "BAD ", "not checked": "?   "}[finding.verdict]
            lines.append(f"  {mark}  {finding.subject}: {finding.message}")
            if finding.hint and finding.verdict != "good":
                lines.append(f"          hint: {finding.hint}")
    return "\n".join([*lines, f"({count(bad, 'thing')} to mend)" if bad else "(nothing to mend)"])
