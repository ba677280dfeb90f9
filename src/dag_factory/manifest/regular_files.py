"""The one way in which files of a DAGs folder are opened: regular files only, never waiting, never more than a limit.

A DAGs folder may hold anything under a manifest's name: a named pipe that nobody writes to, a device, a socket, a sparse file of
terabytes, a link that leads to itself. Each is an :class:`OSError` of that one path here.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

_PIECE = 65_536


class NotRegularError(OSError):
    """What is at the path is a folder, pipe, socket or device."""


class TooLargeError(OSError):
    """The file holds more bytes than it may."""


def read_regular(path: str | os.PathLike[str], limit: int) -> bytes:
    """Return all bytes of a regular file.

    :raises NotRegularError: when it is no regular file.
    :raises TooLargeError: when it holds more than ``limit`` bytes.
    :raises OSError: when it cannot be read for another reason.
    """
    data = read_beginning(path, limit + 1)
    if len(data) > limit:
        raise TooLargeError(errno.EFBIG, f"larger than {limit} bytes", str(path))
    return data


def read_beginning(path: str | os.PathLike[str], limit: int) -> bytes:
    """Return the first bytes of a regular file, at most ``limit``.

    :raises NotRegularError: when it is no regular file.
    :raises OSError: when it cannot be read for another reason.
    """
    try:
        # Asked before it is opened: opening a device can do something.
        _check(os.stat(path).st_mode, path)  # noqa: PTH116
        # Not blocking, since a named pipe may have come in its place meanwhile.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except ValueError as error:
        # A NUL in the name.
        raise OSError(errno.EINVAL, str(error), str(path)) from error
    try:
        _check(os.fstat(handle).st_mode, path)
        # The size that the file system gives is not asked: it may be wrong, and of a sparse file it says nothing.
        return _read(handle, limit)
    except BlockingIOError as error:
        # The kernel's own files may say that they are regular, and have nothing to read yet.
        raise NotRegularError(errno.EAGAIN, "not a regular file, since reading it would wait", str(path)) from error
    finally:
        os.close(handle)


def _read(handle: int, limit: int) -> bytes:
    # Piece by piece: as much memory as is asked for is set aside first, and files are small.
    pieces: list[bytes] = []
    while limit > 0 and (piece := os.read(handle, min(limit, _PIECE))):
        pieces.append(piece)
        limit -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _check(mode: int, path: str | os.PathLike[str]) -> None:
    if not stat.S_ISREG(mode):
        raise NotRegularError(errno.EINVAL, "not a regular file", str(path))


def is_there(path: Path) -> bool:
    """Whether there is anything at the path, be it a link that leads nowhere or what may not be looked at."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:
        return True
    return True
