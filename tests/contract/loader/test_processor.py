"""The real DAG processor and its database: import errors appear under the manifest's own path, and go when it is mended."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.airflow_database import lay_airflow_database
from tests.support.manifests import broken, spark_job, write_folder

pytestmark = pytest.mark.airflow

HOSTILE = Path(__file__).parents[2] / "hostile" / "cases"


class Deployment:
    """An Airflow home with a database and a DAGs folder; the DAG processor runs when it is told to."""

    def __init__(self, base: Path) -> None:
        self.dags = base / "dags"
        self.dags.mkdir(parents=True)
        self._database = base / "airflow.db"
        self._environment = {
            **os.environ,
            "AIRFLOW_HOME": str(base),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self._database}",
            "DCP_HOME": str(base / "dcp"),
        }
        lay_airflow_database(base)

    def process(self) -> None:
        """Let the DAG processor read every file once."""
        self._airflow("dag-processor", "--num-runs", "1")

    def import_errors(self) -> Mapping[str, str]:
        """Import errors by file name."""
        return dict(self._rows("select filename, stacktrace from import_error"))

    def dags_in_database(self) -> Mapping[str, tuple[str, bool]]:
        """DAGs by id: the file that Airflow imports them from, and whether they are stale."""
        return {name: (file, bool(stale)) for name, file, stale in self._rows("select dag_id, relative_fileloc, is_stale from dag")}

    def code_of(self, dag_id: str) -> str:
        """The latest code that Airflow shows for a DAG."""
        return str(self._rows("select source_code from dag_code where dag_id = ? order by created_at desc limit 1", dag_id)[0][0])

    def versions_of(self, dag_id: str) -> int:
        """How many versions of a DAG Airflow has."""
        return int(self._rows("select count(*) from dag_version where dag_id = ?", dag_id)[0][0])

    def _rows(self, query: str, *values: str) -> list[tuple[str, ...]]:
        with sqlite3.connect(self._database) as connection:
            rows = connection.execute(query, values).fetchall()
        connection.close()
        return rows

    def _airflow(self, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return Deployment(tmp_path_factory.mktemp("airflow"))


def test_a_broken_manifest_comes_and_goes_and_takes_no_other_down(deployment: Deployment) -> None:
    good = {"good.yaml": spark_job("good"), "team/daily.yaml": spark_job("daily")}
    write_folder(deployment.dags, {**good, "team/daily.yaml": broken(spark_job("daily"))})
    deployment.process()
    assert list(deployment.import_errors()) == ["team/daily.yaml"]
    assert "team/daily.yaml:6:3: DCP110" in deployment.import_errors()["team/daily.yaml"]
    assert "      tema: oops\n      ^\n" in deployment.import_errors()["team/daily.yaml"]
    assert deployment.dags_in_database() == {"good": ("loader.py", False)}
    assert deployment.code_of("good") == good["good.yaml"]

    write_folder(deployment.dags, good)
    deployment.process()
    assert deployment.import_errors() == {}
    assert deployment.dags_in_database() == {"good": ("loader.py", False), "daily": ("loader.py", False)}

    write_folder(deployment.dags, {**good, "team/daily.yaml": broken(spark_job("daily"))})
    deployment.process()
    assert list(deployment.import_errors()) == ["team/daily.yaml"]
    assert deployment.dags_in_database()["good"] == ("loader.py", False)
    # What did not change has no new version, whatever happened around it.
    assert deployment.versions_of("good") == 1


def test_odd_files_are_import_errors_and_take_no_other_down(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path)
    write_folder(deployment.dags, {f"good{number}.yaml": spark_job(f"good{number}") for number in range(3)})
    for number, name in enumerate(
        [b"\xff\xfe.yaml", b"line\nbreak.yaml", b"\x1b[31m.yaml", b"/".join([b"x" * 200] * 5) + b"/long.yaml"]
    ):
        path = deployment.dags / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(spark_job(f"odd{number}"))
    os.mkfifo(deployment.dags / "pipe.yaml")
    (deployment.dags / "circle.yaml").symlink_to("circle.yaml")
    with (deployment.dags / "sparse.yaml").open("wb") as file:
        file.truncate(8 * 1024**3)
    for case in ("nul-owner", "long-owner", "big-integer", "date-out-of-range", "escape-in-description"):
        shutil.copy(HOSTILE / f"{case}.yaml", deployment.dags)
    deployment.process()
    assert deployment.dags_in_database() == {f"good{number}": ("loader.py", False) for number in range(3)}
    errors = deployment.import_errors()
    assert len(errors) == 12
    assert all(
        any(code in text for code in ("DCP101", "DCP102", "DCP123", "DCP124", "DCP125", "DCP128", "DCP133"))
        for text in errors.values()
    )
    assert all(char.isprintable() or char == "\n" for name, text in errors.items() for char in name + text)
