"""``pretzel render --server`` on a real API server: the application as it would be kept, or why it would not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.kubernetes.api_server import ApiServer
from tests.support.manifests import spark_job

from dag_factory.cli import main

pytestmark = pytest.mark.kubernetes


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "delays.yaml"
    path.write_text(spark_job("delays", query="SELECT origin, '{{ ds }}' AS ds FROM flights", startDate="2013-01-01"))
    return path


@pytest.fixture
def define(api_server: ApiServer, kube_namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Defines the environment `test`; the fields that are given are above good ones."""
    monkeypatch.setenv("DCP_HOME", str(tmp_path / "dcp"))
    monkeypatch.setenv("AIRFLOW__DCP__ENVIRONMENTS", "local,test")

    def set_up(token: str = "", **fields: Any) -> None:
        extra = {
            "backend": "kubeflow",
            "clusters": [{"name": "eu", "connection": "k8s_eu"}],
            "namespace_template": kube_namespace,
            "image_rules": {"default": "registry.example.com/spark:3.5.9"},
            "catalogs": {"pedregal": {"connection": "iceberg_test"}},
            **fields,
        }
        kubernetes = {"kube_config": json.dumps(api_server.kube_config(token))}
        monkeypatch.setenv("AIRFLOW_CONN_DCP_TEST", json.dumps({"conn_type": "dcp", "extra": extra}))
        monkeypatch.setenv("AIRFLOW_CONN_K8S_EU", json.dumps({"conn_type": "kubernetes", "extra": kubernetes}))
        monkeypatch.setenv("AIRFLOW_CONN_ICEBERG_TEST", json.dumps({"conn_type": "iceberg", "host": "https://catalog.example.com"}))

    set_up()
    return set_up


def render(capsys: pytest.CaptureFixture[str], path: Path, *words: str) -> tuple[int, str, str]:
    code = main(["render", str(path), "--server", "--environment", "test", "--date", "2013-01-05", *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_shows_what_the_cluster_would_keep_and_keeps_nothing(
    api_server: ApiServer, kube_namespace: str, manifest: Path, define: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = render(capsys, manifest)
    assert code == 0
    kept = yaml.safe_load(out)
    # The server's own: nothing that is only rendered has a UID.
    assert kept["metadata"]["uid"]
    assert kept["metadata"]["namespace"] == kube_namespace
    assert kept["spec"]["image"] == "registry.example.com/spark:3.5.9"
    assert kept["spec"]["sparkConf"]["spark.sql.catalog.pedregal.uri"] == "https://catalog.example.com"
    asked = json.loads(kept["metadata"]["annotations"]["spark-runner/request"])
    assert "'2013-01-05'" in asked["job"]["core_etl"]["job"]["transformations"][0]["query"]
    code, out, _ = render(capsys, manifest, "--format", "json")
    assert json.loads(out)["server"]["spec"] == kept["spec"]
    for collection in ("apis/sparkoperator.k8s.io/v1beta2/namespaces/{}/sparkapplications", "api/v1/namespaces/{}/configmaps"):
        assert api_server.request("GET", f"/{collection.format(kube_namespace)}")["items"] == []


def test_what_the_cluster_refuses_is_said_in_a_sentence(
    api_server: ApiServer, kube_namespace: str, manifest: Path, define: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    define(api_server.service_account(kube_namespace, "nobody"))
    code, _, err = render(capsys, manifest)
    assert code == 4
    assert "DCP46" in err
    assert "sparkapplications" in err
    assert "hint" in err

    define(volumes=[{"name": "scratch", "emptyDir": {"sizeLimit": {"wrong": 1}}}])
    code, _, err = render(capsys, manifest)
    assert code == 4
    assert "spec.volumes" in err


def test_limits_hold_as_for_a_run(manifest: Path, define: Any, capsys: pytest.CaptureFixture[str]) -> None:
    define(limits={"driver_memory": "512m"})
    code, _, err = render(capsys, manifest)
    assert code == 1
    assert "512m" in err


def test_an_environment_of_this_machine_has_no_server(manifest: Path, define: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", str(manifest), "--server"]) == 2
    assert "DCP218" in capsys.readouterr().err
