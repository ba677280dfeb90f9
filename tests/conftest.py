"""Every test process has an Airflow home of its own: no test reads or writes the one of whoever runs them."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

# Airflow reads these when it is first imported, which a test module may do before any fixture runs.
_HOME = tempfile.mkdtemp(prefix="dcp-tests-airflow-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = _HOME
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = f"{_HOME}/dags"
Path(_HOME, "dags").mkdir()
os.environ.pop("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", None)
