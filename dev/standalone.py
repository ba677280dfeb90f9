"""A real Airflow on this machine: `airflow standalone` with SQLite, its own home and free ports, driven through its REST API."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

BIN = Path(sys.executable).parent
#: Reading is tried again for 30 s while Airflow answers 5xx. It does so for a moment when it lists asset events: a run that one of
#: them made has no start date while it is queued, and Airflow's own answer does not allow that.
READ_AGAIN = Retry(
    total=None,
    connect=0,
    # The server closes the connection after it failed, maybe while the next request is on its way.
    read=3,
    redirect=0,
    other=0,
    status=7,
    status_forcelist=(500, 502, 503, 504),
    allowed_methods={"GET"},
    backoff_factor=0.25,
    raise_on_status=False,
)
COMPONENTS = ("scheduler", "triggerer", "dag-processor", "api-server")


class AirflowDidNotStartError(RuntimeError):
    """Airflow ended or stayed silent; carries the end of its log."""


def free_ports(count: int) -> list[int]:
    """Return ``count`` different ports of 127.0.0.1 that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 120, every: float = 0.5) -> Any:
    """Call ``condition`` until it returns something true and return that.

    :raises TimeoutError: naming ``what`` when ``seconds`` have passed.
    """
    end = time.monotonic() + seconds
    while True:
        if found := condition():
            return found
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(every)


@dataclass
class StandaloneAirflow:
    """One Airflow with everything it needs below ``home``.

    :param home: AIRFLOW_HOME; made when missing.
    :param dags: the DAGs folder.
    :param settings: further environment variables, for example ``DCP_HOME``.
    :param database_template: a migrated SQLite file that is copied instead of migrating again; made when missing.

    Ports, password and the processes that were started are kept in files below ``home``: a second object with the same ``home``
    drives the Airflow that the first one started.
    """

    home: Path
    dags: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    database_template: Path | None = None
    user: str = "admin"

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        access = self.home / "access.json"
        if not access.exists():
            access.write_text(json.dumps({"ports": free_ports(3), "password": secrets.token_urlsafe(9)}))
        known = json.loads(access.read_text())
        self.port, self._worker_log_port, self._trigger_log_port = known["ports"]
        self.password: str = known["password"]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = self.home / "standalone.log"
        self._started_file = self.home / "started"
        self._children: list[subprocess.Popen[bytes]] = []
        self._stopping = threading.Event()
        self._token = ""
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.mount("http://", HTTPAdapter(max_retries=READ_AGAIN))

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of every Airflow process; those of the caller's own Airflow are left out."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "DCP_"))}
        return {
            **inherited,
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{self.user}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.home / "passwords.json"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.home / 'airflow.db'}",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": self.password * 4,
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(self._worker_log_port),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(self._trigger_log_port),
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "4",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "8",
            "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "NO_PROXY": "127.0.0.1,localhost",
            "PYTHONWARNINGS": "ignore",
            **self.settings,
        }

    def prepare_database(self) -> None:
        """Lay a migrated, empty metadata database: a copy of the template, or a fresh one that becomes the template."""
        database = self.home / "airflow.db"
        if self.database_template and self.database_template.exists():
            shutil.copyfile(self.database_template, database)
            return
        self.run("db", "migrate")
        # Kept in the file: readers and the writer no longer lock each other out.
        with contextlib.closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        if self.database_template:
            self.database_template.parent.mkdir(parents=True, exist_ok=True)
            staged = self.database_template.with_suffix(f".{os.getpid()}")
            shutil.copyfile(database, staged)
            staged.replace(self.database_template)

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one ``airflow`` command in this home and return what it printed."""
        return subprocess.run(
            [str(BIN / "airflow"), *arguments], env=self.environment, capture_output=True, text=True, check=check, timeout=300
        )

    def start(self) -> None:
        """Start Airflow and return at once; :meth:`wait_healthy` waits for it."""
        (self.home / "passwords.json").write_text(json.dumps({self.user: self.password}))
        self.prepare_database()
        self.start_component("standalone")

    def wait_healthy(self, seconds: float = 180) -> None:
        """Wait until scheduler, triggerer and DAG processor report that they are healthy.

        :raises AirflowDidNotStartError: with the end of the log.
        """

        def healthy() -> bool:
            if not self._started():
                raise AirflowDidNotStartError(self.log.read_text(errors="replace")[-4000:])
            with contextlib.suppress(requests.RequestException):
                report = self._http.get(f"{self.url}/api/v2/monitor/health", timeout=5).json()
                return all(report[part]["status"] == "healthy" for part in ("scheduler", "triggerer", "dag_processor"))
            return False

        try:
            wait_until(healthy, "Airflow to be healthy", seconds)
        except TimeoutError as error:
            raise AirflowDidNotStartError(self.log.read_text(errors="replace")[-4000:]) from error
        threading.Thread(target=self._keep_scheduler, daemon=True).start()

    def _keep_scheduler(self) -> None:
        """Start the scheduler again when it has died, as every deployment does.

        On SQLite it dies when a backfill is asked for again after the database was locked: a run that it holds has been deleted.
        """
        while not self._stopping.wait(2):
            with contextlib.suppress(psutil.Error):
                if self.component("scheduler") is None and not self._stopping.is_set():
                    self.start_component("scheduler")

    def component(self, name: str) -> psutil.Process | None:
        """Return the running process of a component (``scheduler``, ``triggerer``, ``dag-processor``, ``api-server``)."""
        for root in self._started():
            with contextlib.suppress(psutil.Error):
                for each in [root, *root.children(recursive=True)]:
                    if _is_component(each.cmdline(), name):
                        return each
        return None

    def _started(self) -> list[psutil.Process]:
        """Return the processes that were started by this or another object and still run."""
        for child in self._children:
            child.poll()
        found = []
        for line in self._started_file.read_text().splitlines() if self._started_file.exists() else ():
            pid, created = line.split()
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(int(pid))
                # A number may be given to another process once its own has ended.
                if abs(process.create_time() - float(created)) < 2 and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def kill(self, name: str) -> None:
        """End one component with SIGKILL, its children with it, as a machine that goes down would."""
        process = self.component(name)
        if process is None:
            raise LookupError(f"no {name} is running")
        for each in [*process.children(recursive=True), process]:
            with contextlib.suppress(psutil.Error):
                each.kill()
        psutil.wait_procs([process], timeout=10)

    def start_component(self, name: str) -> None:
        """Start one component, for example again after :meth:`kill`."""
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                [str(BIN / "airflow"), name],
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._children.append(child)
        with self._started_file.open("a") as started:
            started.write(f"{child.pid} {psutil.Process(child.pid).create_time()!r}\n")

    def stop(self) -> None:
        """End every process of this Airflow and wait until all are gone."""
        self._stopping.set()
        started = self._started()
        family: list[psutil.Process] = []
        for root in started:
            with contextlib.suppress(psutil.NoSuchProcess):
                family += [root, *root.children(recursive=True)]
        for root in started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(root.pid, signal.SIGTERM)
        _, alive = psutil.wait_procs(family, timeout=15)
        for each in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(alive, timeout=10)
        for child in self._children:
            child.wait(timeout=10)
        self._children = []
        self._started_file.unlink(missing_ok=True)

    @contextlib.contextmanager
    def running(self) -> Iterator[StandaloneAirflow]:
        """Start, wait until healthy, and stop at the end whatever happens."""
        try:
            self.start()
            self.wait_healthy()
            yield self
        finally:
            self.stop()

    # The REST API, as any client would use it.

    def request(self, method: str, path: str, **kwargs: Any) -> Any:
        """Call ``/api/v2/<path>`` and return the JSON answer; HTTP errors raise with the server's text."""
        if not self._token:
            answer = self._http.post(f"{self.url}/auth/token", json={"username": self.user, "password": self.password}, timeout=30)
            answer.raise_for_status()
            self._token = answer.json()["access_token"]
        response = self._http.request(
            method, f"{self.url}/api/v2/{path}", headers={"Authorization": f"Bearer {self._token}"}, timeout=60, **kwargs
        )
        if not response.ok:
            raise requests.HTTPError(f"{method} {path}: {response.status_code} {response.text[:2000]}", response=response)
        return response.json() if response.content else None

    def dag_ids(self) -> set[str]:
        """Return the ids of all DAGs that are active."""
        return {dag["dag_id"] for dag in self.request("GET", "dags", params={"limit": 100})["dags"]}

    def import_errors(self) -> list[dict[str, Any]]:
        """Return the import errors as the UI shows them."""
        errors: list[dict[str, Any]] = self.request("GET", "importErrors", params={"limit": 100})["import_errors"]
        return errors

    def unpause(self, dag_id: str) -> None:
        """Unpause a DAG."""
        self.request("PATCH", f"dags/{dag_id}", json={"is_paused": False})

    def trigger(self, dag_id: str, logical_date: str | None = None, conf: Mapping[str, Any] | None = None, **extra: Any) -> str:
        """Trigger a run and return its id."""
        body = {"logical_date": logical_date, "conf": dict(conf or {}), **extra}
        run_id: str = self._create(f"dags/{dag_id}/dagRuns", body, f"a run of {dag_id}")["dag_run_id"]
        return run_id

    def backfill(self, dag_id: str, start: str, end: str, *, reprocess: str = "none", max_active_runs: int = 2) -> int:
        """Create a backfill for the data intervals from ``start`` to ``end`` (ISO, both included) and return its id."""
        body = {
            "dag_id": dag_id,
            "from_date": start,
            "to_date": end,
            "reprocess_behavior": reprocess,
            "max_active_runs": max_active_runs,
            "run_backwards": False,
        }

        backfill_id: int = self._create("backfills", body, f"the backfill of {dag_id}")["id"]
        return backfill_id

    def _create(self, path: str, body: Mapping[str, Any], what: str) -> dict[str, Any]:
        """Create something, for a minute as often as SQLite is locked by the scheduler: then nothing was created."""

        def ask() -> dict[str, Any] | None:
            try:
                created: dict[str, Any] = self.request("POST", path, json=body)
            except requests.HTTPError as error:
                if error.response is not None and _is_locked(error.response):
                    return None
                raise
            return created

        answer: dict[str, Any] = wait_until(ask, f"{what} to be taken", 60)
        return answer

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Return the runs of a DAG, oldest first."""
        runs: list[dict[str, Any]] = self.request("GET", f"dags/{dag_id}/dagRuns", params={"limit": 100, "order_by": "id"})[
            "dag_runs"
        ]
        return runs

    def tasks(self, dag_id: str, run_id: str) -> dict[str, dict[str, Any]]:
        """Return the task instances of a run by task id."""
        found = self.request("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
        return {task["task_id"]: task for task in found}

    def states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """Return the state of each task of a run."""
        return {task_id: task["state"] for task_id, task in self.tasks(dag_id, run_id).items()}

    def every_run(self) -> list[dict[str, Any]]:
        """Return the runs of all DAGs, at most 100, oldest first."""
        runs: list[dict[str, Any]] = self.request("GET", "dags/~/dagRuns", params={"limit": 100, "order_by": "id"})["dag_runs"]
        return runs

    def every_state(self) -> dict[tuple[str, str], dict[str, str | None]]:
        """Return the states of at most 100 tasks of all runs: DAG id and run id -> task id -> state."""
        states: dict[tuple[str, str], dict[str, str | None]] = {}
        for task in self.request("GET", "dags/~/dagRuns/~/taskInstances", params={"limit": 100})["task_instances"]:
            states.setdefault((task["dag_id"], task["dag_run_id"]), {})[task["task_id"]] = task["state"]
        return states

    def clear(self, dag_id: str, run_id: str, *task_ids: str, only_failed: bool = False, downstream: bool = False) -> None:
        """Clear tasks of one run, as the UI's button does."""
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": list(task_ids),
            "only_failed": only_failed,
            "reset_dag_runs": True,
            "include_downstream": downstream,
        }
        self.request("POST", f"dags/{dag_id}/clearTaskInstances", json=body)

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """Set a task's state, as the UI's button does."""
        self.request("PATCH", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}", json={"new_state": state})

    def mark_run(self, dag_id: str, run_id: str, state: str) -> None:
        """Set a run's state, as the UI's button does."""
        self.request("PATCH", f"dags/{dag_id}/dagRuns/{run_id}", json={"state": state})

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """Return one XCom value."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.request("GET", path, params={"deserialize": "false"})["value"]

    def follows(self, dag_id: str, source_dag_id: str, events: int) -> bool:
        """Whether a DAG that an asset starts has caught up: ``events`` were sent, and its last run began after them and ended.

        Events that come close together may share one run, so the runs cannot be counted.
        """
        sent = self.request("GET", "assets/events", params={"source_dag_id": source_dag_id, "limit": 100})["asset_events"]
        runs = self.runs(dag_id)
        if len(sent) < events or not runs or any(run["state"] not in {"success", "failed"} for run in runs):
            return False
        last = max(dt.datetime.fromisoformat(event["timestamp"]) for event in sent)
        return max(dt.datetime.fromisoformat(run["start_date"]) for run in runs) > last

    def task_log(self, dag_id: str, run_id: str, task_id: str, try_number: int) -> str:
        """Return a task's log as text."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        content = self.request("GET", path, params={"full_content": "true"})["content"]
        return "\n".join(_log_lines(content))

    def wait_run(self, dag_id: str, run_id: str, seconds: float = 180) -> str:
        """Wait until a run has ended and return its state."""

        def ended() -> str | None:
            state: str = self.request("GET", f"dags/{dag_id}/dagRuns/{run_id}")["state"]
            return state if state in {"success", "failed"} else None

        state: str = wait_until(ended, f"{dag_id} {run_id} to end", seconds)
        return state


def _is_locked(answer: requests.Response) -> bool:
    return answer.status_code == 503 or (answer.status_code == 500 and "Database error" in answer.text)


def _is_component(cmdline: list[str], name: str) -> bool:
    words = [Path(word).name for word in cmdline]
    return "airflow" in words and name in words and words.index(name) == words.index("airflow") + 1


def _log_lines(entries: list[Any]) -> Iterator[str]:
    """Return the texts of a structured log, those of its exceptions among them."""
    for entry in entries:
        if not isinstance(entry, dict):
            yield str(entry)
            continue
        yield str(entry.get("event", entry))
        for error in entry.get("error_detail") or ():
            yield f"{error['exc_type']}: {error['exc_value']}"
