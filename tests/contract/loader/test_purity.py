"""Parsing is pure and byte-stable, in fresh interpreters: no network, no database, no heavy import, one result for every hash seed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.manifests import broken, spark_job, write_folder

#: Imported by nothing that parses.
HEAVY = ("kubernetes", "kubernetes_asyncio", "pyiceberg", "pyspark", "pandas", "pyarrow", "psycopg2")

#: What compiles manifests; not needed when nothing changed.
COMPILING = ("sqlglot", "dag_factory.compiler", "dag_factory.manifest.yaml_reader")

PARSE = """
import json, sys
from pathlib import Path

import airflow.dag_processing.processor
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.sdk.execution_time import task_runner
from airflow.serialization.serialized_objects import DagSerialization

folder, times = Path(sys.argv[1]), int(sys.argv[2])
task_runner.SUPERVISOR_COMMS = object()
before = set(sys.modules)
# In a file, since manifests are compiled by child processes.
told = open(sys.argv[3], "a+", buffering=1)
sys.addaudithook(lambda event, given: told.write(json.dumps([event, repr(given)]) + "\\n") if event in {
    "socket.connect", "socket.getaddrinfo", "socket.sendto", "sqlite3.connect", "subprocess.Popen"} or (
    event == "import" and given[0].partition(".")[0] in sys.argv[4:]) else None)
texts = set()
for _ in range(times):
    bag = BundleDagBag(folder / "loader.py", bundle_path=folder, bundle_name="dags-folder", load_op_links=False)
    good = {name: dag for name, dag in bag.dags.items() if not name.startswith("import-error.")}
    texts.add(json.dumps([DagSerialization.to_dict(good[name]) for name in sorted(good)], sort_keys=True))
told.seek(0)
print(json.dumps({"texts": sorted(texts), "told": told.readlines(), "imported": sorted(set(sys.modules) - before), "all": sorted(sys.modules)}))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    manifests = {f"job_{n}.yaml": spark_job(f"job-{n}", parameters={"b": 1, "a": 2}) for n in range(3)}
    manifests["listening.yaml"] = spark_job("listening", schedule={"assets": ["iceberg://pedregal/out/job_1"]})
    manifests["broken.yaml"] = broken(spark_job("broken"))
    return write_folder(tmp_path / "dags", manifests).parent


def parse(folder: Path, times: int = 1, seed: str = "random") -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", PARSE, str(folder), str(times), str(folder.parent / "told.jsonl"), *HEAVY],
        env={**os.environ, "DCP_HOME": str(folder.parent / "home"), "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def packages(modules: list[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


def test_twenty_parses_give_the_same_bytes_connect_to_nothing_and_import_nothing_heavy(folder: Path) -> None:
    results = [parse(folder, times=10, seed=seed) for seed in ("0", "31337")]
    assert {len(result["texts"]) for result in results} == {1}
    assert len({text for result in results for text in result["texts"]}) == 1
    assert "job-2" in results[0]["texts"][0]
    for result in results:
        assert result["told"] == []
        assert packages(result["imported"]).isdisjoint(HEAVY)
    assert set(results[0]["imported"]).issuperset(COMPILING)
    # When nothing has changed, nothing is compiled; only what is broken is read every time.
    (folder / "broken.yaml").unlink()
    assert set(parse(folder)["all"]).isdisjoint(COMPILING)
