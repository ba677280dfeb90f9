"""A home for local executions, a driver without Spark that really writes tables, and Airflow's database."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_dcp_provider.runner.backends.local_settings import LocalSettings
from tests.support.executions import local_settings

WRITING_SPARK_SUBMIT = Path(__file__).with_name("writing_spark_submit.py")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """DCP_HOME of the test, with local settings whose spark-submit is ``writing_spark_submit.py``."""
    folder = tmp_path / "dcp"
    folder.mkdir()
    monkeypatch.setenv("DCP_HOME", str(folder))
    settings = local_settings(folder, spark_submit=(sys.executable, str(WRITING_SPARK_SUBMIT)))
    monkeypatch.setattr(LocalSettings, "from_environment", classmethod(lambda *_, **__: settings))
    return folder


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Defines a connection of type ``dcp`` for the test: ``connection("dcp_test", {...})``."""
    import json

    def define(conn_id: str, extra: Any, conn_type: str = "dcp", **fields: Any) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps({"conn_type": conn_type, "extra": extra, **fields}))

    return define


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Airflow's own tables, in the SQLite file of this process's Airflow home."""
    lay_database()


def lay_database() -> None:
    """Lay Airflow's own tables into this process's Airflow home."""
    from airflow import settings
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    from tests.support.airflow_database import lay_airflow_database

    # A test that needed no tables may have opened the file: a connection to it would not see what is laid below it.
    if settings.engine is not None:
        settings.engine.dispose()
    lay_airflow_database(Path(os.environ["AIRFLOW_HOME"]))
    DagBundlesManager().sync_bundles_to_db()
