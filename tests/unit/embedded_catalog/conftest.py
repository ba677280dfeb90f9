"""A running server of the embedded catalog and clients of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyiceberg.catalog import Catalog, load_catalog

from airflow_dcp_provider.embedded_catalog.server import CatalogServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CatalogServer]:
    home: Path = tmp_path_factory.mktemp("home")
    with CatalogServer(home) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: CatalogServer) -> Iterator[Catalog]:
    """pyiceberg's own REST client."""
    with load_catalog("rest", type="rest", uri=server.uri) as catalog:
        catalog.create_namespace("db")
        yield catalog
