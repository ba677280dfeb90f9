"""Starting Spark. Catalogs, jars and sizes come from whoever starts the driver; the driver only insists on UTC.

On a cluster the driver also brings Spark the credentials of catalogs: they come from Secrets as environment variables, because
whatever stands in an application's resource is read by many.
"""

from __future__ import annotations

import json
import os
from typing import Dict, Mapping

from pyspark.sql import SparkSession

from .faults import EXIT_PLATFORM, DriverError

TIME_ZONE = "spark.sql.session.timeZone"

CASE = "spark.sql.caseSensitive"

#: Names the environment variable that holds a JSON object: Spark setting -> environment variable with its value.
SECRET_SETTINGS = "DCP_SECRET_SETTINGS"  # noqa: S105 - a name


def start_session(name: str) -> SparkSession:
    """Return the Spark session of this process.

    :param name: the application's name in Spark's own pages.
    :raises DriverError: when a credential that was promised is not there.
    """
    builder = SparkSession.builder.appName(name).config(TIME_ZONE, "UTC")
    for setting, value in secret_settings(os.environ).items():
        builder = builder.config(setting, value)
    spark = builder.getOrCreate()
    insist(spark)
    return spark


def secret_settings(environment: Mapping[str, str]) -> Dict[str, str]:
    """Return the Spark settings whose values are secret, as the environment variables give them.

    :raises DriverError: when a variable that is named is not there.
    """
    named = json.loads(environment.get(SECRET_SETTINGS) or "{}")
    missing = sorted(variable for variable in named.values() if variable not in environment)
    if missing:
        raise DriverError(
            "DCP337",
            f"the environment variables {', '.join(missing)} are not set, which hold credentials of catalogs",
            "check the Secret that the environment's connection names in its field `catalog_secrets`",
            EXIT_PLATFORM,
        )
    return {setting: environment[variable] for setting, variable in named.items()}


def insist(spark: SparkSession) -> None:
    """Set what a job's result must not depend on: days and time stamps mean UTC, wherever Spark runs.

    The session is also made the thread's active one: Iceberg's Java side finds catalogs in the settings of that.
    """
    spark._jvm.org.apache.spark.sql.SparkSession.setActiveSession(spark._jsparkSession)
    spark.conf.set(TIME_ZONE, "UTC")


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
