"""Where this machine's own files are: ``DCP_HOME``, a folder that only its user may enter.

It holds what runs (jars, drivers, requests) and what is secret while it runs (properties with credentials).
"""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

from airflow_dcp_provider.model.errors import DcpEnvironmentError

logger = logging.getLogger(__name__)

_PRIVATE = 0o700


def dcp_home() -> Path:
    """Return ``DCP_HOME``, else ``.dcp`` in ``AIRFLOW_HOME``, else ``~/.dcp``. The folder is not created."""
    if home := os.environ.get("DCP_HOME"):
        return Path(home).expanduser().resolve()
    if airflow := os.environ.get("AIRFLOW_HOME"):
        return Path(airflow).expanduser().resolve() / ".dcp"
    return Path("~/.dcp").expanduser()


def private_home(home: Path) -> Path:
    """Return ``home`` as a folder that is there and that only this user may enter; what others may do in it is taken from them.

    :raises DcpEnvironmentError: DCP448 when it belongs to another user or everybody may write to it, for then what it holds may be
        anybody's; DCP445 when it cannot be made.
    """
    try:
        if not home.is_dir():
            home.parent.mkdir(parents=True, exist_ok=True)
            home.mkdir(mode=_PRIVATE, exist_ok=True)
        state = home.stat()
        _check_owner(home, state)
        if state.st_mode & 0o077:
            home.chmod(_PRIVATE)
            logger.warning("other users could enter %s; now only its owner can (mode 0700)", home)
    except OSError as error:
        raise DcpEnvironmentError(
            f"the folder {home} cannot be used: {error.strerror or error}",
            code="DCP445",
            hint="check its rights and the free space, or set DCP_HOME to a folder of this user",
        ) from error
    return home


def _check_owner(home: Path, state: os.stat_result) -> None:
    hint = "set DCP_HOME to a folder that belongs to the user who runs Airflow, or to one that is not there yet"
    if state.st_uid != os.geteuid():
        raise DcpEnvironmentError(
            f"the folder {home} belongs to the user {state.st_uid}, and this process runs as {os.geteuid()}",
            code="DCP448",
            hint=hint,
        )
    if state.st_mode & stat.S_IWOTH:
        raise DcpEnvironmentError(f"every user of this machine may write to the folder {home}", code="DCP448", hint=hint)
