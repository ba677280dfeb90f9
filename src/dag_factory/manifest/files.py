"""Reading files of a DAGs folder safely: bounded, UTF-8, regular files, and never outside the folder."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

from airflow_dcp_provider.model.errors import ManifestError, Position, Problem
from airflow_dcp_provider.model.texts import character_name, is_one_line, one_line, refused_character
from dag_factory.manifest.regular_files import NotRegularError, TooLargeError, read_regular
from dag_factory.manifest.settings import CompileSettings

_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


#: Most characters of a manifest's path: Airflow keeps an import error under it in a column of 1024.
_LONGEST_PATH = 1_000


def absolute(path: Path) -> Path:
    """Return a path from the root, without ``.`` and ``..``; links stay links."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def check_file_name(path: Path, name: str) -> None:
    """Refuse a manifest whose file, or a folder above it, has a name that cannot be shown or kept.

    :param path: the manifest, absolute. :param name: the same relative to the DAGs folder.
    :raises ManifestError: DCP128.
    """
    where = Position(name, 1, 1)
    if not is_one_line(name):
        text = f"the name `{one_line(name)}` holds what cannot be shown: control characters, or bytes that are not UTF-8"
        raise ManifestError([Problem("DCP128", text, where, "rename the file or folder, for example to daily_orders.yaml")])
    if len(str(path)) > _LONGEST_PATH:
        text = f"the path of the manifest has {len(str(path))} characters, and Airflow keeps at most {_LONGEST_PATH}"
        raise ManifestError([Problem("DCP128", text, where, "put it into folders with shorter names")])


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
            return read_regular(path, limit)
        except NotRegularError as error:
            text, hint = f"`{name}` is not a regular file", "put a plain file in its place"
            raise ManifestError([Problem("DCP101", text, where, hint)]) from error
        except TooLargeError as error:
            text, hint = f"`{name}` is larger than {limit} bytes", "split it; a manifest and its SQL are small texts"
            raise ManifestError([Problem("DCP102", text, where, hint)]) from error
        except OSError as error:
            text = f"`{name}` cannot be read: {error.strerror or error}"
            raise ManifestError([Problem("DCP101", text, where, "check that the file exists and may be read")]) from error

    def read(self, path: Path) -> str:
        """Return the file's text and record that it was read.

        :raises ManifestError: DCP101, DCP102, or DCP103 when it is not UTF-8.
        """
        name = self.name_of(path)
        if name not in self.texts:
            self.texts[name] = self.decode(name, self.read_bytes(path))
        return self.texts[name]

    def decode(self, name: str, data: bytes) -> str:
        """Return ``data`` as text whose lines end in a line feed, however they end in the file.

        :raises ManifestError: DCP103 when it is not UTF-8, DCP123 when it holds a character that no text may hold, each with the
            place of the first one.
        """
        data = data.removeprefix(codecs.BOM_UTF8)
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            before = _with_line_feeds(data[: error.start].decode(errors="replace"))
            message = f"`{name}` is not UTF-8: byte 0x{data[error.start]:02x}"
            hint = "save the file as UTF-8, not as UTF-16" if data[:2] in _UTF16_MARKS else "save the file as UTF-8"
            raise ManifestError([Problem("DCP103", message, _behind(before, name), hint)]) from error
        text = _with_line_feeds(text)
        if (place := refused_character(text)) is not None:
            message = f"`{name}` holds the character {character_name(text[place])}, which cannot be read or shown"
            raise ManifestError([Problem("DCP123", message, _behind(text[:place], name), "remove it")])
        return text

    def note_absent(self, path: Path) -> None:
        """Record that ``path`` was looked for and is not there, because its appearing would change the result."""
        self.absent.append(self.name_of(path))


def _with_line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _behind(text: str, name: str) -> Position:
    """Return the place behind a text with which a file begins."""
    return Position(name, text.count("\n") + 1, len(text) - (text.rfind("\n") + 1) + 1)
