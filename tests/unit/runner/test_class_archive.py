"""When the JVM's class archive is made and used."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_dcp_provider.runner.backends.class_archive import ClassArchive, class_archive
from airflow_dcp_provider.runner.backends.java import Java


@pytest.fixture
def java(tmp_path: Path) -> Java:
    server = tmp_path / "java" / "lib" / "server"
    server.mkdir(parents=True)
    (server / "classes.jsa").touch()
    return Java(tmp_path / "java", "17.0.15")


def archive(tmp_path: Path, java: Java, mode: str = "make") -> ClassArchive:
    (tmp_path / "iceberg.jar").touch()
    return class_archive(tmp_path / "cache", tmp_path, mode, java=java, spark_home=tmp_path, jar=tmp_path / "iceberg.jar")


def test_it_is_made_once_and_then_used(tmp_path, java):
    first = archive(tmp_path, java)
    assert first.options() == (f"-XX:ArchiveClassesAtExit={first.new}",)
    first.new.touch()
    first.keep()
    assert archive(tmp_path, java).options() == (f"-XX:SharedArchiveFile={first.path}",)
    assert archive(tmp_path, java, "use").options() == (f"-XX:SharedArchiveFile={first.path}",)


def test_no_run_makes_it_unasked(tmp_path, java):
    assert archive(tmp_path, java, "use").options() == ()


def test_a_java_without_an_archive_of_its_own_is_left_alone(tmp_path, java):
    (java.home / "lib" / "server" / "classes.jsa").unlink()
    assert archive(tmp_path, java).options() == ()
