"""Finds pyspark's folder, without importing it."""

from __future__ import annotations

import subprocess
from importlib.util import find_spec
from pathlib import Path

from airflow_dcp_provider.model.errors import DcpEnvironmentError

_HINT = "install the package with its extra `local`, or pyspark 3.5 itself"
_ASK = "import importlib.util as u; s = u.find_spec('pyspark'); print(s.submodule_search_locations[0] if s else '')"


def find_spark(python: str = "") -> Path:
    """Return the folder of the pyspark that the driver's Python uses.

    :param python: that Python, or empty for this one.
    :raises DcpEnvironmentError: DCP443 when it has none.
    """
    if python:
        try:
            asked = subprocess.run([python, "-c", _ASK], capture_output=True, text=True, timeout=30, check=False)
            found = asked.stdout.strip()
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DcpEnvironmentError(f"the Python {python} cannot be run: {error}", code="DCP443", hint=_HINT) from error
    else:
        spec = find_spec("pyspark")
        found = spec.submodule_search_locations[0] if spec and spec.submodule_search_locations else ""
    if not found or not (Path(found) / "bin" / "spark-submit").exists():
        whose = python or "this Python"
        raise DcpEnvironmentError(f"{whose} has no package pyspark with a Spark in it", code="DCP443", hint=_HINT)
    return Path(found)
