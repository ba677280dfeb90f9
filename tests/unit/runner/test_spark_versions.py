"""The table of Spark versions agrees with what installs, locks, builds and describes them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.job import EngineSpec, JobSpec
from airflow_dcp_provider.model.spark_versions import DEFAULT_SPARK_VERSION, SPARK_VERSIONS, SparkVersion, release_line, serves
from airflow_dcp_provider.runner.identity import fingerprint, job_fingerprint

ROOT = Path(__file__).resolve().parents[3]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
ROWS = list(SPARK_VERSIONS.values())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_version_has_an_extra_of_its_own(row: SparkVersion) -> None:
    (pyspark,) = (Requirement(each) for each in EXTRAS[row.extra] if each.startswith("pyspark"))
    assert pyspark.specifier.contains(row.pyspark)
    for other in ROWS:
        assert pyspark.specifier.contains(other.pyspark) == (other is row)
    assert pyspark.specifier.contains(row.image)


def test_the_extra_local_is_the_defaults() -> None:
    assert EXTRAS["local"] == [f"airflow-dcp-provider[{SPARK_VERSIONS[DEFAULT_SPARK_VERSION].extra}]"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_locked_release_is_the_tables(row: SparkVersion) -> None:
    name = "dev" if row.name == DEFAULT_SPARK_VERSION else row.extra.removeprefix("local-")
    assert re.findall(r"^pyspark==(\S+)", (ROOT / "locks" / f"{name}.txt").read_text(), re.MULTILINE) == [row.pyspark]
    if name != "dev":
        assert (ROOT / "locks" / f"{name}.in").read_text() == f"pyspark=={row.pyspark}\n"


@pytest.mark.parametrize(
    ("version", "requested", "expected"),
    [("3.5.9", "3.5", True), ("3.5.9", "3.5.9", True), ("3.5.9", "3.5.1", False), ("3.5.9", "3.50", False), ("4.1.4", "4", True)],
)
def test_a_line_means_all_of_its_releases(version: str, requested: str, expected: bool) -> None:
    assert serves(version, requested) is expected
    assert release_line("4.1.4") == release_line("4.1") == "4.1"


def test_an_environment_names_the_version_of_jobs_without_one() -> None:
    nothing, newest = EngineSpec(), EngineSpec(version="4.1")
    assert Environment("prod").spark_version_of(nothing) == DEFAULT_SPARK_VERSION
    assert Environment("prod", spark_version="4.0").spark_version_of(nothing) == "4.0"
    assert Environment("prod", spark_version="4.0").spark_version_of(newest) == "4.1"


def test_a_job_without_a_version_keeps_the_fingerprint_that_it_had() -> None:
    """It was that of a job for 3.5, and proofs in snapshots and running executions carry it."""
    unnamed, named = (JobSpec("t/n", "n", "local", engine=EngineSpec(version=version)).to_dict() for version in (None, "3.5"))
    assert job_fingerprint(unnamed) == job_fingerprint(named) == fingerprint(named)
    assert unnamed["engine"]["version"] is None
    other = JobSpec("t/n", "n", "local", engine=EngineSpec(version="4.1")).to_dict()
    assert job_fingerprint(other) == fingerprint(other) != fingerprint(named)
    # What a hand-written DAG gives as its job need not have all the fields.
    for plain in ({"name": "n"}, {"engine": {"type": "spark-oss"}}):
        assert job_fingerprint(plain) == fingerprint(plain)
