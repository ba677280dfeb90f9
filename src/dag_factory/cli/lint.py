"""``pretzel lint``: every problem of manifests at once. Nothing is run and nothing outside of the files is asked."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from airflow_dcp_provider.model.errors import ManifestError, Position, Problem
from dag_factory.cli.kinds import check_kind
from dag_factory.cli.manifests import ManifestFile, environment_of, find_files, not_a_manifest, settings_of
from dag_factory.cli.output import Output, count
from dag_factory.compiled import CompiledManifest, clashes, compile_manifest
from dag_factory.manifest.files import absolute
from dag_factory.manifest.recognition import HEAD_BYTES, rough_fields, rough_text
from dag_factory.manifest.regular_files import read_beginning
from dag_factory.plugins.registry import load_registry

#: A further process is worth its start for so many files.
_FILES_PER_PROCESS = 100

#: A manifest, or what is wrong with it, or None for a file that is none.
_Compiled = CompiledManifest | tuple[Problem, ...] | None


@dataclass(frozen=True)
class Findings:
    """What lint found: the number of manifests, and their problems in the order of files and places."""

    manifests: int
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> int:
        """How many of the problems are errors."""
        return sum(problem.severity == "error" for problem in self.problems)

    @property
    def warnings(self) -> int:
        """How many of the problems are warnings."""
        return len(self.problems) - self.errors


def lint(options: argparse.Namespace, output: Output) -> int:
    """``lint``: 0 without errors, 1 with one; warnings alone are good."""
    found = check(find_files(options.paths), environment_of(options.environment), options.kind)
    summary = ", ".join((count(found.manifests, "manifest"), count(found.errors, "error"), count(found.warnings, "warning")))
    data = {
        "manifests": found.manifests,
        "errors": found.errors,
        "warnings": found.warnings,
        "problems": [problem.to_dict() for problem in found.problems],
    }
    output.result(data, "\n\n".join([*(problem.render() for problem in found.problems), summary]))
    return 1 if found.errors else 0


def check(files: Iterable[ManifestFile], environment: str, kind: str | None) -> Findings:
    """Compile every file and collect what is wrong, clashes between manifests of one root included.

    :param environment: the deployment's; what a manifest says of other environments is checked as well.
    :param kind: only manifests of this plugin are looked at; a file that was named must be one.
    :raises UsageError: DCP213 when a file that was named is no manifest, DCP204 when it is one of another kind.
    """
    problems: list[Problem] = list(load_registry().faults)
    compiled: dict[tuple[str, str], CompiledManifest] = {}
    broken = 0
    for file, manifest in _compile_all([file for file in files if kind is None or file.named or _may_be(file, kind)], environment):
        if isinstance(manifest, tuple):
            broken += 1
            problems += manifest
            continue
        if manifest is None:
            if file.named:
                raise not_a_manifest(file)
            continue
        if file.named:
            check_kind(kind, manifest.plugin, str(file.path))
        compiled[str(file.root), manifest.path] = manifest
    for manifest in compiled.values():
        problems += manifest.warnings
    for root in dict.fromkeys(root for root, _ in compiled):
        problems += _clashes([manifest for (where, _), manifest in compiled.items() if where == root])
    return Findings(len(compiled) + broken, tuple(sorted(problems, key=_place)))


def _compile_all(files: Sequence[ManifestFile], environment: str) -> Iterator[tuple[ManifestFile, _Compiled]]:
    """Compile files in their order; many of them on every core, since manifests have nothing to do with each other here."""
    compile_one = partial(_compile, environment=environment)
    processes = min(os.cpu_count() or 1, len(files) // _FILES_PER_PROCESS)
    if processes < 2:
        yield from zip(files, map(compile_one, files), strict=True)
        return
    done = 0
    try:
        with ProcessPoolExecutor(processes) as pool:
            for result in pool.map(compile_one, files, chunksize=max(1, _FILES_PER_PROCESS // 4)):
                yield files[done], result
                done += 1
    except BrokenProcessPool:
        yield from _compile_one_by_one(files[done:], compile_one)


def _compile_one_by_one(
    files: Sequence[ManifestFile], compile_one: Callable[[ManifestFile], _Compiled]
) -> Iterator[tuple[ManifestFile, _Compiled]]:
    """Compile files after a process died of one of them: in one process, so that it is known of which."""
    rest = list(files)
    while rest:
        done = 0
        try:
            with ProcessPoolExecutor(1) as pool:
                for result in pool.map(compile_one, rest):
                    yield rest[done], result
                    done += 1
        except BrokenProcessPool:
            yield rest[done], _died(rest[done])
            done += 1
        rest = rest[done:]


def _died(file: ManifestFile) -> tuple[Problem, ...]:
    name = Path(os.path.relpath(file.path, file.root)).as_posix()
    text = f"the process that checked `{name}` died: memory may have run out, or it nests too deep"
    return (Problem("DCP129", text, Position(name, 1, 1), "take parts of it away until it can be checked"),)


def _compile(file: ManifestFile, environment: str) -> _Compiled:
    try:
        return compile_manifest(absolute(file.path), file.root, (environment,), settings_of(environment))
    except ManifestError as error:
        return tuple(error.problems)


def _may_be(file: ManifestFile, kind: str) -> bool:
    """Whether a file that was found looks like a manifest of a plugin, also when it cannot be read whole."""
    try:
        fields = rough_fields(rough_text(read_beginning(file.path, HEAD_BYTES)))
    except OSError:
        # Compiling it says what is wrong with it.
        return True
    return any(plugin.get_manifest_type() == kind for plugin in load_registry().matching(fields))


def _clashes(manifests: Sequence[CompiledManifest]) -> list[Problem]:
    return [problem for error in clashes(manifests).values() for problem in error.problems]


def _place(problem: Problem) -> tuple[str, int, int, str]:
    where = problem.position
    return (where.file, where.line, where.column, problem.code) if where else ("", 0, 0, problem.code)
