"""``pretzel test``, ``plan`` and ``apply``: what a plugin can do beyond reading manifests; one that cannot says so (DCP201)."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from dag_factory.cli.manifests import compile_named, environment_of
from dag_factory.cli.output import Output, count, table
from dag_factory.plugins.base import Applicable, Plannable, Plugin, Testable, capability
from dag_factory.plugins.plan import LogicalPlan
from dag_factory.plugins.registry import load_registry


def test(options: argparse.Namespace, output: Output) -> int:
    """``test``: let the manifest's plugin try it."""
    plugin, logical = _read(options)
    found = dict(capability(plugin, Testable).test(logical))  # type: ignore[type-abstract]
    output.result(found, json.dumps(found, indent=2, default=str, ensure_ascii=False))
    return 0


def plan(options: argparse.Namespace, output: Output) -> int:
    """``plan``: show what applying the manifest would change."""
    plugin, logical = _read(options)
    actions = [asdict(action) for action in capability(plugin, Plannable).plan(logical)]  # type: ignore[type-abstract]
    output.result({"actions": actions}, table(actions, ("action", "resource", "detail")))
    return 0


def apply(options: argparse.Namespace, output: Output) -> int:
    """``apply``: make what the manifest asks for real."""
    plugin, logical = _read(options)
    applicable = capability(plugin, Applicable)  # type: ignore[type-abstract]
    actions = capability(plugin, Plannable).plan(logical)  # type: ignore[type-abstract]
    applicable.apply(logical, actions)
    output.result({"applied": [asdict(action) for action in actions]}, f"applied {count(len(actions), 'action')}")
    return 0


def _read(options: argparse.Namespace) -> tuple[Plugin, LogicalPlan]:
    environment = environment_of(options.environment)
    compiled, _ = compile_named(options.manifest, environment, options.kind)
    return load_registry().get(compiled.plugin), compiled.plans[environment]
