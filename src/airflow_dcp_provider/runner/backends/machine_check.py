"""Which Spark and Java a local attempt runs on; what this machine lacks for it is said before anything starts."""

from __future__ import annotations

from airflow_dcp_provider.model.job import JobSpec
from airflow_dcp_provider.runner.backends.iceberg_jar import jar_for
from airflow_dcp_provider.runner.backends.java import Java, find_java
from airflow_dcp_provider.runner.backends.local_settings import LocalSettings
from airflow_dcp_provider.runner.backends.spark_home import Spark, choose_spark


def check_machine(job: JobSpec, settings: LocalSettings) -> tuple[Spark, Java]:
    """Return the Spark that a job runs on and the Java that runs it. Nothing is fetched.

    A job that names no version runs on the environment's; where that names none either, on the first Spark that is installed.

    :raises DcpEnvironmentError: DCP436 to DCP443 when the machine lacks the requested Spark, an Iceberg runtime for it that can be
        fetched or is set, or a Java that it runs on.
    """
    spark = choose_spark(
        job.engine.version or settings.spark_version, settings.python, settings.spark_homes, job.manifest_id or "the job"
    )
    jar_for(settings.iceberg_jar, spark)
    return spark, find_java(settings.java, spark=spark.version, javas=spark.javas)
