"""Which settings the catalogs for reading and writing get."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_dcp_provider.core_etl.catalogs import prepare_catalogs
from airflow_dcp_provider.core_etl.faults import DriverError
from airflow_dcp_provider.core_etl.spec import parse_job


class Conf(dict[str, str]):
    """Spark's settings, as far as they are asked for."""

    def set(self, name: str, value: str) -> None:
        self[name] = value


def session(settings: dict[str, str]) -> Any:
    text = "\0".join(f"{name} -> {value}" for name, value in settings.items())
    java = SimpleNamespace(mkString=lambda separator: text if separator == "\0" else "")
    state = SimpleNamespace(conf=lambda: SimpleNamespace(getAllConfs=lambda: java))
    context = Conf(settings)
    return SimpleNamespace(
        conf=Conf(settings),
        _jsparkSession=SimpleNamespace(sessionState=lambda: state),
        sparkContext=SimpleNamespace(_jsc=SimpleNamespace(sc=lambda: SimpleNamespace(conf=lambda: context))),
    )


def job(alias: str, default: str = "lake") -> Any:
    source = {"name": "s", "catalog": alias, "database": "d", "table": "t"}
    return parse_job(json.dumps({"version": 1, "execution_id": "e", "sources": [source], "default_catalog": default}))


LAKE = {
    "spark.sql.catalog.lake": "org.apache.iceberg.spark.SparkCatalog",
    "spark.sql.catalog.lake.uri": "http://h/a -> b\nc",
    "spark.sql.catalog.lake.cache-enabled": "false",
    "spark.sql.catalog.lake.cache.expiration-interval-ms": "1000",
    "spark.sql.catalog.other": "org.apache.iceberg.spark.SparkCatalog",
    "spark.sql.catalog.broken.uri": "no class",
}


def test_reading_caches_for_good_and_writing_does_not_cache() -> None:
    spark = session(LAKE)
    prepare_catalogs(spark, job("lake"))
    assert spark.conf == {
        **LAKE,
        "spark.sql.defaultCatalog": "lake",
        "spark.sql.catalog.lake.cache-enabled": "true",
        "spark.sql.catalog.lake.cache.expiration-interval-ms": "-1",
        "spark.sql.catalog.dcp_write_lake": LAKE["spark.sql.catalog.lake"],
        "spark.sql.catalog.dcp_write_lake.uri": LAKE["spark.sql.catalog.lake.uri"],
        "spark.sql.catalog.dcp_write_lake.cache-enabled": "false",
        "spark.sql.catalog.dcp_write_lake.cache.expiration-interval-ms": "1000",
    }


def test_event_logs_know_what_the_write_catalog_is_given() -> None:
    """They hide values of the context's own settings, and of no others."""
    spark = session(LAKE)
    prepare_catalogs(spark, job("lake"))
    assert spark.sparkContext._jsc.sc().conf()["spark.sql.catalog.dcp_write_lake.uri"] == LAKE["spark.sql.catalog.lake.uri"]


@pytest.mark.parametrize("alias", ["broken", "nowhere", "dcp_write_lake"])
def test_an_alias_must_be_configured(alias: str) -> None:
    spark = session({**LAKE, "spark.sql.catalog.dcp_write_lake": "x"})
    with pytest.raises(DriverError, match="DCP337") as caught:
        prepare_catalogs(spark, job(alias, default="nowhere"))
    assert "source `s`" in caught.value.message
    assert caught.value.exit_code == 22
    assert "spark.sql.defaultCatalog" not in spark.conf
