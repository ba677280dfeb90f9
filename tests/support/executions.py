"""Builders of jobs, requests and local settings for the runner's tests, and a way to wait for a condition."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from airflow_dcp_provider.model.execution import Actor, Attempt, AttemptRef, AttemptRequest, Cancellation
from airflow_dcp_provider.model.job import CoreEtlSpec, EtlJob, JobSpec, RetryPolicy, Sink, Transformation
from airflow_dcp_provider.model.names import resource_name
from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.runner.backends.local_settings import LocalSettings
from airflow_dcp_provider.runner.identity import execution_id

FAKE_SPARK_SUBMIT = Path(__file__).with_name("fake_spark_submit.py")
T = TypeVar("T")
SUBMIT = "submit"
WAIT = "wait"


def submitter(try_number: int = 1, round_try: int = 1) -> Actor:
    return Actor(SUBMIT, try_number, round_try)


def waiter(try_number: int = 1, round_try: int = 1) -> Actor:
    return Actor(WAIT, try_number, round_try)


def job(timeout: float | None = None, retries: int = 0, interval: float = 60.0, **orders: Any) -> JobSpec:
    """A rendered job whose driver is ``fake_spark_submit.py`` with these orders."""
    etl = EtlJob(
        transformations=(Transformation("orders", json.dumps(orders)),),
        sinks=(Sink("out", "pedregal", "db", "t", input="orders"),),
    )
    return JobSpec(
        manifest_id="team/daily-flights",
        name="daily-flights",
        environment="local",
        team="team",
        owner="owner@example.com",
        core_etl=CoreEtlSpec(job=etl),
        retry_policy=RetryPolicy(retries, interval),
        timeout=timeout,
        rendered=True,
    )


def request(key: str = "key", attempt: int = 1, spec: JobSpec | None = None, **changes: Any) -> AttemptRequest:
    spec = spec or job()
    identity = execution_id(key)
    made = AttemptRequest(
        ref=AttemptRef(identity, attempt, "local", "local", "local", resource_name(spec.name, identity, attempt)),
        idempotency_key=key,
        manifest_id=spec.manifest_id,
        job=spec.to_dict(),
        fingerprint="f" * 64,
        submitted_at=100.0,
        first_submitted_at=100.0,
        begun_by=submitter(),
        run_key="dag/run/-1",
        ds="2013-01-05",
    )
    return replace(made, **changes)


def attempt(state: ExecutionState, number: int = 1, *, of: dict[str, Any] | None = None, **fields: Any) -> Attempt:
    """An attempt as a backend would answer; ``of`` changes its request."""
    return Attempt(request=request(attempt=number, **(of or {})), state=state, **fields)


def cancellation(by: Actor | None = None, reason: str = "kill") -> Cancellation:
    return Cancellation(by or Actor(user="jane"), reason, 150.0)


def local_settings(home: Path, **changes: Any) -> LocalSettings:
    """Settings with which a real supervisor starts the fake spark-submit; Java and the jar only have to be there."""
    java = home / "java"
    jar = home / "iceberg.jar"
    if not jar.exists():
        (java / "bin").mkdir(parents=True, exist_ok=True)
        # Callers race: the release appears whole and before the program that it describes.
        release = java / f"release.{threading.get_ident()}"
        release.write_text('JAVA_VERSION="17.0.15"\n')
        release.replace(java / "release")
        (java / "bin" / "java").touch(mode=0o755)
        jar.touch()
    settings = LocalSettings(
        java=str(java),
        iceberg_jar=str(jar),
        spark_submit=(sys.executable, str(FAKE_SPARK_SUBMIT)),
        spark_ui=False,
        catalogs={"pedregal": {"type": "hadoop", "warehouse": str(home / "warehouse")}},
        memory_limit=2**30,
    )
    return replace(settings, **changes)


def starts(home: Path) -> list[str]:
    """The lines that every start of the fake spark-submit leaves: execution, attempt, process id."""
    file = home / "starts"
    return file.read_text().splitlines() if file.exists() else []


def wait_for(condition: Callable[[], T], what: str = "", seconds: float = 30.0) -> T:
    """Wait until ``condition`` is true and return its value; it is asked ever more seldom, for most conditions cost requests."""
    end, pause = time.monotonic() + seconds, 0.02
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(pause)
        pause = min(pause * 1.4, 0.2)
    return value
