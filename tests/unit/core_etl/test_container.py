"""What the driver does in a container of its own: secrets from variables, a termination message, a zip beside its main file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_dcp_provider.core_etl import SECRET_SETTINGS
from airflow_dcp_provider.core_etl.bundle import lay_driver
from airflow_dcp_provider.core_etl.faults import EXIT_PLATFORM, DriverError
from airflow_dcp_provider.core_etl.report import TERMINATION_LOG, Report, SinkResult, deliver
from airflow_dcp_provider.core_etl.session import secret_settings
from airflow_dcp_provider.runner.diagnosis import authentic_result

SETTING = "spark.sql.catalog.pedregal.credential"


class TestSecrets:
    def test_a_setting_gets_the_value_of_its_file_which_is_removed(self, tmp_path: Path):
        file = tmp_path / "credential"
        file.write_text("me:hush")
        assert secret_settings({SECRET_SETTINGS: json.dumps({SETTING: str(file)})}) == {SETTING: "me:hush"}
        assert not file.exists()

    def test_a_file_in_a_folder_for_reading_only_stays(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """As a Secret is mounted."""
        file = tmp_path / "credential"
        file.write_text("me:hush")

        def refuse(path: Path) -> None:
            raise OSError(30, "Read-only file system", str(path))

        monkeypatch.setattr(Path, "unlink", refuse)
        assert secret_settings({SECRET_SETTINGS: json.dumps({SETTING: str(file)})}) == {SETTING: "me:hush"}

    def test_a_name_without_a_slash_is_a_variable(self):
        named = json.dumps({SETTING: "DCP_CATALOG_PEDREGAL_CREDENTIAL"})
        variables = {SECRET_SETTINGS: named, "DCP_CATALOG_PEDREGAL_CREDENTIAL": "me:hush"}
        assert secret_settings(variables) == {SETTING: "me:hush"}

    @pytest.mark.parametrize("variables", [{}, {SECRET_SETTINGS: ""}])
    def test_without_secrets_there_are_none(self, variables):
        assert secret_settings(variables) == {}

    @pytest.mark.parametrize("source", ["DCP_CATALOG_PEDREGAL_CREDENTIAL", "/nowhere/credential"])
    def test_a_secret_that_was_promised_and_is_not_there_is_named(self, source: str):
        with pytest.raises(DriverError, match=source) as caught:
            secret_settings({SECRET_SETTINGS: json.dumps({SETTING: source})})
        assert (caught.value.code, caught.value.exit_code) == ("DCP337", EXIT_PLATFORM)
        assert "catalog_secrets" in caught.value.hint


class TestDelivery:
    def test_the_file_has_the_result_line(self, tmp_path: Path):
        deliver("DCP_RESULT {}", str(tmp_path / "log"))
        assert (tmp_path / "log").read_text() == "DCP_RESULT {}\n"

    @pytest.mark.parametrize("sinks", [1, 12, 13, 14, 15, 100])
    @pytest.mark.parametrize("error", [None, DriverError("DCP322", "\u6f22" * 9_000, "\u5b57" * 9_000)])
    def test_a_result_that_does_not_fit_is_delivered_by_its_digest(self, tmp_path: Path, sinks: int, error: DriverError | None):
        report = Report([SinkResult("s" * 40, "a.b.c", "written", 2**62, 2**62, "ds=2013-01-01" * 10)] * sinks, error=error)
        line = report.line()
        deliver(line, str(tmp_path / "log"))
        delivered = (tmp_path / "log").read_text()
        assert len(delivered) <= 4096
        expected = json.loads(line.removeprefix("DCP_RESULT "))
        assert authentic_result(delivered, f"24/11/22 INFO x\n{line}\nbye\n") == expected
        if len(line) >= 4096:
            # Without the line in the log it is known how the driver ended, and nothing of its sinks.
            without = authentic_result(delivered, "")
            assert without is not None
            assert (without["status"], without["sinks"]) == (expected["status"], [])

    def test_where_nobody_reads_one_none_is_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.chdir(tmp_path)
        deliver("DCP_RESULT {}", None)
        deliver("DCP_RESULT {}", "")
        assert list(tmp_path.iterdir()) == []

    def test_one_that_cannot_be_written_fails_nothing(self, tmp_path: Path, caplog: pytest.LogCaptureFixture):
        deliver("DCP_RESULT {}", str(tmp_path))
        assert "the result could not be written" in caplog.text


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
