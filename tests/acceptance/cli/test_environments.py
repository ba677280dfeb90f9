"""``pretzel environments`` against a real API server: a misconfigured environment is mended from the command's output alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dev.standalone import free_ports
from tests.support.executions import wait_for
from tests.support.kubernetes.api_server import ApiServer

from airflow_dcp_provider.embedded_catalog.server import CatalogServer
from airflow_dcp_provider.runner.backends.kubernetes.rights import rights
from dag_factory.cli import main

Define = Callable[..., None]


@pytest.fixture(autouse=True)
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCP_HOME", str(tmp_path / "dcp"))
    monkeypatch.setenv("AIRFLOW__DCP__ENVIRONMENT", "local")
    monkeypatch.setenv("AIRFLOW__DCP__ENVIRONMENTS", "local,test")


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Define:
    """Defines an Airflow connection: ``connection("dcp_test", "dcp", {...extra})``."""

    def define(conn_id: str, kind: str, extra: Any, **fields: Any) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps({"conn_type": kind, "extra": extra, **fields}))

    return define


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[str]:
    """The address of a REST catalog."""
    with CatalogServer(tmp_path / "catalog") as server:
        yield server.uri


@pytest.fixture(scope="module")
def bare(kubernetes_programs: Path) -> Iterator[ApiServer]:
    """A cluster without any operator; on the one that tests share either may be."""
    server = ApiServer(kubernetes_programs, crds=())
    try:
        server.start()
        yield server
    finally:
        server.stop()


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(["environments", *words])
    return code, capsys.readouterr().out


def check(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, list[dict[str, str]]]]:
    code, out = run(capsys, "check", *words, "--format", "json")
    data = json.loads(out)
    findings: dict[str, list[dict[str, str]]] = data["environments"]
    bad = [each for found in findings.values() for each in found if each["verdict"] == "bad"]
    assert data["bad"] == len(bad)
    assert code == (4 if bad else 0)
    assert all(each["hint"] for each in bad)
    return code, findings


def bad_ones(findings: list[dict[str, str]]) -> list[tuple[str, str, str]]:
    return [(each["subject"], each["message"], each["hint"]) for each in findings if each["verdict"] == "bad"]


def test_lists_what_the_connections_say(connection: Define, capsys: pytest.CaptureFixture[str]) -> None:
    clusters = [{"name": "eu-1", "connection": "k8s_eu_1"}, {"name": "eu-2", "connection": "k8s_eu_2", "weight": 0}]
    catalogs = {"pedregal": {"connection": "iceberg_test"}, "lake": {"connection": "iceberg_lake", "mode": "read"}}
    connection(
        "dcp_test", "dcp", {"backend": "kubeflow", "clusters": clusters, "catalogs": catalogs, "teams": ["growth", "search"]}
    )
    code, out = run(capsys, "list")
    assert code == 0
    lines = [re.split(r"\s{2,}", line) for line in out.splitlines()]
    assert lines[0] == ["environment", "backend", "clusters", "namespace", "catalogs", "teams"]
    assert lines[2] == ["local", "local", "this machine", "embedded", "all"]
    assert lines[3] == [
        "test",
        "kubeflow",
        "eu-1, eu-2 (drained)",
        "sjns-playground-test",
        "pedregal* -> iceberg_test (write), lake -> iceberg_lake (read)",
        "growth, search",
    ]


def test_a_connection_that_cannot_be_read_is_listed_with_its_problem(
    connection: Define, capsys: pytest.CaptureFixture[str]
) -> None:
    connection("dcp_test", "dcp", {"bakend": "kubeflow"})
    code, out = run(capsys, "list")
    assert code == 4
    assert "test: DCP413 connection dcp_test has the unknown field `bakend`" in out
    code, out = run(capsys, "list", "--format", "json")
    assert json.loads(out)["environments"][1]["problem"]["hint"] == "did you mean `backend`?"


def test_the_local_environment_has_nothing_to_mend(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(capsys, "check", "local")
    assert code == 0
    assert out.splitlines() == [
        "local",
        "  good  connection dcp_local: can be read; jobs run on the backend local",
        "  good  catalog of this machine (write): answers; databases: 0",
        "(nothing to mend)",
    ]


def test_an_unknown_environment_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "check", "qa")[0] == 2


def test_an_environment_is_mended_from_the_output_alone(
    api_server: ApiServer, catalog: str, connection: Define, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each step finds what is wrong, and does what the hint says and nothing else."""
    home = api_server.namespace()
    token = api_server.service_account(home, "airflow")
    team = home.replace("team-", "growth-")
    namespace = f"sjns-{team}-test"
    extra: dict[str, Any] = {"backend": "kubeflow", "namespace_template": "sjns-{team}-{environment}", "serviceaccount": "spark"}

    def findings() -> list[dict[str, str]]:
        connection("dcp_test", "dcp", extra)
        return check(capsys, "test")[1]["test"]

    found = {subject: (message, hint) for subject, message, hint in bad_ones(findings())}
    assert found["clusters"] == ("there are none", "add one to the field `clusters` of the connection dcp_test")
    assert "`image_rules` of the connection dcp_test" in found["image for Spark 3.5"][1]
    assert "`catalogs` of the connection dcp_test" in found["catalogs"][1]
    extra["clusters"] = [{"name": "eu", "connection": "k8s_eu", "spark_versions": ["3.5"]}]
    extra["image_rules"] = {"3.5": "registry.example.com/spark:3.5.5"}
    extra["catalogs"] = {"pedregal": {"connection": "iceberg_test"}}

    found = {subject: (message, hint) for subject, message, hint in bad_ones(findings())}
    assert found["cluster eu"][1] == "define a connection k8s_eu of type kubernetes"
    assert found["catalog pedregal (write)"][1].startswith("define a connection iceberg_test of type iceberg")
    connection("k8s_eu", "kubernetes", {"kube_config": json.dumps(api_server.kube_config("wrong-token"))})
    connection("iceberg_test", "iceberg", {"token": "of-the-catalog"}, host=catalog)

    found = {subject: (message, hint) for subject, message, hint in bad_ones(findings())}
    assert set(found) == {"cluster eu", "catalog pedregal"}
    assert "renew the token" in found["cluster eu"][1]
    assert "k8s_eu" in found["cluster eu"][1]
    assert "`catalog_secrets`" in found["catalog pedregal"][1]
    connection("k8s_eu", "kubernetes", {"kube_config": json.dumps(api_server.kube_config(token))})
    extra["catalog_secrets"] = {"pedregal": {"token": "iceberg/token"}}

    found_all = findings()
    assert bad_ones(found_all) == []
    (open_one,) = (each for each in found_all if each["verdict"] == "not checked")
    assert open_one["hint"] == "check again with --team <team>"
    extra["teams"] = [team]

    found_all = findings()
    (lacking,) = bad_ones(found_all)
    assert lacking[0] == f"cluster eu, namespace {namespace}"
    assert "create, delete, patch sparkapplications.sparkoperator.k8s.io" in lacking[1]
    # Without any right the server does not say whether the namespace is there.
    assert [each["subject"] for each in found_all if each["verdict"] == "not checked"] == [f"cluster eu, namespace {namespace}"]
    api_server.namespace(namespace)
    rules = json.loads(lacking[2].partition("the rules that are missing: ")[2])
    assert rules == [right.rule() for right in rights()]
    api_server.grant(namespace, f"system:serviceaccount:{home}:airflow", rules)

    found_all = findings()
    assert bad_ones(found_all) == []
    said = [f"{each['subject']}: {each['message']}" for each in found_all if each["verdict"] == "good"]
    assert said[1].startswith("cluster eu: answers, Kubernetes v1.")
    assert said[2].startswith("cluster eu: has sparkapplications.sparkoperator.k8s.io in v1beta2")
    assert said[3:] == [
        f"cluster eu, namespace {namespace}: exists and takes what jobs need",
        f"cluster eu, namespace {namespace}: rights suffice",
        f"cluster eu, namespace {namespace}: takes a job (dry run)",
        "image for Spark 3.5: registry.example.com/spark:3.5.5",
        "catalog pedregal (write): answers; databases: 0 (connection iceberg_test)",
    ]


@pytest.fixture
def admin(api_server: ApiServer, catalog: str, connection: Define) -> dict[str, Any]:
    """The environment test in order, for a user who may everything; returns its extra for a test to spoil."""
    connection("k8s_eu", "kubernetes", {"kube_config": json.dumps(api_server.kube_config())})
    connection("iceberg_test", "iceberg", {}, host=catalog)
    extra = {
        "backend": "kubeflow",
        "clusters": [{"name": "eu", "connection": "k8s_eu"}],
        "image_rules": {"default": "spark:3.5.5"},
        "catalogs": {"pedregal": "iceberg_test"},
    }
    connection("dcp_test", "dcp", extra)
    return extra


def test_a_missing_namespace_and_service_account_are_named(
    api_server: ApiServer, admin: dict[str, Any], connection: Define, capsys: pytest.CaptureFixture[str]
) -> None:
    name = api_server.namespace().replace("team", "gone")
    connection("dcp_test", "dcp", {**admin, "namespace_template": name, "serviceaccount": "spark"})
    ((subject, message, hint),) = bad_ones(check(capsys, "test")[1]["test"])
    assert (subject, message) == (f"cluster eu, namespace {name}", "does not exist")
    assert f"kubectl create namespace {name}" in hint
    api_server.namespace(name)
    ((subject, message, hint),) = bad_ones(check(capsys, "test")[1]["test"])
    assert message == "has no service account spark"
    assert f"kubectl create serviceaccount spark --namespace {name}" in hint
    api_server.service_account(name, "spark")
    assert check(capsys, "test")[0] == 0


def test_that_no_job_could_be_tried_is_said(
    api_server: ApiServer, admin: dict[str, Any], connection: Define, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without an image there is nothing to send; the namespace is not passed over in silence."""
    namespace = api_server.namespace()
    connection("dcp_test", "dcp", {**admin, "namespace_template": namespace, "image_rules": {}})
    found = check(capsys, "test")[1]["test"]
    (open_one,) = (each for each in found if each["verdict"] == "not checked")
    assert open_one["subject"] == f"cluster eu, namespace {namespace}"
    assert open_one["message"].startswith("no job can be rendered for it: DCP")
    assert "`image_rules`" in open_one["hint"]


def test_an_operators_webhook_that_does_not_answer_is_named(
    api_server: ApiServer, admin: dict[str, Any], connection: Define, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything is in order, and yet no job could be created."""
    (port,) = free_ports(1)
    namespace = api_server.namespace(labels={"tests/webhook": str(port)})
    webhook = {
        "name": "webhook.sparkoperator.example.com",
        "clientConfig": {"url": f"https://127.0.0.1:{port}/validate"},
        "rules": [
            {
                "apiGroups": ["sparkoperator.k8s.io"],
                "apiVersions": ["*"],
                "operations": ["CREATE"],
                "resources": ["sparkapplications"],
            }
        ],
        "namespaceSelector": {"matchLabels": {"tests/webhook": str(port)}},
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    connection("dcp_test", "dcp", {**admin, "namespace_template": namespace})
    assert check(capsys, "test")[0] == 0
    configurations = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    api_server.request("POST", configurations, {"metadata": {"name": f"tests-{port}"}, "webhooks": [webhook]})
    try:
        # The server learns of it a moment later.
        ((subject, message, hint),) = wait_for(lambda: bad_ones(check(capsys, "test")[1]["test"]), "the webhook to be asked")
    finally:
        api_server.request("DELETE", f"{configurations}/tests-{port}")
    assert subject == f"cluster eu, namespace {namespace}"
    assert message.startswith("does not take a job: DCP465 ")
    assert "webhook" in hint


def test_single_missing_verbs_are_named(
    api_server: ApiServer, admin: dict[str, Any], connection: Define, capsys: pytest.CaptureFixture[str]
) -> None:
    namespace = api_server.namespace()
    rules = [right.rule() for right in rights()]
    rules[0]["verbs"].remove("watch")
    rules = [rule for rule in rules if rule["resources"] != ["pods/log"]]
    token = api_server.service_account(namespace, "airflow", rules)
    connection("k8s_eu", "kubernetes", {"kube_config": json.dumps(api_server.kube_config(token))})
    connection("dcp_test", "dcp", {**admin, "namespace_template": namespace})
    ((_, message, _),) = bad_ones(check(capsys, "test")[1]["test"])
    assert message == "the connection's user may not watch sparkapplications.sparkoperator.k8s.io; get pods/log"


def test_a_quota_that_is_used_up_is_seen_before_a_job_is(
    api_server: ApiServer, admin: dict[str, Any], connection: Define, capsys: pytest.CaptureFixture[str]
) -> None:
    namespace = api_server.namespace()
    api_server.quota(namespace, {"count/configmaps": "0"})
    connection("dcp_test", "dcp", {**admin, "namespace_template": namespace})
    ((_, message, hint),) = bad_ones(check(capsys, "test")[1]["test"])
    assert "exceeded quota" in message
    assert "quota" in hint.lower()


def test_a_cluster_that_does_not_answer_leaves_the_others_to_be_looked_at(
    admin: dict[str, Any], api_server: ApiServer, connection: Define, capsys: pytest.CaptureFixture[str]
) -> None:
    (port,) = free_ports(1)
    dead = api_server.kube_config()
    dead["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
    connection("k8s_us", "kubernetes", {"kube_config": json.dumps(dead)})
    clusters = [{"name": "us", "connection": "k8s_us"}, *admin["clusters"]]
    connection("dcp_test", "dcp", {**admin, "clusters": clusters, "namespace_template": api_server.namespace()})
    found = check(capsys, "test")[1]["test"]
    ((subject, message, hint),) = bad_ones(found)
    assert subject == "cluster us"
    assert "was not answered" in message
    assert "k8s_us" in hint
    assert next(each["message"] for each in found if each["subject"] == "cluster eu").startswith("answers")


@pytest.mark.parametrize(
    ("backend", "group", "operator"),
    [
        ("kubeflow", "sparkoperator.k8s.io", "Kubeflow Spark operator, version 2 or later,"),
        ("apache", "spark.apache.org", "Apache Spark Kubernetes operator"),
    ],
)
def test_a_cluster_without_the_operators_resources_is_named(
    bare: ApiServer,
    admin: dict[str, Any],
    connection: Define,
    capsys: pytest.CaptureFixture[str],
    backend: str,
    group: str,
    operator: str,
) -> None:
    connection("k8s_eu", "kubernetes", {"kube_config": json.dumps(bare.kube_config())})
    connection("dcp_test", "dcp", {**admin, "backend": backend, "namespace_template": "default"})
    assert bad_ones(check(capsys, "test")[1]["test"]) == [
        ("cluster eu", f"has no custom resources of {group}", f"install the {operator} with its custom resource definitions")
    ]


def test_catalogs_that_spark_cannot_use_and_templates_that_make_no_sense(
    api_server: ApiServer, admin: dict[str, Any], connection: Define, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    connection("iceberg_test", "iceberg", {"type": "sql", "uri": f"sqlite:///{tmp_path}/catalog.db", "warehouse": "file:///tmp"})
    clusters = [{**admin["clusters"][0], "weight": 0}]
    connection("dcp_test", "dcp", {**admin, "clusters": clusters, "namespace_template": "x-{group}"})
    assert {(subject, message) for subject, message, _ in bad_ones(check(capsys, "test")[1]["test"])} == {
        ("catalog pedregal", "is of the type `sql`, which Spark does not know"),
        ("clusters", "all are drained (weight 0), so that no job begins"),
        ("namespace template", "`x-{group}` names `{group}`; it may name {user}, {team}, {environment}"),
    }


def test_a_catalog_that_does_not_answer_is_bad(
    admin: dict[str, Any], api_server: ApiServer, connection: Define, capsys: pytest.CaptureFixture[str]
) -> None:
    (port,) = free_ports(1)
    connection("iceberg_test", "iceberg", {}, host=f"http://127.0.0.1:{port}")
    connection("dcp_test", "dcp", {**admin, "namespace_template": api_server.namespace()})
    ((subject, message, hint),) = bad_ones(check(capsys, "test")[1]["test"])
    assert subject == "catalog pedregal (write)"
    assert message.startswith("DCP420 cannot")
    assert hint


def test_no_secret_is_printed(
    api_server: ApiServer, admin: dict[str, Any], connection: Define, capsys: pytest.CaptureFixture[str]
) -> None:
    token = "a-token-that-nobody-may-see"
    connection("k8s_eu", "kubernetes", {"kube_config": json.dumps(api_server.kube_config(token))})
    connection("iceberg_test", "iceberg", {}, host="http://127.0.0.1:1", login="id", password="a-password-of-somebody")
    main(["environments", "check"])
    printed = capsys.readouterr()
    assert token not in printed.out + printed.err
    assert "a-password-of-somebody" not in printed.out + printed.err
    assert api_server.token not in printed.out + printed.err
