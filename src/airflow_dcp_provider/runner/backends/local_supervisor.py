"""The process that watches one attempt's Spark: ``python -m ...local_supervisor <attempt's folder>``.

It detaches itself, holds the attempt's lock for life, starts Spark at most once, ends it on a cancellation or at the deadline, and
writes how it ended. It returns to its caller once it has taken the attempt over. Spark dies with it (see ``local_exec``).
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_dcp_provider.core_etl.report import TERMINATION_LOG
from airflow_dcp_provider.model.errors import DcpError
from airflow_dcp_provider.model.execution import AttemptRequest, Failure, FailureKind
from airflow_dcp_provider.model.job import JobSpec
from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.runner.backends import local_exec
from airflow_dcp_provider.runner.backends.class_archive import ClassArchive, class_archive
from airflow_dcp_provider.runner.backends.iceberg_jar import iceberg_jar
from airflow_dcp_provider.runner.backends.local_files import (
    CANCEL,
    DRIVER_LOG,
    EVENTS,
    JOB_SPEC,
    LAUNCHED,
    PROPERTIES,
    REPORTS_IN_FILE,
    RESULT,
    SCRATCH,
    SETTINGS,
    STATUS,
    AttemptFolder,
)
from airflow_dcp_provider.runner.backends.local_processes import end_processes
from airflow_dcp_provider.runner.backends.local_secrets import hand_over, without_secrets
from airflow_dcp_provider.runner.backends.local_settings import LocalSettings
from airflow_dcp_provider.runner.backends.local_verdict import conclude, is_final, settle
from airflow_dcp_provider.runner.backends.machine_check import check_machine
from airflow_dcp_provider.runner.backends.spark_command import (
    Places,
    SparkCommand,
    driver_job_spec,
    embedded_aliases,
    properties_text,
    spark_command,
)
from airflow_dcp_provider.runner.backends.spark_home import Spark
from airflow_dcp_provider.runner.locks import locked

#: How often the driver, a cancellation and the deadline are looked at, in seconds.
_INTERVAL = 0.1


@dataclass(frozen=True)
class _Prepared:
    command: SparkCommand
    spark: Spark
    archive: ClassArchive
    ui_url: str
    secrets: dict[str, str]


def main() -> None:
    """Detach, take the attempt over, then watch it to its end; the first process leaves as soon as that is taken care of."""
    folder = AttemptFolder(Path(sys.argv[1]))
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        # One byte says that the attempt is supervised; the pipe's end without it that the supervisor died.
        os._exit(0 if os.read(reader, 1) else 1)
    os.close(reader)
    # A session of its own: whatever ends the caller's process group does not end this one.
    os.setsid()
    # Whatever it and Spark write is this user's alone.
    os.umask(0o077)

    def ready() -> None:
        os.write(writer, b"1")
        os.close(writer)

    supervise(folder, ready)


def supervise(folder: AttemptFolder, ready: Callable[[], None]) -> None:
    """Watch the attempt to its end, unless another supervisor does or it has ended.

    :param ready: called once, as soon as the attempt is supervised.
    """
    with folder.supervising() as held:
        if not held or is_final(folder.read(STATUS)):
            ready()
            return
        if folder.has(LAUNCHED) or not folder.has(SETTINGS):
            # An earlier supervisor started Spark, or was about to tell the end, and died. Spark is never started twice.
            settle(folder)
            ready()
            return
        request = folder.request()
        settings = LocalSettings.from_dict(folder.read(SETTINGS) or {})
        folder.replace(STATUS, {"state": ExecutionState.PENDING.value, "supervisor": os.getpid(), "message": "waits for its turn"})
        ready()
        _run(folder, request, settings)


def _run(folder: AttemptFolder, request: AttemptRequest, settings: LocalSettings) -> None:
    # <home>/executions/<execution id>/<attempt>
    home = folder.path.parents[2]
    with (
        _slot(home / "slots", settings.max_processes, lambda: _must_end(folder, request)) as had_slot,
        contextlib.ExitStack() as stack,
    ):
        if not had_slot:
            conclude(folder, exit_code=None)
            return
        try:
            prepared = _prepare(folder, home, request, settings, stack)
            if _must_end(folder, request):
                # Fetching the jar may have taken minutes.
                conclude(folder, exit_code=None)
                return
            process = _launch(folder, prepared, stack)
        except DcpError as error:
            conclude(folder, exit_code=None, failure=Failure(FailureKind.PLATFORM, error.code, error.message, error.hint))
            return
        except OSError as error:
            failure = Failure(
                FailureKind.PLATFORM, "DCP354", f"Spark could not be started: {error}", "check the settings of the local backend"
            )
            conclude(folder, exit_code=None, failure=failure)
            return
        exit_code, was_ended = _watch(folder, request, process)
        while not end_processes(folder.path, kindly=False):
            # A process in the kernel's hands cannot be killed; while it is there the attempt has not ended.
            time.sleep(_INTERVAL)
        timed_out = was_ended and not folder.has(CANCEL)
        if conclude(folder, exit_code, timed_out=timed_out).is_successful:
            prepared.archive.keep()


@contextlib.contextmanager
def _slot(slots: Path, count: int, must_end: Callable[[], bool]) -> Iterator[bool]:
    """Hold one of ``count`` slots of this host inside the block; yields False when the attempt must end before it had one."""
    slots.mkdir(parents=True, exist_ok=True)
    while not must_end():
        for number in range(count):
            with locked(slots / f"{number}.lock", patience=0) as held:
                if held:
                    yield True
                    return
        time.sleep(_INTERVAL)
    yield False


def _prepare(
    folder: AttemptFolder, home: Path, request: AttemptRequest, settings: LocalSettings, stack: contextlib.ExitStack
) -> _Prepared:
    """Return everything that Spark's start needs; starts the embedded catalog, which ``stack`` stops."""
    from airflow_dcp_provider.core_etl import bundle

    _say(folder, "looking for Java, Spark and the Iceberg jar")
    job = JobSpec.from_dict(request.job)
    spark, java = check_machine(job, settings)
    jar = iceberg_jar(settings.iceberg_jar, home / "jars", java, spark.home)
    archive = class_archive(home / "cache", folder.path, settings.class_archive, java=java, spark_home=spark.home, jar=jar)
    catalog_uri = ""
    if embedded_aliases(job.core_etl.job, settings):
        from airflow_dcp_provider.embedded_catalog.server import CatalogServer

        catalog = CatalogServer(home)
        catalog_uri = catalog.start()
        stack.callback(catalog.stop)
    for name in (SCRATCH, EVENTS):
        (folder.path / name).mkdir(exist_ok=True)
    places = Places(
        folder=folder.path,
        spark_home=spark.home,
        java_home=java.home,
        jar=jar,
        main=bundle.lay_driver(folder.path / SCRATCH),
        cores=settings.cores or os.cpu_count() or 1,
        catalog_uri=catalog_uri,
        ui_port=_free_port() if settings.spark_ui else 0,
        archive_options=archive.options(),
    )
    command = spark_command(request, settings, places)
    folder.replace(JOB_SPEC, driver_job_spec(request))
    properties = folder.path / PROPERTIES
    properties.touch(mode=0o600)
    plain, secrets = without_secrets(command.properties, settings.catalogs)
    properties.write_text(properties_text(plain), encoding="ascii")
    variables = hand_over(secrets, folder.path / SCRATCH / "secrets")
    ui_url = f"http://127.0.0.1:{places.ui_port}" if places.ui_port else ""
    return _Prepared(command, spark, archive, ui_url, variables)


def _launch(folder: AttemptFolder, prepared: _Prepared, stack: contextlib.ExitStack) -> subprocess.Popen[bytes]:
    """Start Spark. The mark comes first: after it nobody starts this attempt again, whatever happens."""
    log = stack.enter_context((folder.path / DRIVER_LOG).open("ab"))
    properties = prepared.command.properties
    log.write(
        f"Spark in one local process: version {prepared.spark.version}, {properties['spark.master']}, "
        f"{properties['spark.driver.memory']} of memory; "
        "sizes and numbers of executors do not apply here\n".encode()
    )
    log.flush()
    folder.write_once(LAUNCHED, {"at": time.time(), "reports": REPORTS_IN_FILE})
    # They may hold credentials of catalogs, and nobody reads them any more.
    folder.remove(SETTINGS)
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", local_exec.__file__, str(os.getpid()), *prepared.command.argv],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        cwd=folder.path,
        env={**os.environ, **prepared.command.environment, TERMINATION_LOG: str(folder.path / RESULT), **prepared.secrets},
        start_new_session=True,
    )
    # It runs, and is watched also where this cannot be written: what failed here would count as not started.
    with contextlib.suppress(DcpError):
        _say(folder, "", state=ExecutionState.RUNNING.value, started_at=time.time(), spark_ui_url=prepared.ui_url)
    return process


def _watch(folder: AttemptFolder, request: AttemptRequest, process: subprocess.Popen[bytes]) -> tuple[int | None, bool]:
    """Wait for the driver's end; return its exit code and whether it was ended from here."""
    while (exit_code := process.poll()) is None:
        if _must_end(folder, request):
            end_processes(folder.path, kindly=True)
            # Its exit code says only that it was ended.
            process.wait()
            return process.returncode, True
        time.sleep(_INTERVAL)
    return exit_code, False


def _must_end(folder: AttemptFolder, request: AttemptRequest) -> bool:
    return folder.has(CANCEL) or (request.deadline is not None and time.time() >= request.deadline)


def _say(folder: AttemptFolder, message: str, **changes: Any) -> None:
    folder.replace(STATUS, {**(folder.read(STATUS) or {}), "message": message, **changes})


def _free_port() -> int:
    # Spark takes the next free one where this one is taken meanwhile; then only the link is wrong.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
