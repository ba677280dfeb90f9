"""Kills a real process, with SIGKILL, at the n-th step that it takes.

A step is everything by which a process changes the world outside: a file opened for writing, renamed, linked or removed, a lock, a
fork, a process started. Python's audit hooks see each just before it happens; the hook is put into the process by a
``sitecustomize`` module on its ``PYTHONPATH``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from airflow_dcp_provider.model.execution import AttemptRequest
from tests.support.executions import local_settings

_HOOK = """
import os, signal, sys, time

_role, _kill_at, _home = {role!r}, {kill_at}, {home!r}
_steps = {{"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "fcntl.flock", "subprocess.Popen", "os.fork", "shutil.rmtree"}}
_taken = 0
_started = False


def _hook(event, args):
    global _taken, _started
    if event == "open":
        path, _mode, flags = args
        if not (flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) or not str(path).startswith(_home):
            return
    elif event not in _steps:
        return
    _taken += 1
    if _taken == _kill_at + 1:
        open(_home + "/killed", "w").close()
        # A driver that was started is given the time to begin: else a kill would hide that it was.
        for _ in range(250 if _started else 0):
            if os.path.exists(_home + "/starts"):
                break
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGKILL)
    _started = _started or (event == "subprocess.Popen" and _role == "local_supervisor")


if any(_role in argument for argument in sys.orig_argv):
    sys.addaudithook(_hook)
"""

_DO = """
import json, sys
from pathlib import Path
from airflow_dcp_provider.model.execution import AttemptRequest
from airflow_dcp_provider.runner.backends.local import LocalBackend
from airflow_dcp_provider.runner.backends.local_settings import LocalSettings

home = Path(sys.argv[2])
settings = LocalSettings.from_dict(json.loads((home / "settings.json").read_text()))
request = AttemptRequest.from_dict(json.loads((home / "request.json").read_text()))
backend = LocalBackend(home, settings)
if sys.argv[1] == "creating":
    backend.create(request)
else:
    backend.get(request.ref)
"""

#: Roles: who is killed.
CREATOR, OBSERVER, SUPERVISOR = "creating", "observing", "local_supervisor"


def was_killed(home: Path) -> bool:
    """Whether the process that was to be killed got as far as its step."""
    return (home / "killed").exists()


def act(home: Path, request: AttemptRequest, what: str, *, kill: str = "", kill_at: int = -1) -> subprocess.Popen[bytes]:
    """Start a process that creates or observes the attempt; the process with role ``kill`` dies at its step number ``kill_at``."""
    (home / "request.json").write_text(json.dumps(request.to_dict()))
    (home / "settings.json").write_text(json.dumps(local_settings(home).to_dict()))
    hook = home / "hook"
    hook.mkdir(exist_ok=True)
    (hook / "sitecustomize.py").write_text(_HOOK.format(role=kill or "nobody at all", kill_at=kill_at, home=str(home)))
    path = os.pathsep.join([str(hook), *filter(None, [os.environ.get("PYTHONPATH")])])
    with (home / "actors.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", _DO, what, str(home)],
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
