"""Airflow's own tables, without migrating anew for every test."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from dev.standalone import StandaloneAirflow

from airflow_dcp_provider.runner.locks import locked

CACHE = Path(__file__).resolve().parents[2] / ".dcp" / "cache"


def lay_airflow_database(home: Path) -> None:
    """Lay a migrated, empty ``airflow.db`` into an Airflow home; the first process that needs one migrates for all."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with locked(CACHE / "airflow-database.lock"):
        template = CACHE / f"airflow-{version('apache-airflow')}.db"
        StandaloneAirflow(home, home / "dags", database_template=template).prepare_database()
