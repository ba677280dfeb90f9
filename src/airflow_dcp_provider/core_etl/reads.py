"""What a query really reads, checked on its analysed plan before anything is computed.

Only what the job declares may be read: its sources, each table by its exact identity with the metadata tables that belong to it,
and the transformations before. Both lists of this module say what is allowed; whatever Spark knows besides is refused.
"""

from __future__ import annotations

from typing import Any, Iterator, List, Mapping, Optional, Sequence, Set

from pyspark.sql import DataFrame, SparkSession

from .catalogs import Pin, TableName, default_catalog
from .faults import DriverError
from .spec import identifier

#: Steps that compute on what is below them, by the names of Spark's classes.
_STEPS = frozenset(
    {
        "Aggregate",
        "AsOfJoin",
        "CTERelationDef",
        "Deduplicate",
        "Distinct",
        "Except",
        "Expand",
        "Filter",
        "Generate",
        "GlobalLimit",
        "Intersect",
        "Join",
        "LateralJoin",
        "LocalLimit",
        "Offset",
        "Project",
        "RebalancePartitions",
        "Repartition",
        "RepartitionByExpression",
        "ResolvedHint",
        "Sample",
        "Sort",
        "SubqueryAlias",
        "Union",
        "UnionLoop",
        "Window",
        "WithCTE",
        "WithWindowDefinition",
    }
)

#: Leaves that hold their rows themselves, or stand for a part of the same query.
_OWN_ROWS = frozenset({"CTERelationRef", "LocalRelation", "OneRowRelation", "Range", "UnionLoopRef"})

_LOGICAL = "org.apache.spark.sql.catalyst.plans.logical."
_TABLE = "org.apache.spark.sql.execution.datasources.v2.DataSourceV2Relation"
_FILES = "org.apache.spark.sql.execution.datasources.LogicalRelation"
_CHANGES = "org.apache.iceberg.spark.source.SparkChangelogTable"
_METADATA = "org.apache.iceberg.BaseMetadataTable"


class Reads:
    """What a job's queries may read.

    :param pins: the tables of the job's sources.
    """

    def __init__(self, spark: SparkSession, pins: Mapping[TableName, Pin]) -> None:
        # A path in the place of a table's name would be read by whoever may write SQL.
        spark.conf.set("spark.sql.runSQLOnFiles", "false")
        self._default = default_catalog(spark)
        self._patterns = spark._jvm.org.apache.spark.sql.catalyst.trees.TreePattern
        self._pins = pins
        self._views: Set[str] = set()
        self._files: List[Any] = []

    def add_view(self, name: str) -> None:
        """Let later queries read the view ``name``, whose own query was checked."""
        self._views.add(name.lower())

    def add_files(self, frame: DataFrame) -> None:
        """Let queries read the files of a source, as ``frame`` reads them."""
        plan = frame._jdf.queryExecution().analyzed()
        self._files += [node.relation() for node in _nodes(plan) if _class(node) == _FILES]

    def check_names(self, parsed: Any, what: str) -> None:
        """Check the tables that a parsed query names, so that no other one is even looked up.

        :raises DriverError: DCP332.
        """
        waiting = [parsed]
        while waiting:
            node = waiting.pop()
            if _class(node) == "org.apache.spark.sql.catalyst.analysis.UnresolvedRelation":
                parts = _items(node.multipartIdentifier())
                # One part is a view's name, or that of a WITH.
                if len(parts) > 1 and not self._is_declared(parts):
                    raise _undeclared(what, f"{identifier(*parts)}")
            waiting += [*_items(node.children()), *_items(node.innerChildren()), *_items(node.subqueries())]

    def _is_declared(self, parts: Sequence[str]) -> bool:
        """Whether a name in SQL is that of a pinned table, or of what Iceberg shows below it (``t.snapshots``)."""
        names = [list(parts), list(parts[:-1])]
        return any(list(pin) in names or (pin[0] == self._default and list(pin[1:]) in names) for pin in self._pins)

    def check(self, frame: DataFrame, what: str) -> None:
        """Check what ``frame`` reads.

        :param what: names the query, to begin the message.
        :raises DriverError: DCP332 when it reads what the job does not declare, or runs code of its own.
        """
        plan = frame._jdf.queryExecution().analyzed()
        for pattern in (self._patterns.PYTHON_UDF(), self._patterns.SCALA_UDF()):
            if plan.containsPattern(pattern):
                raise _refused(f"{what} calls a function that is not Spark's own", "use Spark's built-in functions")
        for node in self._own_nodes(plan):
            self._check_node(node, what)

    def _own_nodes(self, plan: Any) -> Iterator[Any]:
        """Yield every node of ``plan`` and of its subqueries, but not those inside of views that were checked before."""
        waiting = [plan]
        while waiting:
            node = waiting.pop()
            yield node
            if _class(node) != f"{_LOGICAL}View":
                waiting += _items(node.children())
            waiting += _items(node.subqueries())

    def _check_node(self, node: Any, what: str) -> None:
        kind = _class(node)
        if kind == f"{_LOGICAL}View":
            name = node.desc().identifier()
            if not node.isTempView() or name.database().isDefined() or name.table().lower() not in self._views:
                raise _undeclared(what, f"the view `{name.unquotedString()}`")
        elif kind == _TABLE:
            self._check_table(node, what)
        elif kind == _FILES:
            if not any(node.relation().equals(relation) for relation in self._files):
                raise _undeclared(what, f"files or a table of another kind ({node.relation().getClass().getSimpleName()})")
        elif kind.rpartition(".")[2] not in _STEPS | _OWN_ROWS or not kind.startswith(_LOGICAL):
            raise _refused(
                f"{what} uses `{kind.rpartition('.')[2]}`, which a job's query may not",
                "write it with tables, joins, filters, aggregations and Spark's built-in functions",
            )

    def _check_table(self, node: Any, what: str) -> None:
        if not (node.catalog().isDefined() and node.identifier().isDefined()):
            raise _undeclared(what, f"the table `{node.table().name()}`, which no catalog has")
        catalog, name = node.catalog().get().name(), node.identifier().get()
        namespace = list(name.namespace())
        if not self._is_pinned(node.table(), catalog, namespace, name.name()):
            raise _undeclared(what, f"the table {identifier(catalog, *namespace, name.name())}")

    def _is_pinned(self, table: Any, catalog: str, namespace: Sequence[str], name: str) -> bool:
        """Whether ``table`` is one of the pinned tables, a part of its metadata, or an older state of it."""
        pin = self._pin(catalog, namespace, name)
        if pin is not None:
            return bool(table.table().equals(pin.java))
        if len(namespace) < 2:
            return False
        # `t.snapshots`, `t.branch_x`: a table of that name in a database `t` would come first, so it is made sure what it is.
        pin = self._pin(catalog, namespace[:-1], namespace[-1])
        if pin is None:
            return False
        if table.getClass().getName() == _CHANGES:
            return True
        java = table.table()
        if _extends(java, _METADATA):
            return bool(java.location() == pin.java.location())
        return bool(java.equals(pin.java))

    def _pin(self, catalog: str, namespace: Sequence[str], name: str) -> Optional[Pin]:
        return self._pins.get((catalog, namespace[0], name)) if len(namespace) == 1 else None


def _undeclared(what: str, read: str) -> DriverError:
    return _refused(
        f"{what} reads {read}, which is not a source of the job", "declare it as a source, and write its name as declared"
    )


def _refused(message: str, hint: str) -> DriverError:
    return DriverError("DCP332", f"{message}; nothing was computed", hint)


def _class(node: Any) -> str:
    return str(node.getClass().getName())


def _extends(java: Any, name: str) -> bool:
    kind = java.getClass()
    while kind is not None and kind.getName() != name:
        kind = kind.getSuperclass()
    return kind is not None


def _items(sequence: Any) -> List[Any]:
    return [sequence.apply(index) for index in range(sequence.size())]


def _nodes(plan: Any) -> Iterator[Any]:
    waiting = [plan]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += _items(node.children())
