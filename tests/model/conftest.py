"""One real Spark for all sequences, the embedded catalog, and pyiceberg on the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyiceberg.catalog import load_catalog
from pyspark.sql import SparkSession

from airflow_dcp_provider.embedded_catalog.server import CatalogServer
from tests.contract.core_etl.conftest import home, jar, server, spark  # noqa: F401 -- fixtures

from .play import Player


@pytest.fixture(scope="package")
def player(spark: SparkSession, server: CatalogServer) -> Iterator[Player]:  # noqa: F811
    # Each run has catalogs of its own, and Iceberg warns of each one that is not closed.
    spark.sparkContext.setLogLevel("ERROR")
    catalog = load_catalog("pedregal", type="rest", uri=server.uri)
    yield Player(spark, catalog)
    catalog.close()
