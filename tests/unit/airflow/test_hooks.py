"""Connections of type ``dcp`` and the configuration section, read by Airflow's own means."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_dcp_provider.hooks.dcp import DcpHook, environment_for
from airflow_dcp_provider.hooks.environment_fields import FIELDS, parse_environment
from airflow_dcp_provider.hooks.runners import runner_for, spark_catalogs, store_url
from airflow_dcp_provider.hooks.settings import read_settings
from airflow_dcp_provider.model.environment import CatalogRef, Environment
from airflow_dcp_provider.model.errors import CapabilityError, DcpEnvironmentError

Define = Callable[..., None]

WHOLE = {
    "backend": "kubeflow",
    "clusters": [{"name": "eu-1", "connection": "k8s_eu_1", "region": "eu", "weight": 2}],
    "namespace_template": "sjns-{team}-{environment}",
    "teams": ["growth", "search"],
    "catalogs": {
        "pedregal": {"connection": "iceberg_prod", "mode": "write"},
        "lake": {"connection": "iceberg_lake", "mode": "read"},
    },
    "write_catalog": "pedregal",
    "image_registry": "registry.example.com/spark",
    "image_rules": {"spark-oss-3.5": "spark:3.5.5"},
    "service_account": "spark",
    "limits": {"memory": "64g", "instances": 50},
    "ttl_seconds": 3600,
    "event_log_dir": "s3a://logs/events",
    "history_server_url": "https://history.example.com",
    "spark_defaults": {"spark.sql.adaptive.enabled": True},
    "node_selector": {"pool": "spark"},
    "labels": {"cost": "42"},
    "user": "ana",
}


def test_reads_every_field(connection: Define) -> None:
    assert set(WHOLE) == set(FIELDS)
    connection("dcp_test", WHOLE)
    found = DcpHook("dcp_test").get_environment()
    assert (found.name, found.backend, found.teams) == ("test", "kubeflow", ("growth", "search"))
    assert found.catalogs == {"pedregal": CatalogRef("iceberg_prod", "write"), "lake": CatalogRef("iceberg_lake", "read")}
    assert found.spark_defaults == {"spark.sql.adaptive.enabled": "true"}
    assert found.extra["limits"] == {"memory": "64g", "instances": "50"}
    assert found.extra["ttl_seconds"] == 3600
    assert set(found.extra) == set(WHOLE) - {"backend", "teams", "catalogs", "write_catalog", "spark_defaults"}


def test_reads_the_text_of_older_forms() -> None:
    found = parse_environment(
        "test", "dcp_test", {"teams": "growth, search", "catalogs": '{"pedregal": "iceberg_prod"}', "ttl_seconds": "60", "user": ""}
    )
    assert found == Environment(
        "test", teams=("growth", "search"), catalogs={"pedregal": CatalogRef("iceberg_prod")}, extra={"ttl_seconds": 60}
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
    assert said in caught.value.message
    assert caught.value.hint


def test_suggests_the_field_that_was_meant() -> None:
    with pytest.raises(DcpEnvironmentError) as caught:
        parse_environment("test", "dcp_test", {"bakend": "local"})
    assert caught.value.hint == "did you mean `backend`?"


def test_dcp_local_need_not_be_defined() -> None:
    assert environment_for("local") == Environment("local")


def test_any_other_environment_needs_its_connection(connection: Define) -> None:
    with pytest.raises(DcpEnvironmentError, match="environment staging has no connection dcp_staging") as caught:
        environment_for("staging")
    assert caught.value.code == "DCP416"
    connection("dcp_production", {"teams": ["growth"]})
    assert environment_for("prod") == environment_for("production") == Environment("prod", teams=("growth",))


def test_an_unknown_environment_is_named() -> None:
    with pytest.raises(DcpEnvironmentError, match="`qa` is not an environment"):
        environment_for("qa")


def test_the_local_backend_runs_and_the_others_say_that_they_cannot(home: Path, connection: Define) -> None:
    assert runner_for(Environment("local")).backend.name == "local"
    connection("dcp_test", {"backend": "kubeflow"})
    with pytest.raises(CapabilityError, match="the backend `kubeflow`, which is not available in this version") as caught:
        DcpHook("dcp_test").get_runner()
    assert caught.value.code == "DCP414"
    assert DcpHook("dcp_test").test_connection()[0] is False
    assert DcpHook("dcp_local").test_connection() == (True, "environment local runs on the backend local")


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
