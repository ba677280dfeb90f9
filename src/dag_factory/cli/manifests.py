"""Finding manifests on the command line, and what is the same for every command that reads one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_dcp_provider.model.environment import canonical_environment
from airflow_dcp_provider.model.errors import DcpEnvironmentError, UsageError
from airflow_dcp_provider.model.parameters import check_values, value_of_text
from airflow_dcp_provider.model.team_folders import parse_team_folders
from airflow_dcp_provider.runner.spark_conf import entries_of, entry_fault
from dag_factory.cli.kinds import check_kind
from dag_factory.compiled import CompiledManifest, CompileSettings, compile_manifest
from dag_factory.manifest.files import absolute
from dag_factory.manifest.regular_files import is_there
from dag_factory.primitives.model import AirflowDag

#: The environment that nothing else is said of.
LOCAL = "local"


@dataclass(frozen=True)
class ManifestFile:
    """A file that may be a manifest.

    :param path: as given, or as found in a folder that was given.
    :param root: the folder from which ``defaults.yaml`` files are inherited and in which every file must be.
    :param named: whether the file itself was given; then it must be a manifest.
    """

    path: Path
    root: Path
    named: bool


def find_files(paths: Sequence[str]) -> Iterator[ManifestFile]:
    """Yield the files that ``paths`` name, and those in the folders that they name.

    :raises UsageError: DCP205 when there is nothing at a path.
    """
    from dag_factory.manifest.discovery import discover

    for text in paths:
        path = Path(text)
        root = root_of(path)
        if path.is_dir():
            yield from (ManifestFile(found, root, named=False) for found in discover(path))
        elif is_there(path):
            # Also what is no regular file: compiling it says so.
            yield ManifestFile(path, root, named=True)
        else:
            raise UsageError(f"there is no file or folder {text}", code="DCP205", hint="check the path")


def root_of(path: Path) -> Path:
    """Return what counts as the DAGs folder of a path: the current folder, where the path is below it, else the path's own."""
    here, whole = Path.cwd(), absolute(path)
    if here in whole.parents:
        return here
    return whole if whole.is_dir() else whole.parent


def compile_named(path: str, environment: str, kind: str | None) -> tuple[CompiledManifest, ManifestFile]:
    """Compile the one manifest that a command is about, for one environment.

    :param kind: the plugin that stood before the command, or None.
    :raises UsageError: DCP205, DCP213 or DCP204 when there is no such file, it is no manifest, or one of another kind.
    :raises ManifestError: with every problem of it.
    """
    if not is_there(Path(path)):
        raise UsageError(f"there is no file {path}", code="DCP205", hint="give the path of a manifest")
    file = ManifestFile(Path(path), root_of(Path(path)), named=True)
    compiled = compile_manifest(absolute(file.path), file.root, (environment,), settings_of(environment))
    if compiled is None:
        raise not_a_manifest(file)
    check_kind(kind, compiled.plugin, path)
    return compiled, file


def settings_of(environment: str) -> CompileSettings:
    """Return how manifests are read for a command: as Airflow's configuration says where that is in environment variables.

    :raises DcpEnvironmentError: DCP417 when a variable does not hold what it should.
    """
    entries = entries_of(os.environ.get("AIRFLOW__DCP__ALLOWED_SPARK_CONF", ""))
    try:
        folders = parse_team_folders(os.environ.get("AIRFLOW__DCP__TEAM_FOLDERS", ""))
    except ValueError as error:
        raise DcpEnvironmentError(f"AIRFLOW__DCP__TEAM_FOLDERS {error}", code="DCP417", hint="see docs/operating.md") from error
    allowed = tuple(entry for entry in entries if not entry_fault(entry))
    return CompileSettings(environment, allowed_spark_conf=allowed, team_folders=folders)


def not_a_manifest(file: ManifestFile) -> UsageError:
    """Return the error for a file that was named and that no plugin recognises."""
    return UsageError(f"{file.path} is not a manifest", code="DCP213", hint="`pretzel schema` lists the kinds of manifests")


def environment_of(text: str | None) -> str:
    """Return an environment's one name; ``local`` for None.

    :raises UsageError: DCP217 when there is no such environment.
    """
    try:
        return canonical_environment(text) if text else LOCAL
    except DcpEnvironmentError as error:
        raise UsageError(error.message, code="DCP217", hint=error.hint) from error


def parameters_of(texts: Sequence[str], dag: AirflowDag | None = None) -> dict[str, Any]:
    """Return ``NAME=VALUE`` texts as parameters of a DAG, each of the type that its manifest declares.

    Of a parameter without a type, a value that is JSON is taken as such, any other is text.

    :raises UsageError: DCP215 when one has no name, DCP219 for one that the manifest does not have, DCP220 for a value that it
        cannot have.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"`{text}` is not a parameter", code="DCP215", hint="write NAME=VALUE, for example limit=100")
        found[name] = value_of_text(value, dag.declared_params.get(name) if dag else None)
    if dag is not None:
        check_values(found, dag.params, dag.declared_params)
    return found
