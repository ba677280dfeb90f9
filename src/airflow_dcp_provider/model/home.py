"""Where this machine's own files are: ``DCP_HOME``."""

from __future__ import annotations

import os
from pathlib import Path


def dcp_home() -> Path:
    """Return ``DCP_HOME``, else ``.dcp`` in ``AIRFLOW_HOME``, else ``~/.dcp``. The folder is not created."""
    if home := os.environ.get("DCP_HOME"):
        return Path(home).expanduser().resolve()
    if airflow := os.environ.get("AIRFLOW_HOME"):
        return Path(airflow).expanduser().resolve() / ".dcp"
    return Path("~/.dcp").expanduser()
