"""Make sure of a table: create it, change it where nothing is lost, or check it. Several callers may do so at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.tables.errors import wrapped
from airflow_dcp_provider.tables.model import TableSpec
from airflow_dcp_provider.tables.schema import Evolution, iceberg_schema, parse_type, partition_spec, plan_evolution, spec_names

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

#: How often a change that lost a race against another one is planned afresh, and the first pause between two tries, in seconds.
COMMIT_TRIES = 6
COMMIT_PAUSE = 0.2


def ensure_namespace(catalog: Catalog, database: str) -> bool:
    """Make the database unless it is there; return whether this call made it.

    :raises DcpEnvironmentError: when the catalog does not answer or refuses.
    """
    with wrapped(f"make the database {database}"):
        if (database,) in catalog.list_namespaces():
            return False
        try:
            catalog.create_namespace((database,))
        except Exception:
            # Somebody else may have been faster, which each catalog reports in its own way (SQL ones by a constraint's error).
            if (database,) in catalog.list_namespaces():
                return False
            raise
        return True


def load(catalog: Catalog, spec: TableSpec) -> Table | None:
    """Return the table, or None when there is none."""
    from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError

    with wrapped(f"read the table {spec.name}"):
        try:
            return catalog.load_table(spec.identifier)
        except (NoSuchTableError, NoSuchNamespaceError):
            return None


def ensure_table(catalog: Catalog, spec: TableSpec) -> str:
    """Make the table from its declared columns, or change the one that is there; return one sentence on what was done.

    A sink without declared columns is only checked when it is there: the driver makes it from the analysed result.

    :raises DcpEnvironmentError: DCP424 when the change would lose data, DCP423 when the partitions differ.
    """
    ensure_namespace(catalog, spec.database)
    if spec.columns is None:
        return check_sink(catalog, spec)
    table = load(catalog, spec)
    if table is None:
        from pyiceberg.exceptions import TableAlreadyExistsError

        schema = iceberg_schema(spec.columns)
        properties = {"comment": spec.description} if spec.description else {}
        with wrapped(f"create the table {spec.name}"):
            try:
                catalog.create_table(
                    spec.identifier,
                    schema=schema,
                    partition_spec=partition_spec(schema, spec.partition_by, spec.name),
                    properties=properties,
                )
            except TableAlreadyExistsError:
                # Somebody else was faster; then theirs is checked and changed like any other.
                table = catalog.load_table(spec.identifier)
            else:
                return f"created with {len(spec.columns)} columns"
    _check_partitions(table, spec)
    changed = evolve(catalog, spec)
    return str(changed) if changed else "is as declared"


def evolve(catalog: Catalog, spec: TableSpec) -> Evolution:
    """Add and widen columns so that the table has those of ``spec``; return what was changed.

    A commit that loses a race is planned afresh on what the winner left.

    :raises DcpEnvironmentError: DCP422 when there is no such table, DCP424 when a change would lose data.
    """
    from pyiceberg.exceptions import CommitFailedException

    for number in range(COMMIT_TRIES):
        table = _existing(catalog, spec)
        plan = plan_evolution(table.schema(), spec.columns or (), spec.name)
        if not plan:
            return plan
        try:
            with wrapped(f"change the table {spec.name}"):
                _commit(table, plan)
            return plan
        except DcpEnvironmentError as error:
            if not isinstance(error.__cause__, CommitFailedException) or number == COMMIT_TRIES - 1:
                raise
            time.sleep(COMMIT_PAUSE * 2**number)
    raise AssertionError  # the last turn of the loop returns or raises


def _commit(table: Table, plan: Evolution) -> None:
    with table.update_schema() as update:
        for column in plan.added:
            update.add_column(column.name, parse_type(column.type), doc=column.description)
        for column in plan.widened:
            update.update_column(column.name, field_type=parse_type(column.type))
        for name in plan.relaxed:
            update.make_column_optional(name)
        for column in plan.described:
            update.update_column(column.name, doc=column.description)


def check_source(catalog: Catalog, spec: TableSpec, environment: str = "") -> Table:
    """Return the source's table.

    :param environment: the run's environment, for the message.
    :raises DcpEnvironmentError: DCP422 when there is no such table.
    """
    return _existing(catalog, spec, environment)


def check_sink(catalog: Catalog, spec: TableSpec) -> str:
    """Check a sink that the driver makes: where the table is there already, its partitions are those that the job writes.

    :return: one sentence on what was found.
    :raises DcpEnvironmentError: DCP423 when the partitions differ.
    """
    table = load(catalog, spec)
    if table is None:
        return "is made by the job from its result"
    _check_partitions(table, spec)
    return "is there"


def _existing(catalog: Catalog, spec: TableSpec, environment: str = "") -> Table:
    table = load(catalog, spec)
    if table is None:
        where = f" in environment {environment}" if environment else ""
        raise DcpEnvironmentError(
            f"table {spec.name} does not exist{where}",
            code="DCP422",
            hint="run what makes it first, load it with `pretzel data load`, or correct the name in the manifest",
        )
    return table


def _check_partitions(table: Table, spec: TableSpec) -> None:
    present = spec_names(table.schema(), table.spec())
    # Names are equal whatever their case, as everywhere.
    if [name.lower() for name in present] != [name.lower() for name in spec.partition_by]:
        raise DcpEnvironmentError(
            f"table {spec.name} is partitioned by {_listed(present)}, but the job writes it by {_listed(spec.partition_by)}",
            code="DCP423",
            hint="write it in the table's own partitions, or move the data to a new table by hand",
        )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) if names else "nothing"
