"""Every test process has an Airflow home of its own: no test reads or writes the one of whoever runs them."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.kubernetes.fixtures import (  # noqa: F401
    api_server,
    fake_kubelet,
    kube_namespace,
    kubernetes_programs,
    new_api_server,
    operator_simulator,
)

# Airflow reads these when it is first imported, which a test module may do before any fixture runs.
_HOME = tempfile.mkdtemp(prefix="dcp-tests-airflow-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = _HOME
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = f"{_HOME}/dags"
Path(_HOME, "dags").mkdir()
os.environ.pop("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", None)


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker of the tests that use a real API server."""
    config.addinivalue_line("markers", "kubernetes: uses a real Kubernetes API server")


#: What takes longest begins first, so that no process is still at it when the others are done. What waits most of its time runs beside
#: what computes.
LONGEST_FIRST = (
    "tests/e2e/local/test_identity.py",
    "tests/e2e/local/test_kill.py",
    "tests/crash/kubernetes/",
    "tests/e2e/kubernetes/",
    "tests/contract/core_etl/",
    "tests/model/",
    "tests/acceptance/cli/test_run.py",
    "tests/crash/",
    "tests/e2e/local/",
    "tests/contract/backends/",
    "tests/acceptance/cli/",
    "tests/contract/",
    "tests/unit/airflow/",
)

#: Files that share what is dear to start stay in one process: a Spark, Airflow's server within ``dag.test()``.
TOGETHER = {
    "tests/e2e/local/test_seeing_and_sweeping.py": "kill and sweeping",
    "tests/e2e/local/test_kill.py": "kill and sweeping",
    "tests/contract/core_etl/": "one Spark",
    "tests/model/": "another Spark",
    "tests/unit/airflow/test_dag_run.py": "dag.test",
    "tests/unit/airflow/test_live_run.py": "dag.test",
    "tests/unit/airflow/test_maintenance.py": "dag.test",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that asks for a fixture on the API server, and put the longest first."""
    for item in items:
        if "kubernetes_programs" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.kubernetes)
    items.sort(key=lambda item: next((rank for rank, name in enumerate(LONGEST_FIRST) if item.nodeid.startswith(name)), 99))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``--dist loadscope`` a process takes a whole file, or what belongs together, and in the order above."""
    from xdist.scheduler import LoadScopeScheduling

    if config.getvalue("dist") != "loadscope":
        return None

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return next((name for start, name in TOGETHER.items() if nodeid.startswith(start)), nodeid.partition("::")[0])

    config.option.loadscopereorder = False
    return Scheduling(config, log)
