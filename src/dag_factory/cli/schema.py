"""``pretzel schema``: the JSON Schemas of the manifests' kinds, those of other packages' plugins as well."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from airflow_dcp_provider.model.errors import UsageError
from dag_factory.cli.output import Output, table
from dag_factory.manifest.problems import hint_for
from dag_factory.plugins.registry import load_registry

if TYPE_CHECKING:
    from dag_factory.plugins.base import Plugin


def schema(options: argparse.Namespace, output: Output) -> int:
    """``schema``: print one schema, or list the kinds."""
    plugins = list(load_registry().plugins.values())
    if options.name is None and options.kind is None:
        rows = [
            {
                "kind": each.kind,
                "command": each.get_manifest_type().replace("_", "-"),
                "description": each.schema().get("description", ""),
            }
            for each in plugins
        ]
        output.result({"kinds": rows}, table(rows, ("kind", "command", "description")))
        return 0
    found = dict(_named(plugins, options.name or options.kind).schema())
    output.result(found, json.dumps(found, indent=2, ensure_ascii=False))
    return 0


def _named(plugins: list[Plugin], name: str) -> Plugin:
    wanted = _folded(name)
    for each in plugins:
        if wanted in {_folded(each.kind), _folded(each.get_manifest_type())}:
            return each
    hint = hint_for(name, [each.kind for each in plugins], "there are")
    raise UsageError(f"there is no kind of manifest `{name}`", code="DCP216", hint=hint)


def _folded(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
