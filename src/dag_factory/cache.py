"""Compiled manifests kept on this machine between parses, below ``DCP_HOME/cache/dags/``.

An entry is used only when everything it was made from is as it was: the bytes and the real place of every file that was read, the
folder defaults that were there *and those that were not*, and the *context* (settings, environments, plugins, our own code, see
:mod:`dag_factory.cache_context`). Files are compared by a hash of their bytes, never by time or size, so that a touch, a checkout
or a second write within one tick of the clock cannot mislead it. Time only decides whether a new entry is written.

An entry is one small JSON file with a checksum, written beside and renamed. What cannot be read is a miss, what cannot be written
is left: nothing depends on the cache but speed, with one exception, the DAG that a manifest made before it broke. What is wrong
with a manifest has a file of its own beside that, so that a manifest that takes long to be refused costs that once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_dcp_provider.model.errors import ManifestError, Problem
from airflow_dcp_provider.model.names import short_hash
from dag_factory.manifest.discovery import DEFAULTS_FILE
from dag_factory.manifest.regular_files import read_beginning
from dag_factory.manifest.settings import MOST_BYTES
from dag_factory.parts import DagParts

#: What stands for a file that is not there.
ABSENT = ""

#: A file that changed less than these seconds before a compilation may have changed during it: file systems' clocks tick coarsely.
_SETTLED_SECONDS = 2.0


@dataclass(frozen=True)
class Entry:
    """What the cache knows of one manifest.

    :param parts: of its DAG, None for a file that is not a manifest or cannot be used.
    :param error: what is wrong with it, or None.
    """

    parts: DagParts | None = None
    error: ManifestError | None = None


@dataclass(frozen=True)
class Compilation:
    """A compilation that has begun: of which manifest, the states of the files known to matter, and when (epoch seconds)."""

    name: str
    inputs: Mapping[str, str]
    at: float


class FileStates:
    """The states of files below a folder, each read once: folder defaults and SQL are shared by many manifests.

    :param root: the folder, absolute.
    """

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._known: dict[str, str] = {}
        self._real_folders: dict[str, str] = {}

    def of(self, name: str) -> str:
        """Return a text that tells the file's present bytes and real place from all others, or :data:`ABSENT`."""
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = self._read(os.path.join(self._root, name))  # noqa: PTH118 - a `Path` costs more than the rest
        return known

    def _read(self, path: str) -> str:
        try:
            # No more than can matter: a larger file is refused, whatever else it holds.
            content = read_beginning(path, MOST_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError):
            return ABSENT
        except OSError as error:
            # Such a file makes another result than one that is not there.
            return f"unreadable {error.errno}"
        return f"{_digest(content)} {self._real_place(path)}"

    def _real_place(self, path: str) -> str:
        # A link that is turned to a file outside the folder is another input, even when the bytes are equal.
        if os.path.islink(path):  # noqa: PTH114
            return os.path.realpath(path)
        parent, name = os.path.split(path)
        folder = self._real_folders.get(parent)
        if folder is None:
            folder = self._real_folders[parent] = os.path.realpath(parent)
        return os.path.join(folder, name)  # noqa: PTH118


class ManifestCache:
    """The cache of one folder of manifests.

    :param root: the folder, absolute.
    :param context: a hash of everything but files that compiled manifests depend on.
    :param home: the folder that holds the caches of all folders.
    """

    def __init__(self, root: Path, context: str, home: Path) -> None:
        self._root = root
        self._context = context
        self._folder = home / short_hash(str(root), 16)
        self._states = FileStates(root)
        self._index: dict[str, list[str]] | None = None

    def get(self, name: str, *, checked: bool = False) -> Entry | None:
        """Return the entry of the manifest ``name`` (its path below the root) if it is still true, else None.

        :param checked: only an entry will do whose DAG was found to be one that Airflow takes.
        """
        data = read_checked(self._entry_file(name))
        if data is not None and self._is_true(data, name) and (not checked or data.get("checked") is True):
            if data.get("parts") is None:
                return Entry()
            if (parts := _parts(data["parts"], name)) is not None:
                return Entry(parts)
        data = read_checked(self._error_file(name))
        if data is not None and self._is_true(data, name) and not _is_over(data.get("until")):
            problems = _problems(data.get("problems"))
            return Entry(error=ManifestError(problems)) if problems else None
        return None

    def _is_true(self, data: Mapping[str, Any], name: str) -> bool:
        inputs = data.get("inputs")
        if (
            data.get("context") != self._context
            or data.get("manifest") != name
            or not isinstance(inputs, dict)
            or name not in inputs
        ):
            return False
        return all(self._states.of(file) == state for file, state in inputs.items())

    def begin(self, name: str) -> Compilation:
        """Note the state of the files that matter for a manifest, before it is compiled."""
        return self.begin_all([name])[name]

    def begin_all(self, names: Iterable[str]) -> dict[str, Compilation]:
        """Note the same for several manifests that are compiled next; a file that matters for all of them is read once."""
        states = FileStates(self._root)
        inputs = {name: {file: states.of(file) for file in own_inputs(name)} for name in names}
        moment = time.time()
        return {name: Compilation(name, each, moment) for name, each in inputs.items()}

    def put(
        self,
        begun: Compilation,
        parts: DagParts | None,
        files: Iterable[str] = (),
        absent: Iterable[str] = (),
        *,
        checked: bool = False,
    ) -> None:
        """Keep what a manifest was compiled to, unless a file may have changed while it was compiled.

        :param parts: parts of the DAG, or None for a file that is no manifest.
        :param files: every file that was read, relative to the root.
        :param absent: files that were looked for in vain.
        :param checked: whether Airflow was found to take the DAG.
        """
        inputs = self._inputs(begun, files, absent)
        if inputs is not None:
            plain = None if parts is None else parts.to_dict()
            self._write(self._entry_file(begun.name), begun, inputs, {"parts": plain, "checked": checked})

    def put_error(
        self,
        begun: Compilation,
        error: ManifestError,
        files: Iterable[str] = (),
        absent: Iterable[str] = (),
        *,
        seconds: float | None = None,
    ) -> None:
        """Keep what is wrong with a manifest; what it was when it last was good stays known.

        :param files: every file that was read until then, and ``absent`` those that were looked for in vain.
        :param seconds: how long it is kept, None for as long as no file changes.
        """
        inputs = self._inputs(begun, files, absent)
        if inputs is not None:
            problems = [problem.to_dict() for problem in error.problems]
            until = None if seconds is None else begun.at + seconds
            self._write(self._error_file(begun.name), begun, inputs, {"problems": problems, "until": until})

    def _inputs(self, begun: Compilation, files: Iterable[str], absent: Iterable[str]) -> dict[str, str] | None:
        """Return the states of everything that a compilation read; None when something may have changed during it."""
        now = FileStates(self._root)
        if any(now.of(file) != state for file, state in begun.inputs.items()):
            return None
        inputs = {**dict.fromkeys(absent, ABSENT), **begun.inputs}
        for file in files:
            if file not in inputs:
                if not _is_settled(self._root / file, begun.at):
                    return None
                inputs[file] = now.of(file)
        return inputs

    def _write(self, file: Path, begun: Compilation, inputs: Mapping[str, str], more: Mapping[str, Any]) -> None:
        write_checked(file, {"context": self._context, "manifest": begun.name, "inputs": inputs, **more})

    def was_refused(self, name: str) -> bool:
        """Whether the manifest could not be used when it was last looked at, whatever has changed since."""
        return self._error_file(name).is_file()

    def forget_error(self, name: str) -> None:
        """Forget what was wrong with a manifest that is good now."""
        with contextlib.suppress(OSError):
            self._error_file(name).unlink()

    def last_known(self, name: str) -> DagParts | None:
        """Return the parts that the manifest had when it last was good, however old they are, or None."""
        data = read_checked(self._entry_file(name))
        return _parts(data.get("parts"), name) if data and data.get("manifest") == name else None

    def manifests_of(self, dag_id: str) -> list[str]:
        """Return the manifests that had this DAG id when it was last looked for; they may have changed since."""
        return list(self._read_index().get(dag_id, ()))

    def remember(self, dag_id: str, name: str) -> None:
        """Add one manifest to the index of DAG ids."""
        index = self._read_index()
        if name not in index.setdefault(dag_id, []):
            index[dag_id].append(name)
            self._write_index(index)

    def replace_index(self, dag_ids: Mapping[str, str]) -> bool:
        """Replace the index of DAG ids after the whole folder was read; return whether it is another one.

        :param dag_ids: manifest -> DAG id, also of manifests that are broken now.
        """
        index: dict[str, list[str]] = {}
        for name, dag_id in sorted(dag_ids.items()):
            index.setdefault(dag_id, []).append(name)
        if index == self._read_index():
            return False
        self._write_index(index)
        return True

    def drop_others(self, names: Iterable[str]) -> None:
        """Remove the entries of all manifests but these, which are those that the folder has now."""
        known = {file.name for name in names for file in (self._entry_file(name), self._error_file(name))}
        with contextlib.suppress(OSError):
            for file in self._folder.glob("[0-9a-f]*.json"):
                if file.name not in known:
                    file.unlink()

    def _read_index(self) -> dict[str, list[str]]:
        if self._index is None:
            data = read_checked(self._index_file())
            self._index = _index(data.get("dags")) if data and data.get("root") == str(self._root) else {}
        return self._index

    def _write_index(self, index: dict[str, list[str]]) -> None:
        self._index = index
        write_checked(self._index_file(), {"root": str(self._root), "dags": index})

    def _index_file(self) -> Path:
        return self._folder / "index.json"

    def _entry_file(self, name: str) -> Path:
        return self._folder / f"{short_hash(name, 24)}.json"

    def _error_file(self, name: str) -> Path:
        return self._folder / f"{short_hash(name, 24)}.error.json"


def _parts(value: Any, name: str) -> DagParts | None:
    """Return the parts of a manifest's entry, or None for what another version or somebody else has written."""
    try:
        parts = DagParts.from_dict(value)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return parts if parts.path == name else None


def _problems(value: Any) -> list[Problem]:
    try:
        return [Problem.from_dict(each) for each in value]
    except (AttributeError, KeyError, TypeError, ValueError):
        return []


def _is_over(moment: Any) -> bool:
    return moment is not None and not (isinstance(moment, int | float) and time.time() < moment)


def _index(value: Any) -> dict[str, list[str]]:
    if not isinstance(value, dict):
        return {}
    return {dag_id: [name for name in names if isinstance(name, str)] for dag_id, names in value.items() if isinstance(names, list)}


def own_inputs(name: str) -> list[str]:
    """Return the files that matter for a manifest before it is read: itself, and every place where folder defaults may be."""
    return [name, *(str(folder / DEFAULTS_FILE) for folder in Path(name).parents)]


def read_checked(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file that :func:`write_checked` wrote, or None when it is absent, damaged or unreadable."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - read thousands of times
            digest, _, payload = file.readall().partition(b"\n")
        if digest.decode("ascii", "replace") != _digest(payload):
            return None
        data = json.loads(payload)
    except (OSError, ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def write_checked(path: Path, data: Mapping[str, Any]) -> None:
    """Write a JSON object with its checksum, whole or not at all. A place that cannot be written is left as it is."""
    payload = json.dumps(data, separators=(",", ":")).encode()
    # No other writer has this name; a process that dies here leaves a file that the next one of its number replaces.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    content = _digest(payload).encode() + b"\n" + payload
    try:
        try:
            temporary.write_bytes(content)
        except FileNotFoundError:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.write_bytes(content)
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _is_settled(path: Path, moment: float) -> bool:
    # The time of the inode's last change: unlike the modification time nobody can set it.
    try:
        return path.stat().st_ctime < moment - _SETTLED_SECONDS
    except OSError:
        return False
