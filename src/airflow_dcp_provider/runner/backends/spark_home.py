"""Finds the Spark that a job runs on, among those that this machine has; pyspark is never imported for it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.spark_versions import DEFAULT_SPARK_VERSION, SPARK_VERSIONS, release_line, serves

_HINT = "install the package with its extra `local`, or name a Spark in DCP_LOCAL_SPARK_HOMES"
_ASK = "import importlib.util as u; s = u.find_spec('pyspark'); print(s.submodule_search_locations[0] if s else '')"
_CORE = re.compile(r"spark-core_(\d+\.\d+)-(\d+\.\d+\.\d+.*)\.jar")


@dataclass(frozen=True)
class Spark:
    """One installed Spark.

    :param home: pyspark's folder, or that of a Spark distribution.
    :param version: its release, for example ``3.5.9``.
    :param scala: the Scala version of its jars.
    """

    home: Path
    version: str
    scala: str

    @property
    def line(self) -> str:
        """Its release line, for example ``3.5``."""
        return release_line(self.version)

    @property
    def javas(self) -> tuple[int, ...]:
        """The major versions of Java that it runs on; those of the newest known line for one that is not known."""
        row = SPARK_VERSIONS.get(self.line) or list(SPARK_VERSIONS.values())[-1]
        return row.javas


def spark_at(home: Path) -> Spark | None:
    """Return the Spark whose home is ``home``, or None; its version is that of its own jar, which nobody can misstate."""
    if not (home / "bin" / "spark-submit").exists():
        return None
    names = (_CORE.fullmatch(path.name) for path in sorted((home / "jars").glob("spark-core_*.jar")))
    return next((Spark(home, match[2], match[1]) for match in names if match), None)


def find_spark(python: str = "") -> Path:
    """Return the folder of the pyspark that the driver's Python uses.

    :param python: that Python, or empty for this one.
    :raises DcpEnvironmentError: DCP443 when it has none.
    """
    folder = _pyspark_of(python)
    if not folder or not (Path(folder) / "bin" / "spark-submit").exists():
        owner = python or "this Python"
        raise DcpEnvironmentError(f"{owner} has no package pyspark with a Spark in it", code="DCP443", hint=_HINT)
    return Path(folder)


def choose_spark(requested: str = "", python: str = "", homes: Iterable[str] = (), job: str = "the job") -> Spark:
    """Return the installed Spark that a job runs on. No other version ever takes the place of the requested one.

    :param requested: ``4.1`` for any release of that line, ``4.1.4`` for that one; empty for the first that is installed.
    :param python: the driver's Python, or empty for this one; its pyspark is looked at first.
    :param homes: where further Sparks are, see :attr:`LocalSettings.spark_homes`.
    :param job: begins the message when it is not installed.
    :raises DcpEnvironmentError: DCP443 when there is none at all, DCP436 when the requested version is not installed, DCP439 when
        a place of ``homes`` holds no Spark.
    """
    installed = []
    try:
        missing = None
        own = spark_at(find_spark(python))
    except DcpEnvironmentError as error:
        missing, own = error, None
    if own:
        installed.append(own)
        if not requested or serves(own.version, requested):
            return own
    installed += [_spark_of(place) for place in homes]
    fitting = [spark for spark in installed if not requested or serves(spark.version, requested)]
    if fitting:
        return fitting[0]
    if not installed:
        raise missing or DcpEnvironmentError(
            f"the pyspark of {python or 'this Python'} has no jar spark-core, so that its version is not known",
            code="DCP443",
            hint=_HINT,
        )
    listing = ", ".join(f"{spark.version} ({spark.home})" for spark in installed)
    raise DcpEnvironmentError(
        f"{job} asks for Spark {requested}, which this machine does not have; it has {listing}",
        code="DCP436",
        hint=_how_to_get(requested),
    )


def _how_to_get(requested: str) -> str:
    row = SPARK_VERSIONS.get(release_line(requested))
    if row is None:
        return f"this version runs on Spark {', '.join(SPARK_VERSIONS)}; change `engine.version` in the manifest"
    release = requested if requested.count(".") >= 2 else row.pyspark
    steps = f"`python -m venv spark-{row.name} && spark-{row.name}/bin/pip install pyspark=={release}`"
    own = "local" if row.name == DEFAULT_SPARK_VERSION else row.extra
    return (
        f"install it beside the others, {steps}, and name that folder in DCP_LOCAL_SPARK_HOMES; "
        f"or install this package with its extra `{own}` to have {row.name} alone"
    )


def _spark_of(place: str) -> Spark:
    """Return the Spark of one place: its home, a virtual environment with pyspark, or the Python of one."""
    path = Path(place).expanduser()
    # A virtual environment has a script `spark-submit` too, and no jars.
    if spark := spark_at(path):
        return spark
    python = path if path.is_file() else path / "bin" / "python"
    folder = _pyspark_of(str(python)) if python.exists() else ""
    spark = spark_at(Path(folder)) if folder else None
    if spark is None:
        raise DcpEnvironmentError(
            f"there is no Spark in {place}",
            code="DCP439",
            hint="name the home of a Spark, or a virtual environment in which pyspark is installed, in DCP_LOCAL_SPARK_HOMES",
        )
    return spark


def _pyspark_of(python: str) -> str:
    """Return the folder of a Python's package pyspark, or an empty text."""
    if not python:
        spec = find_spec("pyspark")
        return spec.submodule_search_locations[0] if spec and spec.submodule_search_locations else ""
    try:
        asked = subprocess.run([python, "-c", _ASK], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DcpEnvironmentError(f"the Python {python} cannot be run: {error}", code="DCP443", hint=_HINT) from error
    return asked.stdout.strip()
