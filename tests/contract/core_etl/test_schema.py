"""A result is matched with the declared columns and with the table before anything is written."""

from decimal import Decimal

import pytest

from .conftest import SPARK, Lake

pytestmark = SPARK


def column(name: str, kind: str, **more: object) -> dict[str, object]:
    return {"name": name, "type": kind, **more}


def test_a_missing_table_is_made_from_the_result(lake: Lake) -> None:
    lake.run(
        "SELECT COUNT(*) AS n, CAST(1 AS TINYINT) AS tiny, ARRAY(1) AS list, 1.5 AS price",
        description="It's ours",
        partition_by=["ds"],
    )
    description = {row.col_name: (row.data_type, row.comment) for row in lake.spark.sql(f"DESCRIBE EXTENDED {lake.name}").collect()}
    assert [description[name][0] for name in ("n", "tiny", "list", "price")] == ["bigint", "int", "array<int>", "decimal(2,1)"]
    assert description["Comment"][0] == "It's ours"
    assert "format-version=2" in description["Table Properties"][0]
    assert all(field.nullable for field in lake.spark.table(lake.name).schema)
    assert [row.partition for row in lake.spark.sql(f"SELECT partition FROM {lake.name}.partitions").collect()] == [("2013-01-05",)]


def test_a_declared_table_takes_columns_in_any_order_and_widens(lake: Lake) -> None:
    columns = [
        column("id", "long", required=True, description="the user's number"),
        column("ratio", "double"),
        column("amount", "decimal"),
        column("big", "decimal(20,2)"),
        column("seen", "timestamp"),
        column("tags", "list<long>"),
    ]
    lake.run(
        "SELECT ARRAY(1) AS tags, TIMESTAMP '2013-01-05 10:00:00' AS seen, 7 AS big, CAST(1.5 AS DECIMAL(4,2)) AS amount,"
        " CAST(0.5 AS FLOAT) AS ratio, 3 AS ID",
        columns=columns,
    )
    types = [field.dataType.simpleString() for field in lake.spark.table(lake.name).schema]
    assert types == ["bigint", "double", "decimal(38,18)", "decimal(20,2)", "timestamp_ntz", "array<bigint>"]
    (row,) = lake.rows()
    assert (row[0], row[1], row[2], row[3], row[5]) == (3, 0.5, Decimal("1.5"), Decimal(7), [1])
    assert not lake.spark.table(lake.name).schema["id"].nullable


def test_every_difference_from_the_declared_columns_is_named(lake: Lake) -> None:
    error = lake.fail(
        "SELECT 'x' AS id, 1L AS n, 2 AS extra, 3 AS more",
        columns=[column("id", "long"), column("n", "int"), column("gone", "string")],
    )
    assert (error.code, error.exit_code) == ("DCP325", 20)
    for part in ("lacks `gone`", "`extra`, `more` are not there", "`id` is string and not bigint", "`n` is bigint and not int"):
        assert part in error.message
    assert not lake.exists()


def test_a_null_in_a_required_column_is_told_before_anything_is_written(lake: Lake) -> None:
    columns = [column("id", "int", required=True), column("word", "string")]
    lake.run("SELECT 1 AS id, 'a' AS word", columns=columns)
    error = lake.fail("SELECT IF(id = 1, NULL, 5) AS id, 'b' AS word FROM VALUES (1), (2) AS t(id)", columns=columns)
    assert error.code == "DCP325"
    assert "`id` is required and null in 1 rows" in error.message
    assert lake.rows() == [(1, "a")]
    lake.run("SELECT 2 AS id, 'b' AS word", columns=columns, mode="merge", merge_keys=["id"])
    assert lake.rows() == [(1, "a"), (2, "b")]


def test_decimals_that_fit_are_written_and_others_are_counted(lake: Lake) -> None:
    columns = [column("total", "decimal(10,2)")]
    lake.run("SELECT SUM(v) AS total FROM VALUES (CAST(1.25 AS DECIMAL(10,2))), (2) AS t(v)", columns=columns)
    assert lake.rows() == [(Decimal("3.25"),)]
    error = lake.fail(
        "SELECT v AS total FROM VALUES (CAST(1.255 AS DECIMAL(20,3))), (1234567890.000), (1.5) AS t(v)", columns=columns
    )
    assert "`total` does not fit decimal(10,2) in 2 rows" in error.message
    assert lake.rows() == [(Decimal("3.25"),)]


def test_a_table_that_is_there_keeps_its_columns(lake: Lake) -> None:
    lake.run("SELECT 1 AS id, 'a' AS word")
    lake.run("SELECT 2 AS id")
    assert lake.rows() == [(2, None)]
    error = lake.fail("SELECT 3 AS id, 'x' AS word, 'y' AS other")
    assert (error.code, error.exit_code) == ("DCP326", 20)
    assert "`other` is not there" in error.message
    error = lake.fail("SELECT 3L AS id, 'x' AS word")
    assert "`id` is bigint and not int" in error.message
    assert lake.rows() == [(2, None)]


def test_other_partitions_than_the_table_has_are_refused(lake: Lake) -> None:
    lake.run("SELECT 1 AS id", partition_by=["ds"])
    error = lake.fail("SELECT 1 AS id, 'x' AS ds")
    assert error.code == "DCP326"
    assert "is partitioned by `ds` and sink `out` by nothing" in error.message


def test_a_missing_partition_column_is_named(lake: Lake) -> None:
    error = lake.fail("SELECT 1 AS id", partition_by=["ds", "country"])
    assert (error.code, error.exit_code) == ("DCP324", 20)
    assert "`country`" in error.message
    assert "`ds`" not in error.message.split(",")[0]


def test_a_column_without_a_type_is_named(lake: Lake) -> None:
    error = lake.fail("SELECT 1 AS id, NULL AS word")
    assert error.code == "DCP322"
    assert "`word` is NULL in every row" in error.message


def test_nothing_is_written_when_one_of_two_sinks_is_wrong(lake: Lake) -> None:
    document = lake.spec("SELECT 1 AS id")
    wrong = {**document["sinks"][0], "name": "second", "table": f"{lake.table}_2", "partition_by": ["country"]}
    document["sinks"].append(wrong)
    with pytest.raises(Exception, match="DCP324"):
        lake.run_spec(document)
    assert not lake.exists()


@pytest.mark.parametrize(
    ("query", "code", "part"),
    [
        ("SELECT 1 AS id, 2 AS ID", "DCP390", "`id`, `ID`"),
        ("SELECT 1 AS id, 2 AS id", "DCP390", "`id`, `id`"),
        ("SELECT named_struct('a', 1, 'A', 2) AS s", "DCP390", "`a`, `A`"),
        ("SELECT array(named_struct('a', 1, 'A', 2)) AS s", "DCP390", "`a`, `A`"),
        (
            "SELECT timestamp'2024-01-02 00:00:00' - timestamp'2024-01-01 00:00:00' AS took",
            "DCP393",
            "`took` is interval day to second",
        ),
        ("SELECT INTERVAL 1 MONTH AS took", "DCP393", "`took` is interval month"),
        ("SELECT array(INTERVAL 1 DAY) AS took", "DCP393", "`took`"),
        # Only newer PySparks know this type; elsewhere its Java text is all that there is.
        ("SELECT make_interval(1) AS took", "DCP393", "interval"),
        ("SELECT 1 AS id, array() AS tags", "DCP322", "`tags`"),
        ("SELECT map() AS tags", "DCP322", "`tags`"),
        ("SELECT named_struct('a', NULL) AS tags", "DCP322", "`tags`"),
    ],
)
def test_columns_that_no_table_can_have_are_the_manifests_fault(lake: Lake, query: str, code: str, part: str) -> None:
    error = lake.fail(query)
    assert (error.code, error.exit_code) == (code, 20)
    assert part in error.message
    assert not lake.exists()


def test_a_table_whose_columns_differ_only_by_case_is_refused(lake: Lake) -> None:
    lake.spark.conf.set("spark.sql.caseSensitive", "true")
    lake.spark.sql("CREATE NAMESPACE IF NOT EXISTS pedregal.lake")
    lake.spark.sql(f"CREATE TABLE {lake.name} (id INT, ID INT) USING iceberg")
    error = lake.fail("SELECT 1 AS id")
    assert (error.code, error.exit_code) == ("DCP391", 20)
    lake.spark.conf.unset("spark.sql.caseSensitive")
    error = lake.fail("SELECT 1 AS id")
    assert (error.code, error.exit_code) == ("DCP390", 20)


def test_fields_inside_of_columns_may_have_any_names(lake: Lake) -> None:
    struct = "named_struct('my field', 1, 'a.b', 2, 'c`d', array(named_struct('e-f', 3)), '1', map('k', named_struct('g h', 4)))"
    for number in (1, 2):
        lake.run(f"SELECT {number} AS id, {struct} AS odd, 'x' AS `a b.c`")
    ((number, row, word),) = lake.rows()
    assert (number, row["my field"], row["a.b"], row["c`d"][0]["e-f"], row["1"]["k"]["g h"], word) == (2, 1, 2, 3, 4, "x")
