"""Errors of the REST catalog as the Iceberg specification writes them: an HTTP status and an ``ErrorModel``.

The ``type`` matters: Iceberg's clients turn it back into their own exception, and only ``CommitFailedException`` makes them retry.
"""

from __future__ import annotations

from typing import Any


class RestError(Exception):
    """One answer that is not a success.

    :param status: HTTP status.
    :param type: the specification's exception name.
    """

    def __init__(self, status: int, type: str, message: str) -> None:  # noqa: A002 -- the specification's word
        super().__init__(message)
        self.status = status
        self.type = type
        self.message = message

    def body(self) -> dict[str, Any]:
        """Return the answer's JSON."""
        return {"error": {"message": self.message, "type": self.type, "code": self.status}}


def bad_request(message: str) -> RestError:
    """Return the problem for a request that makes no sense."""
    return RestError(400, "BadRequestException", message)


#: pyiceberg's exception name -> status and Iceberg's exception name.
_KNOWN = {
    "NoSuchNamespaceError": (404, "NoSuchNamespaceException"),
    "NoSuchTableError": (404, "NoSuchTableException"),
    "NoSuchIcebergTableError": (404, "NoSuchTableException"),
    "NamespaceAlreadyExistsError": (409, "AlreadyExistsException"),
    "TableAlreadyExistsError": (409, "AlreadyExistsException"),
    "NamespaceNotEmptyError": (409, "NamespaceNotEmptyException"),
    "CommitFailedException": (409, "CommitFailedException"),
    "ValidationError": (400, "BadRequestException"),
    "ValueError": (400, "BadRequestException"),
    "NotImplementedError": (406, "UnsupportedOperationException"),
    # Another process held the SQLite file for longer than the busy time-out; nothing was changed.
    "OperationalError": (503, "ServiceUnavailableException"),
}


def problem_of(error: Exception) -> RestError:
    """Return the answer for an exception of pyiceberg, pydantic or sqlite3; an unknown one is an internal error (500)."""
    if isinstance(error, RestError):
        return error
    for kind in type(error).__mro__:
        if kind.__name__ in _KNOWN:
            status, name = _KNOWN[kind.__name__]
            return RestError(status, name, _text(error))
    return RestError(500, "InternalServerError", f"{type(error).__name__}: {_text(error)}")


def _text(error: Exception) -> str:
    # pyiceberg's errors carry their sentence as the first argument; KeyError's own str() would quote it.
    return str(error.args[0] if error.args else error)
