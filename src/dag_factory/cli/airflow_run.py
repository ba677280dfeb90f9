"""One DAG run without a scheduler: Airflow's own ``dag.test()`` in a child process, with a metadata database of its own.

The user's Airflow is never touched. Its configuration file is read where there is one, so that secrets backends and their
connections work as there; the database, the DAGs folder and the logs are this run's. Airflow is imported in the child only: what it
prints stays out of the command's output.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.home import private_home
from airflow_dcp_provider.runner.locks import locked

REQUEST, RESULT, EVENTS, DATABASE, LOG = "request.json", "result.json", "events.jsonl", "airflow.db", "airflow.log"

#: The file of the run's own DAGs folder. Airflow finds the DAG there, as it would find a loader.
_DAG_FILE = "from dag_factory.cli.airflow_child import this_dag  # airflow\n\ndag = this_dag()\n"

#: Importing Airflow makes millions of objects that stay; to look for garbage among them takes a fifth of this process's time.
_CHILD = "import gc; gc.disable(); from dag_factory.cli.airflow_child import main; main()"

_BUNDLE = [{"name": "dags-folder", "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle", "kwargs": {}}]


@dataclass(frozen=True)
class AirflowRun:
    """A child process that runs a DAG.

    :param folder: holds the run's metadata database, its DAGs folder, its logs, its request and its result.
    """

    folder: Path
    process: subprocess.Popen[bytes]

    def has_ended(self, patience: float) -> bool:
        """Whether the run is over, after at most ``patience`` seconds of waiting; Airflow takes a while longer to leave."""
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            return (self.folder / RESULT).exists()
        return True

    def events(self) -> list[dict[str, Any]]:
        """Return what has happened to the tasks so far, see :mod:`dag_factory.cli.airflow_child`."""
        # A line that is still being written has no end yet.
        return [json.loads(line) for line in _lines(self.folder / EVENTS, keepends=True) if line.endswith("\n")]

    def result(self) -> dict[str, Any]:
        """Return what the child says of the run, after its end.

        :raises DcpEnvironmentError: DCP403 when it ended without a word.
        """
        try:
            found: dict[str, Any] = json.loads((self.folder / RESULT).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            log = self.folder / LOG
            last = next((line for line in reversed(_lines(log)) if line.strip()), "it printed nothing")
            raise DcpEnvironmentError(
                f"Airflow could not run the DAG: {last.strip()}", code="DCP403", hint=f"its log is {log}"
            ) from error
        return found


def _lines(path: Path, *, keepends: bool = False) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines(keepends) if path.exists() else []


@contextmanager
def airflow_run(
    home: Path, request: Mapping[str, Any], note: Callable[[str], None], *, debug: bool = False
) -> Iterator[AirflowRun]:
    """Start the child; on leaving it is ended if it still runs, and its folder is removed unless it broke down.

    :param home: DCP_HOME.
    :param request: what is to be run, see :mod:`dag_factory.cli.airflow_child`.
    :param note: is told when the first run on this machine has to make things that later ones find.
    :param debug: let Airflow's log through to stderr.
    :raises DcpEnvironmentError: DCP403 when Airflow's metadata database cannot be made.
    """
    template = _metadata_template(private_home(home), note)
    runs = home / "run"
    runs.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=runs))
    (folder / "dags").mkdir()
    (folder / "dags" / "manifest.py").write_text(_DAG_FILE, encoding="utf-8")
    shutil.copyfile(template, folder / DATABASE)
    (folder / REQUEST).write_text(json.dumps(request), encoding="utf-8")
    with (folder / LOG).open("w", encoding="utf-8") as log:
        process = _child(home, folder, request["environment"], None if debug else log)
    run = AirflowRun(folder, process)
    try:
        yield run
    finally:
        broke_down = process.poll() is not None and not (folder / RESULT).exists()
        if process.poll() is None:
            process.terminate()
            process.wait()
        if not broke_down:
            shutil.rmtree(folder, ignore_errors=True)


def _child(home: Path, folder: Path, environment: str, log: IO[str] | None) -> subprocess.Popen[bytes]:
    variables = {
        # Somebody waits for each of these runs: the one that makes the archive takes longer, all later ones are shorter by seconds.
        "DCP_LOCAL_CLASS_ARCHIVE": os.environ.get("DCP_LOCAL_CLASS_ARCHIVE", "make"),
        **_variables(home, folder),
        "AIRFLOW__DCP__ENVIRONMENT": environment,
        "AIRFLOW__DCP__ENVIRONMENTS": environment,
    }
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _CHILD, str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=log or sys.stderr,
        stderr=subprocess.STDOUT if log else None,
        env={**os.environ, **variables},
        # Ctrl-C is this process's to handle: it cancels the execution, which the child then sees.
        start_new_session=True,
    )


def _variables(home: Path, folder: Path) -> dict[str, str]:
    """Return the environment variables of an Airflow that lives in ``folder``."""
    variables = {
        "DCP_HOME": str(home),
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAG_RUN_CONF_OVERRIDES_PARAMS": "True",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(_BUNDLE),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder / DATABASE}",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": f"sqlite+aiosqlite:///{folder / DATABASE}",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(folder / "logs"),
        "AIRFLOW__LOGGING__REMOTE_LOGGING": "False",
    }
    users = os.environ.get("AIRFLOW_CONFIG") or f"{os.environ.get('AIRFLOW_HOME') or '~/airflow'}/airflow.cfg"
    config = Path(users).expanduser()
    return {**variables, "AIRFLOW_CONFIG": str(config)} if config.is_file() else variables


def _metadata_template(home: Path, note: Callable[[str], None]) -> Path:
    """Return an empty metadata database of the installed Airflow. It is made once and copied for each run, which takes no time."""
    template = home / "cache" / f"airflow-{version('apache-airflow')}.db"
    template.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(template.with_suffix(".lock")):
        if not template.exists():
            note("the first run on this machine takes about 40 s longer: it makes a metadata database and Spark's class archive")
            _make_metadata(home, template)
    return template


def _make_metadata(home: Path, template: Path) -> None:
    folder = Path(tempfile.mkdtemp(dir=template.parent))
    try:
        (folder / "dags").mkdir()
        done = subprocess.run(
            [sys.executable, "-P", "-m", "airflow", "db", "migrate"],
            env={**os.environ, **_variables(home, folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            last = (done.stdout.strip() or "it printed nothing").splitlines()[-1]
            raise DcpEnvironmentError(
                f"Airflow could not make a metadata database: {last}",
                code="DCP403",
                hint="check that `airflow db migrate` works with a new AIRFLOW_HOME",
            )
        (folder / DATABASE).replace(template)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
