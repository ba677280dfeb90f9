"""The one error tree of the project and the positions it points at.

What belongs here: the root error, its few families, and the values that say where in a manifest something is wrong. The texts of
the codes live in :mod:`airflow_dcp_provider.model.error_codes`. Follows ``Errors`` in the design: each error has a stable code, a
sentence that says what is wrong, where, and what to do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, order=True)
class Position:
    """A place in a file: ``file`` as the user names it, ``line`` and ``column`` counted from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a manifest.

    :param code: stable code, for example ``DCP110``.
    :param message: one sentence that says what is wrong.
    :param position: where, or None when no place in a file is to blame.
    :param hint: what to do, for example ``did you mean `executor`?``; may be empty.
    :param line_text: the source line at ``position``, for the caret; may be empty.
    :param severity: ``error`` or ``warning``.
    """

    code: str
    message: str
    position: Position | None = None
    hint: str = ""
    line_text: str = ""
    severity: str = "error"

    def __str__(self) -> str:
        return self.render()

    def render(self) -> str:
        """Return ``file:line:col: CODE message``, then the line with a caret, then the hint."""
        where = f"{self.position}: " if self.position else ""
        word = "" if self.severity == "error" else f"{self.severity}: "
        lines = [f"{where}{self.code} {word}{self.message}"]
        if self.position and self.line_text:
            # Tabs stay tabs before the caret, so that it lines up in a terminal.
            lead = "".join("\t" if char == "\t" else " " for char in self.line_text[: self.position.column - 1])
            lines += [f"    {self.line_text}", f"    {lead}^"]
        if self.hint:
            lines.append(f"    hint: {self.hint}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the problem as JSON-ready values; :meth:`from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Problem:
        """Build a problem from :meth:`to_dict`'s values.

        :raises TypeError: when they are those of something else; also ``KeyError``.
        """
        place = data["position"]
        position = Position(**place) if place else None
        if position and not (isinstance(position.file, str) and type(position.line) is type(position.column) is int):
            raise TypeError("a problem's position is of another kind")
        problem = cls(**{**data, "position": position})
        if not all(isinstance(getattr(problem, name), str) for name in ("code", "message", "hint", "line_text", "severity")):
            raise TypeError("a problem's text is of another kind")
        return problem


class DcpError(Exception):
    """Root of every error that this project raises.

    :param message: one sentence that says what is wrong and where.
    :param hint: what the reader can do about it.
    :param code: stable code; each family has a default.
    """

    default_code: ClassVar[str] = "DCP400"

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        self.code = code or self.default_code
        self.message = message
        self.hint = hint
        super().__init__(str(self))

    def __str__(self) -> str:
        text = f"{self.code} {self.message}"
        return f"{text}\n    hint: {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors cross process boundaries (task process to supervisor); keyword arguments need this.
        return (_rebuild, (type(self), self.__dict__.copy()))

    @property
    def exit_code(self) -> int:
        """The command line's exit code: 1 the manifest's fault, 2 wrong usage, 3 the run failed, 4 the environment's fault."""
        return int(self.code[3]) if self.code.startswith("DCP") and self.code[3:4] in {"1", "2", "3", "4"} else 4

    def to_dict(self) -> dict[str, Any]:
        """Return the error as JSON-ready values."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


def _rebuild(cls: type[DcpError], state: dict[str, Any]) -> DcpError:
    error = cls.__new__(cls)
    error.__dict__.update(state)
    Exception.__init__(error, str(error))
    return error


class ManifestError(DcpError):
    """A manifest that cannot be used; carries every problem that was found in it, not only the first.

    :param problems: at least one problem; the first one's code becomes the error's.
    """

    default_code = "DCP100"

    def __init__(self, problems: tuple[Problem, ...] | list[Problem]) -> None:
        self.problems = tuple(problems)
        first = self.problems[0]
        super().__init__(first.message, hint=first.hint, code=first.code)

    def __str__(self) -> str:
        return "\n".join(problem.render() for problem in self.problems)

    def to_dict(self) -> dict[str, Any]:
        """Return all problems as JSON-ready values."""
        return {**super().to_dict(), "problems": [problem.to_dict() for problem in self.problems]}

    def to_json(self) -> str:
        """Return :meth:`to_dict` as JSON text."""
        return json.dumps(self.to_dict())


class UsageError(DcpError):
    """The caller asked for something that makes no sense: a wrong argument, option or combination of them."""

    default_code = "DCP200"


class ExecutionError(DcpError):
    """A Spark execution failed, was cancelled, timed out, or its result cannot be proved."""

    default_code = "DCP300"


class DcpEnvironmentError(DcpError):
    """The platform is to blame: a connection, a catalog, a cluster, the store, a missing Java or jar."""

    default_code = "DCP400"


class CapabilityError(DcpError):
    """A plugin, primitive or backend was asked for what it does not offer; nothing else was done instead."""

    default_code = "DCP201"
