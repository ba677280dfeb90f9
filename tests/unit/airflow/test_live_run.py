"""A whole run whose driver's log is followed while its task waits: from the connection's field to the task's log, each line once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_dcp_provider.triggers import live_log
from tests.unit.airflow.test_dag_run import build, job, run, sources, states  # noqa: F401

pytestmark = [
    pytest.mark.usefixtures("airflow_database"),
    pytest.mark.filterwarnings("default"),
    pytest.mark.filterwarnings("error:::airflow_dcp_provider"),
]


def test_a_followed_log_is_whole_and_each_line_is_there_once(
    home: Path, connection: Callable[..., None], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection("dcp_local", {"backend": "local", "live_logs": 1})
    monkeypatch.setattr(live_log, "FOLLOW_INTERVAL", 0.1)
    followed = threading.Event()
    write = live_log._Follower._write

    async def written(follower: live_log._Follower, backend: object) -> None:
        await write(follower, backend)  # type: ignore[arg-type]
        if follower._copied:
            followed.set()

    monkeypatch.setattr(live_log._Follower, "_write", written)
    releasing = threading.Thread(target=lambda: (followed.wait(60), (home / "release").touch()))
    releasing.start()
    dag_run = run(build("followed", job(orders={"rows": 4, "hold": True})))
    releasing.join()
    assert followed.is_set()
    assert states(dag_run)["wait"] == "success"
    log = capfd.readouterr().out
    # Airflow before 3.1 prints every line of every task twice here, so it is held against one that is logged once.
    once = log.count(": SUCCEEDED")
    assert once
    for line in ("driver of attempt 1 for 2013-01-05", "the last line before the result"):
        assert log.count(line) == once, line
