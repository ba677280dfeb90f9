"""The SQL that runs is the SQL that was written: each form gives what plain Spark gives on plain tables."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import pytest
from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import DataFrame, SparkSession

from airflow_dcp_provider.core_etl.catalogs import pin_tables, prepare_catalogs
from airflow_dcp_provider.core_etl.reads import Reads
from airflow_dcp_provider.core_etl.session import insist
from airflow_dcp_provider.core_etl.spec import parse_job
from airflow_dcp_provider.core_etl.views import register_views
from dag_factory.plugins.derived_sources import derive

from .conftest import SPARK, fresh
from .sql_forms import ALIASED, BY_DATABASE, PLAIN, TABLES

pytestmark = SPARK


@pytest.fixture(scope="module")
def tables(spark: SparkSession) -> Iterator[SparkSession]:
    for database in ("forms", "other"):
        spark.sql(f"CREATE NAMESPACE IF NOT EXISTS pedregal.{database}")
    for name, rows in TABLES.items():
        spark.sql(f"CREATE TABLE pedregal.forms.{name} USING iceberg AS {rows}")
    spark.sql(f"CREATE TABLE pedregal.other.events USING iceberg AS {TABLES['visits']}")
    spark.sql("ALTER TABLE pedregal.forms.events CREATE TAG kept")
    yield spark
    for name in ("forms.events", "forms.visits", "forms.items", "other.events"):
        spark.sql(f"DROP TABLE pedregal.{name}")


def registered(spark: SparkSession, queries: list[str], sources: list[dict[str, object]]) -> SparkSession:
    """The session of a job with these queries, once its views are registered."""
    document = {
        "version": 1,
        "execution_id": "forms",
        "sources": sources,
        "transformations": [{"name": f"q{number}", "query": query} for number, query in enumerate(queries)],
        "default_catalog": "pedregal",
    }
    job = parse_job(json.dumps(document))
    session = fresh(spark)
    insist(session)
    prepare_catalogs(session, job)
    register_views(session, job, Reads(session, pin_tables(session, job)))
    return session


def content(frame: DataFrame) -> tuple[object, list[str]]:
    return frame.schema, sorted(str(row) for row in frame.collect())


def accepted(queries: list[str], plain: SparkSession) -> list[str]:
    """The queries that plain Spark takes: versions differ in some, ``* EXCEPT`` among them."""
    found = []
    for query in queries:
        with contextlib.suppress(ParseException, AnalysisException):
            assert plain.sql(query).schema is not None
            found.append(query)
    return found


def differences(queries: list[str], session: SparkSession, plain: SparkSession) -> list[str]:
    return [query for number, query in enumerate(queries) if content(session.table(f"q{number}")) != content(plain.sql(query))]


def test_a_derived_datasets_sql_gives_what_plain_spark_gives(tables: SparkSession) -> None:
    names = {name: f"forms.{name}" for name in TABLES}
    queries = [form.format(**names) if "{" in form else form for form in (*PLAIN, *ALIASED, *BY_DATABASE)]
    plain = fresh(tables)
    queries = accepted(queries, plain)
    parsed = [source for query in queries for source in derive(query, {}, "pedregal")]
    # What a metadata table belongs to is declared with it.
    declared = {(str(item["database"]), str(item["table"])) for item in parsed if item["database"] in ("forms", "other")}
    sources = [
        {"name": f"{database}__{table}", "catalog": "pedregal", "database": database, "table": table}
        for database, table in sorted(declared)
        if table in {*TABLES, "events"}
    ]
    session = registered(tables, queries, sources)
    assert differences(queries, session, plain) == []
    assert len(queries) >= 135


def test_a_spark_jobs_sql_gives_what_plain_spark_gives(tables: SparkSession) -> None:
    queries = [form.format(**{name: name for name in TABLES}) if "{" in form else form for form in (*PLAIN, *ALIASED)]
    sources = [{"name": name, "catalog": "pedregal", "database": "forms", "table": name} for name in TABLES]
    plain = fresh(tables)
    for name in TABLES:
        plain.table(f"pedregal.forms.{name}").createOrReplaceTempView(name)
    queries = accepted(queries, plain)
    session = registered(tables, queries, sources)
    assert differences(queries, session, plain) == []
    assert len(queries) >= 120
