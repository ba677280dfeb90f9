"""The SQLite catalog keeps its tables as the Iceberg JDBC catalog does, and its commits are optimistic."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NamespaceNotEmptyError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.table.update import AssertRefSnapshotId, SetPropertiesUpdate

from airflow_dcp_provider.embedded_catalog.sqlite import SqliteCatalog

SCHEMA = pa.schema([("id", pa.int64())])


@pytest.fixture
def catalog(tmp_path: Path) -> SqliteCatalog:
    return SqliteCatalog("embedded", tmp_path / "catalog.db", warehouse=f"file://{tmp_path}/warehouse")


def test_pyicebergs_own_catalog_reads_the_same_file(catalog: SqliteCatalog, tmp_path: Path) -> None:
    catalog.create_namespace("raw", {"owner": "me"})
    catalog.create_table("raw.events", SCHEMA).append(pa.table({"id": [1, 2]}))
    other = SqlCatalog("embedded", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/warehouse")
    assert other.list_tables("raw") == [("raw", "events")]
    assert other.load_table("raw.events").scan().to_arrow()["id"].to_pylist() == [1, 2]
    other.load_table("raw.events").append(pa.table({"id": [3]}))
    other.close()
    assert sorted(catalog.load_table("raw.events").scan().to_arrow()["id"].to_pylist()) == [1, 2, 3]


def test_the_slower_of_two_commits_fails(catalog: SqliteCatalog) -> None:
    catalog.create_namespace("raw")
    stale = catalog.create_table("raw.events", SCHEMA)
    catalog.load_table("raw.events").append(pa.table({"id": [1]}))
    with pytest.raises(CommitFailedException):
        catalog.commit_table(
            stale, (AssertRefSnapshotId(ref="main", snapshot_id=None),), (SetPropertiesUpdate(updates={"a": "b"}),)
        )
    assert "a" not in catalog.load_table("raw.events").properties


def test_names_are_kept_apart(catalog: SqliteCatalog) -> None:
    catalog.create_namespace("raw")
    with pytest.raises(NamespaceAlreadyExistsError):
        catalog.create_namespace("raw")
    catalog.create_table("raw.a", SCHEMA)
    catalog.create_table("raw.b", SCHEMA)
    with pytest.raises(TableAlreadyExistsError):
        catalog.create_table("raw.a", SCHEMA)
    with pytest.raises(TableAlreadyExistsError):
        catalog.rename_table("raw.a", "raw.b")
    with pytest.raises(NamespaceNotEmptyError):
        catalog.drop_namespace("raw")
    with pytest.raises(NoSuchNamespaceError):
        catalog.create_table("nowhere.a", SCHEMA)
    catalog.drop_table("raw.a")
    with pytest.raises(NoSuchTableError):
        catalog.drop_table("raw.a")
    assert catalog.rename_table("raw.b", "raw.c").name() == ("raw", "c")
    assert catalog.list_tables("raw") == [("raw", "c")]


def test_properties_of_a_namespace(catalog: SqliteCatalog) -> None:
    catalog.create_namespace("raw", {"owner": "me", "tier": "1"})
    summary = catalog.update_namespace_properties("raw", {"tier", "absent"}, {"owner": "you"})
    assert (summary.removed, summary.updated, summary.missing) == (["tier"], ["owner"], ["absent"])
    assert catalog.load_namespace_properties("raw") == {"owner": "you"}
    assert catalog.list_namespaces() == [("raw",)]
    catalog.drop_namespace("raw")
    assert catalog.list_namespaces() == []
