"""What is started, as a value."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from airflow_dcp_provider.model.job import CoreEtlSpec, DriverResources, EngineSpec, EtlJob, ResourceSpec, Sink, Source
from airflow_dcp_provider.runner.backends.local_settings import LocalSettings
from airflow_dcp_provider.runner.backends.spark_command import (
    Places,
    driver_job_spec,
    embedded_aliases,
    properties_text,
    spark_command,
)
from tests.support.executions import job, request

PLACES = Places(
    folder=Path("/home/dcp/executions/e/1"),
    spark_home=Path("/spark"),
    java_home=Path("/java"),
    jar=Path("/jars/iceberg.jar"),
    main=Path("/core_etl/main.py"),
    cores=2,
    catalog_uri="http://127.0.0.1:1234",
    ui_port=4041,
)
SETTINGS = LocalSettings(memory_limit=4 * 2**30)


def built(settings=SETTINGS, places=PLACES, **changes):
    return spark_command(request(spec=replace(job(), **changes)), settings, places)


def test_the_arguments_are_short_and_hold_no_secret():
    settings = replace(SETTINGS, catalogs={"pedregal": {"type": "rest", "uri": "https://c", "credential": "id:secret"}})
    command = built(settings)
    assert command.argv == (
        "/spark/bin/spark-submit",
        "--properties-file",
        "/home/dcp/executions/e/1/spark.properties",
        "/core_etl/main.py",
        "--job-spec",
        "/home/dcp/executions/e/1/job-spec.json",
    )
    assert command.properties["spark.sql.catalog.pedregal.credential"] == "id:secret"
    assert "secret" not in repr(command.environment)


def test_a_sites_own_spark_submit_takes_the_same_arguments():
    assert built(replace(SETTINGS, spark_submit=("nice", "/opt/spark/bin/spark-submit"))).argv[:3] == (
        "nice",
        "/opt/spark/bin/spark-submit",
        "--properties-file",
    )


def test_the_manifest_is_above_the_environment_and_both_are_above_the_defaults():
    key = "spark.sql.shuffle.partitions"
    assert built().properties[key] == "4"
    environment = replace(SETTINGS, spark_defaults={key: "8", "spark.ui.retainedJobs": "5"})
    assert built(environment).properties[key] == "8"
    both = built(environment, spark_conf={key: "16"}).properties
    assert (both[key], both["spark.ui.retainedJobs"]) == ("16", "5")


def test_nothing_overrides_what_keeps_a_run_correct():
    foreign = {
        "spark.master": "k8s://x",
        "spark.sql.session.timeZone": "Europe/Rome",
        "spark.sql.catalog.pedregal": "evil",
        "spark.sql.defaultCatalog": "evil",
    }
    properties = built(replace(SETTINGS, spark_defaults=foreign)).properties
    assert properties["spark.master"] == "local[2]"
    assert properties["spark.sql.session.timeZone"] == "UTC"
    assert properties["spark.sql.catalog.pedregal"] == "org.apache.iceberg.spark.SparkCatalog"
    assert properties["spark.sql.defaultCatalog"] == "pedregal"


def test_an_environments_own_jars_and_extensions_come_after_icebergs():
    own = {"spark.driver.extraClassPath": "/site.jar", "spark.sql.extensions": "org.site.Extensions"}
    properties = built(replace(SETTINGS, spark_defaults=own)).properties
    assert properties["spark.driver.extraClassPath"] == "/jars/iceberg.jar:/site.jar"
    assert properties["spark.sql.extensions"].endswith("IcebergSparkSessionExtensions,org.site.Extensions")


def test_every_alias_of_the_job_is_configured_and_only_the_others_are_embedded():
    etl = EtlJob(
        sources=(Source("a", catalog="lake", database="d", table="t"), Source("b", type="csv", path="/x")),
        sinks=(Sink("s", "mine", "d", "t", input="a"),),
    )
    settings = replace(SETTINGS, catalogs={"lake": {"type": "rest", "uri": "https://lake"}}, write_catalog="mine")
    properties = built(settings, core_etl=CoreEtlSpec(job=etl)).properties
    assert properties["spark.sql.catalog.lake.uri"] == "https://lake"
    assert properties["spark.sql.catalog.mine.uri"] == "http://127.0.0.1:1234"
    assert "spark.sql.catalog.pedregal" not in properties
    assert embedded_aliases(etl, settings) == ("mine",)


@pytest.mark.parametrize(("asked", "given"), [("1g", "1g"), ("4g", "4g"), ("8g", "4096m")])
def test_memory_is_the_jobs_within_the_machines(asked, given):
    assert built(resources=ResourceSpec(DriverResources(1, asked))).properties["spark.driver.memory"] == given


def test_the_web_page_can_be_left_out():
    properties = built(places=replace(PLACES, ui_port=0)).properties
    assert properties["spark.ui.enabled"] == "false"
    assert "spark.ui.port" not in properties


def test_the_drivers_document_is_the_architectures():
    document = driver_job_spec(request())
    assert list(document) == [
        "version",
        "execution_id",
        "attempt",
        "fingerprint",
        "manifest_id",
        "run_key",
        "ds",
        "sources",
        "transformations",
        "sinks",
        "default_catalog",
    ]
    assert document["sinks"][0]["table"] == "t"


def test_the_drivers_document_names_the_manifests_spark():
    document = driver_job_spec(request(spec=replace(job(), engine=EngineSpec(version="4.1"))))
    assert document["spark_version"] == "4.1"


def test_properties_are_escaped():
    text = properties_text({"b": " lead\\n\nline", "a key": "é 🚀=:#"})
    assert text == "a\\ key=\\u00e9 \\ud83d\\ude80=:#\nb=\\ lead\\\\n\\nline\n"
