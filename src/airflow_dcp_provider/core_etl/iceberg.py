"""All that touches Iceberg's Java side: reading a table's state without a Spark job, and creating one by explicit DDL."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import Any, Iterator, List, Mapping, Optional, Sequence, Tuple

from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from .catalogs import load_catalog
from .column_types import ddl
from .diagnosis import throwables
from .proof import ATTEMPT, EMPTIES_FOR, EXECUTION_ID, RUN, Snapshot, deleted_rows
from .shape import TargetColumn
from .spec import Job, Sink, identifier, writing_alias

_NOT_THERE = {"NoSuchTableException", "NoSuchNamespaceException", "NoSuchDatabaseException"}


class Table:
    """An Iceberg table as Spark's catalog knows it.

    :param java: Iceberg's ``Table``.
    """

    def __init__(self, spark: SparkSession, java: Any) -> None:
        self._spark = spark
        self._java = java

    @classmethod
    def load(cls, spark: SparkSession, sink: Sink) -> Optional[Table]:
        """Return the sink's table, or None when there is none."""
        iceberg = spark._jvm.org.apache.iceberg.spark
        load_catalog(spark, writing_alias(sink.catalog))
        try:
            java = iceberg.Spark3Util.loadIcebergTable(spark._jsparkSession, sink.identifier)
        except Exception as error:
            # Catalogs differ in what they say when not even the database is there.
            chain = throwables(error)
            if any(link.name in _NOT_THERE or link.message.startswith("[TABLE_OR_VIEW_NOT_FOUND]") for link in chain):
                return None
            raise
        java.refresh()
        return cls(spark, java)

    def refresh(self) -> None:
        """Read the table's state again."""
        self._java.refresh()

    def columns(self) -> Tuple[TargetColumn, ...]:
        """Return the table's columns with their Spark types."""
        schema = self._spark._jvm.org.apache.iceberg.spark.SparkSchemaUtil.convert(self._java.schema())
        fields = StructType.fromJson(json.loads(schema.json())).fields
        return tuple(TargetColumn(item.name, item.dataType, required=not item.nullable) for item in fields)

    def partition_fields(self) -> List[str]:
        """Return the partition fields: the column's name for an identity one, else ``transform(column)``."""
        schema = self._java.schema()
        fields = []
        for item in self._java.spec().fields():
            column, transform = schema.findColumnName(item.sourceId()), item.transform().toString()
            if transform != "void":
                fields.append(column if transform == "identity" else f"{transform}({column})")
        return fields

    def has_older_partitions(self) -> bool:
        """Whether files are left that were written when the table's partitions were others."""
        snapshot = self._java.currentSnapshot()
        if snapshot is None or self._java.specs().size() < 2:
            return False
        present = self._java.spec().specId()
        manifests = snapshot.dataManifests(self._java.io())
        return any(each.partitionSpecId() != present and (each.hasAddedFiles() or each.hasExistingFiles()) for each in manifests)

    def rows_emptied_for(self, execution_id: str, run: str) -> int:
        """Return how many rows were removed to make room for what an execution has not written yet."""
        self.refresh()
        rows = 0
        java = self._java.currentSnapshot()
        while java is not None:
            summary = java.summary()
            if summary.get(EXECUTION_ID) == execution_id and summary.get(RUN) == run:
                break
            if summary.get(EMPTIES_FOR) == execution_id:
                rows += deleted_rows(dict(summary))
            java = self._parent(java)
        return rows

    def find_run(self, run: str) -> Optional[Snapshot]:
        """Return the newest snapshot of the table's history whose summary names ``run``, or None."""
        return self._find({RUN: run})

    def find_own(self, job: Job, sink: Sink) -> Optional[Snapshot]:
        """Return the newest snapshot that this attempt made for ``sink``, or None; it is the current one or near it."""
        return self._find({EXECUTION_ID: job.execution_id, ATTEMPT: str(job.attempt), RUN: job.run_of(sink)})

    def _find(self, wanted: Mapping[str, str]) -> Optional[Snapshot]:
        """Return the newest snapshot whose summary has ``wanted``, or None.

        They are followed from the current one back: those that were rolled back, or are of a branch, have no rows in the table.
        """
        java = self._java.currentSnapshot()
        while java is not None:
            found = java.summary()
            if all(found.get(key) == value for key, value in wanted.items()):
                return _snapshot(java)
            java = self._parent(java)
        return None

    def _parent(self, java: Any) -> Any:
        parent = java.parentId()
        return None if parent is None else self._java.snapshot(parent)


def _snapshot(java: Any) -> Snapshot:
    return Snapshot(java.snapshotId(), java.parentId(), dict(java.summary()))


def create_table(spark: SparkSession, sink: Sink, columns: Sequence[TargetColumn]) -> None:
    """Create the sink's database and table, unless they are there.

    The DDL is explicit because a table made from a query gets its columns as the optimiser sees them, some of them required.
    """
    spark.sql(f"CREATE NAMESPACE IF NOT EXISTS {identifier(sink.catalog, sink.database)}")
    spark.sql(create_statement(sink, columns))


def create_statement(sink: Sink, columns: Sequence[TargetColumn]) -> str:
    """Return the DDL of the sink's table."""
    lines = ",\n  ".join(_column_ddl(column) for column in columns)
    statement = f"CREATE TABLE IF NOT EXISTS {sink.identifier} (\n  {lines})\nUSING iceberg"
    if sink.partition_by:
        by_name = {column.name.lower(): column.name for column in columns}
        names = ", ".join(identifier(by_name.get(name.lower(), name)) for name in sink.partition_by)
        statement += f"\nPARTITIONED BY ({names})"
    if sink.description:
        statement += f"\nCOMMENT {_literal(sink.description)}"
    return f"{statement}\nTBLPROPERTIES ('format-version' = '2')"


def _column_ddl(column: TargetColumn) -> str:
    comment = f" COMMENT {_literal(column.description)}" if column.description else ""
    return f"{identifier(column.name)} {ddl(column.kind)}{' NOT NULL' if column.required else ''}{comment}"


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


@contextmanager
def commit_properties(spark: SparkSession, properties: Mapping[str, str]) -> Iterator[None]:
    """Put ``properties`` into the summary of every snapshot that is committed meanwhile.

    MERGE takes no write options, so its properties go through Iceberg's environment context. It belongs to the whole JVM, and
    the driver's JVM does one thing at a time.
    """
    context = spark._jvm.org.apache.iceberg.EnvironmentContext
    for key, value in properties.items():
        context.put(key, value)
    try:
        yield
    finally:
        for key in properties:
            context.remove(key)
