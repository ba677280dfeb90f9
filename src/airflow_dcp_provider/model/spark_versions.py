"""The Spark versions that jobs run on, with what belongs to each: one table for the local backend, the images and the tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class SparkVersion:
    """One release line of Spark.

    :param name: what a manifest's ``engine.version`` says, for example ``3.5``.
    :param pyspark: the release that is tested.
    :param scala: the Scala version that its jars are built for.
    :param iceberg: the release of Iceberg's runtime for it.
    :param javas: the major versions of Java that it runs on, the recommended one first.
    :param image: the release that ``deploy/Dockerfile`` builds on.
    :param hadoop: the release of Hadoop that it brings.
    :param aws_sdk: the Maven coordinate of the AWS client that this Hadoop was built with.
    :param unity_catalog: the release of Unity Catalog's connector for it, or empty where none was tried.
    """

    name: str
    pyspark: str
    scala: str
    iceberg: str
    javas: tuple[int, ...]
    image: str
    hadoop: str
    aws_sdk: str
    unity_catalog: str = ""

    @property
    def iceberg_jar(self) -> str:
        """The Maven coordinate of Iceberg's runtime."""
        return f"org.apache.iceberg:iceberg-spark-runtime-{self.name}_{self.scala}:{self.iceberg}"

    @property
    def extra(self) -> str:
        """The extra of this package that installs it."""
        return f"local-spark{self.name.replace('.', '')}"


_AWS_1 = "com.amazonaws:aws-java-sdk-bundle"
_AWS_2 = "software.amazon.awssdk:bundle"

#: Release line -> what belongs to it.
SPARK_VERSIONS: Mapping[str, SparkVersion] = {
    row.name: row
    for row in (
        SparkVersion("3.5", "3.5.9", "2.12", "1.12.0", (17, 11, 21), "3.5.7", "3.3.4", f"{_AWS_1}:1.12.262", "0.2.0"),
        # The newest runtime for 4.0; those for 3.5 and 4.1 are one release ahead.
        SparkVersion("4.0", "4.0.5", "2.13", "1.11.0", (17, 21), "4.0.1", "3.4.1", f"{_AWS_2}:2.24.6"),
        SparkVersion("4.1", "4.1.4", "2.13", "1.12.0", (17, 21), "4.1.1", "3.4.2", f"{_AWS_2}:2.29.52"),
    )
}

#: What the extra `local` installs, and what a job runs on where neither its manifest nor its environment names a version.
DEFAULT_SPARK_VERSION = "3.5"


def release_line(version: str) -> str:
    """Return the release line of a version: ``3.5`` for ``3.5.9``."""
    return ".".join(version.split(".")[:2])


def serves(version: str, requested: str) -> bool:
    """Whether Spark ``version`` is what ``requested`` means: ``3.5`` means every release of that line, ``3.5.9`` only that one."""
    return version == requested or version.startswith(f"{requested}.")
