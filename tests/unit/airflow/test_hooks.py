"""Connections of type ``dcp`` and the configuration section, read by Airflow's own means."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_dcp_provider.hooks.dcp import DcpHook, environment_for
from airflow_dcp_provider.hooks.environment_fields import FIELDS, parse_environment
from airflow_dcp_provider.hooks.runners import runner_for, spark_catalogs, store_url
from airflow_dcp_provider.hooks.settings import read_settings
from airflow_dcp_provider.model.cluster import Cluster
from airflow_dcp_provider.model.environment import CatalogRef, Environment, SecretKey
from airflow_dcp_provider.model.errors import CapabilityError, DcpEnvironmentError
from airflow_dcp_provider.model.execution import AttemptRef
from airflow_dcp_provider.model.images import Images
from airflow_dcp_provider.model.limits import Limits

Define = Callable[..., None]

WHOLE: dict[str, Any] = {
    "backend": "kubeflow",
    "clusters": [
        {
            "name": "eu-1",
            "connection": "k8s_eu_1",
            "region": "eu",
            "weight": 2,
            "spark_versions": ["3.5", "4.0"],
            "namespace": "spark",
        }
    ],
    "namespace_template": "jobs-{team}-{environment}",
    "teams": ["growth", "search"],
    "catalogs": {
        "pedregal": {"connection": "iceberg_prod", "mode": "write"},
        "lake": {"connection": "iceberg_lake", "mode": "read"},
    },
    "write_catalog": "pedregal",
    "catalog_secrets": {"pedregal": {"credential": "iceberg-prod/oauth"}},
    "image_registry": "registry.example.com/spark",
    "image_rules": {"3.5": "spark:3.5.5"},
    "spark_version": "4.0",
    "allowed_spark_conf": ["spark.hadoop.fs.s3a.*"],
    "image_policy": "digest",
    "allowed_registries": ["registry.example.com"],
    "image_core_etl": True,
    "serviceaccount": "spark",
    "limits": {"driver_memory": "64g", "max_executors": 50, "max_executions": 20, "executor_cores": None},
    "ttl_seconds": 7200,
    "start_timeout_seconds": 300,
    "event_log_dir": "s3a://logs/events",
    "history_server_url": "https://history.example.com",
    "spark_defaults": {"spark.sql.adaptive.enabled": True},
    "node_selector": {"pool": "spark"},
    "tolerations": [{"key": "spark", "operator": "Exists"}],
    "labels": {"cost": "42"},
    "priority_class": "batch",
    "batch_scheduler": "volcano",
    "volumes": [{"name": "scratch", "emptyDir": {}}],
    "volume_mounts": [{"name": "scratch", "mountPath": "/scratch"}],
    "opentelemetry_agent": "/opt/otel/agent.jar",
    "fluent_bit": "registry.example.com/fluent-bit:3.1",
    "live_logs": 3,
    "sweep": True,
    "user": "ana",
}


def test_reads_every_field(connection: Define) -> None:
    assert set(WHOLE) == set(FIELDS)
    connection("dcp_test", WHOLE)
    assert DcpHook("dcp_test").get_environment() == Environment(
        "test",
        backend="kubeflow",
        teams=("growth", "search"),
        catalogs={"pedregal": CatalogRef("iceberg_prod", "write"), "lake": CatalogRef("iceberg_lake", "read")},
        write_catalog="pedregal",
        spark_defaults={
            "spark.sql.shuffle.partitions": "10",
            "spark.dynamicAllocation.enabled": "true",
            "spark.dynamicAllocation.shuffleTracking.enabled": "true",
            "spark.sql.adaptive.enabled": "true",
        },
        clusters=(Cluster("eu-1", "k8s_eu_1", "eu", 2.0, ("3.5", "4.0"), "spark"),),
        namespace_template="jobs-{team}-{environment}",
        images=Images("registry.example.com/spark", {"3.5": "spark:3.5.5"}, "digest", ("registry.example.com",), core_etl=True),
        spark_version="4.0",
        allowed_spark_conf=("spark.hadoop.fs.s3a.*",),
        service_account="spark",
        limits=Limits(2, "64g", None, "8g", 50, 20),
        ttl_seconds=7200,
        event_log_dir="s3a://logs/events",
        history_server_url="https://history.example.com",
        node_selector={"pool": "spark"},
        tolerations=({"key": "spark", "operator": "Exists"},),
        labels={"cost": "42"},
        user="ana",
        start_timeout_seconds=300,
        priority_class="batch",
        batch_scheduler="volcano",
        volumes=({"name": "scratch", "emptyDir": {}},),
        volume_mounts=({"name": "scratch", "mountPath": "/scratch"},),
        opentelemetry_agent="/opt/otel/agent.jar",
        fluent_bit="registry.example.com/fluent-bit:3.1",
        sweep=True,
        live_logs=3,
        catalog_secrets={"pedregal": {"credential": SecretKey("iceberg-prod", "oauth")}},
    )


def test_reads_the_text_of_older_forms() -> None:
    plain = {key: value if isinstance(value, str | int) else json.dumps(value) for key, value in WHOLE.items()}
    assert parse_environment("test", "dcp_test", plain) == parse_environment("test", "dcp_test", WHOLE)
    found = parse_environment(
        "test",
        "dcp_test",
        {
            "teams": "growth, search",
            "catalogs": '{"pedregal": "iceberg_prod"}',
            "ttl_seconds": "60",
            "user": "",
            "sweep": "True",
        },
    )
    assert found == Environment(
        "test", teams=("growth", "search"), catalogs={"pedregal": CatalogRef("iceberg_prod")}, ttl_seconds=60, sweep=True
    )


@pytest.mark.parametrize(
    ("extra", "code", "said"),
    [
        ({"bakend": "local"}, "DCP413", "connection dcp_test has the unknown field `bakend`"),
        ({"backend": "yarn"}, "DCP412", "the field `backend` names the unknown backend `yarn`"),
        ({"backend": 3}, "DCP412", "the field `backend` must be text, not a number"),
        ({"teams": [1]}, "DCP412", "the field `teams` must be a list of texts"),
        ({"catalogs": "{"}, "DCP412", "the field `catalogs` is not JSON"),
        ({"catalogs": {"a b": "x"}}, "DCP412", "has the alias `a b`"),
        ({"catalogs": {"pedregal": {"conn": "x"}}}, "DCP412", "leads the alias `pedregal`"),
        ({"catalogs": {"pedregal": {"connection": "x", "mode": "rw"}}}, "DCP412", "the mode 'rw'"),
        ({"catalogs": {"lake": {"connection": "x"}}}, "DCP412", "the field `write_catalog` is `pedregal`"),
        ({"catalogs": {"pedregal": {"connection": "x", "mode": "read"}}}, "DCP412", "no catalog with the mode write"),
        ({"clusters": [{"name": "eu"}]}, "DCP412", "a cluster without `name` or `connection`"),
        ({"clusters": [{"name": "eu", "connection": "k", "zone": "a"}]}, "DCP412", "the unknown key `zone`"),
        ({"clusters": [{"name": "eu", "connection": "k", "weight": -1}]}, "DCP412", "whose weight is -1"),
        ({"clusters": [{"name": "eu", "connection": "k", "weight": float("inf")}]}, "DCP412", "whose weight is inf"),
        ({"clusters": [{"name": "eu", "connection": "k"}] * 2}, "DCP412", "has the cluster `eu` twice"),
        ({"clusters": [{"name": "E U", "connection": "k"}]}, "DCP412", "not `E U`"),
        ({"clusters": [{"name": "eu", "connection": "k", "namespace": "A"}]}, "DCP412", "the namespace `A`"),
        ({"limits": {"memory": "8g"}}, "DCP412", "has the unknown limit `memory`"),
        ({"limits": {"driver_memory": "much"}}, "DCP412", "has the limit `driver_memory`: `much` is not a memory size"),
        ({"limits": {"max_executors": "many"}}, "DCP412", "a whole number of `max_executors`"),
        ({"catalog_secrets": {"pedregal": "id:s3cret"}}, "DCP412", "describes the alias `pedregal` wrongly"),
        *(
            ({"catalog_secrets": {"pedregal": {"credential": wrong}}}, "DCP412", "describes the alias `pedregal` wrongly")
            for wrong in ("s3cret", "id:s3cret/key", "s3cret/", "/s3cret", "a/b/s3cret", "-/s3cret", "a/s3cret!", {"s3cret": "a/b"})
        ),
        ({"catalog_secrets": {"pedregal": {}}}, "DCP412", "describes the alias `pedregal` wrongly"),
        ({"catalog_secrets": "s3cret"}, "DCP412", "is not JSON"),
        ({"image_policy": "latest"}, "DCP412", "names the unknown policy `latest`"),
        ({"labels": {"spark-runner/team": "x"}}, "DCP412", "sets the label `spark-runner/team`"),
        ({"labels": {"spark-role": "driver"}}, "DCP412", "sets the label `spark-role`"),
        ({"labels": {"a b": "x"}}, "DCP412", "has the label `a b`"),
        ({"labels": {"cost": "a/b"}}, "DCP412", "the value `a/b`"),
        ({"serviceaccount": "Spark!"}, "DCP412", "must be the name of a Kubernetes object"),
        ({"tolerations": {"key": "x"}}, "DCP412", "must be a list of objects"),
        ({"sweep": "perhaps"}, "DCP412", "must be true or false"),
        ({"ttl_seconds": "soon"}, "DCP412", "must be a whole number of seconds"),
        ({"ttl_seconds": True}, "DCP412", "must be a whole number of seconds"),
        ({"history_server_url": "history"}, "DCP412", "begins with http"),
        ({"spark_defaults": {"a": [1]}}, "DCP412", "must be an object of texts"),
    ],
)
def test_names_the_field_and_the_connection(extra: dict[str, Any], code: str, said: str) -> None:
    with pytest.raises(DcpEnvironmentError) as caught:
        parse_environment("test", "dcp_test", extra)
    assert caught.value.code == code
    assert "connection dcp_test" in caught.value.message
    assert "s3cret" not in str(caught.value)
    assert said in caught.value.message
    assert caught.value.hint


def test_suggests_the_field_that_was_meant() -> None:
    with pytest.raises(DcpEnvironmentError) as caught:
        parse_environment("test", "dcp_test", {"bakend": "local"})
    assert caught.value.hint == "did you mean `backend`?"
    with pytest.raises(DcpEnvironmentError) as caught:
        parse_environment("test", "dcp_test", {"service_account": "spark"})
    assert caught.value.hint == "did you mean `serviceaccount`?"


def test_dcp_local_need_not_be_defined() -> None:
    assert environment_for("local") == Environment("local")


def test_any_other_environment_needs_its_connection(connection: Define) -> None:
    with pytest.raises(DcpEnvironmentError, match="environment staging has no connection dcp_staging") as caught:
        environment_for("staging")
    assert caught.value.code == "DCP416"
    connection("dcp_production", {"teams": ["growth"]})
    assert environment_for("prod") == environment_for("production") == Environment("prod", teams=("growth",))


@pytest.mark.parametrize("extra", ['{"backend": "kubeflow", "token": "s3cret", "clusters": [', '["s3cret"]', '"s3cret"', "null"])
def test_a_broken_extra_is_no_empty_one(connection: Define, extra: str) -> None:
    """Airflow itself reads it as {}, and a production job would run in a local process against a local catalog."""
    connection("dcp_prod", extra)
    connection("iceberg_prod", extra, "iceberg")
    environment = Environment("test", catalogs={"pedregal": CatalogRef("iceberg_prod")})
    for conn_id, read in (("dcp_prod", lambda: environment_for("prod")), ("iceberg_prod", lambda: spark_catalogs(environment))):
        with pytest.raises(DcpEnvironmentError, match=f"the extra of connection {conn_id} is no JSON object") as caught:
            read()
        assert caught.value.code == "DCP416"
        assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_a_connection_without_extra_has_the_defaults(connection: Define) -> None:
    for extra in (None, "", {}):
        connection("dcp_test", extra)
        assert environment_for("test") == Environment("test")


def test_an_unknown_environment_is_named() -> None:
    with pytest.raises(DcpEnvironmentError, match="`qa` is not an environment"):
        environment_for("qa")


@pytest.mark.parametrize("backend", ["kubeflow", "apache"])
def test_an_environment_on_clusters_runs_on_its_operators_backend(connection: Define, backend: str) -> None:
    connection("dcp_test", {"backend": backend, "clusters": [{"name": "eu-1", "connection": "no_such_connection"}]})
    runner = runner_for(environment_for("test"))
    assert runner.backend.name == backend
    # Its clusters' connections are read when they are needed, and no earlier.
    with pytest.raises(DcpEnvironmentError, match="no_such_connection") as caught:
        runner.backend.get(AttemptRef("e", 1, "test", "eu-1", "team-a", "job-1"))
    assert caught.value.code == "DCP416"
    with pytest.raises(DcpEnvironmentError, match="no cluster `us-1`") as caught:
        runner.backend.get(AttemptRef("e", 1, "test", "us-1", "team-a", "job-1"))
    assert caught.value.code == "DCP469"


def test_the_local_backend_runs_and_the_others_say_that_they_cannot(home: Path, connection: Define) -> None:
    assert runner_for(Environment("local")).backend.name == "local"
    with pytest.raises(CapabilityError, match="the backend `yarn`, which is not available in this version") as caught:
        runner_for(Environment("test", "yarn"))
    assert caught.value.code == "DCP414"
    connection("dcp_test", {"backend": "yarn"})
    assert DcpHook("dcp_test").test_connection()[0] is False
    assert DcpHook("dcp_local").test_connection() == (True, "environment local runs on the backend local")


def test_local_sparks_come_from_the_configuration_and_the_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCP_HOME", str(tmp_path))
    monkeypatch.setenv("DCP_LOCAL_SPARK_HOMES", "/opt/a")
    backend = runner_for(Environment("local", spark_version="4.0")).backend
    assert (backend._settings.spark_homes, backend._settings.spark_version) == (("/opt/a",), "4.0")
    monkeypatch.setenv("AIRFLOW__DCP__SPARK_HOMES", "/opt/b:/opt/c")
    assert runner_for(Environment("local")).backend._settings.spark_homes == ("/opt/b", "/opt/c")


def test_airflows_own_test_knows_the_fields_and_not_the_name(home: Path, connection: Define) -> None:
    """The button in the UI tests what is in the form under a random id."""
    hook = DcpHook("Xq3Zt9")
    assert hook.test_connection()[0] is False
    connection("Xq3Zt9", WHOLE)
    assert hook.test_connection() == (True, "an environment with these fields runs on the backend kubeflow")
    connection("Xq3Zt9", {"backend": "kubeflow", "clusters": [{"name": "eu"}]})
    well, said = hook.test_connection()
    assert not well
    assert "the field `clusters` has a cluster without" in said
    with pytest.raises(DcpEnvironmentError, match="is not an environment"):
        hook.get_environment()


def test_catalogs_lead_through_iceberg_connections(connection: Define) -> None:
    environment = Environment("test", catalogs={"pedregal": CatalogRef("iceberg_prod")})
    with pytest.raises(DcpEnvironmentError, match="leads to the connection iceberg_prod, which is not defined"):
        spark_catalogs(environment)
    connection("iceberg_prod", {"warehouse": "main"}, "iceberg", host="https://catalog.example.com/", login="id", password="secret")
    assert spark_catalogs(environment) == {
        "pedregal": {"type": "rest", "warehouse": "main", "uri": "https://catalog.example.com", "credential": "id:secret"}
    }


def test_the_history_is_a_file_unless_a_connection_says_otherwise(home: Path, connection: Define) -> None:
    assert store_url(read_settings()) == f"sqlite:///{home}/dcp.db"
    connection("dcp_store", {}, "postgres", host="db.example.com", login="dcp", password="p", schema="dcp")
    assert store_url(read_settings()).startswith("postgresql://dcp:p@db.example.com/dcp")


@pytest.mark.parametrize(
    ("option", "value", "code"),
    [
        ("ENVIRONMENT", "qa", "DCP410"),
        ("ENVIRONMENTS", "test,prod", "DCP417"),
        ("MAX_LOCAL_EXECUTIONS", "many", "DCP417"),
        ("MAX_LOCAL_EXECUTIONS", "0", "DCP417"),
    ],
)
def test_wrong_options_are_named(monkeypatch: pytest.MonkeyPatch, option: str, value: str, code: str) -> None:
    monkeypatch.setenv(f"AIRFLOW__DCP__{option}", value)
    with pytest.raises(DcpEnvironmentError) as caught:
        read_settings()
    assert caught.value.code == code


def test_environments_are_listed_once_under_their_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DCP__ENVIRONMENT", "production")
    monkeypatch.setenv("AIRFLOW__DCP__ENVIRONMENTS", "local, prod,production, playground_ana")
    found = read_settings()
    assert (found.environment, found.environments) == ("prod", ("local", "prod", "playground_ana"))


def test_a_deployment_offers_its_own_environment_alone_unless_it_says_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DCP__ENVIRONMENT", "prod")
    assert read_settings().environments == ("prod",)


def test_home_is_the_variable_then_the_option_then_airflows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    monkeypatch.delenv("DCP_HOME", raising=False)
    assert read_settings().home == tmp_path / "airflow" / ".dcp"
    monkeypatch.setenv("AIRFLOW__DCP__HOME", str(tmp_path / "option"))
    assert read_settings().home == tmp_path / "option"
    monkeypatch.setenv("DCP_HOME", str(tmp_path / "variable"))
    assert read_settings().home == tmp_path / "variable"
