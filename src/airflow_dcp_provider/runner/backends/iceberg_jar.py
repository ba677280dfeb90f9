"""Finds the Iceberg runtime jar for Spark: a path, a Maven coordinate that is fetched once, or a Python package that carries it."""

from __future__ import annotations

import re
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path

from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.runner.backends.java import Java
from airflow_dcp_provider.runner.locks import locked

_COORDINATE = re.compile(r"([\w.-]+):([\w.-]+):([\w.-]+)")
_PACKAGE = "package:"

#: Seconds that a download may take.
_FETCH_PATIENCE = 600.0


def iceberg_jar(setting: str, jars: Path, java: Java, spark_home: Path) -> Path:
    """Return the path of the jar that ``setting`` means; a Maven coordinate is fetched into ``jars`` the first time.

    :param setting: a path, ``group:artifact:version``, or ``package:<distribution>``.
    :param jars: folder that fetched jars are kept in.
    :param spark_home: pyspark's folder; its own Ivy fetches.
    :raises DcpEnvironmentError: DCP442 when there is no such jar or it cannot be fetched.
    """
    if setting.startswith(_PACKAGE):
        return _packaged(setting.removeprefix(_PACKAGE))
    match = _COORDINATE.fullmatch(setting)
    if not match:
        path = Path(setting).expanduser()
        if not path.is_file():
            raise DcpEnvironmentError(
                f"the Iceberg jar {path} is not there",
                code="DCP442",
                hint="set the jar to a path, a Maven coordinate or package:<distribution>",
            )
        return path.resolve()
    _, artifact, version = match.groups()
    jar = jars / f"{artifact}-{version}.jar"
    if not jar.is_file():
        jars.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(jars / ".lock"):
            # Another process may have fetched it while we waited.
            if not jar.is_file():
                _fetch(match.groups(), jar, java, spark_home)
    return jar


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
