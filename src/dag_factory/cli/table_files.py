"""CSV, Parquet and JSON lines files as Arrow tables, and writing those into a table of the embedded catalog."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_dcp_provider.model.errors import DcpEnvironmentError, UsageError
from airflow_dcp_provider.tables.ensure import ensure_namespace
from airflow_dcp_provider.tables.errors import wrapped
from airflow_dcp_provider.tables.schema import spec_names

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

CSV = (".csv", ".csv.gz")
JSON = (".json", ".json.gz", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
PARQUET = (".parquet",)


def read_file(path: Path) -> pa.Table:
    """Read a whole file; its name's ending says which format it has. Column types are Arrow's reading of the values.

    :raises UsageError: DCP205 when there is no such file or the ending is not known, DCP206 when its content is not what the ending
        says or a column cannot be a table's.
    :raises DcpEnvironmentError: DCP426 when Arrow is not installed.
    """
    name = path.name.lower()
    if not path.is_file():
        raise UsageError(f"{path} is not a file", code="DCP205", hint="give the path of a CSV, Parquet or JSON lines file")
    if not name.endswith(CSV + PARQUET + JSON):
        known = ", ".join(CSV + PARQUET + JSON)
        raise UsageError(f"the name of {path} does not say its format", code="DCP205", hint=f"let it end in one of {known}")
    try:
        from pyarrow import ArrowException, csv, json, parquet
    except ImportError as error:
        raise DcpEnvironmentError(
            f"files cannot be read: {error}", code="DCP426", hint="install the extra `local`, which brings Arrow"
        ) from error
    try:
        if name.endswith(CSV):
            return _with_table_types(csv.read_csv(path))
        if name.endswith(PARQUET):
            return _with_table_types(parquet.read_table(path, partitioning=None))
        return _with_table_types(_with_days(json.read_json(path), path))
    except (ArrowException, OSError, ValueError) as error:
        raise UsageError(
            f"{path} cannot be read: {_first_line(error)}", code="DCP206", hint="mend the file, or its name's ending"
        ) from error


def _with_days(rows: pa.Table, path: Path) -> pa.Table:
    """Return a JSON file's rows with days as dates, as in a CSV file; Arrow reads ``2013-01-05`` there as a time."""
    import pyarrow as pa
    from pyarrow import compute, json

    times = [field.name for field in rows.schema if pa.types.is_timestamp(field.type)]
    as_text = json.ParseOptions(explicit_schema=pa.schema([(name, pa.string()) for name in times]))
    texts = json.read_json(path, parse_options=as_text) if times else rows
    for name in times:
        if compute.all(compute.match_substring_regex(texts[name], r"^\d{4}-\d{2}-\d{2}$")).as_py():
            rows = rows.set_column(rows.schema.get_field_index(name), name, texts[name].cast(pa.date32()))
    return rows


def _with_table_types(rows: pa.Table) -> pa.Table:
    """Return the rows with types that Iceberg has; times are cut to microseconds, a column without a value becomes text."""
    import pyarrow as pa

    def wanted(found: pa.DataType) -> pa.DataType:
        if pa.types.is_timestamp(found):
            return pa.timestamp("us", "UTC" if found.tz else None)
        if pa.types.is_time(found):
            return pa.time64("us")
        if pa.types.is_date(found):
            return pa.date32()
        return pa.string() if pa.types.is_null(found) else found

    return rows.cast(pa.schema([pa.field(field.name, wanted(field.type), field.nullable) for field in rows.schema]), safe=False)


def write_rows(
    catalog: Catalog, name: tuple[str, str], rows: pa.Table, partition_by: Sequence[str] = (), *, replace: bool = False
) -> str:
    """Write rows in one commit and return what was done with the table: ``created``, ``added to``, ``replaced``.

    Values are converted to the types of a table that is there, where nothing is lost by it.

    :param partition_by: identity partition columns of a new table; a table that is there must have these, or the list is empty.
    :param replace: the rows take the place of the table's own. Where they do not fit, the table is made
        anew, with its former partition columns where none are given.
    :raises UsageError: DCP207 when the rows do not fit the table, DCP208 when a partition column is not among theirs.
    """
    for column in partition_by:
        if column not in rows.column_names:
            known = ", ".join(rows.column_names)
            raise UsageError(f"there is no column `{column}` to partition by", code="DCP208", hint=f"the columns are {known}")
    with wrapped(f"write the table {'.'.join(name)}"):
        ensure_namespace(catalog, name[0])
        if not catalog.table_exists(name):
            _create(catalog, name, rows, partition_by)
            return "created"
        table = catalog.load_table(name)
        try:
            fitting = _fitting(table, rows, partition_by)
        except UsageError:
            if not replace:
                raise
            kept = [column for column in spec_names(table.schema(), table.spec()) if column in rows.column_names]
            catalog.drop_table(name)
            _create(catalog, name, rows, partition_by or kept)
            return "replaced"
        if replace:
            table.overwrite(fitting)
            return "replaced"
        table.append(fitting)
        return "added to"


def _create(catalog: Catalog, name: tuple[str, str], rows: pa.Table, partition_by: Sequence[str]) -> None:
    from pyiceberg.exceptions import ValidationError
    from pyiceberg.io.pyarrow import UnsupportedPyArrowTypeException

    try:
        with catalog.create_table_transaction(name, schema=rows.schema) as transaction:
            with transaction.update_spec() as spec:
                for column in partition_by:
                    spec.add_identity(column)
            transaction.append(rows)
    except (UnsupportedPyArrowTypeException, ValidationError) as error:
        raise UsageError(
            f"the file cannot become a table: {_first_line(error)}",
            code="DCP206",
            hint="leave the column out or give it another type",
        ) from error


def _fitting(table: Table, rows: pa.Table, partition_by: Sequence[str]) -> pa.Table:
    """Return the rows with the table's columns in its order and types.

    :raises UsageError: DCP207 when that is not possible.
    """
    from pyarrow import ArrowException

    present = spec_names(table.schema(), table.spec())
    if partition_by and tuple(partition_by) != present:
        raise _misfit(table, f"it is partitioned by {', '.join(present) or 'nothing'}")
    schema = table.schema().as_arrow()
    theirs, ours = set(rows.column_names), set(schema.names)
    if theirs - ours:
        raise _misfit(table, f"it has no column {_listed(theirs - ours)}")
    if ours - theirs:
        raise _misfit(table, f"the file has no column {_listed(ours - theirs)}")
    columns: list[Any] = []
    for field in schema:
        try:
            columns.append(rows[field.name].cast(field.type))
        except ArrowException as error:
            raise _misfit(table, f"column `{field.name}` is {field.type} there: {_first_line(error)}") from error
    return rows.from_arrays(columns, schema=schema)


def _misfit(table: Table, why: str) -> UsageError:
    name = ".".join(table.name())
    return UsageError(
        f"the file does not fit the table {name}: {why}",
        code="DCP207",
        hint="change the file, or make the table anew with --replace",
    )


def _listed(names: set[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
