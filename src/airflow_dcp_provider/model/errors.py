"""The one error tree of the project and the positions it points at.

What belongs here: the root error, its few families, and the values that say where in a manifest something is wrong. The texts of
the codes live in :mod:`airflow_dcp_provider.model.error_codes`. Follows ``Errors`` in the design: each error has a stable code, a
sentence that says what is wrong, where, and what to do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from airflow_dcp_provider.model.texts import MESSAGE_LIMIT, cut, escaped, one_line

#: Most problems that an error of a manifest carries.
MOST_PROBLEMS = 100

#: The code of the problem that stands for all that an error does not carry.
FURTHER_PROBLEMS = "DCP126"

#: Most characters of the text of an error.
_MOST_TEXT = 50_000

#: Most characters of a source line that are shown, so many of them at most before the caret.
_LINE_WIDTH, _BEFORE_CARET = 160, 100


@dataclass(frozen=True, order=True)
class Position:
    """A place in a file: ``file`` as the user names it, ``line`` and ``column`` counted from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{one_line(self.file)}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a manifest.

    :param code: stable code, for example ``DCP110``.
    :param message: one sentence that says what is wrong.
    :param position: where, or None when no place in a file is to blame.
    :param hint: what to do, for example ``did you mean `executor`?``; may be empty.
    :param line_text: the source line at ``position``, for the caret; may be empty. Of a long line, the part around the caret.
    :param severity: ``error`` or ``warning``.
    :param line_start: how many characters of the source line stand before ``line_text``.
    """

    code: str
    message: str
    position: Position | None = None
    hint: str = ""
    line_text: str = ""
    severity: str = "error"
    line_start: int = 0

    @classmethod
    def at_line(
        cls, code: str, message: str, position: Position | None, hint: str = "", *, line: str = "", severity: str = "error"
    ) -> Problem:
        """Return a problem that keeps no more of its texts than is shown.

        :param line: the whole source line at ``position``; may be empty.
        """
        start = 0
        if position and len(line) > _LINE_WIDTH:
            start = max(0, min(position.column - 1 - _BEFORE_CARET, len(line) - _LINE_WIDTH))
            # One more where the line goes on, so that this is known when it is shown.
            line = line[start : start + _LINE_WIDTH + 1]
        return cls(code, cut(message, MESSAGE_LIMIT), position, cut(hint, MESSAGE_LIMIT), line, severity, start)

    def __str__(self) -> str:
        return self.render()

    def render(self) -> str:
        """Return ``file:line:col: CODE message``, then the line with a caret, then the hint."""
        where = f"{self.position}: " if self.position else ""
        word = "" if self.severity == "error" else f"{self.severity}: "
        lines = [f"{where}{self.code} {word}{one_line(self.message)}"]
        if self.position and self.line_text:
            lines += self._marked_line(self.position)
        if self.hint:
            lines.append(f"    hint: {one_line(self.hint)}")
        return "\n".join(lines)

    def _marked_line(self, position: Position) -> list[str]:
        """Return the source line, or the part of it that is kept, and the line with the caret below it."""
        column = max(position.column - 1 - self.line_start, 0)
        before = ("…" if self.line_start else "") + escaped(self.line_text[:column])
        after = escaped(self.line_text[column:_LINE_WIDTH]) + ("…" if len(self.line_text) > _LINE_WIDTH else "")
        # Tabs stay tabs before the caret, so that it lines up in a terminal.
        lead = "".join("\t" if char == "\t" else " " for char in before)
        return [f"    {before}{after}", f"    {lead}^"]

    def to_dict(self) -> dict[str, Any]:
        """Return the problem as JSON-ready values, every text as it is shown; :meth:`from_dict` reads it back."""
        texts = {name: one_line(getattr(self, name)) for name in ("message", "hint")}
        place = self.position and {**asdict(self.position), "file": one_line(self.position.file)}
        return {**asdict(self), **texts, "position": place, "line_text": escaped(self.line_text)}

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
        texts = (problem.code, problem.message, problem.hint, problem.line_text, problem.severity)
        if not all(isinstance(text, str) for text in texts) or type(problem.line_start) is not int:
            raise TypeError("a problem's text is of another kind")
        return problem


def bounded(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """Return problems in their order, errors before warnings where there are too many, and one that counts those left out."""
    if len(problems) <= MOST_PROBLEMS:
        return tuple(problems)
    by_weight = sorted(range(len(problems)), key=lambda place: (problems[place].severity != "error", place))
    kept = sorted(by_weight[: MOST_PROBLEMS - 1])
    left_out = [problems[place] for place in sorted(by_weight[MOST_PROBLEMS - 1 :])]
    errors = sum(problem.severity == "error" for problem in left_out)
    further = Problem(
        FURTHER_PROBLEMS,
        f"and {len(left_out)} more problems, {errors} of them errors",
        left_out[0].position,
        "correct the others first; what is left is shown then",
        severity="error" if errors else "warning",
    )
    return (*(problems[place] for place in kept), further)


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
        text = f"{self.code} {escaped(self.message)}"
        return f"{text}\n    hint: {escaped(self.hint)}" if self.hint else text

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors cross process boundaries (task process to supervisor); keyword arguments need this.
        return (_rebuild, (type(self), self.__dict__.copy()))

    @property
    def exit_code(self) -> int:
        """The command line's exit code: 1 the manifest's fault, 2 wrong usage, 3 the run failed, 4 the environment's fault."""
        return int(self.code[3]) if self.code.startswith("DCP") and self.code[3:4] in {"1", "2", "3", "4"} else 4

    def to_dict(self) -> dict[str, Any]:
        """Return the error as JSON-ready values, every text as it is shown."""
        return {"code": self.code, "message": escaped(self.message), "hint": escaped(self.hint)}


def _rebuild(cls: type[DcpError], state: dict[str, Any]) -> DcpError:
    error = cls.__new__(cls)
    error.__dict__.update(state)
    Exception.__init__(error, str(error))
    return error


class ManifestError(DcpError):
    """A manifest that cannot be used; carries every problem that was found in it, not only the first.

    :param problems: at least one problem; the first one's code becomes the error's. Of very many, as many as a reader can use.
    """

    default_code = "DCP100"

    def __init__(self, problems: tuple[Problem, ...] | list[Problem]) -> None:
        self.problems = bounded(problems)
        first = self.problems[0]
        super().__init__(first.message, hint=first.hint, code=first.code)

    def __str__(self) -> str:
        return cut("\n".join(problem.render() for problem in self.problems), _MOST_TEXT)

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
