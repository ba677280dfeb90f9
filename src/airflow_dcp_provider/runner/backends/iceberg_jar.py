"""Finds the Iceberg runtime for a Spark: a path, a Maven coordinate that is fetched once, or a Python package that carries it."""

from __future__ import annotations

import re
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path

from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.spark_versions import SPARK_VERSIONS
from airflow_dcp_provider.runner.backends.java import Java
from airflow_dcp_provider.runner.backends.spark_home import Spark, spark_at
from airflow_dcp_provider.runner.locks import locked

_COORDINATE = re.compile(r"([\w.-]+):([\w.-]+):([\w.-]+)")
_RUNTIME = re.compile(r"iceberg-spark-runtime-(\d+\.\d+)_(\d+\.\d+)")
_PACKAGE = "package:"

#: Seconds that a download may take.
_FETCH_PATIENCE = 600.0


def iceberg_jar(setting: str, jars: Path, java: Java, spark_home: Path) -> Path:
    """Return the path of the jar that ``setting`` means; a Maven coordinate is fetched into ``jars`` the first time.

    :param setting: as :func:`jar_for` reads it.
    :param jars: folder that fetched jars are kept in.
    :param spark_home: the Spark that the jar is for; its own Ivy fetches.
    :raises DcpEnvironmentError: DCP442 when there is no such jar or it cannot be fetched, DCP437 and DCP438 as :func:`jar_for`.
    """
    spark = spark_at(spark_home)
    if spark is None:
        raise DcpEnvironmentError(f"there is no Spark in {spark_home}", code="DCP443", hint="install pyspark again")
    choice = jar_for(setting, spark)
    match = _COORDINATE.fullmatch(choice)
    if not match:
        path = _packaged(choice.removeprefix(_PACKAGE)) if choice.startswith(_PACKAGE) else Path(choice).expanduser().resolve()
        if not path.is_file():
            raise DcpEnvironmentError(
                f"the Iceberg jar {path} is not there",
                code="DCP442",
                hint="set the jar to a path, a Maven coordinate or package:<distribution>",
            )
        if not _fits(path.name, spark):
            # A package's name says nothing of what it carries.
            raise _other_spark(path.name, spark)
        return path
    _, artifact, version = match.groups()
    jar = jars / f"{artifact}-{version}.jar"
    if not jar.is_file():
        jars.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(jars / ".lock"):
            # Another process may have fetched it while we waited.
            if not jar.is_file():
                _fetch(match.groups(), jar, java, spark_home)
    return jar


def jar_for(setting: str, spark: Spark) -> str:
    """Return the part of ``setting`` that is for ``spark``; where nothing is set, the tested runtime's Maven coordinate.

    :param setting: a path, ``group:artifact:version``, or ``package:<distribution>``; several with commas between, one for each
        Spark. A runtime whose name says another version of Spark or Scala is never taken.
    :raises DcpEnvironmentError: DCP437 when all of them are for other versions, DCP438 when nothing is set and no runtime is
        known for this version.
    """
    choices = [part.strip() for part in setting.split(",") if part.strip()]
    if not choices:
        row = SPARK_VERSIONS.get(spark.line)
        if row is None:
            raise DcpEnvironmentError(
                f"no Iceberg runtime is known for Spark {spark.version}",
                code="DCP438",
                hint=f"use Spark {', '.join(SPARK_VERSIONS)}, or name a runtime in [dcp] iceberg_jar or DCP_LOCAL_ICEBERG_JAR",
            )
        return row.iceberg_jar
    for choice in choices:
        if _fits(choice, spark):
            return choice
    raise _other_spark(", ".join(choices), spark)


def _fits(name: str, spark: Spark) -> bool:
    """Whether a runtime is for ``spark``, as far as its name says."""
    match = _RUNTIME.search(name.rpartition("/")[2])
    return match is None or (match[1], match[2]) == (spark.line, spark.scala)


def _other_spark(names: str, spark: Spark) -> DcpEnvironmentError:
    row = SPARK_VERSIONS.get(spark.line)
    advice = f"add one for it, with a comma between, for example {row.iceberg_jar}" if row else "name a runtime for this Spark"
    return DcpEnvironmentError(
        f"the job runs on Spark {spark.version} (Scala {spark.scala}), and the Iceberg runtime that is set is for another: {names}",
        code="DCP437",
        hint=f"{advice}; or leave [dcp] iceberg_jar and DCP_LOCAL_ICEBERG_JAR empty, then the fitting one is fetched",
    )


def _packaged(distribution: str) -> Path:
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name.startswith("iceberg-spark-runtime") and file.suffix == ".jar":
            return Path(str(file.locate())).resolve()
    raise DcpEnvironmentError(
        f"no installed Python package `{distribution}` carries an Iceberg runtime jar",
        code="DCP442",
        hint=f"install {distribution}, or set the jar to a path or a Maven coordinate",
    )


def _fetch(coordinate: tuple[str, ...], jar: Path, java: Java, spark_home: Path) -> None:
    ivy = sorted((spark_home / "jars").glob("ivy-2*.jar"))
    if not ivy:
        raise DcpEnvironmentError(f"{spark_home} carries no Ivy to fetch jars with", code="DCP443", hint="install pyspark again")
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=jar.parent) as folder:
        command = [
            str(java.executable), "-jar", str(ivy[-1]), "-dependency", *coordinate, "-confs", "default",
            "-cache", f"{folder}/cache", "-retrieve", f"{folder}/[artifact]-[revision].[ext]", "-types", "jar",
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_FETCH_PATIENCE, check=False)
            output = done.stdout + done.stderr
        except (OSError, subprocess.TimeoutExpired) as error:
            output = str(error)
        fetched = Path(folder) / jar.name
        if not fetched.is_file():
            why = next(
                (line.strip() for line in output.splitlines() if "not found" in line or "Exception" in line), output[-300:].strip()
            )
            raise DcpEnvironmentError(
                f"the Iceberg jar {':'.join(coordinate)} could not be fetched: {why}",
                code="DCP442",
                hint=f"check the network and the coordinate, or put the jar at {jar}",
            )
        fetched.replace(jar)
