"""A manifest as a plugin sees it: merged, resolved for one environment, every value with its place."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from airflow_dcp_provider.model.errors import ManifestError, Position
from airflow_dcp_provider.model.texts import is_one_line
from dag_factory.manifest.files import FolderFiles
from dag_factory.manifest.node import Node
from dag_factory.manifest.places import file_node, place_in
from dag_factory.manifest.problems import Problems, nearest
from dag_factory.manifest.regular_files import is_there
from dag_factory.manifest.settings import CompileSettings

#: What the systems that this runs on allow at least for a name in a path, in bytes.
_LONGEST_PATH = 255
#: Most names of a folder that are looked through for one that was meant.
_MOST_LISTED = 1_000


@dataclass(frozen=True)
class ResolvedManifest:
    """One manifest for one environment.

    :param root: the manifest's value, without its ``environments``.
    :param path: the manifest, relative to the DAGs folder.
    :param files: the DAGs folder, for files that the manifest names.
    :param mended: whether parts that violate the schema were left out or made up. Then lint says nothing of what seems to be
        missing, since it may be what was left out, and the manifest is never run.
    """

    root: Node
    environment: str
    path: str
    settings: CompileSettings
    files: FolderFiles = field(repr=False)
    mended: bool = False

    @property
    def sources(self) -> Mapping[str, str]:
        """The text of every file that was read so far, by the name that positions use."""
        return self.files.texts

    def get(self, *path: str | int) -> Node | None:
        """Return the value that ``path`` leads to, or None."""
        return self.root.get(*path)

    def text(self, *path: str | int, default: str = "") -> str:
        """Return the text that ``path`` leads to, or ``default``."""
        node = self.root.get(*path)
        return default if node is None or not isinstance(node.value, str) else node.value

    def place(self, node: Node, offset: int | None) -> Position:
        """Return where the character at ``offset`` of a text stands in its file."""
        return place_in(node, offset, self.sources)

    def read_named_file(self, name: Node, problems: Problems) -> Node | None:
        """Return the text of the file that ``name`` names, relative to the file in which the name stands.

        :param problems: gets DCP160 when there is no such file and DCP161 when it is outside the DAGs folder.
        :returns: the text, or None when there is a problem.
        """
        if not is_one_line(name.text) or len(name.text.encode(errors="replace")) > _LONGEST_PATH:
            text = "this cannot be the name of a file"
            problems.add("DCP160", text, name.position, "name the file relative to the manifest, for example daily_orders.sql")
            return None
        path = (self.files.root / Path(name.file).parent / name.text).absolute()
        if Path(name.text).is_absolute() or not self.files.is_inside(path):
            text = f"`{name.text}` leads out of the DAGs folder"
            problems.add("DCP161", text, name.position, "put the file into the folder and name it relative to the manifest")
            return None
        if not is_there(path) or os.path.isdir(path):  # noqa: PTH112 - false, where `Path` raises an error
            self.files.note_absent(path)
            near = _similar_file(path)
            hint = f"did you mean `{near}`?" if near else f"make the file `{self.files.name_of(path)}`, or correct the name"
            problems.add("DCP160", f"there is no file `{name.text}`", name.position, hint)
            return None
        try:
            text = self.files.read(path)
        except ManifestError as error:
            problems.extend(error.problems)
            return None
        return file_node(text, self.files.name_of(path))


def _similar_file(path: Path) -> str:
    try:
        with os.scandir(path.parent) as entries:
            names = [entry.name for entry in itertools.islice(entries, _MOST_LISTED) if entry.name.endswith(path.suffix)]
    except OSError:
        return ""
    return nearest(path.name, sorted(names))
