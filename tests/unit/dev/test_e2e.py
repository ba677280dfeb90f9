"""What `make e2e` reads and prints, and how it reaches what it deploys; the run itself is in ``tests/e2e/kubernetes``."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest
import requests
from dev.e2e import catalog
from dev.e2e.__main__ import Result, carry_out, exit_code, main, table
from dev.e2e.cluster import Cluster
from dev.e2e.dags import tables_of
from dev.e2e.deployment import environment_fields
from dev.e2e.options import HELP, Options, OptionsError, version_of
from dev.e2e.steps import NotRunError, expect
from pyiceberg.catalog import load_catalog
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField

from airflow_dcp_provider.embedded_catalog.server import CatalogServer
from airflow_dcp_provider.hooks.environment_fields import parse_environment
from tests.support.kubernetes.api_server import ApiServer


@pytest.fixture
def given(tmp_path: Path) -> dict[str, str]:
    """The variables that have to be given."""
    (tmp_path / "config").write_text("{}")
    return {"KUBECONFIG": str(tmp_path / "config"), "NAMESPACE": "one", "IMAGE": "spark:3.5.9-python3"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"KUBECONFIG": ""}, "KUBECONFIG must be given"),
        ({"KUBECONFIG": "/nowhere"}, "no such file"),
        ({"NAMESPACE_2": "one"}, "another namespace"),
        ({"START_TIMEOUT": "soon"}, "START_TIMEOUT=soon"),
        ({"PULL_POLICY": "Sometimes"}, "PULL_POLICY"),
        ({"WAREHOUSE": "s3://bucket"}, "WAREHOUSE=s3://bucket"),
        ({"WAREHOUSE": "claim:data"}, "CATALOG_IMAGE"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, str], change: dict[str, str], said: str) -> None:
    with pytest.raises(OptionsError, match=re.escape(said)):
        Options.read({**given, **change})


def test_every_variable_is_explained() -> None:
    read = set(re.findall(r'variables(?:\.get\(|\[)"([A-Z_0-9]+)"', Path(Options.read.__code__.co_filename).read_text()))
    assert read == set(re.findall(r"^  ([A-Z][A-Z_0-9]+) ", HELP, re.MULTILINE))


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("spark:3.5.9-python3", "3.5.9"),
        ("registry.example.com:5000/spark/3.5-oss:v4.0.1", "4.0.1"),
        ("registry.example.com:5000/spark", "3.5"),
        ("spark:nightly", "3.5"),
        ("spark:3.5.1@sha256:0000", "3.5.1"),
    ],
)
def test_the_version_is_the_tags(image: str, version: str) -> None:
    assert version_of(image) == version


def test_the_connection_is_one_that_can_be_read(given: dict[str, str]) -> None:
    options = Options.read({**given, "ICEBERG_JAR": "https://repository.example.com/iceberg.jar", "CATALOG": "http://catalog:8181"})
    environment = parse_environment("test", "dcp_test", environment_fields(options, "one"))
    assert environment.images.rules == {"default": "spark:3.5.9-python3"}
    assert environment.spark_defaults["spark.jars"] == "https://repository.example.com/iceberg.jar"
    assert environment.catalogs["pedregal"].connection == "iceberg_e2e"


def test_a_run_without_variables_explains_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main({}) == 4
    said = capsys.readouterr().err
    assert "KUBECONFIG and NAMESPACE and IMAGE must be given" in said
    assert HELP in said


def test_a_cluster_that_does_not_answer_is_said_at_once(
    given: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        server = f"https://127.0.0.1:{closed.getsockname()[1]}"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": server}}],
        "users": [{"name": "x", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    }
    Path(given["KUBECONFIG"]).write_text(json.dumps(config))
    assert main(given, tmp_path / "home") == 4
    said = capsys.readouterr().err
    assert re.search(r"DCP46\d", said)
    assert "hint" in said


def test_the_table_says_how_each_step_went() -> None:
    def it_works(_: object) -> None: ...

    def it_breaks(_: object) -> None:
        expect(1 == 2, "one is\n not two")

    def it_cannot(_: object) -> None:
        raise NotRunError("no catalog")

    results = [carry_out(step, None) for step in (it_works, it_breaks, it_cannot)]  # type: ignore[arg-type]
    assert [line.split()[2] for line in table(results).splitlines()[1:]] == ["passed", "failed", "not"]
    assert table(results).splitlines()[2].endswith("one is not two")
    assert exit_code(results) == 3
    assert exit_code([Result("a", "passed", 1.0), Result("b", "not run", 0.0)]) == 0


def test_the_runs_tables_are_dropped_and_no_others(given: dict[str, str], tmp_path: Path) -> None:
    with CatalogServer(tmp_path / "catalog") as server:
        options = Options.read({**given, "CATALOG": server.uri})
        written, _ = tables_of(options)
        with load_catalog("tests", type="rest", uri=server.uri) as client:
            client.create_namespace("e2e")
            for name in (written, "e2e.kept"):
                client.create_table(name, Schema(NestedField(1, "id", LongType(), required=False)))
            assert catalog.drop_tables(options) == []
            assert client.list_tables("e2e") == [("e2e", "kept")]
    # The catalog is gone: what is left behind is said.
    assert [text.split(":")[0] for text in catalog.drop_tables(options)] == [f"table {name}" for name in tables_of(options)]


@pytest.mark.kubernetes
def test_the_catalog_is_deployed_and_reached_through_the_api_server(
    given: dict[str, str], api_server: ApiServer, kube_namespace: str, tmp_path: Path
) -> None:
    Path(given["KUBECONFIG"]).write_text(json.dumps(api_server.kube_config()))
    options = Options.read({**given, "NAMESPACE": kube_namespace, "WAREHOUSE": "claim:data", "CATALOG_IMAGE": "airflow:3.3"})
    cluster = Cluster(options)
    for document in catalog.documents(options):
        cluster.make(catalog.COLLECTIONS[document["kind"]].format(kube_namespace), document)
    pod = api_server.request("GET", f"/apis/apps/v1/namespaces/{kube_namespace}/deployments")["items"][0]["spec"]["template"][
        "spec"
    ]
    assert pod["containers"][0]["image"] == "airflow:3.3"
    assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == "data"

    # Nothing runs pods here: the catalog runs beside the server, and is what the Service leads to.
    address = _own_address()
    with CatalogServer(tmp_path / "catalog", host=address) as server:
        _lead_to(api_server, kube_namespace, catalog.service_of(options), address, int(server.uri.rpartition(":")[2]))
        with catalog.forwarded(options) as proxy, requests.Session() as session:
            session.trust_env = False
            session.proxies = {"http": proxy}
            uri = catalog.address_of(options)
            assert "endpoints" in session.get(f"{uri}/v1/config", timeout=30).json()
            assert session.post(f"{uri}/v1/namespaces", json={"namespace": ["e2e"]}, timeout=30).status_code == 200
            assert session.get(f"{uri}/v1/namespaces", timeout=30).json()["namespaces"] == [["e2e"]]
            missing = session.get(f"{uri}/v1/namespaces/e2e/tables/none", timeout=30)
            assert (missing.status_code, missing.json()["error"]["type"]) == (404, "NoSuchTableException")
            assert session.get("http://elsewhere.example.com/", timeout=30).status_code == 403

    assert cluster.clean() == []
    assert api_server.request("GET", f"/api/v1/namespaces/{kube_namespace}/services")["items"] == []


def _lead_to(api_server: ApiServer, namespace: str, service: str, address: str, port: int) -> None:
    """Do what the cluster's controllers and a node do for a pod of a Service: the API server leads to addresses of pods only."""
    base = f"/api/v1/namespaces/{namespace}"
    spec = {"automountServiceAccountToken": False, "containers": [{"name": "catalog", "image": "airflow:3.3"}]}
    api_server.request("POST", f"{base}/pods", {"metadata": {"name": "catalog"}, "spec": spec})
    status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
    api_server.request("PATCH", f"{base}/pods/catalog/status", {"status": status})
    target = {"kind": "Pod", "name": "catalog", "namespace": namespace}
    subsets = [{"addresses": [{"ip": address, "targetRef": target}], "ports": [{"name": "http", "port": port}]}]
    api_server.request("POST", f"{base}/endpoints", {"metadata": {"name": service}, "subsets": subsets})


def _own_address() -> str:
    """Return an address of this machine that is not the loopback's, which Kubernetes takes for no endpoint."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Nothing is sent: the address only says which interface would be used.
        probe.connect(("192.0.2.1", 9))
        address: str = probe.getsockname()[0]
    return address
