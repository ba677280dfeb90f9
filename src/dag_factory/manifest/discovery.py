"""Finding the files of a DAGs folder that may be manifests, as Airflow finds DAG files: with ``.airflowignore`` and links.

Whether a file is a manifest is decided by its content, when it is compiled; foreign YAML is found here and left alone there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import pathspec

#: The file that manifests below its folder inherit from.
DEFAULTS_FILE = "defaults.yaml"

_IGNORE_FILE = ".airflowignore"
_SUFFIXES = (".yaml", ".yml")


class _Rules(Protocol):
    """The rules of one ``.airflowignore``."""

    def decide(self, path: Path, *, is_folder: bool) -> bool | None:
        """Whether ``path`` is ignored, or None when no rule is about it."""


def discover(root: Path, *, ignore_syntax: str = "glob") -> list[Path]:
    """Return the YAML files below ``root`` that may be manifests, sorted.

    Links are followed; a folder is entered once, so that loops end. A link that leads out of ``root`` is listed, and compiling what
    it leads to is an error when it is a manifest. ``defaults.yaml`` is no manifest.

    :param ignore_syntax: how ``.airflowignore`` is written, ``glob`` or ``regexp``, as in ``[core] dag_ignore_file_syntax``.
    """
    seen: set[str] = set()
    return sorted(_walk(root, root, (), seen, ignore_syntax))


def _walk(root: Path, folder: Path, rules: tuple[_Rules, ...], seen: set[str], syntax: str) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in seen:
        return
    seen.add(real)
    ignore_file = folder / _IGNORE_FILE
    if ignore_file.is_file():
        rules = (*rules, _read_rules(root, ignore_file, syntax))
    try:
        with os.scandir(folder) as entries:
            # Real folders before links to them, so that a file is found under its own path.
            listed = sorted(entries, key=lambda entry: (entry.is_symlink(), entry.name))
    except OSError:
        # What may not be listed holds no manifest that could run.
        return
    for entry in listed:
        path = folder / entry.name
        if _is_folder(entry):
            if not _ignored(path, rules, is_folder=True):
                yield from _walk(root, path, rules, seen, syntax)
        elif entry.name.endswith(_SUFFIXES) and entry.name != DEFAULTS_FILE and not _ignored(path, rules, is_folder=False):
            yield path


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link that leads to itself.
        return False


def _ignored(path: Path, rules: tuple[_Rules, ...], *, is_folder: bool) -> bool:
    # Later rules, which stand deeper, override earlier ones.
    decisions = [decision for each in rules if (decision := each.decide(path, is_folder=is_folder)) is not None]
    return bool(decisions) and decisions[-1]


class _GlobRules(NamedTuple):
    """Rules in the syntax of ``.gitignore``."""

    folder: Path
    spec: pathspec.GitIgnoreSpec

    def decide(self, path: Path, *, is_folder: bool) -> bool | None:
        """See :class:`_Rules`."""
        name = path.relative_to(self.folder).as_posix()
        return self.spec.check_file(f"{name}/" if is_folder else name).include


class _RegexpRules(NamedTuple):
    """Rules as regular expressions over the path from the DAGs folder; they only ever ignore."""

    root: Path
    patterns: tuple[re.Pattern[str], ...]

    def decide(self, path: Path, *, is_folder: bool) -> bool | None:  # noqa: ARG002 - the protocol's
        """See :class:`_Rules`."""
        name = str(path.relative_to(self.root))
        return True if any(pattern.search(name) for pattern in self.patterns) else None


def _read_rules(root: Path, ignore_file: Path, syntax: str) -> _Rules:
    text = ignore_file.read_text(encoding="utf-8", errors="replace")
    # Airflow takes everything from ` #` on for a comment, in both syntaxes.
    lines = [line for line in (re.sub(r"\s*#.*", "", each) for each in text.splitlines()) if line.strip() and line.strip() != "/"]
    if syntax == "regexp":
        return _RegexpRules(root, tuple(_patterns(lines)))
    return _GlobRules(ignore_file.parent, pathspec.GitIgnoreSpec.from_lines(_valid_globs(lines)))


def _patterns(lines: Iterable[str]) -> Iterator[re.Pattern[str]]:
    for line in lines:
        try:
            yield re.compile(line)
        except re.error:
            # Airflow skips them with a warning; a manifest has no part in it.
            continue


def _valid_globs(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        try:
            pathspec.GitIgnoreSpec.from_lines([line])
        except ValueError:
            continue
        yield line
