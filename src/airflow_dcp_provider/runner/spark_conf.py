"""Which Spark settings belong to the environment and not to a manifest.

A manifest that could set them could read another team's catalog, swap the class path or leave its cluster and namespace.
"""

from __future__ import annotations

from collections.abc import Mapping

_RESERVED_PREFIXES = (
    "spark.sql.catalog.",
    "spark.kubernetes.",
    "spark.jars",
    "spark.submit.",
    "spark.pyspark.",
    "spark.authenticate",
)
_RESERVED = frozenset(
    {
        "spark.master",
        "spark.home",
        "spark.plugins",
        "spark.files",
        "spark.archives",
        "spark.extraListeners",
        "spark.local.dir",
        "spark.sql.extensions",
        "spark.sql.defaultCatalog",
        "spark.sql.session.timeZone",
        "spark.sql.warehouse.dir",
        "spark.driver.memory",
        "spark.driver.host",
        "spark.driver.bindAddress",
        "spark.driver.extraClassPath",
        "spark.driver.userClassPathFirst",
        "spark.driver.extraLibraryPath",
        "spark.driver.defaultJavaOptions",
        "spark.executor.extraClassPath",
        "spark.executor.userClassPathFirst",
        "spark.executor.extraLibraryPath",
        "spark.executor.defaultJavaOptions",
    }
)


def reserved_settings(spark_conf: Mapping[str, str]) -> list[str]:
    """Return the keys of a manifest's ``sparkConf`` that are not the manifest's to set, sorted."""
    return sorted(key for key in spark_conf if key in _RESERVED or key.startswith(_RESERVED_PREFIXES))
