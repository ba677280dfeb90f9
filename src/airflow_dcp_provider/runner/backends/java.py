"""Finds a Java that can run Spark, and says how to get one where there is none."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.spark_versions import DEFAULT_SPARK_VERSION, SPARK_VERSIONS, release_line

_GET_ONE = "install a Java 17 runtime (for example Debian's openjdk-17-jre-headless), or set JAVA_HOME to where one is"

_DEFAULT = SPARK_VERSIONS[DEFAULT_SPARK_VERSION]


@dataclass(frozen=True)
class Java:
    """A Java: its ``home`` folder, its full ``version`` (``17.0.15``)."""

    home: Path
    version: str

    @property
    def executable(self) -> Path:
        """The ``java`` command."""
        return self.home / "bin" / "java"


def find_java(
    setting: str = "",
    environment: Mapping[str, str] | None = None,
    *,
    spark: str = _DEFAULT.pyspark,
    javas: tuple[int, ...] = _DEFAULT.javas,
) -> Java:
    """Return the Java to use: the setting's, ``JAVA_HOME``'s, or the PATH's.

    :param setting: a Java home, or empty.
    :param spark: the version of the Spark that it is for.
    :param javas: the major versions that this Spark runs on, the recommended one first.
    :raises DcpEnvironmentError: DCP440 when there is none where it should be, DCP441 when it is of a version that Spark cannot use.
    """
    known = os.environ if environment is None else environment
    for origin, home in (("the setting", setting), ("JAVA_HOME", known.get("JAVA_HOME", ""))):
        if home:
            if not (Path(home) / "bin" / "java").exists():
                raise DcpEnvironmentError(
                    f"{origin} says that Java is in {home}, but {home}/bin/java is not there", code="DCP440", hint=_GET_ONE
                )
            return _checked(Path(home), spark, javas)
    if command := shutil.which("java", path=known.get("PATH")):
        return _checked(Path(command).resolve().parent.parent, spark, javas)
    raise DcpEnvironmentError("no Java was found", code="DCP440", hint=_GET_ONE)


def _checked(home: Path, spark: str, javas: tuple[int, ...]) -> Java:
    version = _version(home)
    if int(version.split(".")[0]) not in javas:
        recommended, *others = javas
        raise DcpEnvironmentError(
            f"the Java in {home} is version {version}; Spark {release_line(spark)} needs {recommended} "
            f"({' and '.join(str(other) for other in others)} {'work' if len(others) > 1 else 'works'} too)",
            code="DCP441",
            hint=_GET_ONE,
        )
    return Java(home, version)


def _version(home: Path) -> str:
    """Return the version: from the file ``release``, which is there in every common build, else by asking."""
    try:
        text = (home / "release").read_text(encoding="utf-8")
    except OSError:
        text = ""
    if match := re.search(r'^JAVA_VERSION="([\d._]+)', text, re.MULTILINE):
        return match.group(1)
    try:
        asked = subprocess.run([str(home / "bin" / "java"), "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DcpEnvironmentError(f"the Java in {home} cannot be run: {error}", code="DCP440", hint=_GET_ONE) from error
    match = re.search(r'version "([\d._]+)', asked.stderr)
    if not match:
        raise DcpEnvironmentError(f"the Java in {home} does not say its version", code="DCP441", hint=_GET_ONE)
    return match.group(1)
