"""Reading files of a DAGs folder safely: bounded, UTF-8, regular files, and never outside the folder."""

from __future__ import annotations

import codecs
import os
import stat
from pathlib import Path

from airflow_dcp_provider.model.errors import ManifestError, Position, Problem
from dag_factory.manifest.settings import CompileSettings


class FolderFiles:
    """The files of one DAGs folder, as one compilation reads them; it records what was read and what was looked for in vain.

    :param root: the DAGs folder.
    """

    def __init__(self, root: Path, settings: CompileSettings) -> None:
        self.root = root
        self.settings = settings
        #: Text of each file that was read, by its name relative to the folder.
        self.texts: dict[str, str] = {}
        #: Names of files that were looked for and are not there.
        self.absent: list[str] = []
        self._real_root = os.path.realpath(root)
        self._prefix = os.path.join(os.path.abspath(root), "")  # noqa: PTH100, PTH118 - a text that ends with the separator

    def name_of(self, path: Path) -> str:
        """Return how users and positions name a file: relative to the folder, with ``/``."""
        whole = os.path.abspath(path)  # noqa: PTH100 - links stay links
        if whole.startswith(self._prefix):
            return whole[len(self._prefix) :].replace(os.sep, "/")
        return Path(os.path.relpath(whole, self._prefix)).as_posix()

    def is_inside(self, path: Path) -> bool:
        """Whether ``path``, with every link followed, is in the folder."""
        real = os.path.realpath(path)
        return real == self._real_root or real.startswith(self._real_root + os.sep)

    def read_bytes(self, path: Path) -> bytes:
        """Return the file's bytes.

        :raises ManifestError: DCP101 when it cannot be read, DCP102 when it is too large.
        """
        name, limit = self.name_of(path), self.settings.max_file_bytes
        where = Position(name, 1, 1)
        try:
            # Not blocking, so that a named pipe under a manifest's name cannot hold the parser up for ever.
            handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
            with os.fdopen(handle, "rb") as file:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    raise ManifestError(
                        [Problem("DCP101", f"`{name}` is not a regular file", where, "put a plain file in its place")]
                    )
                data = file.read(limit + 1)
        except OSError as error:
            text = f"`{name}` cannot be read: {error.strerror or error}"
            raise ManifestError([Problem("DCP101", text, where, "check that the file exists and may be read")]) from error
        if len(data) > limit:
            text = f"`{name}` is larger than {limit} bytes"
            raise ManifestError([Problem("DCP102", text, where, "split it; a manifest and its SQL are small texts")])
        return data

    def read(self, path: Path) -> str:
        """Return the file's text and record that it was read.

        :raises ManifestError: DCP101, DCP102, or DCP103 when it is not UTF-8.
        """
        name = self.name_of(path)
        if name not in self.texts:
            self.texts[name] = self.decode(name, self.read_bytes(path))
        return self.texts[name]

    def decode(self, name: str, data: bytes) -> str:
        """Return ``data`` as text.

        :raises ManifestError: DCP103 when it is not UTF-8, with the place of the first bad byte.
        """
        data = data.removeprefix(codecs.BOM_UTF8)
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            before = data[: error.start]
            line_start = before.rfind(b"\n") + 1
            where = Position(name, before.count(b"\n") + 1, len(before[line_start:].decode(errors="replace")) + 1)
            text = f"`{name}` is not UTF-8: byte 0x{data[error.start]:02x}"
            raise ManifestError([Problem("DCP103", text, where, "save the file as UTF-8")]) from error

    def note_absent(self, path: Path) -> None:
        """Record that ``path`` was looked for and is not there, because its appearing would change the result."""
        self.absent.append(self.name_of(path))
