"""Files into tables of a real embedded catalog."""

from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog import Catalog

from airflow_dcp_provider.embedded_catalog.catalog import EmbeddedCatalog
from airflow_dcp_provider.model.errors import UsageError
from airflow_dcp_provider.tables.schema import spec_names
from dag_factory.cli.data import first_rows, partition_condition, plain_rows
from dag_factory.cli.table_files import read_file, write_rows

DAY = dt.date(2013, 1, 5)
NAME = ("raw", "flights")


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    opened = EmbeddedCatalog(tmp_path / "home").catalog()
    yield opened
    opened.close()


def rows_of(catalog: Catalog) -> list[dict[str, object]]:
    return catalog.load_table(NAME).scan().to_arrow().to_pylist()


def test_the_same_rows_from_every_format(tmp_path: Path):
    csv = "ds,carrier,delay,at\n2013-01-05,UA,1.5,2013-01-05T10:00:00\n2013-01-05,,2,2013-01-05T11:00:00\n"
    lines = (
        '{"ds": "2013-01-05", "carrier": "UA", "delay": 1.5, "at": "2013-01-05T10:00:00"}\n'
        '{"ds": "2013-01-05", "carrier": "", "delay": 2.0, "at": "2013-01-05T11:00:00"}\n'
    )
    (tmp_path / "a.csv").write_text(csv)
    (tmp_path / "b.jsonl").write_text(lines)
    with gzip.open(tmp_path / "c.csv.gz", "wt") as file:
        file.write(csv)
    with gzip.open(tmp_path / "d.ndjson.gz", "wt") as file:
        file.write(lines)
    pq.write_table(read_file(tmp_path / "a.csv"), tmp_path / "e.parquet")
    tables = [read_file(path) for path in sorted(tmp_path.iterdir())]
    assert len(tables) == 5
    assert all(table.equals(tables[0]) for table in tables)
    assert tables[0].schema.types == [pa.date32(), pa.string(), pa.float64(), pa.timestamp("us")]


def test_a_text_column_keeps_what_is_written(tmp_path: Path):
    (tmp_path / "a.csv").write_text("id,code,day\n1,00501,2013-01-05\n2,1e6,\n")
    (tmp_path / "b.jsonl").write_text('{"id": 1, "code": "00501", "day": "2013-01-05"}\n{"id": 2, "code": "1e6", "day": ""}\n')
    for name in ("a.csv", "b.jsonl"):
        rows = read_file(tmp_path / name, ["code", "day"])
        assert rows.to_pydict() == {"id": [1, 2], "code": ["00501", "1e6"], "day": ["2013-01-05", ""]}


@pytest.mark.parametrize("name", ["a.csv", "b.jsonl"])
def test_a_text_column_must_be_in_the_file(tmp_path: Path, name: str):
    (tmp_path / "a.csv").write_text("id,code\n1,2\n")
    (tmp_path / "b.jsonl").write_text('{"id": 1, "code": 2}\n')
    with pytest.raises(UsageError, match=r"DCP208 .* has no column `cod` .*\n.*id, code"):
        read_file(tmp_path / name, ["cod"])


def test_a_parquet_file_says_itself_what_is_text(tmp_path: Path):
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    with pytest.raises(UsageError, match="DCP208"):
        read_file(tmp_path / "a.parquet", ["a"])


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        ("id,id,name", "two columns named `id`"),
        ("id,ID,name", "the columns `id` and `ID`"),
        ("id,,name", "a column without a name"),
    ],
)
def test_a_header_that_no_table_can_have_is_the_files_fault(tmp_path: Path, header: str, fault: str):
    (tmp_path / "a.csv").write_text(f"{header}\n1,2,x\n")
    with pytest.raises(UsageError, match=f"DCP206 .*{fault}"):
        read_file(tmp_path / "a.csv")


def test_types_that_tables_lack_become_those_that_they_have(tmp_path: Path):
    moment = dt.datetime(2013, 1, 5, 10, tzinfo=dt.UTC)
    table = pa.table(
        {
            "nanoseconds": pa.array([moment.replace(tzinfo=None)], pa.timestamp("ns")),
            "zone": pa.array([moment], pa.timestamp("ms", "Europe/Berlin")),
            "time": pa.array([dt.time(10)], pa.time32("s")),
            "empty": pa.nulls(1),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    assert read_file(tmp_path / "a.parquet").schema.types == [
        pa.timestamp("us"),
        pa.timestamp("us", "UTC"),
        pa.time64("us"),
        pa.string(),
    ]


def test_a_day_column_of_json_with_a_time_in_it_stays_times(tmp_path: Path):
    (tmp_path / "a.json").write_text('{"at": "2013-01-05"}\n{"at": "2013-01-05T10:00:00"}\n')
    assert read_file(tmp_path / "a.json").schema.types == [pa.timestamp("us")]


def test_a_new_table_is_partitioned_and_written_in_one_commit(catalog: Catalog):
    rows = pa.table({"ds": [DAY, DAY], "carrier": ["UA", "AA"]})
    assert write_rows(catalog, NAME, rows, ["ds", "carrier"]) == "created"
    table = catalog.load_table(NAME)
    assert spec_names(table.schema(), table.spec()) == ("ds", "carrier")
    assert len(table.history()) == 1
    assert sorted(row["carrier"] for row in rows_of(catalog)) == ["AA", "UA"]


def test_values_are_converted_to_the_tables_types(catalog: Catalog):
    write_rows(catalog, NAME, pa.table({"n": pa.array([1.5]), "carrier": ["UA"]}))
    assert write_rows(catalog, NAME, pa.table({"carrier": ["AA"], "n": pa.array([2], pa.int8())})) == "added to"
    assert sorted(row["n"] for row in rows_of(catalog)) == [1.5, 2.0]


def test_what_would_lose_something_is_refused_and_leaves_the_table_alone(catalog: Catalog):
    write_rows(catalog, NAME, pa.table({"n": pa.array([1])}))
    with pytest.raises(UsageError, match=r"DCP207 .* column `n` is int64 there"):
        write_rows(catalog, NAME, pa.table({"n": pa.array([1.5])}))
    assert rows_of(catalog) == [{"n": 1}]


def test_replace_keeps_a_table_that_fits_with_its_history(catalog: Catalog):
    write_rows(catalog, NAME, pa.table({"ds": [DAY], "n": [1]}), ["ds"])
    before = catalog.load_table(NAME).metadata.table_uuid
    assert write_rows(catalog, NAME, pa.table({"ds": [DAY], "n": [2]}), replace=True) == "replaced"
    assert catalog.load_table(NAME).metadata.table_uuid == before
    assert rows_of(catalog) == [{"ds": DAY, "n": 2}]


def test_replace_makes_a_table_that_does_not_fit_anew_with_its_partitions(catalog: Catalog):
    write_rows(catalog, NAME, pa.table({"ds": [DAY], "n": [1]}), ["ds"])
    write_rows(catalog, NAME, pa.table({"ds": [DAY], "text": ["a"]}), replace=True)
    table = catalog.load_table(NAME)
    assert spec_names(table.schema(), table.spec()) == ("ds",)
    assert rows_of(catalog) == [{"ds": DAY, "text": "a"}]


def test_a_column_that_no_table_can_have_is_the_files_fault(catalog: Catalog):
    with pytest.raises(UsageError, match="DCP206"):
        write_rows(catalog, NAME, pa.table({"span": pa.array([1], pa.duration("s"))}))
    assert not catalog.table_exists(NAME)


@pytest.mark.parametrize(
    ("partitions", "carriers"),
    [
        ([{"ds": "2013-01-05", "carrier": "UA"}], ["UA"]),
        ([{"ds": "2013-01-05", "carrier": None}], [None]),
        ([{"DS": "2013-01-05", "carrier": "AA"}, {"ds": "2013-01-05", "carrier": "UA"}], ["AA", "UA"]),
        ([{"ds": "2013-01-06"}], []),
        ([{"ds": "2013-01-06"}, {"ds": "2013-01-05"}], [None, "AA", "UA"]),
        ([], [None, "AA", "UA"]),
    ],
)
def test_the_rows_of_partitions(catalog: Catalog, partitions: list[dict[str, str | None]], carriers: list[str | None]):
    write_rows(catalog, NAME, pa.table({"ds": [DAY] * 3, "carrier": ["UA", "AA", None]}), ["ds", "carrier"])
    table = catalog.load_table(NAME)
    columns, rows = first_rows(table, partition_condition(table.schema(), partitions), 10)
    assert columns == ["ds", "carrier"]
    assert sorted((row["carrier"] for row in rows), key=str) == sorted(carriers, key=str)


moment = dt.datetime.fromisoformat


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([2023, 2024], "2024"),
        ([dt.date(1, 1, 1), dt.date(2013, 1, 5)], "2013-01-05"),
        ([moment("2013-01-04 23:00"), moment("2013-01-05 23:00")], "2013-01-05"),
        ([moment("2013-01-05 01:00"), moment("2013-01-05 23:00:00.000005")], "2013-01-05 23:00:00.000005"),
        ([dt.datetime(2013, 1, 4, 23, tzinfo=dt.UTC), dt.datetime(2013, 1, 5, 23, tzinfo=dt.UTC)], "2013-01-05"),
        ([False, True], "true"),
        ([Decimal("0.10"), Decimal("0.20")], "0.20"),
        ([0.5, 0.25], "0.25"),
        (["a,b=c/d", "null"], "null"),
        ([b"a", b"\xff"], "FF"),
    ],
)
def test_a_partitions_value_is_compared_as_its_column_has_it(catalog: Catalog, values: list[object], text: str):
    write_rows(catalog, NAME, pa.table({"id": [1, 2], "part": values}))
    table = catalog.load_table(NAME)
    _, rows = first_rows(table, partition_condition(table.schema(), [{"part": text}]), 10)
    assert [row["id"] for row in rows] == [2]


def test_a_value_that_cannot_be_compared_hides_no_rows(catalog: Catalog):
    write_rows(catalog, NAME, pa.table({"id": [1], "part": [dt.date(9999, 12, 31)]}))
    table = catalog.load_table(NAME)
    assert len(first_rows(table, partition_condition(table.schema(), [{"part": "+10000-01-01"}]), 10)[1]) == 1


def dates(*days: int | None) -> pa.Array:
    return pa.array(days, pa.int32()).cast(pa.date32())


def times(microseconds: int, zone: str | None = None) -> pa.Array:
    return pa.array([microseconds], pa.int64()).cast(pa.timestamp("us", tz=zone))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (dates(2_932_897), "10000-01-01"),
        (dates(-735_518), "-0044-03-22"),
        (times(253_402_300_800_000_000), "10000-01-01 00:00:00.000000"),
        (times(-62_135_596_800_000_001, "UTC"), "0000-12-31 23:59:59.999999Z"),
        (pa.StructArray.from_arrays([dates(2_932_897), dates(None)], ["a", "b"]), {"a": "10000-01-01", "b": None}),
        (pa.ListArray.from_arrays([0, 1], dates(2_932_897)), ["10000-01-01"]),
        (pa.LargeListArray.from_arrays([0, 1], dates(2_932_897)), ["10000-01-01"]),
        (pa.MapArray.from_arrays([0, 1], dates(2_932_897), times(0)), [("10000-01-01", "1970-01-01 00:00:00.000000")]),
    ],
)
def test_dates_that_python_has_not_are_shown_as_texts(column: pa.Array, value: object):
    assert plain_rows(pa.table({"id": [1], "x": column})) == [{"id": 1, "x": value}]


def test_other_dates_stay_dates():
    assert plain_rows(pa.table({"ds": [DAY]})) == [{"ds": DAY}]
