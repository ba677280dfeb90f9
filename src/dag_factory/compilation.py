"""Compiling manifests of a folder in guarded child processes: whatever a manifest holds, the outcome is its parts or its error."""

from __future__ import annotations

import importlib
import logging
import os
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_dcp_provider.model.errors import DcpError, ManifestError, Position, Problem
from dag_factory.cache import own_inputs
from dag_factory.guard import Budget, Note, Outcome, Stop, guarded
from dag_factory.manifest.settings import CompileSettings
from dag_factory.parts import DagParts, dag_parts
from dag_factory.storable import faults

if TYPE_CHECKING:
    from dag_factory.compiled import CompiledManifest

log = logging.getLogger(__name__)

#: What one manifest may use. An ordinary one takes milliseconds, the largest that is allowed about a second.
MANIFEST_BUDGET = Budget()

#: Imported before the processes are made, so that each need not do it again.
_NEEDED = ("dag_factory.compiler", "dag_factory.plugins.spark_job_lint", "dag_factory.plugins.derived_dataset_lint")

#: How many manifests make a further process worth its start, and how many processes there are at most.
_MANIFESTS_PER_PROCESS = 1000
_MOST_PROCESSES = 4

#: How long it is kept, in seconds, that a manifest used too much: on another day the machine may be less busy.
_RETRY_SECONDS = 3600.0

#: Refuses parts of which Airflow makes no DAG.
Check = Callable[[DagParts], None]


@dataclass(frozen=True)
class Compiled:
    """What became of one manifest.

    :param parts: of its DAG; None, without an error, for a file that is not a manifest.
    :param files: every file that was read besides :func:`~dag_factory.cache.own_inputs`, and ``absent`` those that are not there.
    :param keep: whether the outcome is the same until a file changes; else how many seconds it is worth, 0 for none.
    """

    path: str
    parts: DagParts | None = None
    error: ManifestError | None = None
    files: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    keep: bool | float = True

    @property
    def unfinished(self) -> bool:
        """Whether nothing is known of the manifest, because there was no time for it."""
        return self.error is not None and self.error.code == "DCP188"


class ManifestCompiler:
    """Compiles manifests of one folder.

    :param check: what the DAG's parts must pass besides, run with the same budget.
    """

    def __init__(self, root: Path, environments: Sequence[str], settings: CompileSettings, check: Check | None = None) -> None:
        self._root = root
        self._environments = environments
        self._settings = settings
        self._check = check

    def compile(
        self, paths: Sequence[str], *, deadline: float | None = None, in_order: bool = False, budget: Budget = MANIFEST_BUDGET
    ) -> Generator[Compiled, None, None]:
        """Compile manifests; yield what became of each as it becomes known.

        :param paths: relative to the folder.
        :param deadline: moment of :func:`time.monotonic` after which the rest is unfinished.
        :param in_order: yield them in the order of ``paths``.
        """
        if not paths:
            return
        for module in _NEEDED:
            importlib.import_module(module)
        processes = 1 if in_order else _processes(len(paths))
        work = guarded(
            lambda index, note: self._work(paths[index], note), len(paths), budget, processes=processes, deadline=deadline
        )
        with closing(work):
            for outcome in work:
                yield _compiled(paths[outcome.index], outcome)

    def _work(self, path: str, note: Note) -> dict[str, Any]:
        """Compile one manifest; runs in a child."""
        try:
            compiled = self._compiled(path, note)
            if compiled is None:
                return {"parts": None}
            parts = dag_parts(compiled, self._settings.deployment_environment)
            plain = parts.to_dict()
            if fault := next(faults(plain), ""):
                problem = _problem(path, "DCP185", f"Airflow's database cannot keep the manifest: {fault}", "")
                return {"problems": [problem.to_dict()]}
            if self._check is not None:
                self._check(parts)
        except MemoryError:
            raise
        except ManifestError as error:
            if isinstance(error.__cause__, MemoryError):
                raise error.__cause__ from error
            # Of an error of ours the problems say all that there is to say; of another one somebody will want to know where.
            unexpected = error.__cause__ if error.code == "DCP195" else None
            return {"problems": [problem.to_dict() for problem in error.problems], "traceback": _trace(unexpected)}
        except DcpError as error:
            return {"problems": [_problem(path, error.code, error.message, error.hint).to_dict()]}
        except Exception as error:  # noqa: BLE001 - a plugin's mistake is one manifest's trouble, never the folder's
            text = f"reading the manifest failed: {type(error).__name__}: {error}"
            problem = _problem(path, "DCP195", text, "simplify it; where nothing in it is odd, report it")
            return {"problems": [problem.to_dict()], "traceback": _trace(error)}
        return {"parts": plain}

    def _compiled(self, path: str, note: Note) -> CompiledManifest | None:
        from dag_factory.compiled import compile_manifest
        from dag_factory.manifest.noted_files import NotedFiles

        files = NotedFiles(self._root, self._settings, note, known=frozenset(own_inputs(path)))
        return compile_manifest(self._root / path, self._root, self._environments, self._settings, files=files)


def _processes(count: int) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(_MOST_PROCESSES, cores, count // _MANIFESTS_PER_PROCESS))


def _compiled(path: str, outcome: Outcome) -> Compiled:
    files = tuple(dict.fromkeys(each[1:] for each in outcome.notes if each[0] == "+"))
    absent = tuple(dict.fromkeys(each[1:] for each in outcome.notes if each[0] == "-"))
    if outcome.stop is not None:
        keep = 0.0 if outcome.stop is Stop.UNFINISHED else _RETRY_SECONDS
        return Compiled(path, error=_stopped(path, outcome), files=files, absent=absent, keep=keep)
    value: Mapping[str, Any] = outcome.value
    if "problems" not in value:
        parts = None if value["parts"] is None else DagParts.from_dict(value["parts"])
        return Compiled(path, parts, files=files, absent=absent)
    error = ManifestError([Problem.from_dict(each) for each in value["problems"]])
    if trace := value.get("traceback"):
        log.error("Reading the manifest %s failed\n%s", path, trace)
    return Compiled(path, error=error, files=files, absent=absent, keep=_RETRY_SECONDS if trace else True)


def _trace(error: BaseException | None) -> str:
    return "" if error is None else "".join(traceback.format_exception(error))[-20_000:]


def _stopped(path: str, outcome: Outcome) -> ManifestError:
    if outcome.stop is Stop.UNFINISHED:
        text = f"the manifest has not been read yet: {outcome.detail}"
        hint = "the next parse goes on; Airflow's dagbag_import_timeout and dag_file_processor_timeout say how long one may take"
        return ManifestError([_problem(path, "DCP188", text, hint)])
    if outcome.stop is Stop.CRASH:
        hint = "the manifest alone did it; please report it with the file"
        return ManifestError([_problem(path, "DCP187", f"reading the manifest ended its process: {outcome.detail}", hint)])
    what = {Stop.TIME: "time", Stop.MEMORY: "memory", Stop.SIZE: "room"}[outcome.stop or Stop.TIME]
    hint = "make its templates and its SQL simpler, or split it; an ordinary manifest is read within milliseconds"
    return ManifestError([_problem(path, "DCP186", f"reading the manifest takes too much {what}: {outcome.detail}", hint)])


def _problem(path: str, code: str, text: str, hint: str) -> Problem:
    return Problem(code, text, Position(path, 1, 1), hint)
