"""A compiled manifest: everything that a DAG, the command line and a cache need of it, as a value.

This module imports neither parsers nor schemas, so that reading compiled manifests from a cache costs nothing else; the compiler
itself is :mod:`dag_factory.compiler`.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from airflow_dcp_provider.model.errors import DcpError, ManifestError, Position, Problem, UsageError
from airflow_dcp_provider.model.job import Column
from airflow_dcp_provider.model.texts import cut
from dag_factory.manifest.settings import CompileSettings
from dag_factory.plugins.plan import LogicalPlan
from dag_factory.primitives.model import AirflowDag, CoreEtlJob, IcebergTable

if TYPE_CHECKING:
    from dag_factory.manifest.files import FolderFiles

log = logging.getLogger(__name__)

__all__ = ["CompileSettings", "CompiledFolder", "CompiledManifest", "clashes", "compile_folder", "compile_manifest"]


@dataclass(frozen=True)
class CompiledManifest:
    """One manifest, compiled for every environment.

    :param manifest_id: ``namespace/name`` or ``<plugin>/<name>``.
    :param kind: the manifest's kind, for example ``SparkJob``; ``plugin`` is the manifest type of its plugin.
    :param path: the manifest relative to the DAGs folder, with ``/``.
    :param text: the manifest as it stands.
    :param dag: the DAG, resolved for the deployment's environment.
    :param jobs: the job for each environment; a streaming job is among them, and refused when it is run.
    :param tables: the tables for each environment, sources and sinks.
    :param plans: the plan for each environment.
    :param files: every file that was read, relative to the DAGs folder: the manifest, its SQL, every ``defaults.yaml``.
    :param absent: files that were looked for and are not there; when one appears, the result is out of date.
    :param warnings: what lint says that is no error.
    """

    manifest_id: str
    kind: str
    plugin: str
    path: str
    text: str
    dag: AirflowDag
    jobs: Mapping[str, CoreEtlJob]
    tables: Mapping[str, tuple[IcebergTable, ...]]
    plans: Mapping[str, LogicalPlan]
    files: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    warnings: tuple[Problem, ...] = ()

    @property
    def dag_id(self) -> str:
        """The DAG's id."""
        return self.dag.dag_id

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest as JSON-ready values; :meth:`from_dict` reads it back to an equal value."""
        return {
            "manifest_id": self.manifest_id,
            "kind": self.kind,
            "plugin": self.plugin,
            "path": self.path,
            "text": self.text,
            "dag": asdict(self.dag),
            "jobs": {name: job.to_dict() for name, job in self.jobs.items()},
            "tables": {name: [asdict(table) for table in tables] for name, tables in self.tables.items()},
            "plans": {name: plan.to_dict() for name, plan in self.plans.items()},
            "files": list(self.files),
            "absent": list(self.absent),
            "warnings": [warning.to_dict() for warning in self.warnings],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CompiledManifest:
        """Build a manifest from :meth:`to_dict`'s values, also after a way through JSON."""
        return cls(
            **{
                **data,
                "dag": _dag(data["dag"]),
                "jobs": {name: CoreEtlJob.from_dict(job) for name, job in data["jobs"].items()},
                "tables": {name: tuple(_table(table) for table in tables) for name, tables in data["tables"].items()},
                "plans": {name: LogicalPlan(**plan) for name, plan in data["plans"].items()},
                "files": tuple(data["files"]),
                "absent": tuple(data["absent"]),
                "warnings": tuple(Problem.from_dict(warning) for warning in data["warnings"]),
            }
        )


def _dag(data: Mapping[str, Any]) -> AirflowDag:
    schedule = data["schedule"]
    return AirflowDag(
        **{**data, "schedule": tuple(schedule) if isinstance(schedule, list) else schedule, "tags": tuple(data["tags"])},
    )


def _table(data: Mapping[str, Any]) -> IcebergTable:
    columns = data["columns"]
    return IcebergTable(
        **{
            **data,
            "columns": None if columns is None else tuple(Column(**column) for column in columns),
            "partition_by": tuple(data["partition_by"]),
        }
    )


@dataclass(frozen=True)
class CompiledFolder:
    """Every manifest of a DAGs folder.

    :param manifests: those that can be used, in the order of their paths.
    :param errors: the others, by path relative to the folder.
    :param warnings: warnings that belong to no manifest, for example of a plugin that could not be loaded.
    """

    manifests: tuple[CompiledManifest, ...] = ()
    errors: Mapping[str, ManifestError] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()


def compile_manifest(
    path: Path, root: Path, environments: Sequence[str], settings: CompileSettings, *, files: FolderFiles | None = None
) -> CompiledManifest | None:
    """Compile one manifest of a DAGs folder; pure but for the reading of files in the folder.

    :param path: the manifest, below ``root``.
    :param environments: the deployment's environments; its own is compiled as well.
    :param files: reads the folder's files and records which; made when it is not given.
    :returns: the manifest, or None for foreign YAML.
    :raises ManifestError: with every problem that was found, in the order of their places; DCP195 when reading it failed in a way
        that nobody expected.
    :raises UsageError: DCP200 when ``path`` is not below ``root``.
    """
    from dag_factory.compiler import compile_one

    with faults_of(path, root):
        return compile_one(path, root, environments, settings, files)


@contextlib.contextmanager
def faults_of(path: Path, root: Path) -> Iterator[None]:
    """Turn whatever fails while one manifest is read into that manifest's error, so that it never ends the reading of others.

    :raises ManifestError: with the code of the error where it has one, else DCP195: a mistake of a plugin or of this project, or a
        manifest that a library cannot cope with.
    """
    try:
        yield
    except (ManifestError, UsageError):
        raise
    except DcpError as error:
        raise _fault(path, root, error.code, error.message, error.hint) from error
    except Exception as error:
        # Its text may be as long as what it is about.
        log.debug("Reading the manifest %s failed", path, exc_info=True)
        text = f"reading the manifest failed: {type(error).__name__}: {cut(str(error), 200)}"
        raise _fault(path, root, "DCP195", text, "simplify it; where nothing in it is odd, report it") from error


def _fault(path: Path, root: Path, code: str, text: str, hint: str) -> ManifestError:
    name = Path(os.path.relpath(path, root)).as_posix()
    return ManifestError([Problem.at_line(code, text, Position(name, 1, 1), hint)])


def compile_folder(root: Path, environments: Sequence[str], settings: CompileSettings) -> CompiledFolder:
    """Compile every manifest of a DAGs folder, and check that they do not clash. One broken manifest leaves the others alone."""
    from dag_factory.compiler import compile_all

    return compile_all(root, environments, settings)


class Identified(Protocol):
    """A manifest with what must be its own in a folder."""

    @property
    def path(self) -> str: ...
    @property
    def manifest_id(self) -> str: ...
    @property
    def dag_id(self) -> str: ...


#: How many others are named in the error of a manifest that shares an id with them.
_NAMED_OTHERS = 5


def clashes(manifests: Iterable[Identified]) -> dict[str, ManifestError]:
    """Return the errors of manifests that cannot be used together, by path: one id (DCP180) or one DAG id (DCP181) for several.

    Every one of them has the error, because none of them can be told to be the right one.
    """
    problems: dict[str, Problem] = {}
    whole = list(manifests)
    for code, what, key in (("DCP180", "manifest id", "manifest_id"), ("DCP181", "DAG id", "dag_id")):
        groups: dict[str, list[str]] = {}
        for each in whole:
            groups.setdefault(getattr(each, key), []).append(each.path)
        for name, paths in groups.items():
            for path in paths if len(paths) > 1 else ():
                if path not in problems:
                    text = f"the {what} `{name}` of `{path}` is also that of {_others(path, paths)}"
                    problems[path] = Problem(code, text, Position(path, 1, 1), "rename or remove all but one of them")
    return {path: ManifestError([problem]) for path, problem in problems.items()}


def _others(path: str, paths: Sequence[str]) -> str:
    """Name the others of a group, a few of many, in the same time however many there are."""
    named = [other for other in paths[: _NAMED_OTHERS + 1] if other != path][:_NAMED_OTHERS]
    further = len(paths) - 1 - len(named)
    return ", ".join(f"`{other}`" for other in named) + (f" and {further} more" if further else "")
