"""What a task that runs Spark on a cluster costs Airflow, beside SparkKubernetesOperator: a real Airflow and a real API server.

python -m benchmarks.submit [--write] [--rounds 4]
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
from benchmarks._side_by_side import machine, table, write_section
from benchmarks._submit_tasks import NOTES
from dev.airflow_api import wait_until
from dev.kubernetes_assets import assets
from dev.standalone import StandaloneAirflow
from tests.support.executions import job, request
from tests.support.kubernetes.api_server import ApiServer
from tests.support.kubernetes.kubelet import FakeKubelet
from tests.support.kubernetes.operator import OperatorSimulator

from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.images import Images
from airflow_dcp_provider.runner.backends.kubernetes.driver_files import files_config_map
from airflow_dcp_provider.runner.backends.kubernetes.kubeflow import KubeflowBackend
from airflow_dcp_provider.runner.backends.kubernetes.names import applications_path, core_path

ROOT = Path(__file__).parent.parent
#: Seconds between a change of state and the next: the operator and the kubelet need about that.
STEP = 1.0
#: Seconds for which a driver still runs once its task is deferred: by then the trigger waits for it, and may fire.
RUNS = 8.0
#: More runs lost than these are no accident.
MOST_LOST = 3
CACHED_DATABASE = ROOT / ".dcp" / "cache" / f"airflow-{version('apache-airflow')}.db"

HEAD = """\
import json, os
from datetime import datetime
from airflow.sdk import DAG
from benchmarks._submit_tasks import Noted, IdleOperator
"""

OURS = (
    HEAD
    + """\
from airflow_dcp_provider.operators.spark_runner import SparkRunnerSubmitOperator
from airflow_dcp_provider.sensors.spark_execution import SparkExecutionSensor

class Submit(Noted, SparkRunnerSubmitOperator): pass
class Wait(Noted, SparkExecutionSensor): pass

with DAG("ours", schedule=None, start_date=datetime(2024, 1, 1), is_paused_upon_creation=False):
    submit = Submit(task_id="submit", job=json.loads(os.environ["BENCHMARK_JOB"]))
    Wait(task_id="wait", execution=submit.output)
"""
)

THEIRS = (
    HEAD
    + """\
from airflow.providers.cncf.kubernetes.operators.spark_kubernetes import SparkKubernetesOperator

class Spark(Noted, SparkKubernetesOperator):
    template_ext = ()  # an argument that ends with .json is no file of templates

with DAG("theirs", schedule=None, start_date=datetime(2024, 1, 1), is_paused_upon_creation=False):
    Spark(
        task_id="spark", template_spec=json.loads(os.environ["BENCHMARK_APPLICATION"]), kubernetes_conn_id="k8s_default",
        namespace=os.environ["BENCHMARK_NAMESPACE"], deferrable=True, random_name_suffix=False,
    )
"""
)

IDLE = (
    HEAD
    + """\
with DAG("idle", schedule=None, start_date=datetime(2024, 1, 1), is_paused_upon_creation=False):
    IdleOperator(task_id="idle")
"""
)

#: Kind -> its tasks in order.
TASKS = {"ours": ("submit", "wait"), "theirs": ("spark",)}
NAMES = {"ours": "submit and wait", "theirs": "SparkKubernetesOperator, deferrable"}


@dataclass(frozen=True)
class Run:
    """One DAG run's figures, all in seconds.

    :param created: from the start of the task's process to the resource's being there.
    :param entered: of that, until ``execute`` was entered.
    :param held: in ``execute`` and in what follows the deferral, all tasks together.
    :param parts: the same, task and method -> seconds.
    :param late: from COMPLETED to the task's success.
    """

    created: float
    entered: float
    held: float
    parts: dict[str, float]
    late: float


class LostRunError(Exception):
    """Airflow itself took a task that goes on for one that had ended, and is about to try it again: no figure of anybody's."""


class Seen:
    """Notes when applications appear and when they are COMPLETED, by a watch that does nothing else."""

    def __init__(self, server: ApiServer, namespace: str) -> None:
        self._path = applications_path(namespace)
        self._http = server.client()
        self.created: dict[str, float] = {}
        self.completed: dict[str, float] = {}
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            # A server that has just learnt of the resource may break its first watches off.
            with suppress(httpx.TransportError):
                self._watch_once()
            time.sleep(0.1)

    def _watch_once(self) -> None:
        with self._http.stream("GET", self._path, params={"watch": "true"}, timeout=httpx.Timeout(10, read=None)) as answer:
            for line in answer.iter_lines():
                now = time.time()
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                name = event["object"]["metadata"]["name"]
                self.created.setdefault(name, now)
                if event["object"].get("status", {}).get("applicationState", {}).get("state") == "COMPLETED":
                    self.completed.setdefault(name, now)


class Bench:
    """An Airflow beside a cluster, and the runs in it."""

    def __init__(self, airflow: StandaloneAirflow, server: ApiServer, simulator: OperatorSimulator, namespace: str) -> None:
        self.airflow, self.server, self.simulator, self.namespace = airflow, server, simulator, namespace
        self.seen = Seen(server, namespace)
        self.notes = Path(airflow.settings[NOTES])
        self.count = 0
        self.lost = 0

    def measured(self, kind: str) -> Run:
        """Run the DAG of a kind, again when Airflow has lost it, as its scheduler does now and then with deferred tasks."""
        while True:
            try:
                return self.run(kind)
            except LostRunError:
                self.lost += 1
                if self.lost > MOST_LOST:
                    raise

    def run(self, kind: str) -> Run:
        """Run the DAG of a kind once, while nothing else runs."""
        self.count += 1
        conf = {}
        if kind == "theirs":
            conf["name"] = f"theirs-{self.count}"
            body = files_config_map(_request(conf["name"], self.namespace))
            self.server.request("POST", core_path(self.namespace, "configmaps"), body)
        before = set(self.seen.created)
        run_id = self.airflow.trigger(kind, conf=conf)
        last = TASKS[kind][-1]
        self._until(kind, run_id, last, "deferred")
        (name,) = set(self.seen.created) - before
        time.sleep(RUNS)
        self.simulator.release(name)
        ended = self._ended(kind, run_id, last)
        noted = [note for note in map(json.loads, self.notes.read_text().splitlines()) if note["run"] == run_id]
        parts = {f"{note['task']} {note['what']}": note["left"] - note["entered"] for note in noted}
        first = noted[0]
        return Run(
            created=self.seen.created[name] - first["process"],
            entered=first["entered"] - first["process"],
            held=sum(parts.values()),
            parts=parts,
            late=ended - self.seen.completed[name],
        )

    def idle(self) -> float:
        """Return the seconds from a trigger's firing to its task's success, for a task that does nothing."""
        run_id = self.airflow.trigger("idle")
        ended = self._ended("idle", run_id, "idle")
        return ended - float(self.airflow.xcom("idle", run_id, "idle"))

    def _until(self, kind: str, run_id: str, task: str, state: str) -> None:
        def reached() -> bool:
            found = self.airflow.states(kind, run_id)
            if "up_for_retry" in found.values():
                raise LostRunError(run_id)
            if "failed" in found.values():
                raise SystemExit(self.airflow.task_log(kind, run_id, task, 1)[-6000:])
            return found.get(task) == state

        wait_until(reached, f"{kind} to be {state}", 120, 0.25)

    def _ended(self, kind: str, run_id: str, task: str) -> float:
        self._until(kind, run_id, task, "success")
        ended: str = self.airflow.tasks(kind, run_id)[task]["end_date"]
        return dt.datetime.fromisoformat(ended).timestamp()


def _request(name: str, namespace: str) -> Any:
    """Return a request for an application of this name whose driver runs until it is released."""
    made = request(spec=job(hold=True))
    ref = made.ref
    return request(spec=job(hold=True), ref=type(ref)(ref.execution_id, 1, "test", "bench", namespace, name))


@contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    """Start everything, and end it."""
    server = ApiServer(assets())
    try:
        server.start()
        kubelet = FakeKubelet(server)
        kubelet.start()
        simulator = OperatorSimulator(server, kubelet, step=STEP)
        simulator.start()
        namespace = server.namespace()
        dags = folder / "dags"
        dags.mkdir()
        for kind, text in {"ours": OURS, "theirs": THEIRS, "idle": IDLE}.items():
            (dags / f"{kind}.py").write_text(text)
        airflow = StandaloneAirflow(folder / "airflow", dags, _settings(server, namespace, folder), CACHED_DATABASE)
        with airflow.running():
            wait_until(lambda: {"ours", "theirs", "idle"} <= airflow.dag_ids(), "the DAGs", 120)
            yield Bench(airflow, server, simulator, namespace)
        simulator.stop()
        kubelet.stop()
    finally:
        server.stop()


def _settings(server: ApiServer, namespace: str, folder: Path) -> dict[str, str]:
    config = folder / "kubeconfig"
    config.write_text(json.dumps(server.kube_config()))
    image = "spark:3.5.5"
    cluster = {"name": "bench", "connection": "k8s_bench", "namespace": namespace}
    extra = {"backend": "kubeflow", "clusters": [cluster], "image_rules": {"default": image}}
    # Theirs gets the very resource that ours makes, but for its name.
    backend = KubeflowBackend(Environment("test", "kubeflow", images=Images(rules={"default": image})), lambda _: None)  # type: ignore[arg-type, return-value]
    application = backend.render(_request("the-name", namespace))
    template = {key: application[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": "the-name"}}
    return {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
        "DCP_HOME": str(folder / "dcp"),
        NOTES: str(folder / "notes"),
        "BENCHMARK_NAMESPACE": namespace,
        "BENCHMARK_JOB": json.dumps({**job(hold=True).to_dict(), "environment": "test", "rendered": False}),
        "BENCHMARK_APPLICATION": json.dumps(template).replace("the-name", "{{ dag_run.conf['name'] }}"),
        "AIRFLOW__DCP__ENVIRONMENT": "test",
        "AIRFLOW_CONN_DCP_TEST": json.dumps({"conn_type": "dcp", "extra": extra}),
        "AIRFLOW_CONN_K8S_BENCH": json.dumps({"conn_type": "kubernetes", "extra": {"kube_config_path": str(config)}}),
        # Theirs finds the cluster by KUBECONFIG: given it by a connection, its trigger fails now and then ("mutually exclusive").
        "AIRFLOW_CONN_K8S_DEFAULT": json.dumps({"conn_type": "kubernetes"}),
        "KUBECONFIG": str(config),
        # As where it is installed: what a task imports is compiled already, after the first round.
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(ROOT / ".dcp" / "cache" / "bytecode"),
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--write", action="store_true", help="write the table into docs/benchmarks.md")
    arguments.add_argument("--rounds", type=int, default=4, help="the first one warms up and is not counted")
    given = arguments.parse_args()
    runs: dict[str, list[Run]] = {"ours": [], "theirs": []}
    idle: list[float] = []
    with tempfile.TemporaryDirectory() as folder, bench(Path(folder)) as it:
        for number in range(given.rounds):
            for kind, found in runs.items():
                found.append(it.measured(kind))
                print(f"round {number}, load {os.getloadavg()[0]:.1f}: {kind} {found[-1]}", file=sys.stderr)
            idle.append(it.idle())
            print(f"round {number}: idle {idle[-1]:.2f}", file=sys.stderr)
        lost = it.lost
    counted = {kind: found[1:] or found for kind, found in runs.items()}
    text = report(counted, idle[1:] or idle, lost)
    print(text)
    if given.write:
        write_section("submit", text)


def report(runs: dict[str, list[Run]], idle: list[float], lost: int) -> str:
    """Return the section of the document."""
    waited = statistics.median(idle)

    def median(kind: str, what: str) -> float:
        return float(statistics.median(getattr(run, what) for run in runs[kind]))

    rows = []
    for kind, name in NAMES.items():
        rows.append(
            (
                name,
                f"{median(kind, 'created'):.2f}",
                f"{median(kind, 'entered'):.2f}",
                f"{median(kind, 'held'):.2f}",
                f"{median(kind, 'late'):.2f}",
                f"{median(kind, 'late') - waited:.2f}",
            )
        )
    rows.append(("a task that waits for nothing", "", "", "", f"{waited:.2f}", ""))
    header = (
        "task",
        "process start to resource s",
        "of it to execute s",
        "slot held s",
        "COMPLETED to success s",
        "beyond a no-op task s",
    )
    parts = "; ".join(
        f"{part} {statistics.median(run.parts.get(part, 0.0) for run in runs[kind]):.2f} s"
        for kind in runs
        for part in runs[kind][0].parts
    )
    return (
        f"## Submitting\n\n{machine()} {len(idle)} rounds, load {os.getloadavg()[0]:.1f}.\n\n"
        "A real Airflow (standalone, LocalExecutor) and a real API server on one machine; operator and kubelet are simulated, "
        f"{STEP:g} s a change of state, and COMPLETED 14 ms after SUCCEEDING, as the traces have it. A process starts when the "
        "executor's supervisor forks it; the resource is there when a "
        "bare watch sees it. The slot is held in `execute` and after the deferral, both of our tasks together. Theirs looks every "
        "10 s whether the driver has started, and holds its slot meanwhile.\n\n"
        f"{table(header, rows)}\n\nSlot held by part: {parts}. Runs that Airflow itself lost, measured again: {lost}."
    )


if __name__ == "__main__":
    main()
