"""Airflow inside a command: where it finds connections, and what becomes of what it prints."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

_CONTEXT = "_AIRFLOW_PROCESS_CONTEXT"


@contextlib.contextmanager
def airflow() -> Iterator[None]:
    """Let Airflow find connections where ``airflow connections get`` does, and keep what it prints out of the result."""
    before = os.environ.get(_CONTEXT)
    os.environ[_CONTEXT] = "server"
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        if before is None:
            del os.environ[_CONTEXT]
        else:
            os.environ[_CONTEXT] = before
