"""Errors of the driver and the exit codes that tell whose fault they are."""

from __future__ import annotations

from typing import Dict, Iterable

from .text import log_line

#: Longest message and hint of a result, in characters.
_TEXT_LIMIT = 4_000

EXIT_OK = 0
EXIT_CRASH = 1
EXIT_HEAP = 3
EXIT_USER = 20
EXIT_ACCESS = 21
EXIT_PLATFORM = 22
EXIT_EXECUTOR_MEMORY = 52
EXIT_CONTAINER_MEMORY = 137


class DriverError(Exception):
    """A failure that the driver can explain.

    :param code: stable code of the project's error list.
    :param message: one sentence that says what is wrong and where.
    :param hint: what the reader can do.
    :param exit_code: one of this module's ``EXIT_`` values.
    """

    def __init__(self, code: str, message: str, hint: str = "", exit_code: int = EXIT_USER) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message
        self.hint = hint
        self.exit_code = exit_code

    def to_dict(self) -> Dict[str, str]:
        """Return the error as ``DCP_RESULT`` shows it: what it quotes of a job's own text is escaped and bounded."""
        return {"code": self.code, "message": log_line(self.message, _TEXT_LIMIT), "hint": log_line(self.hint, _TEXT_LIMIT)}


def quoted(names: Iterable[str]) -> str:
    """Return names for a sentence: `` `a`, `b` ``."""
    return ", ".join(f"`{name}`" for name in names)
