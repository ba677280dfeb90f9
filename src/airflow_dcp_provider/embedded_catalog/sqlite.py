"""A pyiceberg catalog over one SQLite file, with nothing but the standard library's ``sqlite3`` between.

pyiceberg's own ``SqlCatalog`` needs SQLAlchemy 2, which cannot be installed beside Airflow 3.0 and is not what managed Airflow 3.1
ships (they pin SQLAlchemy 1.4). The tables are those of the Iceberg JDBC catalog, so that pyiceberg's ``type: sql`` and
Iceberg's JdbcCatalog read the same file. See ``docs/decisions``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyiceberg.catalog import Catalog, MetastoreCatalog, PropertiesUpdateSummary
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NamespaceNotEmptyError,
    NoSuchNamespaceError,
    NoSuchTableError,
    NoSuchViewError,
    TableAlreadyExistsError,
)
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.serializers import FromInputFile
from pyiceberg.table import CommitTableResponse, Table
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER, SortOrder
from pyiceberg.table.update import TableRequirement, TableUpdate
from pyiceberg.typedef import EMPTY_DICT, Identifier, Properties

_TABLES = """
CREATE TABLE IF NOT EXISTS iceberg_tables (
  catalog_name VARCHAR(255) NOT NULL, table_namespace VARCHAR(255) NOT NULL, table_name VARCHAR(255) NOT NULL,
  metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000), iceberg_type VARCHAR(5) DEFAULT 'TABLE',
  PRIMARY KEY (catalog_name, table_namespace, table_name));
CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (
  catalog_name VARCHAR(255) NOT NULL, namespace VARCHAR(255) NOT NULL, property_key VARCHAR(255) NOT NULL,
  property_value VARCHAR(1000), PRIMARY KEY (catalog_name, namespace, property_key));
"""

#: A namespace without properties still needs one row.
_EXISTS = "exists"


class SqliteCatalog(MetastoreCatalog):
    """Namespaces and tables in one SQLite file; commits are optimistic, so that any number of processes may share it.

    :param name: the catalog's name in the rows.
    :param database: the SQLite file; it and its tables are made when missing.
    :param busy_seconds: how long a writer waits for another process's write.
    :param properties: pyiceberg's catalog properties, ``warehouse`` among them.
    """

    def __init__(self, name: str, database: Path, busy_seconds: float = 30, **properties: str) -> None:
        super().__init__(name, **properties)
        self._database = database
        self._busy_seconds = busy_seconds
        with self._connection() as connection:
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
            connection.executescript(_TABLES)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        # One short-lived connection a call: sqlite3's are bound to a thread, and opening one costs microseconds.
        connection = sqlite3.connect(self._database, timeout=self._busy_seconds)
        try:
            with connection:
                yield connection
        finally:
            connection.close()

    def _rows(self, statement: str, *values: str | None) -> list[tuple[Any, ...]]:
        with self._connection() as connection:
            return connection.execute(statement, values).fetchall()

    def _change(self, statement: str, *values: str | None) -> int:
        with self._connection() as connection:
            return connection.execute(statement, values).rowcount

    # Tables

    def create_table(  # noqa: PLR0917 -- the interface's parameters
        self,
        identifier: str | Identifier,
        schema: Schema | Any,
        location: str | None = None,
        partition_spec: PartitionSpec = UNPARTITIONED_PARTITION_SPEC,
        sort_order: SortOrder = UNSORTED_SORT_ORDER,
        properties: Properties = EMPTY_DICT,
    ) -> Table:
        """Create a table and return it."""
        namespace, table = self._split(identifier)
        self._require_namespace(namespace)
        staged = self._create_staged_table((namespace, table), schema, location, partition_spec, sort_order, properties)
        self._write_metadata(staged.metadata, staged.io, staged.metadata_location)
        self._insert(namespace, table, staged.metadata_location)
        return self.load_table((namespace, table))

    def register_table(self, identifier: str | Identifier, metadata_location: str, overwrite: bool = False) -> Table:
        """Register the table whose metadata file exists already."""
        namespace, table = self._split(identifier)
        self._require_namespace(namespace)
        # What cannot be read is refused before anything is written: its row would be an error for every later reader.
        FromInputFile.table_metadata(self._load_file_io(location=metadata_location).new_input(metadata_location))
        if overwrite:
            self._change(_DELETE, self.name, namespace, table)
        self._insert(namespace, table, metadata_location)
        return self.load_table(identifier)

    def load_table(self, identifier: str | Identifier) -> Table:
        """Return the table with its present metadata."""
        namespace, table = self._split(identifier)
        rows = self._rows(_LOCATION, self.name, namespace, table)
        if not rows or not rows[0][0]:
            raise NoSuchTableError(f"Table does not exist: {namespace}.{table}")
        location: str = rows[0][0]
        io = self._load_file_io(location=location)
        metadata = FromInputFile.table_metadata(io.new_input(location))
        return Table(
            identifier=(*Catalog.identifier_to_tuple(namespace), table),
            metadata=metadata,
            metadata_location=location,
            io=self._load_file_io(metadata.properties, location),
            catalog=self,
        )

    def drop_table(self, identifier: str | Identifier) -> None:
        """Forget the table; its files stay."""
        namespace, table = self._split(identifier)
        if self._change(_DELETE, self.name, namespace, table) < 1:
            raise NoSuchTableError(f"Table does not exist: {namespace}.{table}")

    def rename_table(self, from_identifier: str | Identifier, to_identifier: str | Identifier) -> Table:
        """Give the table another name; its files stay where they are."""
        namespace, table = self._split(from_identifier)
        new_namespace, new_table = self._split(to_identifier)
        self._require_namespace(new_namespace)
        statement = f"UPDATE iceberg_tables SET table_namespace = ?, table_name = ? WHERE {_KEY}"  # noqa: S608 -- constant text
        try:
            changed = self._change(statement, new_namespace, new_table, self.name, namespace, table)
        except sqlite3.IntegrityError as error:
            raise TableAlreadyExistsError(f"Table {new_namespace}.{new_table} already exists") from error
        if changed < 1:
            raise NoSuchTableError(f"Table does not exist: {namespace}.{table}")
        return self.load_table(to_identifier)

    def list_tables(self, namespace: str | Identifier) -> list[Identifier]:
        """Return the names of the namespace's tables, in order."""
        name = Catalog.namespace_to_string(namespace)
        self._require_namespace(name)
        statement = "SELECT table_name FROM iceberg_tables WHERE catalog_name = ? AND table_namespace = ? ORDER BY table_name"
        return [(*Catalog.identifier_to_tuple(name), table) for (table,) in self._rows(statement, self.name, name)]

    def commit_table(
        self, table: Table, requirements: tuple[TableRequirement, ...], updates: tuple[TableUpdate, ...]
    ) -> CommitTableResponse:
        """Write the table's next metadata, unless another process was faster.

        :raises CommitFailedException: when the table has changed since ``requirements`` were read.
        """
        namespace, name = self._split(table.name())
        try:
            current = self.load_table(table.name())
        except NoSuchTableError:
            current = None
        staged = self._update_and_stage_table(current, table.name(), requirements, updates)
        if current and staged.metadata == current.metadata:
            return _committed(current.metadata, current.metadata_location)
        self._write_metadata(staged.metadata, staged.io, staged.metadata_location)
        if current is None:
            self._insert(namespace, name, staged.metadata_location)
        else:
            statement = (
                "UPDATE iceberg_tables SET metadata_location = ?, previous_metadata_location = ? "  # noqa: S608 -- constant text
                f"WHERE {_KEY} AND metadata_location = ?"
            )
            old = current.metadata_location
            if self._change(statement, staged.metadata_location, old, self.name, namespace, name, old) < 1:
                raise CommitFailedException(f"Table has been updated by another process: {namespace}.{name}")
        return _committed(staged.metadata, staged.metadata_location)

    # Namespaces

    def create_namespace(self, namespace: str | Identifier, properties: Properties = EMPTY_DICT) -> None:
        """Create a namespace."""
        name = Catalog.namespace_to_string(namespace)
        try:
            self._change("INSERT INTO iceberg_namespace_properties VALUES (?, ?, ?, ?)", self.name, name, _EXISTS, "true")
        except sqlite3.IntegrityError as error:
            raise NamespaceAlreadyExistsError(f"Namespace {name} already exists") from error
        self._set_properties(name, properties)

    def drop_namespace(self, namespace: str | Identifier) -> None:
        """Drop a namespace that holds no table."""
        name = Catalog.namespace_to_string(namespace)
        self._require_namespace(name)
        if tables := self.list_tables(name):
            raise NamespaceNotEmptyError(f"Namespace {name} is not empty. {len(tables)} tables exist.")
        self._change("DELETE FROM iceberg_namespace_properties WHERE catalog_name = ? AND namespace = ?", self.name, name)

    def list_namespaces(self, namespace: str | Identifier = ()) -> list[Identifier]:
        """Return the namespaces directly below ``namespace``, in order."""
        parent = Catalog.identifier_to_tuple(namespace) if namespace else ()
        if parent:
            self._require_namespace(Catalog.namespace_to_string(parent))
        statement = (
            "SELECT namespace FROM iceberg_namespace_properties WHERE catalog_name = ? "
            "UNION SELECT table_namespace FROM iceberg_tables WHERE catalog_name = ?"
        )
        known = {Catalog.identifier_to_tuple(row[0]) for row in self._rows(statement, self.name, self.name)}
        depth = len(parent) + 1
        return sorted({each[:depth] for each in known if each[: len(parent)] == parent and len(each) >= depth})

    def namespace_exists(self, namespace: str | Identifier) -> bool:
        """Whether the namespace, or one below it, is known."""
        wanted = Catalog.identifier_to_tuple(namespace)
        statement = (
            "SELECT namespace FROM iceberg_namespace_properties WHERE catalog_name = ? "
            "UNION SELECT table_namespace FROM iceberg_tables WHERE catalog_name = ?"
        )
        return any(
            Catalog.identifier_to_tuple(row[0])[: len(wanted)] == wanted for row in self._rows(statement, self.name, self.name)
        )

    def load_namespace_properties(self, namespace: str | Identifier) -> Properties:
        """Return the namespace's properties."""
        name = Catalog.namespace_to_string(namespace)
        self._require_namespace(name)
        statement = "SELECT property_key, property_value FROM iceberg_namespace_properties WHERE catalog_name = ? AND namespace = ?"
        return {key: value for key, value in self._rows(statement, self.name, name) if key != _EXISTS}

    def update_namespace_properties(
        self, namespace: str | Identifier, removals: set[str] | None = None, updates: Properties = EMPTY_DICT
    ) -> PropertiesUpdateSummary:
        """Set and remove properties of a namespace."""
        name = Catalog.namespace_to_string(namespace)
        removals = (removals or set()) - {_EXISTS}
        summary, _ = self._get_updated_props_and_update_summary(self.load_namespace_properties(name), removals, updates)
        for key in removals:
            statement = "DELETE FROM iceberg_namespace_properties WHERE catalog_name = ? AND namespace = ? AND property_key = ?"
            self._change(statement, self.name, name, key)
        self._set_properties(name, updates)
        return summary

    # Views are not kept here.

    def list_views(self, namespace: str | Identifier) -> list[Identifier]:  # noqa: ARG002 -- the interface's parameter
        """Return no views: this catalog has none."""
        return []

    def view_exists(self, identifier: str | Identifier) -> bool:  # noqa: ARG002 -- the interface's parameter
        """Return False: this catalog has no views."""
        return False

    def load_view(self, identifier: str | Identifier) -> Any:
        """Refuse: this catalog has no views."""
        raise NoSuchViewError(f"View does not exist: {identifier}")

    def register_view(self, identifier: str | Identifier, metadata_location: str) -> Any:
        """Refuse: this catalog has no views."""
        raise NotImplementedError("the embedded catalog keeps no views")

    def drop_view(self, identifier: str | Identifier) -> None:
        """Refuse: this catalog has no views."""
        raise NoSuchViewError(f"View does not exist: {identifier}")

    def close(self) -> None:
        """Nothing is held open between calls."""

    # Rows

    @staticmethod
    def _split(identifier: str | Identifier) -> tuple[str, str]:
        return Catalog.namespace_to_string(Catalog.namespace_from(identifier)), Catalog.table_name_from(identifier)

    def _require_namespace(self, name: str) -> None:
        if not self.namespace_exists(name):
            raise NoSuchNamespaceError(f"Namespace does not exist: {name}")

    def _insert(self, namespace: str, table: str, location: str) -> None:
        statement = "INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location) VALUES (?, ?, ?, ?)"
        try:
            self._change(statement, self.name, namespace, table, location)
        except sqlite3.IntegrityError as error:
            raise TableAlreadyExistsError(f"Table {namespace}.{table} already exists") from error

    def _set_properties(self, name: str, properties: Properties) -> None:
        statement = "INSERT OR REPLACE INTO iceberg_namespace_properties VALUES (?, ?, ?, ?)"
        for key, value in properties.items():
            self._change(statement, self.name, name, key, str(value))


def _committed(metadata: TableMetadata, location: str) -> CommitTableResponse:
    return CommitTableResponse.model_validate({"metadata": metadata, "metadata-location": location})


_KEY = "catalog_name = ? AND table_namespace = ? AND table_name = ?"
_LOCATION = f"SELECT metadata_location FROM iceberg_tables WHERE {_KEY}"  # noqa: S608 -- constant text
_DELETE = f"DELETE FROM iceberg_tables WHERE {_KEY}"  # noqa: S608 -- constant text
