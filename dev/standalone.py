"""A real Airflow on this machine: `airflow standalone` with SQLite, its own home and free ports."""

from __future__ import annotations

import contextlib
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
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import requests

from airflow_dcp_provider.runner.locks import locked
from dev.airflow_api import AirflowApi, wait_until

BIN = Path(sys.executable).parent

#: For ``local_settings``: the scheduler forks the processes of tasks, half of which read or make a table.
TABLES_IMPORTED = """\
import sys

if "scheduler" in sys.argv:
    import pyarrow.dataset
    import pyiceberg.catalog.sql
    import pyiceberg.io.pyarrow
"""
COMPONENTS = ("scheduler", "triggerer", "dag-processor", "api-server")
#: Those that are started again when they have died.
KEPT = ("scheduler", "triggerer", "dag-processor")


class AirflowDidNotStartError(RuntimeError):
    """Airflow ended or stayed silent; carries the end of its log."""


def free_ports(count: int) -> list[int]:
    """Return ``count`` different ports of 127.0.0.1 that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class StandaloneAirflow(AirflowApi):
    """One Airflow with everything it needs below ``home``.

    :param home: AIRFLOW_HOME; made when missing.
    :param dags: the DAGs folder.
    :param settings: further environment variables, for example ``DCP_HOME``.
    :param database_template: a migrated SQLite file that is copied instead of migrating again; made when missing.
    :param local_settings: the text of ``airflow_local_settings.py``, which every component imports when it starts.

    Ports, password and the processes that were started are kept in files below ``home``: a second object with the same ``home``
    drives the Airflow that the first one started.
    """

    def __init__(
        self,
        home: Path,
        dags: Path,
        settings: Mapping[str, str] | None = None,
        database_template: Path | None = None,
        local_settings: str = "",
    ) -> None:
        self.local_settings = local_settings
        self.home, self.dags, self.settings, self.database_template = home, dags, dict(settings or {}), database_template
        self.home.mkdir(parents=True, exist_ok=True)
        access = self.home / "access.json"
        if not access.exists():
            access.write_text(json.dumps({"ports": free_ports(3), "password": secrets.token_urlsafe(9)}))
        known = json.loads(access.read_text())
        self.port, self._worker_log_port, self._trigger_log_port = known["ports"]
        super().__init__(f"http://127.0.0.1:{self.port}", "admin", known["password"])
        self.log = self.home / "standalone.log"
        self._started_file = self.home / "started"
        self._children: list[subprocess.Popen[bytes]] = []
        self._stopping = threading.Event()
        #: Seconds between two looks for what has died.
        self.pause = 5.0

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
            # Airflow 3.0 has none of its own, and PyJWT refuses that from 2.11 on: every login would be answered with 500.
            "AIRFLOW__API_AUTH__JWT_ISSUER": self.url,
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(self._worker_log_port),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(self._trigger_log_port),
            # Parsing every few seconds would cost the tasks their processor, and each refresh of the folder takes the import errors
            # of manifests away until the next parse.
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "300",
            "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
            # A supervisor often notices the end of its task's process only after this many seconds, and holds a slot as long.
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
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
        (self.home / "config").mkdir(exist_ok=True)
        (self.home / "config" / "airflow_local_settings.py").write_text(self.local_settings)
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
        self.keep_components()

    def keep_components(self) -> None:
        """See to it, as long as this object has not stopped or left its Airflow, that what has died starts again."""
        threading.Thread(target=self._keep_components, daemon=True).start()

    def _keep_components(self) -> None:
        """Start a component again when it has died, as every deployment does.

        On SQLite one dies now and then: the database was locked, or the scheduler holds a run of a backfill that was deleted.
        """
        while not self._stopping.wait(self.pause):
            if not set(KEPT) <= set(self._components()):
                # Every process that drives this Airflow may see to it.
                with contextlib.suppress(psutil.Error), locked(self.home / "components.lock"):
                    found = self._components()
                    for name in KEPT:
                        if name not in found and not self._down(name).exists() and not self._stopping.is_set():
                            self.start_component(name)

    def _down(self, name: str) -> Path:
        """Return the file that is there while a component is down on purpose."""
        return self.home / f"{name}.down"

    def component(self, name: str) -> psutil.Process | None:
        """Return the running process of a component (``scheduler``, ``triggerer``, ``dag-processor``, ``api-server``)."""
        return self._components().get(name)

    def _components(self) -> dict[str, psutil.Process]:
        """Return the running process of each component, the one that was started first."""
        found: dict[str, psutil.Process] = {}
        for root in self._started():
            family = [root]
            with contextlib.suppress(psutil.Error):
                family += root.children(recursive=True)
            for each in family:
                # Tasks end meanwhile, and those that were killed have no command line: neither may hide a component.
                with contextlib.suppress(psutil.Error):
                    if name := _component(each.cmdline()):
                        found.setdefault(name, each)
        return found

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
        """End one component with SIGKILL, its children with it, as a machine that goes down would.

        It stays down until :meth:`start_component`.

        :raises LookupError: when it does not run.
        """
        process = self.component(name)
        if process is None:
            raise LookupError(f"no {name} is running")
        self._down(name).touch()
        for each in [*process.children(recursive=True), process]:
            with contextlib.suppress(psutil.Error):
                each.kill()
        _wait_gone([process], 10)

    @contextlib.contextmanager
    def suspended(self, name: str) -> Iterator[None]:
        """Let one component and its children stand still meanwhile, as on a machine that is out of memory."""
        process = self.component(name)
        if process is None:
            raise LookupError(f"no {name} is running")
        family = [process, *process.children(recursive=True)]
        for each in family:
            each.suspend()
        try:
            yield
        finally:
            for each in family:
                with contextlib.suppress(psutil.Error):
                    each.resume()

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
        self._down(name).unlink(missing_ok=True)

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
        for each in _wait_gone(family, 15):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        _wait_gone(family, 10)
        for child in self._children:
            child.wait(timeout=10)
        self._children = []
        self._started_file.unlink(missing_ok=True)

    def leave(self) -> None:
        """Leave what this object has started to the one that stops this Airflow."""
        for child in self._children:
            # Nobody here asks for its end any more, of which Python would warn.
            child.returncode = child.poll() or 0
        self._stopping.set()
        self._children = []

    @contextlib.contextmanager
    def running(self) -> Iterator[StandaloneAirflow]:
        """Start, wait until healthy, and stop at the end whatever happens."""
        try:
            self.start()
            self.wait_healthy()
            yield self
        finally:
            self.stop()


def _wait_gone(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait until the processes have ended, be it as zombies of whoever started them; return those that have not."""
    end = time.monotonic() + seconds
    while alive := [each for each in processes if not _has_ended(each)]:
        if time.monotonic() > end:
            break
        time.sleep(0.1)
    return alive


def _has_ended(process: psutil.Process) -> bool:
    try:
        return bool(not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _component(cmdline: list[str]) -> str:
    """Return the component that a command line starts, or nothing."""
    words = [Path(word).name for word in cmdline]
    after = words[words.index("airflow") + 1 :] if "airflow" in words else []
    return after[0] if after and after[0] in COMPONENTS else ""
