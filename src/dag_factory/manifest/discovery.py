"""Finding the files of a DAGs folder that may be manifests, as Airflow finds DAG files: with ``.airflowignore`` and links.

Whether a file is a manifest is decided by its content, when it is compiled; foreign YAML is found here and left alone there.
"""

from __future__ import annotations

import itertools
import logging
import os
import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pathspec

from airflow_dcp_provider.model.texts import one_line
from dag_factory.manifest.pattern_costs import search_cost
from dag_factory.manifest.regular_files import read_beginning

#: The file that manifests below its folder inherit from.
DEFAULTS_FILE = "defaults.yaml"

_IGNORE_FILE = ".airflowignore"
_SUFFIXES = (".yaml", ".yml")

#: What links out of the DAGs folder lead to is looked through so far, since a link may lead to the root of all files. It is looked
#: through at all to say of manifests there that they cannot be used.
_MOST_OUTSIDE = 2_000

#: An ``.airflowignore`` is used up to these sizes. Each pattern is tried on every path below it, and one with many wildcards takes
#: a power of the path's length: one that may take more than so many steps for a path is left out from then on, and so are those of
#: a file that took more together.
_MOST_IGNORE_BYTES = 65_536
_MOST_PATTERNS = 1_000
_LONGEST_PATTERN = 500
_MOST_WILDCARDS = 8
_MOST_STEPS = 3_000_000
_MOST_STEPS_OF_FILE = 500_000_000
#: What of a regular expression can match in several ways, but for what every glob begins and ends with; so much of it never takes
#: long, unless a path is long itself.
_FREE = re.compile(r"[*+|{]|\?(?![:P])")
_PREFIX = "^(?:.+/)?"
_CHEAP_GLOB = 3
_LONG_PATH = 300
_WILDCARD = re.compile(r"\*+|\+|\{\d*,\d*\}")

log = logging.getLogger(__name__)


class _Rules(Protocol):
    """The rules of one ``.airflowignore``."""

    def decide(self, path: Path, *, is_folder: bool) -> bool | None:
        """Whether ``path`` is ignored, or None when no rule is about it."""


def discover(root: Path, *, ignore_syntax: str = "glob") -> list[Path]:
    """Return the YAML files below ``root`` that may be manifests, sorted.

    Links are followed where they lead to something that is not found anyway: a folder is entered once, so that loops end, and a
    file is listed once, under its own path. A link out of ``root`` is listed; compiling what it leads to is an error when
    it is a manifest. Pipes, devices and links that lead in a circle are listed too, for the same reason. ``defaults.yaml``, and
    what has a name that begins with a dot, is no manifest.

    :param ignore_syntax: how ``.airflowignore`` is written, ``glob`` or ``regexp``, as in ``[core] dag_ignore_file_syntax``.
    """
    walk = _Walk(root, ignore_syntax)
    walk.enter(root, ())
    walk.follow_links()
    return sorted(walk.found)


class _Walk:
    """One walk through a DAGs folder: what it found so far, and the links that are still to be followed."""

    def __init__(self, root: Path, syntax: str) -> None:
        self.found: list[Path] = []
        self._root = root
        self._real_root = os.path.realpath(root)
        self._syntax = syntax
        self._entered: set[str] = set()
        self._links: deque[tuple[Path, tuple[_Rules, ...]]] = deque()
        self._left_outside = _MOST_OUTSIDE

    def enter(self, folder: Path, rules: tuple[_Rules, ...], *, outside: bool = False) -> None:
        """Find what is in ``folder`` and below; links are only noted.

        :param outside: whether the folder is out of the DAGs folder, where no manifest can be used.
        """
        # A list and no recursion: folders may nest deeper than Python calls.
        waiting = [(folder, os.path.realpath(folder), rules)]
        while waiting:
            folder, real, rules = waiting.pop()
            if real in self._entered:
                continue
            self._entered.add(real)
            rules = (*rules, *_read_rules(self._root, folder / _IGNORE_FILE, self._syntax))
            for name, is_link, is_folder in self._entries(folder, outside=outside):
                path = folder / name
                if name.startswith("."):
                    continue
                if is_link:
                    self._links.append((path, rules))
                elif is_folder:
                    if not _ignored(path, rules, is_folder=True):
                        # No link, so its real path is known without asking for each folder above it.
                        waiting.append((path, os.path.join(real, name), rules))  # noqa: PTH118 - a text, as the others
                elif _may_be_manifest(path, rules):
                    self.found.append(path)

    def _entries(self, folder: Path, *, outside: bool) -> list[tuple[str, bool, bool]]:
        """Return name, and whether it is a link or a folder, of what is in a folder; out of the DAGs folder not of all."""
        try:
            with os.scandir(folder) as entries:
                some = itertools.islice(entries, self._left_outside) if outside else entries
                listed = sorted((entry.name, entry.is_symlink(), entry.is_dir(follow_symlinks=False)) for entry in some)
        except OSError:
            # What may not be listed holds no manifest that could run.
            return []
        if outside:
            self._left_outside -= len(listed)
        return listed

    def follow_links(self) -> None:
        """Find what links lead to, unless it was found already."""
        known = {os.path.realpath(path) for path in self.found} if self._links else set()
        while self._links:
            path, rules = self._links.popleft()
            real = os.path.realpath(path)
            inside = real == self._real_root or real.startswith(self._real_root + os.sep)
            if os.path.isdir(path):  # noqa: PTH112 - asks no more of a link that cannot be followed
                if not inside and not _ignored(path, rules, is_folder=True):
                    self.enter(path, rules, outside=True)
            elif real not in known and _may_be_manifest(path, rules) and not _leads_nowhere(path):
                known.add(real)
                self.found.append(path)


def _leads_nowhere(link: Path) -> bool:
    """Whether what a link names is not there; one that cannot be followed for another reason is a fault of its own."""
    try:
        link.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def _may_be_manifest(path: Path, rules: tuple[_Rules, ...]) -> bool:
    return path.suffix in _SUFFIXES and path.name != DEFAULTS_FILE and not _ignored(path, rules, is_folder=False)


def _ignored(path: Path, rules: tuple[_Rules, ...], *, is_folder: bool) -> bool:
    # Later rules, which stand deeper, override earlier ones.
    decisions = [decision for each in rules if (decision := each.decide(path, is_folder=is_folder)) is not None]
    return bool(decisions) and decisions[-1]


class _Effort:
    """Which patterns of an ``.airflowignore`` take too long, and what the others may still cost together.

    :param patterns: the regular expressions of all rules, in order.
    :param cheap: up to how many free parts one never takes long.
    """

    def __init__(self, ignore_file: Path, patterns: Iterable[str], cheap: int) -> None:
        self._file = ignore_file
        self._all = dict(enumerate(patterns))
        self._costly = {
            number: pattern for number, pattern in self._all.items() if len(_FREE.findall(pattern.replace(_PREFIX, ""))) > cheap
        }
        self._left = _MOST_STEPS_OF_FILE

    @property
    def usable(self) -> Collection[int]:
        """The numbers of the rules that may still be tried."""
        return self._all

    def leaves_out(self, name: str) -> bool:
        """Leave out what would take too long on ``name``; return whether that was anything."""
        patterns = self._costly if len(name) <= _LONG_PATH else self._all
        if not patterns:
            return False
        costs = {number: search_cost(pattern, name) for number, pattern in patterns.items()}
        self._left -= sum(cost for cost in costs.values() if cost <= _MOST_STEPS)
        endless = [number for number, cost in costs.items() if cost > _MOST_STEPS or self._left <= 0]
        for number in endless:
            self._costly.pop(number, None)
            del self._all[number]
        if endless:
            log.warning(
                "%s: %d patterns are left out, since they can match in too many ways", one_line(str(self._file)), len(endless)
            )
        return bool(endless)


class _GlobRules:
    """Rules in the syntax of ``.gitignore``."""

    def __init__(self, ignore_file: Path, spec: pathspec.GitIgnoreSpec) -> None:
        self._folder = ignore_file.parent
        self._spec = spec
        self._patterns = list(spec.patterns)
        regexes = (str(rule.regex.pattern) if rule.regex else "" for rule in self._patterns)
        self._effort = _Effort(ignore_file, regexes, _CHEAP_GLOB)

    def decide(self, path: Path, *, is_folder: bool) -> bool | None:
        """See :class:`_Rules`."""
        name = path.relative_to(self._folder).as_posix()
        if self._effort.leaves_out(name):
            self._spec = pathspec.GitIgnoreSpec([self._patterns[number] for number in self._effort.usable])
        return self._spec.check_file(f"{name}/" if is_folder else name).include


class _RegexpRules:
    """Rules as regular expressions over the path from the DAGs folder; they only ever ignore."""

    def __init__(self, root: Path, ignore_file: Path, patterns: Sequence[re.Pattern[str]]) -> None:
        self._root = root
        self._patterns = patterns
        self._effort = _Effort(ignore_file, (each.pattern for each in patterns), 0)

    def decide(self, path: Path, *, is_folder: bool) -> bool | None:  # noqa: ARG002 - the protocol's
        """See :class:`_Rules`."""
        name = str(path.relative_to(self._root))
        self._effort.leaves_out(name)
        return True if any(self._patterns[number].search(name) for number in self._effort.usable) else None


def _read_rules(root: Path, ignore_file: Path, syntax: str) -> Iterator[_Rules]:
    """Yield the rules of an ``.airflowignore``; none where it is not there or cannot be read."""
    try:
        text = read_beginning(ignore_file, _MOST_IGNORE_BYTES + 1).decode(errors="replace")
    except OSError as error:
        if not isinstance(error, FileNotFoundError):
            log.warning("%s is left out: %s", one_line(str(ignore_file)), error.strerror)
        return
    # Airflow takes everything from ` #` on for a comment, in both syntaxes.
    lines = [
        line for line in (each.partition("#")[0].rstrip() for each in text.splitlines()) if line.strip() and line.strip() != "/"
    ]
    usable = [line for line in lines if len(line) <= _LONGEST_PATTERN and len(_WILDCARD.findall(line)) <= _MOST_WILDCARDS]
    usable = usable[:_MOST_PATTERNS]
    if len(text) > _MOST_IGNORE_BYTES or len(usable) < len(lines):
        log.warning(
            "%s is not used whole: at most %d bytes, %d patterns, %d characters and %d wildcards in a pattern",
            one_line(str(ignore_file)),
            _MOST_IGNORE_BYTES,
            _MOST_PATTERNS,
            _LONGEST_PATTERN,
            _MOST_WILDCARDS,
        )
    if syntax == "regexp":
        yield _RegexpRules(root, ignore_file, tuple(_patterns(usable)))
    else:
        yield _GlobRules(ignore_file, pathspec.GitIgnoreSpec.from_lines(_valid_globs(usable)))


def _patterns(lines: Iterable[str]) -> Iterator[re.Pattern[str]]:
    for line in lines:
        try:
            yield re.compile(line)
        except (re.error, OverflowError, RecursionError):
            # Airflow skips them with a warning; a manifest has no part in it.
            continue


def _valid_globs(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        try:
            pathspec.GitIgnoreSpec.from_lines([line])
        except (ValueError, re.error, OverflowError, RecursionError):
            continue
        yield line
