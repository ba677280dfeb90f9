"""Checks of the parameters that a manifest declares."""

from __future__ import annotations

import math

from airflow_dcp_provider.model.parameters import declaration_fault, size_fault
from dag_factory.manifest.node import Node
from dag_factory.manifest.problems import Problems


def check_parameters(parameters: Node | None, problems: Problems) -> None:
    """Record DCP192 for a declaration that makes no sense and for values that no run can have, and DCP164 for changed texts."""
    if parameters is None:
        return
    for name, node in parameters.fields.items():
        fault = ""
        if not name.isidentifier() or not name.isascii() or len(name) > 100:
            fault = "cannot be named so: letters, digits and `_`, no digit first, at most 100"
        elif node.is_map:
            fault = declaration_fault(name, node.plain())
        if fault:
            hint = "for example limit: {type: integer, default: 10, minimum: 1}"
            problems.add("DCP192", f"the parameter `{name[:100]}` {fault}", node.key_position, hint)
        if not node.is_map:
            _check_numbers(name, node, problems)
    if fault := size_fault(parameters.plain()):
        problems.add("DCP192", f"the parameters {fault}", parameters.position)


def _check_numbers(name: str, parameter: Node, problems: Problems) -> None:
    """Record DCP164, a warning, for each number that a run sees otherwise than it is written: `01234` is 1234."""
    for node in parameter.everything():
        if isinstance(node.value, bool) or not isinstance(node.value, int | float) or not math.isfinite(node.value):
            continue
        if node.written != str(node.value):
            text = f"the parameter `{name[:100]}` is the number {node.value}, and not the text `{node.written}`"
            hint = f'where a text is meant, put it in quotes: "{node.written}"; else write {node.value}'
            problems.add("DCP164", text, node.position, hint, severity="warning")
