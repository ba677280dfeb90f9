"""What guards a real local Spark: nothing secret stays behind, texts stay texts, and files are no tables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_dcp_provider.embedded_catalog.catalog import EmbeddedCatalog
from airflow_dcp_provider.embedded_catalog.server import CatalogServer
from airflow_dcp_provider.model.execution import Attempt, FailureKind
from airflow_dcp_provider.model.job import CoreEtlSpec, EngineSpec, EtlJob, JobSpec, Sink, Transformation
from airflow_dcp_provider.model.states import ExecutionState as State
from airflow_dcp_provider.runner.backends.iceberg_jar import iceberg_jar
from airflow_dcp_provider.runner.backends.java import find_java
from airflow_dcp_provider.runner.backends.local import LocalBackend
from airflow_dcp_provider.runner.backends.local_settings import LocalSettings
from airflow_dcp_provider.runner.backends.spark_home import choose_spark
from tests.support.executions import request, wait_for

pytestmark = pytest.mark.spark

CACHE = Path(__file__).resolve().parents[3] / ".dcp" / "cache"

#: What the job's manifest says; without it, nothing. ``make test-spark`` sets it.
VERSION = os.environ.get("DCP_TEST_SPARK")

#: Properties of a catalog, most of which no list of words would know for secrets.
SECRETS = {"header.X-Tenant": "hush-tenant", "s3.secret-access-key": "hush-key", "custom.thing": "hush-thing"}


@pytest.fixture
def catalog_home(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    home = tmp_path / "catalog"
    with CatalogServer(home) as server:
        yield home, server.uri


@pytest.fixture
def backend(tmp_path: Path, catalog_home: tuple[Path, str]) -> LocalBackend:
    settings = LocalSettings.from_environment(
        cores=2,
        spark_ui=False,
        catalogs={"pedregal": {"type": "rest", "uri": catalog_home[1], **SECRETS}},
        spark_defaults={"spark.app.dcp.endpoint": "https://me:hush-address@example.com"},
    )
    jar = iceberg_jar(
        settings.iceberg_jar,
        CACHE / "jars",
        find_java(settings.java),
        choose_spark(VERSION or "", settings.python, settings.spark_homes).home,
    )
    return LocalBackend(tmp_path / "home", replace(settings, iceberg_jar=str(jar)))


def run(backend: LocalBackend, query: str, **conf: str) -> Attempt:
    sink = Sink("out", "pedregal", "mart", "days", input="days")
    spec = JobSpec(
        manifest_id="team/days",
        name="days",
        environment="local",
        engine=EngineSpec(version=VERSION),
        spark_conf=conf,
        core_etl=CoreEtlSpec(job=EtlJob((), (Transformation("days", query),), (sink,))),
        rendered=True,
    )
    asked = request(spec=spec)
    backend.create(asked)
    return wait_for(lambda: (now := backend.get(asked.ref)) and now.state.is_terminal and now, "Spark's end", 180)


def test_no_secret_stays_behind_and_texts_stay_texts(backend: LocalBackend, tmp_path: Path, catalog_home: tuple[Path, str]) -> None:
    done = run(backend, "SELECT '${env:PATH}' AS text, '${spark.app.name}' AS name, CAST('x' AS INT) AS number")
    log, _ = backend.read_log(done.ref)
    assert done.state is State.SUCCEEDED, log
    rows = EmbeddedCatalog(catalog_home[0]).catalog().load_table("mart.days").scan().to_arrow().to_pylist()
    # The last one would be an error in ANSI mode, which is off unless a manifest asks for it.
    assert rows == [{"text": "${env:PATH}", "name": "${spark.app.name}", "number": None}]
    home = tmp_path / "home"
    assert [path for path in home.rglob("*") if path.is_file() and b"hush" in path.read_bytes()] == []
    # Spark itself opens event logs to its group, inside of folders that are closed.
    open_to_others = [path for path in home.rglob("*") if path.stat().st_mode & 0o077 and path.parent.name != "events"]
    assert open_to_others == []


def test_a_file_is_no_table(backend: LocalBackend, tmp_path: Path) -> None:
    (tmp_path / "passwords.csv").write_text("root:x\n")
    done = run(backend, f"SELECT _c0 AS line FROM csv.`{tmp_path / 'passwords.csv'}`")
    assert done.state is State.FAILED
    assert done.failure is not None
    assert done.failure.kind is FailureKind.USER, done.failure


def test_a_manifest_may_choose_ansi_mode(backend: LocalBackend) -> None:
    done = run(backend, "SELECT CAST('x' AS INT) AS number", **{"spark.sql.ansi.enabled": "true"})
    assert done.state is State.FAILED
    assert done.failure is not None
    assert "CAST_INVALID_INPUT" in done.failure.message + done.failure.log_tail
