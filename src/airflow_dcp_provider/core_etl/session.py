"""Starting Spark. Catalogs, jars and sizes come from whoever starts the driver; the driver insists on UTC and on plain SQL.

The driver also brings Spark the credentials of catalogs. They come in files, which are read and, where that is possible, removed
before any SQL runs: what the JVM has in its environment or in its system properties can be had in too many ways.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Dict, Mapping

from pyspark.sql import SparkSession

from . import SECRET_SETTINGS
from .faults import EXIT_PLATFORM, DriverError
from .functions import drop_functions

TIME_ZONE = "spark.sql.session.timeZone"

#: Spark replaces `${env:NAME}`, `${system:name}` and `${setting}` in the text of every query unless this is off.
SUBSTITUTE = "spark.sql.variable.substitute"

CASE = "spark.sql.caseSensitive"


def start_session(name: str) -> SparkSession:
    """Return the Spark session of this process.

    :param name: the application's name in Spark's own pages.
    :raises DriverError: when a credential that was promised is not there.
    """
    builder = SparkSession.builder.appName(name).config(TIME_ZONE, "UTC")
    for setting, value in secret_settings(os.environ).items():
        builder = builder.config(setting, value)
    builder = builder.config(SUBSTITUTE, "false")
    spark = builder.getOrCreate()
    insist(spark)
    return spark


def secret_settings(environment: Mapping[str, str]) -> Dict[str, str]:
    """Return the Spark settings whose values are secret, as files or environment variables give them.

    A file is removed once it is read, where its folder is not mounted for reading only.

    :raises DriverError: when a file or variable that is named is not there.
    """
    named = json.loads(environment.get(SECRET_SETTINGS) or "{}")
    values: Dict[str, str] = {}
    missing = []
    for setting, source in sorted(named.items()):
        try:
            values[setting] = _read_and_remove(Path(source)) if "/" in source else environment[source]
        except (KeyError, OSError, UnicodeDecodeError):
            missing.append(source)
    if missing:
        raise DriverError(
            "DCP337",
            f"there is no {', '.join(missing)}, which should hold credentials of catalogs",
            "check the Secret that the environment's connection names in its field `catalog_secrets`",
            EXIT_PLATFORM,
        )
    return values


def _read_and_remove(path: Path) -> str:
    value = path.read_text(encoding="utf-8")
    with contextlib.suppress(OSError):
        path.unlink()
    return value


def insist(spark: SparkSession) -> None:
    """Set what a job's result must not depend on, and take away what its SQL must not have.

    Days and time stamps mean UTC, wherever Spark runs. A query's text is what was written: Spark puts neither environment variables
    nor settings into it. Functions that reach out of SQL are gone (:mod:`.functions`).

    The session is also made the thread's active one: Iceberg's Java side finds catalogs in the settings of that.
    """
    spark._jvm.org.apache.spark.sql.SparkSession.setActiveSession(spark._jsparkSession)
    spark.conf.set(TIME_ZONE, "UTC")
    spark.conf.set(SUBSTITUTE, "false")
    drop_functions(spark)


def check_case(spark: SparkSession) -> None:
    """Raise when names of columns are told apart by case: Iceberg's tables and the checks of a job do not.

    :raises DriverError: DCP391.
    """
    if str(spark.conf.get(CASE, "false")).lower() != "false":
        raise DriverError(
            "DCP391",
            f"{CASE} is on, and columns are matched without regard to case everywhere else",
            "leave the setting out, and give columns names that differ in more than case",
        )
