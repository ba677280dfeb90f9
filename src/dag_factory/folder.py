"""A folder of manifests, read through the cache: all of it, or the one manifest that makes a DAG. Knows no Airflow.

Compiling, and the libraries that it needs, are imported only when something must be compiled.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from airflow_dcp_provider.model.errors import ManifestError, Problem
from dag_factory.cache import Entry, ManifestCache
from dag_factory.cache_context import cache_context
from dag_factory.compilation import Check, Compiled, ManifestCompiler
from dag_factory.compiled import clashes
from dag_factory.manifest.discovery import discover
from dag_factory.manifest.regular_files import read_beginning
from dag_factory.manifest.settings import MOST_BYTES, CompileSettings
from dag_factory.parts import DagParts

_T = TypeVar("_T")

#: So many manifests are looked at at once where only one is wanted.
_MOST_IN_TURN = 64

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedFolder:
    """What a folder holds: the parts of every usable DAG in the order of their paths, and the other manifests' errors by path."""

    parts: tuple[DagParts, ...]
    errors: Mapping[str, ManifestError] = field(default_factory=dict)


@dataclass(frozen=True)
class FoundDag:
    """The manifest of one DAG.

    :param parts: of the DAG, or None when no usable manifest makes it.
    :param error: what is wrong with the manifest that should make it, if there is one.
    :param last_known: what the DAG was made of when its manifest last was good, if that is known.
    """

    parts: DagParts | None = None
    error: ManifestError | None = None
    last_known: DagParts | None = None


class ManifestFolder:
    """The manifests of one folder, resolved for a deployment.

    :param root: the folder, absolute.
    :param environments: environments for which every manifest is resolved.
    :param settings: how the deployment reads manifests.
    :param cache_home: where compiled manifests are kept between parses.
    :param ignore_syntax: how ``.airflowignore`` is written, ``glob`` or ``regexp``.
    :param check: what the parts of every DAG must pass besides; done once for each, and kept.
    """

    def __init__(
        self,
        root: Path,
        environments: Sequence[str],
        settings: CompileSettings,
        cache_home: Path,
        *,
        ignore_syntax: str = "glob",
        check: Check | None = None,
    ) -> None:
        self.root = root
        self.environments = tuple(environments)
        self.deployment_environment = settings.deployment_environment
        self._settings = settings
        self._cache_home = cache_home
        self._ignore_syntax = ignore_syntax
        self._checked = check is not None
        self._has_compiled = False
        self._compiler = ManifestCompiler(root, self.environments, settings, check)

    @cached_property
    def _cache(self) -> ManifestCache:
        return ManifestCache(self.root, cache_context((self._settings, self.environments), self._cache_home), self._cache_home)

    def load(self, patience: float | None = None) -> LoadedFolder:
        """Return everything that the folder holds.

        :param patience: seconds after which no further manifest is compiled. What has changed and was not compiled is then what it
            last was; what is new is an error until the next time.
        """
        deadline = _deadline(patience)
        paths = self._paths()
        parts: dict[str, DagParts] = {}
        errors: dict[str, ManifestError] = {}
        for path, outcome in self._outcomes(paths, deadline):
            if outcome.error is not None:
                errors[path] = outcome.error
            elif outcome.parts is not None:
                parts[path] = outcome.parts
        parts, errors = _in_order(paths, parts), _in_order(paths, errors)
        if self._remember(parts, errors) or self._has_compiled:
            self._cache.drop_others(paths)
        for path, clash in clashes(parts.values()).items():
            errors[path] = clash
            del parts[path]
        return LoadedFolder(tuple(parts.values()), errors)

    def _outcomes(self, paths: Sequence[str], deadline: float | None) -> Iterator[tuple[str, Entry]]:
        """Yield what every manifest is, those that the cache knows first."""
        new: list[str] = []
        for path in paths:
            entry = self._cache.get(path, checked=self._checked)
            if entry is None:
                new.append(path)
            else:
                yield path, entry
        waiting: list[str] = []
        # What could not be used the last time may again take long; it must not keep the others from their turn.
        for compiled in self._compile(sorted(new, key=self._cache.was_refused), deadline):
            if not compiled.unfinished:
                yield compiled.path, Entry(compiled.parts, compiled.error)
                continue
            waiting.append(compiled.path)
            last = self._cache.last_known(compiled.path)
            yield compiled.path, Entry(last) if last else Entry(error=compiled.error)
        if waiting:
            log.warning("%d manifests wait for the next parse, the first of them is %s", len(waiting), waiting[0])

    def _compile(self, paths: Sequence[str], deadline: float | None, *, in_order: bool = False) -> Generator[Compiled, None, None]:
        """Compile manifests, and keep what became of each."""
        self._has_compiled |= bool(paths)
        begun = self._cache.begin_all(paths)
        with closing(self._compiler.compile(paths, deadline=deadline, in_order=in_order)) as work:
            for each in work:
                if each.error is None:
                    self._cache.put(begun[each.path], each.parts, each.files, each.absent, checked=self._checked)
                elif each.keep:
                    seconds = None if each.keep is True else float(each.keep)
                    self._cache.put_error(begun[each.path], each.error, each.files, each.absent, seconds=seconds)
                yield each

    def find(self, dag_id: str, patience: float | None = None) -> FoundDag:
        """Return the manifest that makes a DAG, without compiling the others where the cache knows which one it is.

        :param patience: seconds after which no further manifest is compiled.
        """
        deadline = _deadline(patience)
        known = self._cache.manifests_of(dag_id)
        found, errors = self._matches(dag_id, known, deadline)
        if not found:
            others = sorted(set(self._paths()) - set(known), key=lambda path: (not self._mentions(path, dag_id), path))
            found, more = self._matches(dag_id, others, deadline, first=True)
            errors += [(path, error) for path, error in more if self._mentions(path, dag_id)]
            for newly in found:
                self._cache.remember(dag_id, newly.path)
        if len(found) == 1:
            return FoundDag(parts=found[0])
        if found:
            return FoundDag(error=clashes(found).get(found[0].path), last_known=found[0])
        if errors:
            path, error = errors[0]
            return FoundDag(error=error, last_known=self._last_known(path, dag_id))
        return FoundDag(last_known=next((parts for path in known if (parts := self._last_known(path, dag_id))), None))

    def _matches(
        self, dag_id: str, paths: Sequence[str], deadline: float | None, *, first: bool = False
    ) -> tuple[list[DagParts], list[tuple[str, ManifestError]]]:
        found: list[DagParts] = []
        errors: list[tuple[str, ManifestError]] = []
        with closing(self._in_turn(paths, deadline)) as outcomes:
            for path, outcome in outcomes:
                if outcome.error is not None:
                    errors.append((path, outcome.error))
                elif outcome.parts is not None and outcome.parts.dag_id == dag_id:
                    found.append(outcome.parts)
                    if first:
                        break
        return found, errors

    def _in_turn(self, paths: Sequence[str], deadline: float | None) -> Generator[tuple[str, Entry], None, None]:
        """Yield what manifests are in the order of their paths, a few more compiled at a time than are asked for."""
        start, size = 0, 1
        while start < len(paths):
            there = [path for path in paths[start : start + size] if (self.root / path).is_file()]
            start, size = start + size, min(4 * size, _MOST_IN_TURN)
            entries = {path: self._cache.get(path) for path in there}
            with closing(self._compile([path for path in there if entries[path] is None], deadline, in_order=True)) as work:
                for path in there:
                    entry = entries[path]
                    if entry is None:
                        compiled = next(work)
                        entry = Entry(compiled.parts, compiled.error)
                    yield path, entry

    def _paths(self) -> list[str]:
        return [str(path.relative_to(self.root)) for path in discover(self.root, ignore_syntax=self._ignore_syntax)]

    def _remember(self, parts: Mapping[str, DagParts], errors: Mapping[str, ManifestError]) -> bool:
        """Write the index of DAG ids anew; return whether it is another one."""
        known = {path: each.dag_id for path, each in parts.items()}
        for path in errors:
            # A broken manifest keeps the id that it had, so that a run of its DAG can still find its error.
            if last := self._cache.last_known(path):
                known[path] = last.dag_id
        return self._cache.replace_index(known)

    def _last_known(self, path: str, dag_id: str) -> DagParts | None:
        last = self._cache.last_known(path)
        return last if last and last.dag_id == dag_id else None

    def _mentions(self, path: str, dag_id: str) -> bool:
        """Whether a file holds the DAG id, or the name that a derived dataset's id is made from."""
        name = dag_id.removesuffix("_dag").encode()
        with contextlib.suppress(OSError):
            return name in read_beginning(self.root / path, MOST_BYTES)
        return False


def _deadline(patience: float | None) -> float | None:
    return None if patience is None else time.monotonic() + patience


def _in_order(paths: Sequence[str], values: Mapping[str, _T]) -> dict[str, _T]:
    return {path: values[path] for path in paths if path in values}


def gone(dag_id: str, root: Path) -> ManifestError:
    """Return the error of a DAG that no manifest in the folder makes any more."""
    problem = Problem(
        "DCP193",
        f"no manifest in {root} makes the DAG `{dag_id}` any more",
        hint="put the manifest back, or delete the DAG in Airflow; a run that already waits for its Spark execution can finish",
    )
    return ManifestError([problem])
