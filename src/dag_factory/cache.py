"""Compiled manifests kept on this machine between parses, below ``DCP_HOME/cache/dags/``.

An entry is used only when everything it was made from is as it was: the bytes and the real place of every file that was read, the
folder defaults that were there *and those that were not*, and the *context* (settings, environments, plugins, our own code, see
:mod:`dag_factory.cache_context`). Files are compared by a hash of their bytes, never by time or size, so that a touch, a checkout
or a second write within one tick of the clock cannot mislead it. Time only decides whether a new entry is written.

An entry is one small JSON file with a checksum, written beside and renamed. What cannot be read is a miss, what cannot be written
is left: nothing depends on the cache but speed, with one exception, the DAG that a manifest made before it broke.
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

from airflow_dcp_provider.model.names import short_hash
from dag_factory.manifest.discovery import DEFAULTS_FILE
from dag_factory.manifest.regular_files import read_beginning
from dag_factory.manifest.settings import MOST_BYTES

#: What stands for a file that is not there.
ABSENT = ""

#: A file that changed less than these seconds before a compilation may have changed during it: file systems' clocks tick coarsely.
_SETTLED_SECONDS = 2.0


@dataclass(frozen=True)
class Entry:
    """What the cache knows of one manifest: ``parts`` of its DAG as JSON values, or None for a file that is no manifest."""

    parts: Mapping[str, Any] | None


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
        self._root = root
        self._known: dict[str, str] = {}
        self._real_folders: dict[Path, Path] = {}

    def of(self, name: str) -> str:
        """Return a text that tells the file's present bytes and real place from all others, or :data:`ABSENT`."""
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = self._read(self._root / name)
        return known

    def _read(self, path: Path) -> str:
        try:
            # No more than can matter: a larger file is refused, whatever else it holds.
            content = read_beginning(path, MOST_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError):
            return ABSENT
        except OSError as error:
            # Such a file makes another result than one that is not there.
            return f"unreadable {error.errno}"
        return f"{_digest(content)} {self._real_place(path)}"

    def _real_place(self, path: Path) -> Path:
        # A link that is turned to a file outside the folder is another input, even when the bytes are equal.
        if path.is_symlink():
            return path.resolve()
        folder = self._real_folders.get(path.parent)
        if folder is None:
            folder = self._real_folders[path.parent] = path.parent.resolve()
        return folder / path.name


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

    def get(self, name: str) -> Entry | None:
        """Return the entry of the manifest ``name`` (its path below the root) if it is still true, else None."""
        data = read_checked(self._entry_file(name))
        if data is None or data["context"] != self._context or data["manifest"] != name:
            return None
        if any(self._states.of(file) != state for file, state in data["inputs"].items()):
            return None
        return Entry(data["parts"])

    def begin(self, name: str) -> Compilation:
        """Note the state of the files that matter for a manifest, before it is compiled."""
        states = FileStates(self._root)
        return Compilation(name, {file: states.of(file) for file in own_inputs(name)}, time.time())

    def put(
        self, begun: Compilation, parts: Mapping[str, Any] | None, files: Iterable[str] = (), absent: Iterable[str] = ()
    ) -> None:
        """Keep what a manifest was compiled to, unless a file may have changed while it was compiled.

        :param parts: parts of the DAG as JSON values, or None for a file that is no manifest.
        :param files: every file that was read, relative to the root.
        :param absent: files that were looked for in vain.
        """
        now = FileStates(self._root)
        if any(now.of(file) != state for file, state in begun.inputs.items()):
            return
        inputs = {**dict.fromkeys(absent, ABSENT), **begun.inputs}
        for file in files:
            if file not in inputs:
                if not _is_settled(self._root / file, begun.at):
                    return
                inputs[file] = now.of(file)
        data = {"context": self._context, "manifest": begun.name, "inputs": inputs, "parts": parts}
        write_checked(self._entry_file(begun.name), data)

    def last_known(self, name: str) -> Mapping[str, Any] | None:
        """Return the parts that the manifest had when it last was good, however old they are, or None."""
        data = read_checked(self._entry_file(name))
        parts: Mapping[str, Any] | None = data["parts"] if data and data["manifest"] == name else None
        return parts

    def manifests_of(self, dag_id: str) -> list[str]:
        """Return the manifests that had this DAG id when it was last looked for; they may have changed since."""
        return list(self._read_index().get(dag_id, ()))

    def remember(self, dag_id: str, name: str) -> None:
        """Add one manifest to the index of DAG ids."""
        index = self._read_index()
        if name not in index.setdefault(dag_id, []):
            index[dag_id].append(name)
            self._write_index(index)

    def replace_index(self, dag_ids: Mapping[str, str]) -> None:
        """Replace the index of DAG ids after the whole folder was read, and drop the entries of manifests that are gone.

        :param dag_ids: manifest -> DAG id, also of manifests that are broken now.
        """
        before = self._read_index()
        index: dict[str, list[str]] = {}
        for name, dag_id in sorted(dag_ids.items()):
            index.setdefault(dag_id, []).append(name)
        if index == before:
            return
        for name in {name for names in before.values() for name in names} - set(dag_ids):
            with contextlib.suppress(OSError):
                self._entry_file(name).unlink()
        self._write_index(index)

    def _read_index(self) -> dict[str, list[str]]:
        if self._index is None:
            data = read_checked(self._index_file())
            self._index = data["dags"] if data and data["root"] == str(self._root) else {}
        return self._index

    def _write_index(self, index: dict[str, list[str]]) -> None:
        self._index = index
        write_checked(self._index_file(), {"root": str(self._root), "dags": index})

    def _index_file(self) -> Path:
        return self._folder / "index.json"

    def _entry_file(self, name: str) -> Path:
        return self._folder / f"{short_hash(name, 24)}.json"


def own_inputs(name: str) -> list[str]:
    """Return the files that matter for a manifest before it is read: itself, and every place where folder defaults may be."""
    return [name, *(str(folder / DEFAULTS_FILE) for folder in Path(name).parents)]


def read_checked(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file that :func:`write_checked` wrote, or None when it is absent, damaged or unreadable."""
    try:
        digest, _, payload = path.read_bytes().partition(b"\n")
        if digest.decode("ascii", "replace") != _digest(payload):
            return None
        data: dict[str, Any] = json.loads(payload)
    except (OSError, ValueError):
        return None
    return data


def write_checked(path: Path, data: Mapping[str, Any]) -> None:
    """Write a JSON object with its checksum, whole or not at all. A place that cannot be written is left as it is."""
    payload = json.dumps(data, separators=(",", ":")).encode()
    # No other writer has this name; a process that dies here leaves a file that the next one of its number replaces.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.write_bytes(_digest(payload).encode() + b"\n" + payload)
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
