"""The filter ``sql`` of templates against a real Spark: every literal is the value that it was made from."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

from pyspark.sql import SparkSession

from airflow_dcp_provider.model.sql_literals import sql_literal
from tests.contract.core_etl.conftest import SPARK

pytestmark = SPARK

#: What has a meaning somewhere in SQL, in Spark's parser or in a regular expression.
PIECES = (
    "'",
    '"',
    "\\",
    "\n",
    "\r",
    "\t",
    "%",
    "_",
    "${",
    "{{",
    "--",
    "/*",
    "*/",
    ";",
    "`",
    "\\'",
    "''",
    "\\u0041",
    "\0",
    "\x1a",
    "é",
    "😀",
    "a",
    " ",
)


def texts() -> list[str]:
    chance = random.Random(7)
    made = ["".join(chance.choice(PIECES) for _ in range(chance.randrange(12))) for _ in range(300)]
    return [*PIECES, *made, *(chr(code) for code in range(128))]


def selected(spark: SparkSession, values: list[Any]) -> list[Any]:
    return list(spark.sql("SELECT " + ", ".join(f"{sql_literal(value)} AS c{n}" for n, value in enumerate(values))).collect()[0])


def test_every_text_is_read_as_it_is(spark: SparkSession) -> None:
    assert selected(spark, texts()) == texts()


def test_numbers_dates_and_times_are_read_with_their_types(spark: SparkSession) -> None:
    moment = dt.datetime(2024, 2, 29, 1, 2, 3, 45, tzinfo=dt.UTC)
    values = [None, True, False, 0, 7, -7, 2**63 - 1, -(2**63), 0.1, -0.1, 1e300, 5e-324, dt.date(2024, 2, 29), dt.date(1970, 1, 1)]
    intervals = [dt.timedelta(days=3, seconds=7, microseconds=9), dt.timedelta(seconds=-90), dt.timedelta(days=-2, microseconds=1)]
    row = selected(spark, [*values, *intervals])
    assert row == [*values, *intervals]
    assert [type(value) for value in row[:12]] == [type(value) for value in values[:12]]
    (micros,) = spark.sql(f"SELECT unix_micros({sql_literal(moment)})").collect()[0]
    assert micros == (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
    (kept,) = spark.sql(f"SELECT 10 -{sql_literal(-5)}").collect()[0]
    assert kept == 15


def test_lists_are_what_in_takes(spark: SparkSession) -> None:
    values = texts()[:60]
    rows = spark.sql(
        f"SELECT {sql_literal(values[0])} IN {sql_literal(values)}, 'zz' IN {sql_literal(values)}, 5 IN {sql_literal([5])}"
    )
    assert list(rows.collect()[0]) == [True, False, True]
