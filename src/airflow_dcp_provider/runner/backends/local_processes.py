"""Which processes belong to an attempt, and how they are ended.

An attempt's Spark and everything that it starts carry the attempt's folder in their environment. That mark is asked for instead of
a process id: it cannot be reused by a stranger, and it finds Python workers that have left Spark's process group.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

import psutil

#: The variable that marks every process of an attempt's Spark.
MARK = "DCP_ATTEMPT_FOLDER"

#: Seconds that Spark gets to end by itself before it is killed, and to be gone after that.
TERM_PATIENCE = 10.0
KILL_PATIENCE = 5.0

#: What a supervisor and Spark inherit from the process that asked for them. Everything else stays behind: an Airflow process's
#: environment holds connections and secrets, and SQL can read the environment of the Spark that runs it.
# fmt: off
_KEPT = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TMP", "TEMP", "JAVA_HOME",
    "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONPATH", "PYTHONHASHSEED", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "HADOOP_CONF_DIR", "KRB5_CONFIG",
    "KRB5CCNAME", "GOOGLE_APPLICATION_CREDENTIALS",
})
# fmt: on
_KEPT_PREFIXES = ("LC_", "AWS_", "AZURE_")


def clean_environment(environment: Mapping[str, str], keep: tuple[str, ...] = ()) -> dict[str, str]:
    """Return what of ``environment`` a supervisor may see.

    :param keep: names of further variables that are handed on.
    """
    return {name: value for name, value in environment.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES) or name in keep}


def processes_of(folder: Path) -> list[psutil.Process]:
    """Return the living processes of the Spark that was started for the attempt in ``folder``."""
    found = []
    for process in psutil.process_iter():
        # A process that ends meanwhile, or that belongs to somebody else, is none of ours.
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def end_processes(folder: Path, *, kindly: bool) -> bool:
    """End every process of the attempt's Spark; return whether none is left.

    :param kindly: ask first (SIGTERM) and kill what is left after :data:`TERM_PATIENCE` seconds.
    """
    found = processes_of(folder)
    if kindly and found:
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        psutil.wait_procs(found, timeout=TERM_PATIENCE)
        found = processes_of(folder)
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(found, timeout=KILL_PATIENCE)
    # What was started while we looked is found by looking again.
    return not processes_of(folder)
