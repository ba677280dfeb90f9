"""Reading and writing metadata files of this machine for pyiceberg, without importing pyarrow.

The server touches metadata files only (the data files are Spark's), and pyarrow would add a second to its start. A process that
scans tables itself opens the catalog with pyiceberg's own file access instead.
"""

from __future__ import annotations

import os
from pathlib import Path

from pyiceberg.io import FileIO, InputFile, InputStream, OutputFile, OutputStream

from airflow_dcp_provider.embedded_catalog.names import path_of


class LocalInputFile(InputFile):
    """A file of this machine that is read."""

    def __len__(self) -> int:
        return path_of(self.location).stat().st_size

    def exists(self) -> bool:
        """Whether the file is there."""
        return path_of(self.location).exists()

    def open(self, seekable: bool = True) -> InputStream:  # noqa: ARG002 -- the interface's parameter; files are always seekable
        """Open the file for reading bytes."""
        return path_of(self.location).open("rb")


class LocalOutputFile(OutputFile):
    """A file of this machine that is written."""

    def __len__(self) -> int:
        return path_of(self.location).stat().st_size

    def exists(self) -> bool:
        """Whether the file is there."""
        return path_of(self.location).exists()

    def to_input_file(self) -> InputFile:
        """Return the same file for reading."""
        return LocalInputFile(self.location)

    def create(self, overwrite: bool = False) -> OutputStream:
        """Open the file for writing, with its folders.

        :raises FileExistsError: when the file exists and ``overwrite`` is False.
        """
        path = path_of(self.location)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("wb" if overwrite else "xb")


class LocalFileIO(FileIO):
    """pyiceberg's file access for ``file:`` locations and absolute paths."""

    def new_input(self, location: str) -> InputFile:
        """Return the file at ``location`` for reading."""
        return LocalInputFile(location)

    def new_output(self, location: str) -> OutputFile:
        """Return the file at ``location`` for writing."""
        return LocalOutputFile(location)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        """Delete the file at ``location``; one that is gone already is no error."""
        text = location if isinstance(location, str) else location.location
        Path(os.fspath(path_of(text))).unlink(missing_ok=True)
