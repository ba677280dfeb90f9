"""Which Spark, which Iceberg runtime and which Java a job gets; never another version than it asks for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.job import EngineSpec, JobSpec
from airflow_dcp_provider.model.spark_versions import DEFAULT_SPARK_VERSION, SPARK_VERSIONS
from airflow_dcp_provider.runner.backends.iceberg_jar import iceberg_jar, jar_for
from airflow_dcp_provider.runner.backends.java import find_java
from airflow_dcp_provider.runner.backends.local_settings import LocalSettings
from airflow_dcp_provider.runner.backends.machine_check import check_machine
from airflow_dcp_provider.runner.backends.spark_home import Spark, choose_spark, find_spark, spark_at
from tests.support.spark_homes import a_spark, a_venv

OWN = spark_at(find_spark())


@pytest.fixture
def homes(tmp_path: Path) -> list[str]:
    """A Spark 4.0 as a distribution, and a 4.1 in a virtual environment."""
    return [str(a_spark(tmp_path / "spark-4.0", "4.0.5")), str(a_venv(tmp_path / "venv-4.1", "4.1.4"))]


class TestSpark:
    def test_the_installed_one_is_of_the_default_version(self) -> None:
        assert OWN is not None
        assert (OWN.line, OWN.scala) == (DEFAULT_SPARK_VERSION, SPARK_VERSIONS[DEFAULT_SPARK_VERSION].scala)

    @pytest.mark.parametrize(
        ("requested", "version"),
        [("4.0", "4.0.5"), ("4.0.5", "4.0.5"), ("4.1", "4.1.4"), ("4.1.4", "4.1.4"), ("4", "4.0.5"), ("3.5", OWN and OWN.version)],
    )
    def test_the_requested_version_is_found_wherever_it_is(self, homes: list[str], requested: str, version: str) -> None:
        assert choose_spark(requested, homes=homes).version == version
        assert choose_spark(requested, homes=reversed(homes)).line.startswith(requested[:3])

    def test_a_job_without_a_version_gets_the_drivers_own_pyspark(self, homes: list[str]) -> None:
        assert choose_spark(homes=homes) == OWN
        assert choose_spark(python=sys.executable, homes=homes) == OWN

    def test_where_the_drivers_python_has_none_the_first_home_is_taken(self, homes: list[str], tmp_path: Path) -> None:
        python = tmp_path / "bare"
        python.write_text("#!/bin/sh\n")
        python.chmod(0o755)
        assert choose_spark(python=str(python), homes=homes).version == "4.0.5"
        with pytest.raises(DcpEnvironmentError) as caught:
            choose_spark(python=str(python))
        assert caught.value.code == "DCP443"

    def test_a_home_may_be_a_spark_an_environment_or_its_python(self, homes: list[str]) -> None:
        _, venv = homes
        for place in (venv, f"{venv}/bin/python", f"{venv}/lib/python3.12/site-packages/pyspark"):
            assert choose_spark("4.1", homes=[place]).version == "4.1.4"

    @pytest.mark.parametrize("requested", ["4.1", "4.0.4", "3.4", "3", "35", "3.50", "4.0.50"])
    def test_no_other_version_takes_its_place(self, tmp_path: Path, requested: str) -> None:
        homes = [str(a_spark(tmp_path / "spark-4.0", "4.0.5"))]
        if requested == "3":
            assert choose_spark(requested, homes=homes) == OWN
            return
        with pytest.raises(DcpEnvironmentError) as caught:
            choose_spark(requested, homes=homes, job="team/days")
        error = caught.value
        assert error.code == "DCP436"
        assert OWN is not None
        assert error.message == (
            f"team/days asks for Spark {requested}, which this machine does not have; "
            f"it has {OWN.version} ({OWN.home}), 4.0.5 ({homes[0]})"
        )

    @pytest.mark.parametrize(
        ("requested", "advice"),
        [
            ("4.1", "pip install pyspark==4.1.4`"),
            ("4.1.1", "pip install pyspark==4.1.1`"),
            ("4.0", "its extra `local-spark40`"),
            ("3.5.0", "its extra `local`"),
            ("9.9", "runs on Spark 3.5, 4.0, 4.1; change `engine.version`"),
        ],
    )
    def test_the_error_says_how_to_get_it(self, requested: str, advice: str) -> None:
        with pytest.raises(DcpEnvironmentError) as caught:
            choose_spark(requested)
        assert advice in caught.value.hint

    def test_a_place_without_a_spark_is_said(self, tmp_path: Path) -> None:
        (tmp_path / "venv" / "bin").mkdir(parents=True)
        (tmp_path / "venv" / "bin" / "python").symlink_to("/bin/true")
        for place in (tmp_path / "gone", tmp_path, tmp_path / "venv"):
            with pytest.raises(DcpEnvironmentError, match=f"no Spark in {place}") as caught:
                choose_spark("4.1", homes=[str(place)])
            assert caught.value.code == "DCP439"

    def test_a_folder_without_jars_is_no_spark(self, tmp_path: Path) -> None:
        home = a_spark(tmp_path / "s", "4.1.4")
        assert spark_at(home) == Spark(home, "4.1.4", "2.13")
        next((home / "jars").iterdir()).unlink()
        assert spark_at(home) is None


class TestRuntime:
    @pytest.mark.parametrize("name", SPARK_VERSIONS)
    def test_each_version_has_its_own(self, name: str, tmp_path: Path) -> None:
        row = SPARK_VERSIONS[name]
        assert jar_for("", Spark(tmp_path, row.pyspark, row.scala)) == row.iceberg_jar
        assert f"iceberg-spark-runtime-{name}_{row.scala}:" in row.iceberg_jar

    @pytest.mark.parametrize(
        ("setting", "choice"),
        [
            ("/jars/iceberg-spark-runtime-4.1_2.13-1.12.0.jar", "/jars/iceberg-spark-runtime-4.1_2.13-1.12.0.jar"),
            ("/jars/mine.jar", "/jars/mine.jar"),
            ("g:iceberg-spark-runtime-3.5_2.12:1, g:iceberg-spark-runtime-4.1_2.13:2", "g:iceberg-spark-runtime-4.1_2.13:2"),
            ("package:carrier", "package:carrier"),
        ],
    )
    def test_a_setting_goes_first(self, setting: str, choice: str, tmp_path: Path) -> None:
        assert jar_for(setting, Spark(tmp_path, "4.1.4", "2.13")) == choice

    @pytest.mark.parametrize(
        "setting", ["g:iceberg-spark-runtime-3.5_2.12:1", "/iceberg-spark-runtime-4.1_2.12-1.jar", "/4.0_2.13/"]
    )
    def test_one_for_another_spark_or_scala_is_refused(self, setting: str, tmp_path: Path) -> None:
        setting = setting.replace("/4.0_2.13/", "/x/iceberg-spark-runtime-4.0_2.13-1.jar")
        with pytest.raises(DcpEnvironmentError, match=r"runs on Spark 4\.1\.4 \(Scala 2\.13\)") as caught:
            jar_for(setting, Spark(tmp_path, "4.1.4", "2.13"))
        assert caught.value.code == "DCP437"
        assert SPARK_VERSIONS["4.1"].iceberg_jar in caught.value.hint

    def test_a_link_does_not_hide_what_a_jar_is_for(self, tmp_path: Path) -> None:
        jar = tmp_path / "iceberg-spark-runtime-4.0_2.13-1.jar"
        jar.touch()
        (tmp_path / "mine.jar").symlink_to(jar)
        with pytest.raises(DcpEnvironmentError) as caught:
            iceberg_jar(str(tmp_path / "mine.jar"), tmp_path, find_java(), find_spark())
        assert caught.value.code == "DCP437"

    def test_an_unknown_version_needs_a_setting(self, tmp_path: Path) -> None:
        spark = Spark(tmp_path, "5.0.0", "3.3")
        assert jar_for("/jars/mine.jar", spark) == "/jars/mine.jar"
        with pytest.raises(DcpEnvironmentError, match=r"Spark 5\.0\.0") as caught:
            jar_for("", spark)
        assert caught.value.code == "DCP438"


class TestMachine:
    def java(self, home: Path, version: str) -> str:
        (home / "bin").mkdir(parents=True)
        (home / "bin" / "java").touch(mode=0o755)
        (home / "release").write_text(f'JAVA_VERSION="{version}"\n')
        return str(home)

    def test_spark_4_needs_a_newer_java_than_spark_3(self, homes: list[str], tmp_path: Path) -> None:
        eleven, seventeen = self.java(tmp_path / "11", "11.0.2"), self.java(tmp_path / "17", "17.0.15")
        settings = LocalSettings(java=eleven, spark_homes=tuple(homes))
        assert check_machine(JobSpec("", "", ""), settings)[1].version == "11.0.2"
        job = JobSpec("team/days", "days", "local", engine=EngineSpec(version="4.0"))
        with pytest.raises(DcpEnvironmentError, match=r"Spark 4\.0 needs 17 \(21 works too\)") as caught:
            check_machine(job, settings)
        assert caught.value.code == "DCP441"
        spark, java = check_machine(job, LocalSettings(java=seventeen, spark_homes=tuple(homes)))
        assert (spark.version, java.version) == ("4.0.5", "17.0.15")

    def test_the_environments_version_is_that_of_jobs_without_one(self, homes: list[str]) -> None:
        settings = LocalSettings(spark_homes=tuple(homes), spark_version="4.1")
        assert check_machine(JobSpec("", "", ""), settings)[0].version == "4.1.4"
        assert check_machine(JobSpec("", "", "", engine=EngineSpec(version="4.0")), settings)[0].version == "4.0.5"

    def test_a_runtime_for_another_spark_is_found_out_before_anything_starts(self, homes: list[str]) -> None:
        settings = LocalSettings(spark_homes=tuple(homes), iceberg_jar=SPARK_VERSIONS["3.5"].iceberg_jar)
        with pytest.raises(DcpEnvironmentError) as caught:
            check_machine(JobSpec("", "", "", engine=EngineSpec(version="4.1")), settings)
        assert caught.value.code == "DCP437"

    def test_environment_variables_name_places(self) -> None:
        variables = {"DCP_LOCAL_SPARK_HOMES": "/opt/a:/opt/b:", "SPARK_HOME": "/opt/c"}
        assert LocalSettings.from_environment(variables).spark_homes == ("/opt/a", "/opt/b", "/opt/c")
        assert LocalSettings.from_environment({"SPARK_HOME": "/opt/c"}, spark_homes=("/opt/d",)).spark_homes == ("/opt/d", "/opt/c")
        assert LocalSettings.from_environment({}).spark_homes == ()
