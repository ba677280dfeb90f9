"""What compiled manifests depend on besides files: settings, installed packages, plugins and the code that compiles.

All of it in one hash, cheap enough for every parse: the list of installed packages is read as directory entries, and the search for
plugins among them, which costs more than all the rest, is repeated only when that list changes.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import airflow_dcp_provider
from dag_factory.cache import read_checked, write_checked

#: Entry points of plugins.
PLUGIN_GROUP = "dcp.plugins"

#: Raised when the form of cache entries changes.
_FORMAT = 2


def cache_context(settings: object, cache_home: Path) -> str:
    """Return a hash of everything but files that compiled manifests depend on.

    :param settings: a value whose ``repr`` tells all settings apart.
    :param cache_home: where the list of plugins is kept between parses.
    """
    installed = _installed_packages()
    plugins = _plugins(installed, cache_home)
    packages = {target.partition(":")[0].partition(".")[0] for _, target in plugins}
    code = _source_state({"dag_factory", "airflow_dcp_provider", *packages})
    text = repr((_FORMAT, airflow_dcp_provider.__version__, sys.version_info[:2], settings, installed, plugins, code))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _installed_packages() -> str:
    """Return a hash of the names (which hold the versions) and times of every installed distribution's metadata folder."""
    found = sorted(
        f"{entry.path}:{entry.stat().st_mtime_ns}"
        for folder in dict.fromkeys(sys.path)
        for entry in _entries(folder)
        if entry.name.endswith((".dist-info", ".egg-info"))
    )
    return hashlib.blake2b("\n".join(found).encode(), digest_size=16).hexdigest()


def _plugins(installed: str, cache_home: Path) -> list[tuple[str, str]]:
    """Return name and target of every plugin entry point, from the memo of this list of packages if there is one."""
    memo = cache_home / "plugins.json"
    data = read_checked(memo)
    if data and data.get("installed") == installed and _are_pairs(data.get("plugins")):
        return [(name, value) for name, value in data["plugins"]]
    found = sorted({(point.name, point.value) for point in importlib.metadata.entry_points(group=PLUGIN_GROUP)})
    write_checked(memo, {"installed": installed, "plugins": found})
    return found


def _are_pairs(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(each, str) for each in pair) for pair in value
    )


def _source_state(packages: Iterable[str]) -> list[tuple[str, int, int]]:
    """Return path, size and time of every file of these top-level packages, so that a plugin under development is seen changing."""
    states = []
    for package in sorted(packages):
        spec = importlib.util.find_spec(package)
        if spec is None:
            continue
        folders = spec.submodule_search_locations
        paths = [path for folder in folders for path in _files(folder)] if folders else [spec.origin or ""]
        for path in paths:
            with contextlib.suppress(OSError):
                state = os.stat(path)  # noqa: PTH116
                states.append((path, state.st_size, state.st_mtime_ns))
    return sorted(states)


def _files(folder: str) -> Iterator[str]:
    """Yield the paths of the files in a folder tree, without compiled Python."""
    for entry in _entries(folder):
        if not entry.is_dir():
            yield entry.path
        elif entry.name != "__pycache__":
            yield from _files(entry.path)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder or ".") as entries:
            return list(entries)
    except OSError:
        return []
