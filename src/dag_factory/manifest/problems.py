"""Collecting what is wrong, with the source lines that the carets need."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from airflow_dcp_provider.model.errors import ManifestError, Position, Problem


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``did you mean `x`?`` for the known name nearest to ``word``, or an empty text."""
    near = nearest(word, known)
    return f"did you mean `{near}`?" if near else ""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known name nearest to ``word``, or an empty text when none is near."""
    names = list(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if not close:
        by_fold = {name.lower().replace("_", "").replace("-", ""): name for name in names}
        folded = by_fold.get(word.lower().replace("_", "").replace("-", ""))
        close = [folded] if folded else []
    return close[0] if close else ""


def hint_for(word: str, known: Iterable[str], what: str) -> str:
    """Return a hint for an unknown ``word``: the nearest known name, else all of them after ``what``."""
    names = list(known)
    return did_you_mean(word, names) or (f"{what}: {', '.join(names)}" if names else "")


class Problems:
    """The problems of one manifest, each once, with the text of its line.

    :param sources: the text of each file that was read, by the name that positions use.
    """

    def __init__(self, sources: Mapping[str, str] | None = None) -> None:
        self._sources = {} if sources is None else sources
        self._lines: dict[str, list[str]] = {}
        self._found: dict[tuple[str, Position | None, str], Problem] = {}

    def add(self, code: str, message: str, position: Position | None, hint: str = "", *, severity: str = "error") -> None:
        """Record a problem; the same code, place and message twice are one."""
        problem = Problem(code, message, position, hint, self._line(position), severity)
        self._found.setdefault((code, position, message), problem)

    def extend(self, problems: Iterable[Problem]) -> None:
        """Record problems that others found."""
        for problem in problems:
            self.add(problem.code, problem.message, problem.position, problem.hint, severity=problem.severity)

    def _line(self, position: Position | None) -> str:
        if position is None or position.file not in self._sources:
            return ""
        if position.file not in self._lines:
            self._lines[position.file] = self._sources[position.file].splitlines()
        lines = self._lines[position.file]
        return lines[position.line - 1] if 0 < position.line <= len(lines) else ""

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The errors, in the order of their places."""
        return tuple(problem for problem in self.sorted() if problem.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The warnings, in the order of their places."""
        return tuple(problem for problem in self.sorted() if problem.severity != "error")

    def sorted(self) -> tuple[Problem, ...]:
        """Return every problem in the order of places; those without one come first."""
        return tuple(
            sorted(
                self._found.values(),
                key=lambda each: (each.position is not None, each.position or Position("", 0, 0), each.code, each.message),
            )
        )

    def raise_errors(self) -> None:
        """Raise what was recorded, warnings included, when there is an error among it.

        :raises ManifestError: with every problem, in the order of places.
        """
        if self.errors:
            raise ManifestError(self.sorted())
