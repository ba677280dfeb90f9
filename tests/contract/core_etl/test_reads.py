"""A query reads what its job declares and nothing else, whatever its text says once its templates are rendered."""

from __future__ import annotations

import pytest

from .conftest import SPARK, Lake

pytestmark = SPARK

DECLARED = {"name": "declared", "catalog": "pedregal", "database": "raw", "table": "declared"}


@pytest.fixture(autouse=True)
def tables(lake: Lake) -> None:
    lake.spark.sql("CREATE NAMESPACE IF NOT EXISTS pedregal.other")
    lake.spark.sql("CREATE TABLE IF NOT EXISTS pedregal.raw.declared USING iceberg AS SELECT 1 AS id")
    lake.spark.sql("CREATE TABLE IF NOT EXISTS pedregal.raw.secret USING iceberg AS SELECT 1 AS id")
    lake.spark.sql("CREATE TABLE IF NOT EXISTS pedregal.other.declared USING iceberg AS SELECT 1 AS id")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM raw.secret",
        "SELECT * FROM pedregal.raw.secret",
        "SELECT * FROM other.declared",
        "SELECT * FROM raw.secret.snapshots",
        "SELECT id FROM declared WHERE id IN (SELECT id FROM raw.secret)",
        "SELECT (SELECT max(id) FROM raw.secret) AS id FROM declared",
        "WITH x AS (SELECT * FROM raw.secret) SELECT * FROM x",
        "WITH x AS (SELECT * FROM raw.secret) SELECT 1 AS id",
        "SELECT * FROM (SELECT id FROM declared UNION ALL SELECT id FROM raw.secret)",
        "SELECT d.id FROM declared d, LATERAL (SELECT max(id) AS m FROM raw.secret) s",
        "SELECT EXISTS (WITH x AS (SELECT 1 FROM raw.secret) SELECT * FROM x) AS e",
        "TABLE raw.secret",
        "SELECT * FROM csv.`/etc/passwd`",
        "SELECT * FROM text.`../x`",
        "SELECT * FROM parquet.`s3://bucket/key`",
        "SELECT * FROM binaryFile.`/etc`",
        "SELECT * FROM jdbc.`x`",
        "SELECT * FROM iceberg.`/tmp/table`",
        "SELECT * FROM spark_catalog.default.x",
        "SELECT * FROM global_temp.x",
        "SELECT * FROM dcp_write_pedregal.raw.declared",
        "SELECT * FROM dead.raw.declared",
        "SELECT TRANSFORM(id) USING 'cat' AS (id) FROM declared",
        "FROM declared MAP id USING 'cat' AS id",
        "SELECT id FROM (SELECT TRANSFORM(id) USING 'cat' AS (id) FROM declared)",
        "SELECT 1 AS id WHERE EXISTS (SELECT TRANSFORM(id) USING 'cat' AS (id) FROM declared)",
    ],
)
@pytest.mark.parametrize("place", ["query", "filter"])
def test_what_is_not_declared_is_not_read(lake: Lake, query: str, place: str) -> None:
    lake.spark.sql("CREATE OR REPLACE GLOBAL TEMPORARY VIEW x AS SELECT 1 AS id")
    if place == "query":
        error = lake.fail(query, sources=[DECLARED], default_catalog="pedregal")
    else:
        error = lake.fail("SELECT 1 AS id", sources=[{**DECLARED, "filter": f"EXISTS ({query})"}], default_catalog="pedregal")
    # A filter's text is not looked at before Spark does, which then finds some of these tables nowhere.
    assert error.code == "DCP332" or (place == "filter" and error.code in ("DCP321", "DCP322"))
    assert error.exit_code == 20
    assert not lake.exists()


def test_a_views_name_does_not_open_a_tables(lake: Lake) -> None:
    """A temporary view of somebody else in the session is no view of the job."""
    lake.spark.sql("SELECT 1 AS id").createOrReplaceTempView("left_behind")
    error = lake.fail("SELECT * FROM left_behind", sources=[DECLARED])
    lake.spark.catalog.dropTempView("left_behind")
    assert error.code == "DCP332"


def test_a_function_of_the_session_is_not_called(lake: Lake) -> None:
    lake.spark.udf.register("own_function", lambda value: value)
    error = lake.fail("SELECT own_function(id) AS id FROM declared", sources=[DECLARED])
    assert (error.code, error.exit_code) == ("DCP332", 20)


def test_a_real_table_where_a_metadata_table_would_be_is_not_read(lake: Lake) -> None:
    for key, value in {"": "org.apache.iceberg.spark.SparkCatalog", ".type": "hadoop", ".warehouse": str(lake.folder)}.items():
        lake.spark.conf.set(f"spark.sql.catalog.deep{key}", value)
    lake.spark.sql("CREATE TABLE deep.raw.declared USING iceberg AS SELECT 1 AS id")
    lake.spark.sql("CREATE TABLE deep.raw.declared.hidden USING iceberg AS SELECT 'secret' AS word")
    source = {**DECLARED, "catalog": "deep"}
    assert lake.run("SELECT count(*) AS n FROM deep.raw.declared.history", sources=[source]).rows == 1
    error = lake.fail("SELECT * FROM deep.raw.declared.hidden", sources=[source])
    assert (error.code, error.exit_code) == ("DCP332", 20)


def test_files_are_read_by_their_source_alone(lake: Lake) -> None:
    path = lake.folder / "a.csv"
    path.write_text("id\n1\n2\n")
    files = {"name": "files", "type": "csv", "path": str(path), "options": {"header": "true", "inferSchema": "true"}}
    lake.run("SELECT a.id FROM files a JOIN files b USING (id) WHERE a.id IN (SELECT id FROM files)", sources=[files])
    assert lake.rows() == [(1,), (2,)]
    assert lake.fail(f"SELECT * FROM csv.`{path}`", sources=[files]).code == "DCP332"
