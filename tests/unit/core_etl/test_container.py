"""What the driver does in a container of its own: secrets from variables, a termination message, a zip beside its main file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_dcp_provider.core_etl.bundle import lay_driver
from airflow_dcp_provider.core_etl.faults import EXIT_PLATFORM, DriverError
from airflow_dcp_provider.core_etl.report import TERMINATION_LOG, tell_container
from airflow_dcp_provider.core_etl.session import SECRET_SETTINGS, secret_settings


class TestSecrets:
    NAMED = json.dumps({"spark.sql.catalog.pedregal.credential": "DCP_CATALOG_PEDREGAL_CREDENTIAL"})

    def test_settings_get_the_variables_values(self):
        variables = {SECRET_SETTINGS: self.NAMED, "DCP_CATALOG_PEDREGAL_CREDENTIAL": "me:hush"}
        assert secret_settings(variables) == {"spark.sql.catalog.pedregal.credential": "me:hush"}

    @pytest.mark.parametrize("variables", [{}, {SECRET_SETTINGS: ""}])
    def test_without_secrets_there_are_none(self, variables):
        assert secret_settings(variables) == {}

    def test_a_secret_that_was_promised_and_is_not_there_is_named(self):
        with pytest.raises(DriverError, match="DCP_CATALOG_PEDREGAL_CREDENTIAL") as caught:
            secret_settings({SECRET_SETTINGS: self.NAMED})
        assert (caught.value.code, caught.value.exit_code) == ("DCP337", EXIT_PLATFORM)
        assert "catalog_secrets" in caught.value.hint


class TestTerminationMessage:
    def test_it_is_the_result_line(self, tmp_path: Path):
        tell_container("DCP_RESULT {}", str(tmp_path / "log"))
        assert (tmp_path / "log").read_text() == "DCP_RESULT {}\n"

    @pytest.mark.parametrize(("size", "written"), [(4095, True), (4096, False)])
    def test_half_a_result_would_be_none(self, tmp_path: Path, size: int, written: bool):
        tell_container("x" * size, str(tmp_path / "log"))
        assert (tmp_path / "log").exists() is written

    def test_where_nobody_reads_one_none_is_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.chdir(tmp_path)
        tell_container("DCP_RESULT {}", None)
        tell_container("DCP_RESULT {}", "")
        assert list(tmp_path.iterdir()) == []

    def test_one_that_cannot_be_written_fails_nothing(self, tmp_path: Path, caplog: pytest.LogCaptureFixture):
        tell_container("DCP_RESULT {}", str(tmp_path))
        assert "termination message" in caplog.text


def test_main_finds_the_zip_beside_it_and_the_result_reaches_the_container(tmp_path: Path):
    """As in a ConfigMap's volume: main file, zip and job spec in one folder, the project not installed."""
    lay_driver(tmp_path)
    message = tmp_path / "termination-log"
    done = subprocess.run(
        [sys.executable, "-I", str(tmp_path / "main.py"), "--job-spec", str(tmp_path / "missing.json")],
        env={TERMINATION_LOG: str(message)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 20, done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith("DCP_RESULT ")
    assert json.loads(last.removeprefix("DCP_RESULT "))["error"]["code"] == "DCP320"
    assert message.read_text() == f"{last}\n"
