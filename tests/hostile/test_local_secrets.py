"""What a connection says of a catalog is in no file, argument or variable that an attempt's SQL or a neighbour could read."""

from __future__ import annotations

from pathlib import Path

from airflow_dcp_provider.core_etl import SECRET_SETTINGS
from airflow_dcp_provider.core_etl.session import secret_settings
from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.runner.backends.local import LocalBackend
from airflow_dcp_provider.runner.backends.local_processes import processes_of
from airflow_dcp_provider.runner.backends.local_secrets import hand_over, without_secrets
from tests.support.executions import job, local_settings, request, wait_for

CATALOG = {"type": "rest", "uri": "http://127.0.0.1:9", "token": "hush-token", "custom": "hush-custom"}
HADOOP = {"spark.hadoop.fs.s3a.secret.key": "hush-hadoop"}


def test_settings_of_connections_go_to_the_driver_alone() -> None:
    properties = {
        "spark.master": "local[1]",
        "spark.sql.catalog.lake": "org.apache.iceberg.spark.SparkCatalog",
        "spark.sql.catalog.lake.token": "hush",
        "spark.sql.catalog.lakeside.uri": "http://127.0.0.1:1",
        **HADOOP,
    }
    plain, handed = without_secrets(properties, ["lake"])
    assert set(handed) == {"spark.sql.catalog.lake.token", *HADOOP}
    assert {**plain, **handed} == properties


def test_the_driver_reads_them_and_then_they_are_gone(tmp_path: Path) -> None:
    secrets = {"spark.sql.catalog.lake.token": "hush é\n", **HADOOP}
    variables = hand_over(secrets, tmp_path / "secrets")
    assert "hush" not in variables[SECRET_SETTINGS]
    assert {oct(file.stat().st_mode & 0o777) for file in (tmp_path / "secrets").iterdir()} == {"0o600"}
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0
    assert secret_settings(variables) == secrets
    assert list((tmp_path / "secrets").iterdir()) == []
    assert hand_over({}, tmp_path / "none") == {}


def test_while_spark_runs_nothing_but_those_files_has_them_and_after_it_nothing(tmp_path: Path) -> None:
    settings = local_settings(tmp_path, catalogs={"pedregal": CATALOG}, spark_defaults=HADOOP)
    backend = LocalBackend(tmp_path, settings)
    asked = request(spec=job(hold=True))
    backend.create(asked)
    wait_for((tmp_path / "starts").exists, "the driver")
    folder = tmp_path / "executions" / asked.ref.execution_id / "1"

    def holders() -> set[str]:
        return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file() and b"hush" in file.read_bytes()}

    (driver,) = processes_of(folder)
    variables = driver.environ()
    assert "hush" not in str(variables) + str(driver.cmdline())
    # The stand-in for Spark reads none of them; our driver has removed them by now.
    wait_for(lambda: all(name.startswith("scratch/secrets/") for name in holders()), "the settings to be removed")
    assert set(secret_settings(variables).values()) >= {"hush-token", "hush-custom", "hush-hadoop"}
    assert holders() == set()
    (tmp_path / "release").touch()
    ended = wait_for(lambda: (now := backend.get(asked.ref)) and now.state.is_terminal and now, "the end")
    assert (ended.state, holders()) == (ExecutionState.SUCCEEDED, set())
