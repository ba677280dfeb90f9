"""``pretzel run`` whole: Airflow's own ``dag.test()``, a real Spark, a real table, as a user's shell sees it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.executions import wait_for

from airflow_dcp_provider.runner.backends.iceberg_jar import iceberg_jar
from airflow_dcp_provider.runner.backends.java import find_java
from airflow_dcp_provider.runner.backends.local_settings import LocalSettings
from airflow_dcp_provider.runner.backends.spark_home import find_spark

pytestmark = pytest.mark.spark

CACHE = Path(__file__).resolve().parents[3] / ".dcp" / "cache"

MANIFEST = """\
apiVersion: dcp.example.com/v1
kind: SparkJob
metadata:
  name: {name}
  team: flight-analytics
spec:
  resources:
    driver:
      memory: 1g
  coreEtl:
    jobSpec:
      sources:
        - name: flights
          database: raw
          table: {source}
          filter: "ds = '{{{{ ds }}}}'"
      transformations:
        - name: carriers
          query: |
            SELECT carrier, {column} AS flights, '{{{{ data_interval_end }}}}' AS until
            FROM flights
            GROUP BY carrier
            HAVING count(*) >= {{{{ params.parameters.minimum | sql }}}}
      sinks:
        - name: carriers
          database: flights
          table: carriers
          partitionBy: [ds]
  orchestration:
    schedule: "@daily"
    parameters:
      minimum: 1
"""

#: Keeps Spark busy for longer than any test waits.
SLEEP = "count(*) + (SELECT count(*) FROM range(0, 1000000000000, 1, 1) WHERE sha2(CAST(id AS STRING), 256) = '')"

FLIGHTS = "ds,carrier\n2013-01-05,UA\n2013-01-05,UA\n2013-01-05,AA\n2013-01-06,DL\n"


def _hear_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Shell:
    """A folder with manifests, a DCP_HOME of its own, and ``pretzel`` to be run in it."""

    def __init__(self, folder: Path, jar: Path) -> None:
        self.folder = folder
        # A user's own Airflow, which a run has to leave alone.
        self.airflow = folder / "airflow"
        self.airflow.mkdir()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
            "AIRFLOW_HOME": str(self.airflow),
            "DCP_HOME": str(folder / "home"),
            "DCP_LOCAL_ICEBERG_JAR": str(jar),
            "DCP_LOCAL_CLASS_ARCHIVE": "use",
        }

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "dag_factory.cli", *words],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Where the tests run in the background, a shell has made them ignore what Ctrl-C sends, and all that they start.
            preexec_fn=_hear_ctrl_c,  # noqa: PLW1509 - it only sets a signal
        )

    def run(self, *words: str) -> tuple[int, str, str]:
        with self.start(*words) as process:
            out, err = process.communicate(timeout=240)
        return process.returncode, out, err

    def json(self, *words: str) -> Any:
        code, out, err = self.run(*words, "--format", "json")
        assert code == 0, err
        return json.loads(out)

    def states(self) -> list[str]:
        return [each["state"] for each in self.json("executions", "list")["executions"]]


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("run")
    settings = LocalSettings.from_environment()
    jar = iceberg_jar(settings.iceberg_jar, CACHE / "jars", find_java(settings.java), find_spark(settings.python))
    made = Shell(folder, jar)
    # What the first run on a machine makes, Airflow's empty metadata database, is kept from one test run to the next.
    (folder / "home").mkdir()
    (folder / "home" / "cache").symlink_to(CACHE)
    (folder / "flights.csv").write_text(FLIGHTS)
    manifests = (("good", "flights", "count(*)"), ("wrong", "flights", "nothing"), ("lost", "nowhere", "count(*)"))
    for name, source, column in (*manifests, ("slow", "flights", SLEEP)):
        (folder / f"{name}.yaml").write_text(MANIFEST.format(name=name, source=source, column=column))
    made.json("data", "load", "raw.flights", "flights.csv", "--partition-by", "ds")
    yield made
    assert list(made.airflow.iterdir()) == [], "the user's own Airflow home was written to"
    assert list((folder / "home" / "run").iterdir()) == [], "a run has left its folder behind"


def test_a_run_shows_its_progress_its_rows_and_its_proof(shell: Shell):
    code, out, err = shell.run("run", "good.yaml", "--date", "2013-01-05", "--parameter", "minimum=2", "--format", "json")
    assert code == 0, err
    found = json.loads(out)
    # The scheduled run's interval: it begins with the day and ends with it.
    row = {"carrier": "UA", "flights": 2, "until": "2013-01-06 00:00:00+00:00", "ds": "2013-01-05"}
    assert found["tables"] == [
        {"table": "pedregal.flights.carriers", "partition": "ds=2013-01-05", "columns": list(row), "rows": [row]}
    ]
    assert [(proof["result"], proof["rows"], proof["execution_id"]) for proof in found["proofs"]] == [
        ("written", 1, found["execution_id"])
    ]
    said = [line.split(" s  ", 1)[1].split() for line in err.splitlines() if " s  " in line]
    tasks = [words for words in said if words[0] in {"ensure_tables", "submit", "wait", "publish"}]
    assert tasks == [
        [task, *words] for task in ("ensure_tables", "submit", "wait", "publish") for words in (["runs"], ["is", "done"])
    ]
    assert any(words[0] == "|" and "Spark 3.5" in " ".join(words) for words in said), "the driver's log was not shown"

    # The other commands know of it.
    assert shell.json("executions", "show", found["execution_id"])["proofs"] == found["proofs"]
    shown = shell.json("data", "show", "flights.carriers", "--where", "ds = '2013-01-05'")
    assert [each["carrier"] for each in shown["rows"]] == ["UA"]


def test_a_mistake_in_the_query_fails_the_run(shell: Shell):
    code, out, err = shell.run("run", "wrong.yaml", "--date", "2013-01-05", "--quiet")
    assert (code, out) == (3, "")
    said = next(line for line in err.splitlines() if line.startswith("DCP"))
    assert said.startswith("DCP32")
    assert "task wait failed" in said
    assert "nothing" in said
    assert "Traceback" not in err
    assert shell.states()[0] == "FAILED"


def test_a_missing_source_is_the_environments_fault_and_starts_no_spark(shell: Shell):
    before = len(shell.states())
    code, out, err = shell.run("run", "lost.yaml", "--date", "2013-01-05", "--format", "json")
    assert code == 4
    assert json.loads(out)["error"]["code"] == "DCP422"
    assert "pedregal.raw.nowhere does not exist" in err
    assert len(shell.states()) == before


def test_ctrl_c_cancels_the_execution(shell: Shell):
    with shell.start("run", "slow.yaml", "--date", "2013-01-06") as process:
        assert process.stderr is not None
        assert any(line.split()[-2:] == ["wait", "runs"] for line in process.stderr), "it ended before it waited"
        process.send_signal(signal.SIGINT)
        err = process.stderr.read()
        process.wait(120)
    assert process.returncode == 3
    assert "cancelling the execution" in err
    assert "Traceback" not in err
    wait_for(lambda: shell.states()[0] == "CANCELLED", "the cancellation", seconds=60)
