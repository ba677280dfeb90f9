"""The local backend's settings, and how Java, Spark and the jar are found."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.runner.backends.iceberg_jar import iceberg_jar
from airflow_dcp_provider.runner.backends.java import Java, find_java
from airflow_dcp_provider.runner.backends.local_processes import clean_environment
from airflow_dcp_provider.runner.backends.local_settings import LocalSettings
from airflow_dcp_provider.runner.backends.spark_home import find_spark
from airflow_dcp_provider.runner.machine import usable_memory


def a_java(home: Path, release: str | None = 'JAVA_VERSION="17.0.15"', says: str = "") -> Path:
    (home / "bin").mkdir(parents=True)
    java = home / "bin" / "java"
    java.write_text(f"#!/bin/sh\necho '{says}' >&2\n")
    java.chmod(0o755)
    if release is not None:
        (home / "release").write_text(f"{release}\n")
    return home


class TestSettings:
    def test_they_survive_json(self):
        settings = LocalSettings(spark_submit=("a", "b"), catalogs={"x": {"uri": "u"}}, pass_environment=("N",), max_processes=5)
        assert LocalSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings

    def test_environment_variables_give_them_and_the_caller_has_the_last_word(self):
        variables = {
            "DCP_LOCAL_MAX_PROCESSES": "3",
            "DCP_LOCAL_MEMORY_LIMIT": "4g",
            "DCP_LOCAL_SPARK_UI": "false",
            "DCP_LOCAL_CLASS_ARCHIVE": "make",
            "DCP_LOCAL_ICEBERG_JAR": "/x.jar",
        }
        settings = LocalSettings.from_environment(variables, max_processes=7)
        assert settings == LocalSettings(
            max_processes=7, memory_limit=4 * 2**30, spark_ui=False, class_archive="make", iceberg_jar="/x.jar"
        )

    @pytest.mark.parametrize(
        ("name", "value"),
        [("MAX_PROCESSES", "0"), ("MAX_PROCESSES", "many"), ("MEMORY_LIMIT", "4"), ("CLASS_ARCHIVE", "yes"), ("SPARK_UI", "1")],
    )
    def test_a_wrong_variable_is_named(self, name, value):
        with pytest.raises(DcpEnvironmentError, match=f"DCP_LOCAL_{name}") as caught:
            LocalSettings.from_environment({f"DCP_LOCAL_{name}": value})
        assert caught.value.code == "DCP447"

    def test_memory_is_a_part_of_the_machines(self):
        assert LocalSettings().memory_limit_bytes() == usable_memory() > 2**28
        assert LocalSettings(memory_limit=5).memory_limit_bytes() == 5


class TestJava:
    def test_the_setting_comes_first_then_java_home_then_the_path(self, tmp_path):
        setting, home, path = (a_java(tmp_path / name) for name in ("setting", "home", "path"))
        environment = {"JAVA_HOME": str(home), "PATH": str(path / "bin")}
        assert find_java(str(setting), environment) == Java(setting, "17.0.15")
        assert find_java("", environment).home == home
        assert find_java("", {"PATH": str(path / "bin")}).home == path

    def test_a_java_without_a_release_file_is_asked(self, tmp_path):
        home = a_java(tmp_path / "j", release=None, says='openjdk version "11.0.2" 2019-01-15')
        assert find_java(str(home), {}).version == "11.0.2"

    def test_this_machines_java_fits(self):
        found = find_java()
        asked = subprocess.run([str(found.executable), "-version"], capture_output=True, text=True, check=True)
        assert f'version "{found.version}' in asked.stderr

    @pytest.mark.parametrize("version", ["1.8.0_392", "25.0.1"])
    def test_a_version_that_spark_cannot_use_is_said(self, tmp_path, version):
        home = a_java(tmp_path / "j", release=f'JAVA_VERSION="{version}"')
        with pytest.raises(DcpEnvironmentError) as caught:
            find_java(str(home), {})
        assert caught.value.code == "DCP441"
        assert version in caught.value.message

    def test_none_at_all_says_how_to_get_one(self, tmp_path):
        with pytest.raises(DcpEnvironmentError) as caught:
            find_java("", {"PATH": str(tmp_path)})
        assert caught.value.code == "DCP440"
        assert "openjdk-17-jre-headless" in caught.value.hint

    def test_a_setting_that_leads_nowhere_is_said(self, tmp_path):
        with pytest.raises(DcpEnvironmentError, match="JAVA_HOME says"):
            find_java("", {"JAVA_HOME": str(tmp_path / "gone")})


class TestSpark:
    def test_it_is_found_without_importing_it(self):
        found = find_spark()
        assert (found / "bin" / "spark-submit").exists()
        assert find_spark(sys.executable) == found

    @pytest.mark.parametrize("python", ["/no/such/python", shutil.which("false")])
    def test_a_python_without_it_is_said(self, python):
        with pytest.raises(DcpEnvironmentError) as caught:
            find_spark(python)
        assert caught.value.code == "DCP443"


class TestJar:
    def find(self, setting: str, jars: Path) -> Path:
        return iceberg_jar(setting, jars, find_java(), find_spark())

    def test_a_path(self, tmp_path):
        jar = tmp_path / "my.jar"
        jar.touch()
        assert self.find(str(jar), tmp_path / "jars") == jar

    def test_a_path_that_leads_nowhere(self, tmp_path):
        with pytest.raises(DcpEnvironmentError) as caught:
            self.find(str(tmp_path / "gone.jar"), tmp_path)
        assert caught.value.code == "DCP442"

    def test_a_coordinate_that_was_fetched_before_needs_no_network(self, tmp_path):
        jar = tmp_path / "iceberg-spark-runtime-3.5_2.12-9.9.9.jar"
        jar.touch()
        assert self.find("org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:9.9.9", tmp_path) == jar

    @pytest.mark.parametrize("package", ["no-such-package-at-all", "pytest"])
    def test_a_package_without_one(self, tmp_path, package):
        with pytest.raises(DcpEnvironmentError) as caught:
            self.find(f"package:{package}", tmp_path)
        assert caught.value.code == "DCP442"

    def test_a_package_that_carries_one(self, tmp_path, monkeypatch):
        info = tmp_path / "carrier-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n")
        jar = tmp_path / "carrier" / "iceberg-spark-runtime-3.5_2.12-1.0.jar"
        jar.parent.mkdir()
        jar.touch()
        (info / "RECORD").write_text(f"carrier/{jar.name},,\ncarrier-1.0.dist-info/METADATA,,\n")
        monkeypatch.syspath_prepend(tmp_path)
        assert self.find("package:carrier", tmp_path) == jar


def test_only_known_variables_are_handed_on():
    mine = {"PATH": "p", "HOME": "h", "LC_ALL": "C", "AWS_PROFILE": "x", "MY_OWN": "1"}
    secrets = {"AIRFLOW__CORE__FERNET_KEY": "s", "AIRFLOW_CONN_DB": "s", "SPARK_HOME": "/old", "DB_PASSWORD": "s", "OTHER": "s"}
    assert clean_environment({**mine, **secrets}, keep=("MY_OWN",)) == mine
