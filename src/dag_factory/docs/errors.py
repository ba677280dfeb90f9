"""``docs/errors.md``, from the registry of error codes."""

from __future__ import annotations

from airflow_dcp_provider.model.error_codes import all_codes
from dag_factory.docs.markdown import page, table

_FAMILIES = {
    "1": ("The manifest's fault", 1),
    "2": ("Wrong usage", 2),
    "3": ("The run failed", 3),
    "4": ("The environment's fault", 4),
}

_INTRODUCTION = """\
# Errors

Every error has a code that never changes, a sentence that says what is wrong and where, and a hint that says what to do.
The first digit says whose fault it is; it is also the exit code of `pretzel`."""


def errors_page() -> str:
    """Return the page: one table for each family of codes."""
    codes = all_codes()
    parts = [_INTRODUCTION]
    for digit, (title, exit_code) in _FAMILIES.items():
        rows = [(code, text.title, text.explanation) for code, text in codes.items() if code[3] == digit]
        if rows:
            parts += [f"## {title}\n\nExit code {exit_code}.", table(("code", "title", "what it means and what to do"), rows)]
    return page(*parts)
