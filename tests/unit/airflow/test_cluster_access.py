"""Clusters as Airflow's own connections of type ``kubernetes`` describe them."""

from __future__ import annotations

import json
import threading

import pytest
from airflow.providers.common.compat.sdk import BaseHook

from airflow_dcp_provider.hooks.cluster_access import apis_of, cluster_access
from airflow_dcp_provider.model.cluster import Cluster
from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.errors import DcpEnvironmentError

CLUSTER = Cluster("eu-1", "k8s_eu_1")


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch):
    def define(conn_id: str, extra: object) -> None:
        text = extra if isinstance(extra, str) else json.dumps(extra)
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps({"conn_type": "kubernetes", "extra": text}))

    return define


def kube_config(server: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "c", "user": {"token": "secret-token"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
    }


@pytest.mark.parametrize("prefix", ["", "extra__kubernetes__"])
def test_every_field_that_the_kubernetes_hook_reads(connection, prefix):
    fields = {
        "in_cluster": False,
        "kube_config": kube_config("https://x"),
        "cluster_context": "c",
        "namespace": "team-a",
        "disable_verify_ssl": True,
    }
    connection("k8s_eu_1", {f"{prefix}{name}": value for name, value in fields.items()})
    access = cluster_access(CLUSTER)
    assert json.loads(access.kube_config) == kube_config("https://x")
    assert (access.name, access.context, access.namespace, access.verify, access.in_cluster) == (
        "eu-1",
        "c",
        "team-a",
        False,
        False,
    )
    assert "secret-token" not in repr(access)


def test_a_path_and_text_flags(connection):
    connection("k8s_eu_1", {"kube_config_path": "~/some/config", "in_cluster": "false", "disable_verify_ssl": "False"})
    access = cluster_access(CLUSTER)
    assert (access.kube_config_path, access.in_cluster, access.verify) == ("~/some/config", False, True)


def test_a_connection_that_is_not_there_or_no_json(connection):
    with pytest.raises(DcpEnvironmentError, match="no connection k8s_eu_1") as caught:
        cluster_access(CLUSTER)
    assert caught.value.code == "DCP416"
    for extra in ('{"kube_config": "secret-token', '["secret-token"]'):
        connection("k8s_eu_1", extra)
        with pytest.raises(DcpEnvironmentError, match="the extra of connection k8s_eu_1 is no JSON object") as caught:
            cluster_access(CLUSTER)
        assert caught.value.code == "DCP416"
        assert "secret-token" not in str(caught.value)


def test_clusters_share_no_client_and_each_has_one(connection):
    for name in ("eu", "us"):
        connection(f"k8s_{name}", {"kube_config": json.dumps(kube_config(f"https://{name}"))})
    api_for = apis_of(Environment("test", clusters=(Cluster("eu", "k8s_eu"), Cluster("us", "k8s_us"))))
    assert api_for("eu") is api_for("eu")
    assert api_for("eu") is not api_for("us")
    assert api_for("us").cluster == "us"
    with pytest.raises(DcpEnvironmentError, match="no cluster `asia`") as caught:
        api_for("asia")
    assert "eu, us" in caught.value.hint


def test_a_signal_handler_gets_the_client_that_the_interrupted_code_is_making(connection, monkeypatch):
    """As ``on_kill`` does: it runs on the same thread, in the middle of reading the connection."""
    connection("k8s_eu", {"kube_config": json.dumps(kube_config("https://eu"))})
    api_for = apis_of(Environment("test", clusters=(Cluster("eu", "k8s_eu"),)))
    read, got = BaseHook.get_connection, []

    def interrupted(conn_id):
        monkeypatch.setattr(BaseHook, "get_connection", read)
        got.append(api_for("eu"))
        return read(conn_id)

    monkeypatch.setattr(BaseHook, "get_connection", interrupted)
    # In a thread of its own, so that a deadlock fails the test and does not hang it.
    interrupted_code = threading.Thread(target=lambda: got.append(api_for("eu")), daemon=True)
    interrupted_code.start()
    interrupted_code.join(10)
    assert len(got) == 2, "the handler waits for the code that it interrupted"
    assert got[0] is got[1] is api_for("eu")
