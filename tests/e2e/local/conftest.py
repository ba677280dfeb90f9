"""One real Airflow for all end-to-end tests, a DAGs folder that tests write manifests into, and a count of Spark starts."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, TypeVar

import psutil
import pytest
import requests
from dev.airflow_api import wait_until
from dev.demo import LOADER
from dev.standalone import TABLES_IMPORTED, StandaloneAirflow

from airflow_dcp_provider.runner.backends.java import find_java
from airflow_dcp_provider.runner.locks import locked

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[3]
CACHE = ROOT / ".dcp" / "cache"

#: A `java` that writes one line per start of Spark, sleeps as long as the job's query says, and then is the real one.
COUNTING_JAVA = """#!/bin/sh
case "$*" in *org.apache.spark.deploy.SparkSubmit*)
  case "$*" in *org.apache.spark.launcher.Main*) ;; *)
    echo "$$ $PWD" >> "{starts}"
    sleep "$(grep -o '[0-9]* AS slept' job-spec.json | head -n 1 | grep -o '[0-9]*' || echo 0)" ;;
  esac ;;
esac
exec "{java}" "$@"
"""

MANIFEST = """\
apiVersion: dcp.example.com/v1
kind: SparkJob
metadata:
  name: {name}
  namespace: e2e
  team: tests
  owner: tests@example.com
spec:
  engine: {{type: spark-oss, version: "3.5"}}
  jobType: batch
  resources:
    driver: {{cores: 1, memory: 1g}}
    executor: {{cores: 1, memory: 1g, instances: 1}}
  # Generating and compiling code costs more than it saves on one row.
  sparkConf: {{spark.sql.codegen.wholeStage: "false", spark.sql.codegen.factoryMode: NO_CODEGEN}}
  coreEtl:
    jobSpec:
      sources: []
      transformations:
        - name: result
          type: sql
          query: |
            {query}
      sinks:
        - {{name: out, type: iceberg, catalog: pedregal, database: e2e, table: {table}, mode: overwrite, partitionBy: [ds]}}
  orchestration:
    startDate: "2024-01-01"
    endDate: "2024-03-01"
    schedule: {schedule}
    timeout: {timeout}
    parameters: {{word: none, seconds: 0, busy: 0}}
"""

#: Any DAG of the loader's file: by it Airflow is asked to read the file again.
FIRST = "first"

#: The maintenance DAG, when a test wants it.
SWEEP = """\
from datetime import datetime

from airflow.sdk import DAG
from airflow_dcp_provider.operators.maintenance import SweepOperator

with DAG("sweep_now", schedule=None, start_date=datetime(2024, 1, 1), is_paused_upon_creation=False):
    SweepOperator(task_id="sweep", environments=["local"], orphan_grace=0)
"""

#: SQL cannot sleep: for `seconds` of the trigger form's parameters the job sleeps before its Spark starts, and for about `busy`
#: seconds Spark counts on one core.
SLEEPY = (
    "SELECT 1 AS id, {{ params.parameters.word | sql }} AS word, {{ params.parameters.seconds | sql }} AS slept, "
    "(SELECT count(*) FROM range(0, {{ (params.parameters.busy * 1500000) | sql }}, 1, 1) "
    "WHERE sha2(CAST(id AS STRING), 256) = '') AS counted"
)


@dataclass
class Deployment:
    """The Airflow under test with its folders."""

    airflow: StandaloneAirflow
    dags: Path
    home: Path
    starts_file: Path
    base: Path

    def write(self, name: str, query: str = SLEEPY, schedule: str = '"@daily"', timeout: int = 600) -> str:
        """Write a manifest and wait until its DAG is there, unpaused. Returns the DAG id."""
        self.lay(name, query, schedule, timeout)
        self.wait_read(lambda: name in self.airflow.dag_ids(), f"the DAG {name}")
        self.airflow.unpause(name)
        return name

    def lay(self, name: str, query: str = SLEEPY, schedule: str = '"@daily"', timeout: int = 600) -> None:
        """Write a manifest."""
        text = MANIFEST.format(name=name, query=query, table=name.replace("-", "_"), schedule=schedule, timeout=timeout)
        # The manifest appears whole: Airflow reads the folder at any time, and other test processes may write the same one.
        staged = self.base / f"{name}.{os.getpid()}"
        staged.write_text(text)
        staged.replace(self.dags / f"{name}.yaml")

    def wait_read(self, condition: Callable[[], T], what: str) -> T:
        """Wait until Airflow has read the loader's file and ``condition`` is true.

        Unasked it reads the file every half a minute. It is asked again and again: what it is just reading may be the file as it was.
        """

        def asked() -> T:
            if not (found := condition()):
                token = self.airflow.request("GET", f"dags/{FIRST}")["file_token"]
                # Who asks for what another one has just asked for is told of a conflict.
                with contextlib.suppress(requests.HTTPError):
                    self.airflow.request("PUT", f"parseDagFile/{token}")
            return found

        found: T = wait_until(asked, what, 120, 2.0)
        return found

    def starts(self, execution_id: str) -> int:
        """Return how often Spark was started for any attempt of an execution."""
        if not self.starts_file.exists():
            return 0
        return sum(execution_id in line for line in self.starts_file.read_text().splitlines())

    def handle(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Return the handle that `submit` left in XCom."""
        return self.airflow.xcom(dag_id, run_id, "submit")["request"]

    def attempts(self, execution_id: str) -> list[int]:
        """Return the numbers of an execution's attempts."""
        folder = self.home / "executions" / execution_id
        return sorted(int(each.name) for each in folder.iterdir() if each.name.isdigit()) if folder.exists() else []

    def state(self, execution_id: str, attempt: int = 1) -> str:
        """Return the state that the backend's record of an attempt holds, or nothing."""
        status = self.home / "executions" / execution_id / str(attempt) / "status.json"
        return str(json.loads(status.read_text())["state"]) if status.exists() else ""

    def spark_processes(self, execution_id: str) -> list[psutil.Process]:
        """Return the live Spark processes of an execution."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            words = " ".join(process.info["cmdline"] or [])
            if "SparkSubmit" in words and process.status() != psutil.STATUS_ZOMBIE:
                try:
                    here = process.cwd()
                except psutil.Error:
                    continue
                if execution_id in here or execution_id in words:
                    found.append(process)
        return found

    def execution_of(self, run_id: str, seconds: float = 60) -> str:
        """Wait until the attempt of a run is written down, which is before Spark starts, and return its execution."""

        def made() -> str | None:
            for file in self.home.glob("executions/*/1/request.json"):
                with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
                    if f"/{run_id}/" in json.loads(file.read_text())["run_key"]:
                        return file.parent.parent.name
            return None

        execution_id: str = wait_until(made, f"the attempt of {run_id}", seconds, 0.002)
        return execution_id

    def wait_task(self, dag_id: str, run_id: str, task_id: str, *states: str | None, seconds: float = 120) -> str | None:
        """Wait until a task is in one of ``states`` and return the state."""
        seen: list[str | None] = []

        def there() -> bool:
            seen.append(self.airflow.task(dag_id, run_id, task_id)["state"])
            return seen[-1] in states

        wait_until(there, f"{dag_id}.{task_id} to be {' or '.join(map(str, states))}", seconds)
        return seen[-1]

    def wait_spark(self, execution_id: str, seconds: float = 90) -> None:
        """Wait until a Spark process of the execution lives."""
        wait_until(lambda: self.spark_processes(execution_id), f"Spark of {execution_id}", seconds, 0.3)

    def wait_no_spark(self, execution_id: str, seconds: float = 60) -> None:
        """Wait until no Spark process of the execution lives."""
        wait_until(lambda: not self.spark_processes(execution_id), f"the end of Spark of {execution_id}", seconds, 0.3)

    def running_process(self, dag_id: str, run_id: str, task_id: str, seconds: float = 120) -> psutil.Process:
        """Wait until a task runs and return its process."""

        def found() -> psutil.Process | None:
            task = self.airflow.task(dag_id, run_id, task_id)
            if task["state"] == "running" and task["pid"]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process = psutil.Process(task["pid"])
                    return process if task["id"] in " ".join(process.cmdline()) else None
            return None

        process: psutil.Process = wait_until(found, f"the process of {task_id}", seconds, 0.2)
        return process

    def run(self, dag_id: str, date: str, **conf: Any) -> str:
        """Trigger the run of one day with parameters."""
        return self.airflow.trigger(dag_id, f"{date}T00:00:00Z", conf={"parameters": conf} if conf else None)


@pytest.fixture(scope="package")
def deployment(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """The one Airflow of all test processes: whoever comes first starts it, and whoever is done last stops it."""
    parallel = hasattr(request.config, "workerinput")
    base = (tmp_path_factory.getbasetemp().parent if parallel else tmp_path_factory.getbasetemp()) / "e2e"
    (base / "dags").mkdir(parents=True, exist_ok=True)
    with (base / "users").open("a") as users:
        with locked(base / "start"):
            running = base / "running"
            starter = not running.exists()
            fcntl.flock(users, fcntl.LOCK_SH)
            found = _deployment(base, fresh=starter)
            if starter:
                try:
                    found.lay(FIRST)
                    found.airflow.start()
                    found.airflow.wait_healthy()
                    wait_until(lambda: FIRST in found.airflow.dag_ids(), "the first DAG", 90)
                except BaseException:
                    found.airflow.stop()
                    raise
                running.touch()
            else:
                found.airflow.keep_components()
        yield found
        with locked(base / "start"):
            if _is_last(users):
                found.airflow.stop()
                running.unlink()
                # A test that failed may have left its Spark, which outlives Airflow by design.
                for process in found.spark_processes(str(found.home)):
                    process.kill()
            else:
                found.airflow.leave()


def _is_last(users: IO[str]) -> bool:
    """Whether nobody else holds the lock that this process holds, too; it is given back."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _deployment(base: Path, *, fresh: bool) -> Deployment:
    dags = base / "dags"
    (dags / "load_manifests.py").write_text(LOADER)
    (dags / "sweep_now.py").write_text(SWEEP)
    # The jar and the JVM's class archive are kept between sessions, nothing else is; both are bound to their paths.
    home = CACHE / "e2e"
    home.mkdir(parents=True, exist_ok=True)
    java_home = CACHE / "counting-java"
    starts = home / "starts"
    if fresh:
        for each in home.iterdir():
            if each.name not in {"jars", "cache"}:
                shutil.rmtree(each) if each.is_dir() else each.unlink()
        shutil.rmtree(base / "airflow", ignore_errors=True)
        _make_counting_java(java_home, starts)
    airflow = StandaloneAirflow(
        base / "airflow",
        dags,
        {
            "DCP_HOME": str(home),
            "JAVA_HOME": str(java_home),
            "DCP_LOCAL_CLASS_ARCHIVE": "make",
            "AIRFLOW__DCP__ENVIRONMENT": "local",
            "AIRFLOW__DCP__ENVIRONMENTS": "local,test",
            # A dead worker is noticed fast.
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
            # Files are read when a test asks for it; what is no longer in one is soon taken away.
            "AIRFLOW__DAG_PROCESSOR__STALE_DAG_THRESHOLD": "3",
            "AIRFLOW__SCHEDULER__PARSING_CLEANUP_INTERVAL": "5",
            "AIRFLOW_CONN_DCP_TEST": '{"conn_type": "dcp", "extra": {"backend": "local"}}',
        },
        CACHE / f"airflow-{version('apache-airflow')}.db",
        TABLES_IMPORTED,
    )
    return Deployment(airflow, dags, home, starts, base)


def _make_counting_java(home: Path, starts: Path) -> None:
    """Make a Java home that is the real one but for its command; without the real one's other files Spark starts twice as slowly."""
    real = find_java().executable.resolve()
    shutil.rmtree(home, ignore_errors=True)
    (home / "bin").mkdir(parents=True)
    for each in real.parent.parent.iterdir():
        if each.name != "bin":
            (home / each.name).symlink_to(each)
    java = home / "bin" / "java"
    java.write_text(COUNTING_JAVA.format(starts=starts, java=real))
    java.chmod(java.stat().st_mode | stat.S_IEXEC)


@pytest.fixture
def triggerer(deployment: Deployment) -> Iterator[None]:
    """Nobody kills the triggerer while such a test runs."""
    with (deployment.base / "triggerer").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@pytest.fixture
def own_triggerer(deployment: Deployment) -> Iterator[None]:
    """The test may kill the triggerer: no test runs meanwhile that needs it alive."""
    with (deployment.base / "triggerer").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
