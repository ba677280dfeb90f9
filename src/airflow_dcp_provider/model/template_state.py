"""What a template's computing keeps: its budget, the names of each block, and the functions that it may call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow_dcp_provider.model.template_methods import DATETIME_MACROS, MACROS
from airflow_dcp_provider.model.template_values import LimitFault, Missing, numbers_from

#: What the templates of one job may do together: parts that they compute, turns of their loops, and characters that they handle.
MAX_STEPS = 100_000
MAX_TURNS = 10_000
MAX_WORK = 10_000_000


class Budget:
    """What the templates of one job may still do."""

    def __init__(self) -> None:
        self.steps = 0
        self.turns = 0
        self.work = 0

    def step(self) -> None:
        """Count a part that is computed."""
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise LimitFault(f"the templates compute more than {MAX_STEPS} steps")

    def turn(self) -> None:
        """Count a turn of a loop."""
        self.turns += 1
        if self.turns > MAX_TURNS:
            raise LimitFault(f"loops turn more than {MAX_TURNS} times")

    def handle(self, size: int) -> None:
        """Count characters and items."""
        self.work += size
        if self.work > MAX_WORK:
            raise LimitFault(f"the templates handle more than {MAX_WORK} characters")


class Function:
    """A macro or function that a template may call, but not write."""

    def __init__(self, name: str, call: Callable[..., Any], members: Mapping[str, Callable[..., Any]]) -> None:
        self.name = name
        self.call = call
        self.members = members


#: What ``macros`` is, and its functions by their names.
MACRO_FUNCTIONS = {
    name: Function(f"macros.{name}", call, DATETIME_MACROS if name == "datetime" else {}) for name, call in MACROS.items()
}
MACROS_ITSELF = object()
#: The one function of Jinja that templates have.
RANGE = Function("range", numbers_from, {})


class Scope:
    """Names of a block, over those of the blocks around it."""

    def __init__(self, names: Mapping[str, Any], outer: Scope | None = None) -> None:
        self.names = dict(names)
        self.outer = outer

    def get(self, name: str) -> Any:
        """Return the value of ``name``, or :class:`Missing`."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.outer
        return Missing(name)
