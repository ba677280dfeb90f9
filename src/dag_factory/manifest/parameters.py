"""Checks of the parameters that a manifest declares."""

from __future__ import annotations

from airflow_dcp_provider.model.parameters import bound_fault, declaration_fault
from dag_factory.manifest.node import Node
from dag_factory.manifest.problems import Problems


def check_parameters(parameters: Node | None, problems: Problems) -> None:
    """Record DCP192 for a declaration that makes no sense, and for values that no run can have."""
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
    if fault := bound_fault(parameters.plain()):
        problems.add("DCP192", f"the parameters {fault}", parameters.position)
