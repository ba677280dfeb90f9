"""A folder of manifests, read through the cache: all of it, or the one manifest that makes a DAG. Knows no Airflow.

Compiling, and the libraries that it needs, are imported only when something must be compiled.
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_dcp_provider.model.errors import DcpError, ManifestError, Position, Problem
from airflow_dcp_provider.model.texts import one_line
from dag_factory.cache import ManifestCache
from dag_factory.cache_context import cache_context
from dag_factory.manifest.discovery import discover
from dag_factory.manifest.regular_files import read_beginning
from dag_factory.manifest.settings import MOST_BYTES, CompileSettings
from dag_factory.parts import DagParts, dag_parts

if TYPE_CHECKING:
    from dag_factory.compiled import CompiledManifest

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
    :param catalog: the alias of tables that name none.
    :param cache_home: where compiled manifests are kept between parses.
    :param ignore_syntax: how ``.airflowignore`` is written, ``glob`` or ``regexp``.
    """

    def __init__(
        self,
        root: Path,
        environments: Sequence[str],
        deployment_environment: str,
        catalog: str,
        cache_home: Path,
        *,
        ignore_syntax: str = "glob",
    ) -> None:
        self.root = root
        self.environments = tuple(environments)
        self.deployment_environment = deployment_environment
        self._settings = CompileSettings(deployment_environment=deployment_environment, default_catalog=catalog)
        self._cache_home = cache_home
        self._ignore_syntax = ignore_syntax

    @cached_property
    def _cache(self) -> ManifestCache:
        return ManifestCache(self.root, cache_context((self._settings, self.environments), self._cache_home), self._cache_home)

    def load(self) -> LoadedFolder:
        """Return everything that the folder holds."""
        parts: dict[str, DagParts] = {}
        errors: dict[str, ManifestError] = {}
        for path in self._paths():
            try:
                found = self._read(path)
            except ManifestError as error:
                errors[path] = error
            else:
                if found is not None:
                    parts[path] = found
        self._remember(parts, errors)
        for path, clash in self._clashes(list(parts.values())).items():
            errors[path] = clash
            del parts[path]
        return LoadedFolder(tuple(parts.values()), errors)

    def find(self, dag_id: str) -> FoundDag:
        """Return the manifest that makes a DAG, without compiling the others where the cache knows which one it is."""
        known = self._cache.manifests_of(dag_id)
        found, errors = self._matches(dag_id, known)
        if not found:
            others = sorted(set(self._paths()) - set(known), key=lambda path: (not self._mentions(path, dag_id), path))
            found, more = self._matches(dag_id, others, first=True)
            errors += [(path, error) for path, error in more if self._mentions(path, dag_id)]
            for newly in found:
                self._cache.remember(dag_id, newly.path)
        if len(found) == 1:
            return FoundDag(parts=found[0])
        if found:
            return FoundDag(error=self._clashes(found).get(found[0].path), last_known=found[0])
        if errors:
            path, error = errors[0]
            return FoundDag(error=error, last_known=self._last_known(path, dag_id))
        return FoundDag(last_known=next((parts for path in known if (parts := self._last_known(path, dag_id))), None))

    def _matches(
        self, dag_id: str, paths: Sequence[str], *, first: bool = False
    ) -> tuple[list[DagParts], list[tuple[str, ManifestError]]]:
        found: list[DagParts] = []
        errors: list[tuple[str, ManifestError]] = []
        for path in paths:
            if not (self.root / path).is_file():
                continue
            try:
                parts = self._read(path)
            except ManifestError as error:
                errors.append((path, error))
                continue
            if parts is not None and parts.dag_id == dag_id:
                found.append(parts)
                if first:
                    break
        return found, errors

    def _read(self, path: str) -> DagParts | None:
        """Return the parts of one manifest, None for a file that is no manifest.

        :raises ManifestError: when the manifest cannot be used.
        """
        entry = self._cache.get(path)
        if entry is not None:
            return None if entry.parts is None else DagParts.from_dict(entry.parts)
        try:
            return self._compile(path)
        except DcpError as error:
            raise error if isinstance(error, ManifestError) else _as_manifest_error(path, error, error.code, error.hint) from error
        except Exception as error:
            # A plugin's mistake is one manifest's trouble, never the folder's.
            log.exception("Reading the manifest %s failed", one_line(path))
            raise _as_manifest_error(path, error, "DCP195", "the DAG processor's log has the traceback") from error

    def _compile(self, path: str) -> DagParts | None:
        begun = self._cache.begin(path)
        compiled = self._compiled(path)
        parts = None if compiled is None else dag_parts(compiled, self.deployment_environment)
        files, absent = (compiled.files, compiled.absent) if compiled else ((), ())
        self._cache.put(begun, None if parts is None else parts.to_dict(), files, absent)
        return parts

    def _compiled(self, path: str) -> CompiledManifest | None:
        from dag_factory.compiled import compile_manifest

        return compile_manifest(self.root / path, self.root, self.environments, self._settings)

    def _clashes(self, loaded: Sequence[DagParts]) -> dict[str, ManifestError]:
        """Return the errors of manifests that share an id or a DAG id with another one, by path."""
        ids = Counter(f"{kind} {name}" for parts in loaded for kind, name in (("m", parts.manifest_id), ("d", parts.dag_id)))
        suspects = [parts.path for parts in loaded if ids[f"m {parts.manifest_id}"] > 1 or ids[f"d {parts.dag_id}"] > 1]
        if not suspects:
            return {}
        from dag_factory.compiled import clashes

        # Rare, so they are compiled again rather than kept whole in the cache for this.
        compiled: list[CompiledManifest] = []
        for path in suspects:
            # One that was broken a moment ago is the next parse's matter.
            with contextlib.suppress(ManifestError):
                compiled += [found] if (found := self._compiled(path)) else []
        return clashes(compiled)

    def _paths(self) -> list[str]:
        return [str(path.relative_to(self.root)) for path in discover(self.root, ignore_syntax=self._ignore_syntax)]

    def _remember(self, parts: Mapping[str, DagParts], errors: Mapping[str, ManifestError]) -> None:
        known = {path: each.dag_id for path, each in parts.items()}
        for path in errors:
            # A broken manifest keeps the id that it had, so that a run of its DAG can still find its error.
            if last := self._cache.last_known(path):
                known[path] = DagParts.from_dict(last).dag_id
        self._cache.replace_index(known)

    def _last_known(self, path: str, dag_id: str) -> DagParts | None:
        last = self._cache.last_known(path)
        parts = DagParts.from_dict(last) if last else None
        return parts if parts and parts.dag_id == dag_id else None

    def _mentions(self, path: str, dag_id: str) -> bool:
        """Whether a file holds the DAG id, or the name that a derived dataset's id is made from."""
        name = dag_id.removesuffix("_dag").encode()
        with contextlib.suppress(OSError):
            return name in read_beginning(self.root / path, MOST_BYTES)
        return False


def gone(dag_id: str, root: Path) -> ManifestError:
    """Return the error of a DAG that no manifest in the folder makes any more."""
    problem = Problem(
        "DCP193",
        f"no manifest in {root} makes the DAG `{dag_id}` any more",
        hint="put the manifest back, or delete the DAG in Airflow; a run that already waits for its Spark execution can finish",
    )
    return ManifestError([problem])


def _as_manifest_error(path: str, error: Exception, code: str, hint: str) -> ManifestError:
    text = error.message if isinstance(error, DcpError) else f"reading the manifest failed: {type(error).__name__}: {error}"
    return ManifestError([Problem(code, text, Position(path, 1, 1), hint)])
