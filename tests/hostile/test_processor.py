"""The real DAG processor and its database, with every hostile file at once: good DAGs are there, and each bad file has its own error."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.hostile.large_files import write_large_files
from tests.support.airflow_database import lay_airflow_database
from tests.support.manifests import spark_job, write_folder
from tests.support.postgres import new_database, postgres_server

pytestmark = pytest.mark.airflow

CASES = Path(__file__).with_name("cases")
GOOD = [f"good-{number}" for number in range(10)]

#: Files of which Airflow can make no DAG at all.
NEVER_A_DAG = {
    "big-integer",
    "long-owner",
    "mail-template",
    "nul-owner",
    "unknown-fields",
    "misspelt",
    "commas",
    "unknown-tables",
    "deep-parentheses",
    "long-integer",
    "nested-ifs",
}


class Processor:
    """A DAG processor with a database of its own; it reads every file once when it is told to."""

    def __init__(self, base: Path, database: str) -> None:
        self.dags = base / "dags"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "DCP_"))},
            "AIRFLOW_HOME": str(base),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
            # No driver for it is installed, and the DAG processor has no use for it.
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": f"sqlite+aiosqlite:///{base / 'async.db'}",
            "DCP_HOME": str(base / "dcp"),
        }
        self._engine = create_engine(database)

    def migrate(self) -> None:
        self._airflow("db", "migrate")

    def read(self) -> float:
        """Let it read every file once; return the seconds that this took."""
        began = time.monotonic()
        self._airflow("dag-processor", "--num-runs", "1")
        return time.monotonic() - began

    def rows(self, query: str) -> list[tuple[str, ...]]:
        with self._engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    def close(self) -> None:
        self._engine.dispose()

    def _airflow(self, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout[-5000:]}\n{done.stderr[-5000:]}"


@contextmanager
def database_of(kind: str, base: Path) -> Iterator[Processor]:
    if kind == "sqlite":
        lay_airflow_database(base)
        processor = Processor(base, f"sqlite:///{base / 'airflow.db'}")
        yield processor
        processor.close()
        return
    with postgres_server(base / "postgres") as server:
        url = new_database(server).replace("postgresql://", "postgresql+psycopg2://")
        processor = Processor(base, url)
        processor.migrate()
        yield processor
        processor.close()


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_every_hostile_file_at_once_takes_no_good_dag_down(tmp_path: Path, kind: str) -> None:
    base = tmp_path / "airflow"
    base.mkdir()
    with database_of(kind, base) as processor:
        write_folder(processor.dags, {f"{name}.yaml": spark_job(name) for name in GOOD})
        processor.read()
        assert {name for (name,) in processor.rows("select dag_id from dag where not is_stale")} == set(GOOD)

        bad = processor.dags / "bad"
        shutil.copytree(CASES, bad, ignore=lambda _, names: [name for name in names if not name.endswith((".yaml", ".sql"))])
        write_large_files(bad)
        manifests = {path.name for path in bad.iterdir() if path.suffix == ".yaml"}
        for _ in range(2):
            seconds = processor.read()
            there = {name for (name,) in processor.rows("select dag_id from dag where not is_stale")}
            errors = [name for (name,) in processor.rows("select filename from import_error")]
            print(f"{kind}: {len(manifests)} bad files, {len(errors)} import errors, {sorted(there)}, {seconds:.1f} s")
            assert set(GOOD) <= there
            assert "loader.py" not in errors
            assert len(errors) == len(set(errors))
            # Each bad file has its error, or is a DAG that does no harm here and is refused when it is run.
            in_errors = {Path(name).name for name in errors}
            harmless = {f"{name}.yaml" for name in there - set(GOOD)}
            named = {name for name in manifests if name.isprintable()}
            assert named <= in_errors | harmless
            assert not {f"{name}.yaml" for name in NEVER_A_DAG} & harmless
            assert len(errors) == len(manifests) - len(harmless)
            # Airflow gives a file 50 seconds, and this process some 20 more to begin and end on a busy machine.
            assert seconds < 90
