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


def read_file(path: Path, text_columns: Sequence[str] = ()) -> pa.Table:
    """Read a whole file; its name's ending says which format it has. Column types are Arrow's reading of the values.

    :param text_columns: columns of a CSV or JSON file whose values stay text as they are written: ``00501`` is no number then.
    :raises UsageError: DCP205 when there is no such file or the ending is not known, DCP206 when its content is not what the ending
        says or a column cannot be a table's, DCP208 when a text column is not in the file.
    :raises DcpEnvironmentError: DCP426 when Arrow is not installed.
    """
    name = path.name.lower()
    if not path.is_file():
        raise UsageError(f"{path} is not a file", code="DCP205", hint="give the path of a CSV, Parquet or JSON lines file")
    if not name.endswith(CSV + PARQUET + JSON):
        known = ", ".join(CSV + PARQUET + JSON)
        raise UsageError(f"the name of {path} does not say its format", code="DCP205", hint=f"let it end in one of {known}")
    try:
        import pyarrow as pa
        from pyarrow import ArrowException, csv, json, parquet
    except ImportError as error:
        raise DcpEnvironmentError(
            f"files cannot be read: {error}", code="DCP426", hint="install the extra `local`, which brings Arrow"
        ) from error
    try:
        if name.endswith(CSV):
            rows = csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=_texts(text_columns)))
        elif name.endswith(PARQUET):
            _refuse_text_columns(path, text_columns)
            rows = parquet.read_table(path, partitioning=None)
        else:
            if text_columns:
                # Arrow would add columns that are not there.
                _check_columns(path, json.read_json(path).column_names, text_columns)
            schema = pa.schema(list(_texts(text_columns).items()))
            rows = _with_days(json.read_json(path, parse_options=json.ParseOptions(explicit_schema=schema)), path)
    except (ArrowException, OSError, ValueError) as error:
        raise UsageError(
            f"{path} cannot be read: {_first_line(error)}", code="DCP206", hint="correct the file, or its name's ending"
        ) from error
    _check_columns(path, rows.column_names, text_columns)
    return _with_table_types(rows)


def _texts(columns: Sequence[str]) -> dict[str, pa.DataType]:
    import pyarrow as pa

    return dict.fromkeys(columns, pa.string())


def _refuse_text_columns(path: Path, text_columns: Sequence[str]) -> None:
    if text_columns:
        raise UsageError(
            f"{path} is a Parquet file, which says itself what is text", code="DCP208", hint="leave --text out, or convert the file"
        )


def _check_columns(path: Path, columns: Sequence[str], text_columns: Sequence[str]) -> None:
    """Refuse what no table can have. Spark does not tell columns apart by capitals, so two such names are one."""
    first: dict[str, str] = {}
    for name in columns:
        if not name.strip():
            raise UsageError(f"{path} has a column without a name", code="DCP206", hint="name every column in the header")
        if name.casefold() in first:
            other = first[name.casefold()]
            twice = f"two columns named `{name}`" if name == other else f"the columns `{other}` and `{name}`, one name to Spark"
            raise UsageError(f"{path} has {twice}", code="DCP206", hint="rename one of them in the file")
        first[name.casefold()] = name
    for name in text_columns:
        if name not in columns:
            hint = f"the columns are {', '.join(columns)}"
            raise UsageError(f"{path} has no column `{name}` to keep as text", code="DCP208", hint=hint)


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
