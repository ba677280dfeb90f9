"""Sources and transformations, and how their faults are told."""

import json
from pathlib import Path

import pytest

from airflow_dcp_provider.core_etl.diagnosis import java_stack

from .conftest import SPARK, Lake

pytestmark = SPARK


def test_files_and_tables_are_read_filtered_and_joined(lake: Lake) -> None:
    csv, lines, parquet = lake.folder / "a.csv", lake.folder / "b.json", lake.folder / "c.parquet"
    csv.write_text("id,word\n1,one\n2,two\n3,three\n")
    lines.write_text("\n".join(json.dumps({"id": number, "n": number * 10}) for number in (1, 2, 3)))
    lake.spark.range(5).write.parquet(str(parquet))
    lake.spark.sql(f"CREATE TABLE pedregal.raw.{lake.table} USING iceberg AS SELECT 1 AS id, 'x' AS ds UNION ALL SELECT 2, 'y'")
    sources = [
        {
            "name": "words",
            "type": "csv",
            "path": str(csv),
            "options": {"header": "true", "inferSchema": "true"},
            "filter": "id > 1",
        },
        {"name": "numbers", "type": "json", "path": str(lines)},
        {"name": "ids", "type": "parquet", "path": str(parquet)},
        {"name": "days", "catalog": "pedregal", "database": "raw", "table": lake.table, "filter": "ds = 'y'"},
    ]
    steps = [
        {
            "name": "joined",
            "query": "SELECT word, n, ds FROM words JOIN numbers USING (id) JOIN ids USING (id) LEFT JOIN days USING (id)",
        },
        {"name": "result", "query": "SELECT upper(word) AS word, n + 1 AS n, ds FROM joined"},
    ]
    lake.run("", sources=sources, transformations=steps)
    assert lake.rows() == [("THREE", 31, None), ("TWO", 21, "y")]


def test_a_source_may_be_written_as_it_is(lake: Lake) -> None:
    parquet = lake.folder / "c.parquet"
    lake.spark.range(3).write.parquet(str(parquet))
    document = lake.spec("SELECT 1", sources=[{"name": "ids", "type": "parquet", "path": str(parquet)}])
    document["sinks"][0]["input"] = "ids"
    lake.run_spec(document)
    assert lake.rows() == [(0,), (1,), (2,)]


@pytest.mark.parametrize(
    ("query", "code", "part"),
    [
        ("SELECT * FORM x", "DCP321", "PARSE_SYNTAX_ERROR"),
        ("SELECT 1 AS id\nFROM (", "DCP321", "line 2"),
        ("SELECT * FROM nowhere", "DCP322", "[TABLE_OR_VIEW_NOT_FOUND] The table or view `nowhere` cannot be found"),
        ("SELECT a FROM (SELECT 1 AS b)", "DCP322", "Did you mean one of the following? [`b`]"),
        ("SELECT nofunction(1)", "DCP322", "UNRESOLVED_ROUTINE"),
        ("DROP TABLE pedregal.raw.precious", "DCP321", "DROP"),
        ("INSERT INTO pedregal.raw.precious VALUES (2)", "DCP321", "INSERT"),
        ("SELECT CAST(raise_error('no good') AS INT) AS x", "DCP323", "no good"),
        ("SELECT element_at(ARRAY(1), CAST(id AS INT)) AS x FROM range(3)", "DCP323", "INVALID_INDEX_OF_ZERO"),
        # What is constant is computed as soon as the query is optimised.
        ("SELECT element_at(ARRAY(1), 0) AS x", "DCP323", "sink `out`: [INVALID_INDEX_OF_ZERO]"),
        ("SELECT to_timestamp('x', 'qqqq') AS x", "DCP323", "sink `out`: "),
        ("SELECT str_to_map('a:1,a:2') AS x", "DCP323", "sink `out`: [DUPLICATED_MAP_KEY]"),
        ("SELECT (SELECT id FROM range(2)) AS x", "DCP323", "sink `out`: [SCALAR_SUBQUERY_TOO_MANY_ROWS]"),
        ("SELECT split(CAST(id AS STRING), '[') AS x FROM range(3)", "DCP323", "sink `out`: "),
        ("SELECT decode(X'FF', 'nope') AS x", "DCP323", "nope"),
    ],
)
def test_faults_of_a_query_are_told_in_sparks_words(lake: Lake, query: str, code: str, part: str) -> None:
    lake.spark.sql("CREATE TABLE IF NOT EXISTS pedregal.raw.precious (id INT) USING iceberg")
    error = lake.fail(query)
    assert (error.code, error.exit_code) == (code, 20)
    assert part in error.message
    assert "\n" not in error.message
    assert "org.apache" not in error.message
    # The log gets the whole story.
    assert "at org.apache.spark" in str(java_stack(error.__cause__ or error))
    assert lake.spark.table("pedregal.raw.precious").count() == 0
    assert not lake.exists()


def test_a_transformation_sees_only_earlier_ones(lake: Lake) -> None:
    steps = [{"name": "result", "query": "SELECT * FROM later_one"}, {"name": "later_one", "query": "SELECT 1 AS id"}]
    error = lake.fail("", transformations=steps)
    assert (error.code, error.exit_code) == ("DCP322", 20)
    assert "transformation `result`" in error.message


@pytest.mark.parametrize(
    ("source", "code", "exit_code"),
    [
        ({"catalog": "pedregal", "database": "raw", "table": "nothing"}, "DCP330", 21),
        ({"catalog": "pedregal", "database": "nowhere", "table": "nothing"}, "DCP330", 21),
        ({"type": "parquet", "path": "/nowhere/at/all"}, "DCP330", 21),
        ({"catalog": "unknown", "database": "raw", "table": "nothing"}, "DCP337", 22),
        ({"catalog": "pedregal", "database": "raw", "table": "precious", "filter": "no_column = 1"}, "DCP322", 20),
        ({"catalog": "pedregal", "database": "raw", "table": "precious", "filter": "id = = 1"}, "DCP321", 20),
        ({"catalog": "dead", "database": "raw", "table": "precious"}, "DCP336", 22),
    ],
)
def test_faults_of_a_source_are_told(lake: Lake, source: dict[str, str], code: str, exit_code: int) -> None:
    lake.spark.sql("CREATE TABLE IF NOT EXISTS pedregal.raw.precious (id INT) USING iceberg")
    for key, value in {"": "org.apache.iceberg.spark.SparkCatalog", ".type": "rest", ".uri": "http://127.0.0.1:9"}.items():
        lake.spark.conf.set(f"spark.sql.catalog.dead{key}", value)
    error = lake.fail("SELECT 1 AS id", sources=[{"name": "raw", **source}])
    assert (error.code, error.exit_code) == (code, exit_code)
    assert "source `raw`" in error.message


def test_days_are_utc_whatever_the_session_says(lake: Lake, request: pytest.FixtureRequest) -> None:
    # Other tests share the session that this one's was made from.
    request.addfinalizer(lambda: lake.spark.conf.set("spark.sql.session.timeZone", "UTC"))
    lake.spark.conf.set("spark.sql.session.timeZone", "America/Los_Angeles")
    lake.run("SELECT CAST(TIMESTAMP '2013-01-05 23:30:00Z' AS DATE) AS day, CAST('2013-01-05 23:30:00' AS TIMESTAMP) AS at")
    assert lake.rows("CAST(day AS STRING), unix_seconds(at)") == [("2013-01-05", 1357428600)]


def test_a_missing_path_of_one_kind_does_not_hide_another(tmp_path: Path, lake: Lake) -> None:
    (tmp_path / "bad.parquet").write_text("this is no parquet")
    error = lake.fail("SELECT * FROM raw", sources=[{"name": "raw", "type": "parquet", "path": str(tmp_path / "bad.parquet")}])
    assert "source `raw`" in error.message


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("csv", {"header": "yes"}),
        ("csv", {"inferSchema": "true", "samplingRatio": "x"}),
        ("csv", {"sep": ""}),
        ("csv", {"encoding": "nope"}),
        ("csv", {"maxColumns": "x"}),
        ("csv", {"header": "true", "maxCharsPerColumn": "1"}),
        ("json", {"multiLine": "q"}),
        ("json", {"lineSep": ""}),
    ],
)
def test_options_that_spark_does_not_understand_are_the_manifests_fault(lake: Lake, kind: str, options: dict[str, str]) -> None:
    path = lake.folder / "meter"
    path.write_text("id,v\n1,00\n2,0\n")
    error = lake.fail("SELECT * FROM m", sources=[{"name": "m", "type": kind, "path": str(path), "options": options}])
    assert error.exit_code == 20, error
    assert error.code in ("DCP394", "DCP323")


def test_a_default_catalog_that_is_not_configured_hinders_nobody_who_does_not_need_it(lake: Lake) -> None:
    lake.run("SELECT 1 AS id", default_catalog="elsewhere")
    assert lake.rows() == [(1,)]
