"""The files of a DAGs folder for a compilation that may not live to tell which ones it has read."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from dag_factory.manifest.files import FolderFiles
from dag_factory.manifest.settings import CompileSettings


class NotedFiles(FolderFiles):
    """Files of which each is noted before it is read.

    :param note: takes ``+`` and a file's name before it is read, ``-`` and the name of one that is not there.
    :param known: names of files that need no note, because it is known beforehand that they are looked for.
    """

    def __init__(
        self, root: Path, settings: CompileSettings, note: Callable[[str], None], known: Collection[str] = frozenset()
    ) -> None:
        super().__init__(root, settings)
        self._note = note
        self._unnoted = known

    def read(self, path: Path) -> str:
        """See :meth:`FolderFiles.read`."""
        if (name := self.name_of(path)) not in self.texts and name not in self._unnoted:
            self._note(f"+{name}")
        return super().read(path)

    def note_absent(self, path: Path) -> None:
        """See :meth:`FolderFiles.note_absent`."""
        if (name := self.name_of(path)) not in self._unnoted:
            self._note(f"-{name}")
        super().note_absent(path)
