"""Collecting what is wrong, with the source lines that the carets need."""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence

from airflow_dcp_provider.model.errors import ManifestError, Position, Problem

#: Longest word that a near name is looked for, and of the names that are compared with it.
_LONGEST_WORD = 80
#: Most names that are compared letter by letter, which costs the square of their length.
_MOST_COMPARED = 25
#: Most names that a hint lists.
_MOST_LISTED = 20
#: After so many problems no more hints are looked for: nobody reads that far.
_MOST_HINTS = 200


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``did you mean `x`?`` for the known name nearest to ``word``, or an empty text."""
    near = nearest(word, known)
    return f"did you mean `{near}`?" if near else ""


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return the known name nearest to ``word``, or an empty text when none is near.

    :param cutoff: how near, from 0 to 1, as in :func:`difflib.get_close_matches`.
    """
    if not word or len(word) > _LONGEST_WORD:
        return ""
    names = [name for name in known if len(name) <= _LONGEST_WORD]
    close = difflib.get_close_matches(word, _candidates(word, names), n=1, cutoff=cutoff)
    if not close:
        folded = _folded(word)
        close = [name for name in names if _folded(name) == folded][-1:]
    return close[0] if close else ""


def _folded(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _candidates(word: str, names: list[str]) -> list[str]:
    """Return the names that are worth a comparison: of many, those that begin and end like the word, and of these the nearest."""
    for is_alike in (str.startswith, str.endswith):
        shared = len(word) // 2
        while len(names) > _MOST_COMPARED and shared > 0:
            part = word[:shared] if is_alike is str.startswith else word[-shared:]
            if alike := [name for name in names if is_alike(name, part)]:
                names = alike
                break
            shared //= 2
    return heapq.nsmallest(_MOST_COMPARED, names, key=lambda name: abs(len(name) - len(word)))


def hint_for(word: str, known: Iterable[str], what: str) -> str:
    """Return a hint for an unknown ``word``: the nearest known name, else all of them after ``what``."""
    names = list(known)
    if near := did_you_mean(word, names):
        return near
    return f"{what}: {listed(names)}" if names else ""


def listed(names: Sequence[str]) -> str:
    """Return names as a list in a sentence; of very many the first ones."""
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return f"{', '.join(names[:_MOST_LISTED])}{more}"


class Problems:
    """The problems of one manifest, each once, with the text of its line.

    :param sources: the text of each file that was read, by the name that positions use.
    """

    def __init__(self, sources: Mapping[str, str] | None = None) -> None:
        self._sources = {} if sources is None else sources
        self._lines: dict[str, list[str]] = {}
        self._found: dict[tuple[str, Position | None, str], Problem] = {}

    def add(
        self, code: str, message: str, position: Position | None, hint: str | Callable[[], str] = "", *, severity: str = "error"
    ) -> None:
        """Record a problem; the same code, place and message twice are one.

        :param hint: the hint, or what looks for it. Where many problems of one kind are possible, it is looked for in the first of
            them only.
        """
        key = (code, position, message)
        if key in self._found:
            return
        if callable(hint):
            hint = hint() if len(self._found) < _MOST_HINTS else ""
        self._found[key] = Problem.at_line(code, message, position, hint, line=self._line(position), severity=severity)

    def extend(self, problems: Iterable[Problem]) -> None:
        """Record problems that others found."""
        for problem in problems:
            self.add(problem.code, problem.message, problem.position, problem.hint, severity=problem.severity)

    def _line(self, position: Position | None) -> str:
        if position is None or position.file not in self._sources:
            return ""
        if position.file not in self._lines:
            self._lines[position.file] = self._sources[position.file].split("\n")
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
