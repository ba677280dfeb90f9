"""Starting Spark. Catalogs, jars and sizes come from whoever starts the driver; the driver only insists on UTC."""

from __future__ import annotations

from pyspark.sql import SparkSession

TIME_ZONE = "spark.sql.session.timeZone"


def start_session(name: str) -> SparkSession:
    """Return the Spark session of this process.

    :param name: the application's name in Spark's own pages.
    """
    spark = SparkSession.builder.appName(name).config(TIME_ZONE, "UTC").getOrCreate()
    insist(spark)
    return spark


def insist(spark: SparkSession) -> None:
    """Set what a job's result must not depend on: days and time stamps mean UTC, wherever Spark runs.

    The session is also made the thread's active one: Iceberg's Java side finds catalogs in the settings of that.
    """
    spark._jvm.org.apache.spark.sql.SparkSession.setActiveSession(spark._jsparkSession)
    spark.conf.set(TIME_ZONE, "UTC")
