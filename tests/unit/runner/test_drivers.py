"""Which driver a job asks for, and what is refused before anything is created."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_dcp_provider.model.job import CoreEtlSpec, EngineSpec
from airflow_dcp_provider.runner.drivers import driver_of, unsupported
from airflow_dcp_provider.runner.spark_conf import reserved_settings
from tests.support.executions import job

DOCUMENTS_CLASS = "com.example.coreetl.spark.Main"


@pytest.mark.parametrize("main_class", [None, "", DOCUMENTS_CLASS, "coreetl.spark.Main"])
def test_core_etl_is_the_driver_unless_another_class_is_named(main_class):
    assert driver_of(CoreEtlSpec(main_class=main_class)) == "core_etl"


@pytest.mark.parametrize("main_class", ["com.example.Job", "com.example.spark.Main", "com.example.notcoreetl.spark.Main"])
def test_any_other_class_is_a_jvm_driver(main_class):
    assert driver_of(CoreEtlSpec(main_class=main_class)) == "jvm"


def test_a_deployment_may_name_its_own_classes():
    assert driver_of(CoreEtlSpec(main_class="org.our.Etl"), [".our.Etl"]) == "core_etl"
    assert driver_of(CoreEtlSpec(main_class=DOCUMENTS_CLASS), [".our.Etl"]) == "jvm"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"rendered": False}, "DCP308"),
        ({"engine": EngineSpec(type="spark-dbr")}, "DCP306"),
        ({"job_type": "streaming"}, "DCP307"),
        ({"core_etl": CoreEtlSpec(main_class="com.example.Job")}, "DCP305"),
        ({"core_etl": CoreEtlSpec(version="/../../tmp/x")}, "DCP311"),
        ({"core_etl": CoreEtlSpec(version="2.7.0\n")}, "DCP311"),
        ({"core_etl": CoreEtlSpec(main_class="--conf", version="2")}, "DCP305"),
        ({"spark_conf": {"spark.sql.shuffle.partitions": "9", "spark.sql.catalog.prod.uri": "http://x"}}, "DCP311"),
    ],
)
def test_what_cannot_be_run_is_one_clear_error(changes, code):
    error = unsupported(replace(job(), **changes), "local")
    assert error is not None
    assert error.code == code
    assert "team/daily-flights" in error.message
    assert error.hint


def test_a_jvm_driver_may_run_where_an_image_holds_it():
    assert unsupported(replace(job(), core_etl=CoreEtlSpec(main_class="com.example.Job")), "kubeflow") is None


@pytest.mark.parametrize("name", ["--conf", "com.example.Job --jars x", "com..Job", "/x", "com.example.Job\n"])
def test_a_main_class_is_a_name_on_a_cluster_too(name):
    error = unsupported(replace(job(), core_etl=CoreEtlSpec(main_class=name)), "kubeflow")
    assert error is not None
    assert error.code == "DCP311"


def test_an_ordinary_job_can_be_run():
    assert unsupported(replace(job(), spark_conf={"spark.sql.adaptive.enabled": "true"}), "local") is None


@pytest.mark.parametrize(
    "key",
    [
        "spark.master",
        "spark.sql.catalog.x",
        "spark.sql.extensions",
        "spark.jars.packages",
        "spark.kubernetes.namespace",
        "spark.driver.extraClassPath",
        "spark.sql.session.timeZone",
    ],
)
def test_the_environments_settings_are_reserved(key):
    assert reserved_settings({key: "x", "spark.executor.heartbeatInterval": "20s"}) == [key]
