"""One run of the four tasks in a process of its own: Airflow loads the openlineage listener only where it is configured at the start.

Called as ``python -m tests.unit.airflow.lineage_run <DCP_HOME>``; writes the run's states into ``<DCP_HOME>/states.json``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from airflow_dcp_provider.runner.backends.local_settings import LocalSettings
from tests.support.executions import local_settings
from tests.unit.airflow.conftest import WRITING_SPARK_SUBMIT, lay_database


def main(home: Path) -> None:
    settings = local_settings(home, spark_submit=(sys.executable, str(WRITING_SPARK_SUBMIT)))
    LocalSettings.from_environment = classmethod(lambda *_, **__: settings)  # type: ignore[assignment, method-assign]
    from airflow_dcp_provider.embedded_catalog.catalog import EmbeddedCatalog
    from airflow_dcp_provider.model.job import Column
    from airflow_dcp_provider.tables.ensure import ensure_table
    from airflow_dcp_provider.tables.model import TableSpec
    from tests.unit.airflow.test_dag_run import build, job, run, states

    lay_database()
    catalog = EmbeddedCatalog(home).catalog()
    ensure_table(catalog, TableSpec("pedregal", "raw", "flights", columns=(Column("n", "long"), Column("ds", "string"))))
    catalog.close()
    found = states(run(build("lineage", job(orders={"rows": 4}))))
    (home / "states.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
