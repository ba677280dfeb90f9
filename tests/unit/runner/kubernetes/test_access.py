"""Kubeconfigs of every shape that connections hold, as the options of a client."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
import yaml

from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.runner.backends.kubernetes.access import ClusterAccess, client_options, default_namespace

TIMEOUT = httpx2.Timeout(5)


def config(server: str = "https://one.example", user: dict | None = None, cluster: dict | None = None) -> str:
    document = {
        "current-context": "first",
        "clusters": [
            {"name": "a", "cluster": {"server": server, **(cluster or {})}},
            {"name": "b", "cluster": {"server": "https://two.example"}},
        ],
        "users": [{"name": "u", "user": {"token": "tik-tok"} if user is None else user}],
        "contexts": [
            {"name": "first", "context": {"cluster": "a", "user": "u", "namespace": "team-a"}},
            {"name": "second", "context": {"cluster": "b", "user": "u"}},
        ],
    }
    return yaml.safe_dump(document)


def authorization(options: dict) -> str:
    request = httpx2.Request("GET", options["base_url"])
    return next(options["auth"].sync_auth_flow(request)).headers["Authorization"]


def test_a_text_its_current_context_and_another_one():
    options = client_options(ClusterAccess("c", kube_config=config()), TIMEOUT)
    assert options["base_url"] == "https://one.example"
    assert authorization(options) == "Bearer tik-tok"
    assert default_namespace(ClusterAccess("c", kube_config=config())) == "team-a"
    other = ClusterAccess("c", kube_config=config(), context="second")
    assert client_options(other, TIMEOUT)["base_url"] == "https://two.example"
    assert default_namespace(other) == "default"
    assert default_namespace(ClusterAccess("c", kube_config=config(), namespace="mine")) == "mine"


def test_a_path_with_a_variable_and_files_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "token").write_text("from-file\n")
    (tmp_path / "config").write_text(config(user={"tokenFile": str(tmp_path / "token")}))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    options = client_options(ClusterAccess("c", kube_config_path="$KUBECONFIG"), TIMEOUT)
    assert authorization(options) == "Bearer from-file"


def test_kubeconfig_of_the_process_is_never_read_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It breaks the usual operator's deferrable mode, and two clusters cannot share one variable."""
    (tmp_path / "other").write_text(config("https://wrong.example"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "other"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert client_options(ClusterAccess("c", kube_config=config()), TIMEOUT)["base_url"] == "https://one.example"
    with pytest.raises(DcpEnvironmentError) as caught:
        client_options(ClusterAccess("c"), TIMEOUT)
    assert caught.value.code == "DCP469"
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text(config("https://home.example"))
    assert client_options(ClusterAccess("c"), TIMEOUT)["base_url"] == "https://home.example"


def test_proxies_and_certificates():
    options = client_options(ClusterAccess("c", kube_config=config(cluster={"proxy-url": "http://proxy:3128"})), TIMEOUT)
    assert options["proxy"] == "http://proxy:3128"
    assert options["verify"].verify_mode.name == "CERT_REQUIRED"
    unchecked = client_options(ClusterAccess("c", kube_config=config(), verify=False), TIMEOUT)
    assert unchecked["verify"].verify_mode.name == "CERT_NONE"


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_exec_plugins(version, tmp_path: Path):
    plugin = tmp_path / "plugin"
    plugin.write_text('#!/bin/sh\necho \'{"status": {"token": "minted"}}\'\n')
    plugin.chmod(0o755)
    user = {"exec": {"apiVersion": f"client.authentication.k8s.io/{version}", "command": str(plugin)}}
    assert authorization(client_options(ClusterAccess("c", kube_config=config(user=user)), TIMEOUT)) == "Bearer minted"


@pytest.mark.parametrize(
    ("access", "said"),
    [
        (ClusterAccess("c", in_cluster=True, kube_config="x"), "exclude each other"),
        (ClusterAccess("c", in_cluster=True), "in no pod"),
        (ClusterAccess("c", kube_config="{oops: [token-secret"), "no YAML"),
        (ClusterAccess("c", kube_config="- a list"), "no mapping"),
        (ClusterAccess("c", kube_config="{}"), "lacks 'clusters'"),
        (ClusterAccess("c", kube_config=config(), context="third"), "third"),
        (ClusterAccess("c", kube_config_path="/no/such/file"), "No such file"),
        (ClusterAccess("c", kube_config=config(cluster={"certificate-authority": "ca.crt"})), "relative"),
        (ClusterAccess("c", kube_config=config(cluster={"tls-server-name": "x"})), "tls-server-name"),
        (ClusterAccess("c", kube_config=config(user={"auth-provider": {"name": "gcp"}})), "auth-provider"),
    ],
)
def test_what_cannot_be_used_is_said_without_its_secrets(access, said, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(DcpEnvironmentError) as caught:
        client_options(access, TIMEOUT)
    assert caught.value.code == "DCP469"
    assert said in caught.value.message
    assert "secret" not in str(caught.value)
    assert "cluster c" in caught.value.message
