"""A real pyiceberg catalog on SQLite, with a warehouse of its own, for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import SqlCatalog


def open_catalog(folder: Path) -> SqlCatalog:
    return SqlCatalog("pedregal", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    found = open_catalog(tmp_path)
    yield found
    found.close()
