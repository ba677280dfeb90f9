"""The embedded catalog as pyiceberg's REST client and plain HTTP see it."""

import json
import socket
from pathlib import Path

import pyarrow as pa
import pytest
import requests
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import (
    BadRequestError,
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NamespaceNotEmptyError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.schema import Schema
from pyiceberg.table.update import AssertRefSnapshotId, SetPropertiesUpdate
from pyiceberg.types import LongType, NestedField, StringType

from airflow_dcp_provider.embedded_catalog.catalog import EmbeddedCatalog
from airflow_dcp_provider.embedded_catalog.server import CatalogServer
from airflow_dcp_provider.model.errors import DcpEnvironmentError

ROWS = pa.table({"id": pa.array([1, 2], pa.int64()), "ds": ["2013-01-01", "2013-01-02"]})
SCHEMA = Schema(NestedField(1, "id", LongType()), NestedField(2, "ds", StringType()))


def test_namespaces_are_made_listed_changed_and_dropped(client: Catalog) -> None:
    client.create_namespace("other", {"owner": "us"})
    assert {("db",), ("other",)} <= set(client.list_namespaces())
    assert client.load_namespace_properties("other")["owner"] == "us"
    client.update_namespace_properties("other", removals={"owner"}, updates={"team": "b"})
    properties = client.load_namespace_properties("other")
    assert properties["team"] == "b"
    assert "owner" not in properties
    with pytest.raises(NamespaceAlreadyExistsError):
        client.create_namespace("other")
    client.drop_namespace("other")
    assert not client.namespace_exists("other")
    with pytest.raises(NoSuchNamespaceError):
        client.load_namespace_properties("other")


def test_a_table_is_made_written_read_renamed_and_purged(client: Catalog, server: CatalogServer) -> None:
    table = client.create_table("db.t", SCHEMA)
    table.append(ROWS)
    table.append(ROWS)
    assert client.load_table("db.t").scan().to_arrow().num_rows == 4
    with pytest.raises(TableAlreadyExistsError):
        client.create_table("db.t", SCHEMA)
    with pytest.raises(NamespaceNotEmptyError):
        client.drop_namespace("db")
    client.rename_table("db.t", "db.renamed")
    assert not client.table_exists("db.t")
    assert ("db", "renamed") in client.list_tables("db")
    assert list((server.embedded.warehouse / "db" / "t").rglob("*.parquet"))
    client.purge_table("db.renamed")
    assert not list((server.embedded.warehouse / "db" / "t").rglob("*.parquet"))
    with pytest.raises(NoSuchTableError):
        client.load_table("db.renamed")


def test_a_staged_table_exists_only_after_its_commit(client: Catalog) -> None:
    with client.create_table_transaction("db.staged", SCHEMA) as transaction:
        transaction.set_properties(colour="blue")
        assert not client.table_exists("db.staged")
    assert client.load_table("db.staged").properties["colour"] == "blue"
    client.drop_table("db.staged")


def test_a_table_is_registered_by_its_metadata(client: Catalog) -> None:
    table = client.create_table("db.first", SCHEMA)
    client.drop_table("db.first")
    client.register_table("db.second", table.metadata_location)
    assert client.load_table("db.second").metadata.table_uuid == table.metadata.table_uuid
    with pytest.raises(BadRequestError, match="not inside the warehouse"):
        client.register_table("db.third", "file:///etc/metadata.json")


def test_another_process_sees_the_same_tables(client: Catalog, server: CatalogServer) -> None:
    client.create_table("db.shared", SCHEMA).append(ROWS)
    with EmbeddedCatalog(server.embedded.home).catalog() as direct:
        assert direct.load_table("db.shared").scan().to_arrow().num_rows == 2
        direct.load_table("db.shared").append(ROWS)
    assert client.load_table("db.shared").scan().to_arrow().num_rows == 4


def test_a_stale_commit_is_refused_as_a_conflict(client: Catalog) -> None:
    table = client.create_table("db.stale", SCHEMA)
    table.append(ROWS)
    with pytest.raises(CommitFailedException):
        client.commit_table(table, (AssertRefSnapshotId(ref="main", snapshot_id=17),), (SetPropertiesUpdate(updates={"a": "b"}),))
    assert "a" not in client.load_table("db.stale").properties


@pytest.mark.parametrize("name", ["db.a%2F..", "db.a b", "db./etc"])
def test_names_that_lead_out_are_refused(client: Catalog, name: str) -> None:
    with pytest.raises(BadRequestError, match="cannot name a table"):
        client.create_table(name, SCHEMA)


def test_locations_that_lead_out_are_refused(client: Catalog) -> None:
    with pytest.raises(BadRequestError, match="not inside the warehouse"):
        client.create_table("db.outside", SCHEMA, location="file:///tmp/elsewhere")
    with pytest.raises(BadRequestError, match="not inside the warehouse"):
        client.create_table("db.outside", SCHEMA, properties={"write.data.path": "file:///tmp/elsewhere"})
    with pytest.raises(BadRequestError, match="not inside the warehouse"):
        client.create_namespace("outside", {"location": "/tmp/elsewhere"})
    table = client.create_table("db.inside", SCHEMA)
    with pytest.raises(BadRequestError, match="not inside the warehouse"):
        table.transaction().set_properties({"write.metadata.path": "s3://elsewhere"}).commit_transaction()


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kind"),
    [
        ("GET", "/v1/namespaces/db/tables/none", None, 404, "NoSuchTableException"),
        ("GET", "/v1/namespaces/none", None, 404, "NoSuchNamespaceException"),
        ("GET", "/v1/namespaces/a%1Fb", None, 404, "NoSuchNamespaceException"),
        ("GET", "/v1/namespaces?parent=none", None, 404, "NoSuchNamespaceException"),
        ("GET", "/v1/namespaces/db%1Ft/tables/snapshots", None, 404, "NoSuchTableException"),
        ("POST", "/v1/namespaces", {"namespace": ["a", "b"]}, 400, "BadRequestException"),
        ("POST", "/v1/namespaces/none/tables", {"name": "t", "schema": {"type": "struct", "fields": []}}, 404, "NoSuchNamespaceException"),
        ("POST", "/v1/namespaces/db/tables", {"name": "t"}, 400, "BadRequestException"),
        ("POST", "/v1/namespaces", {}, 400, "BadRequestException"),
        ("POST", "/v1/namespaces", "text", 400, "BadRequestException"),
        ("GET", "/v1/else", None, 404, "UnsupportedOperationException"),
        ("POST", "/v1/namespaces/db/tables/none", {"requirements": [], "updates": [{"action": "unknown"}]}, 400, "BadRequestException"),
    ],
)  # fmt: skip
def test_faults_are_answered_as_the_specification_writes_them(
    client: Catalog, server: CatalogServer, method: str, path: str, body: object, status: int, kind: str
) -> None:
    answer = requests.request(method, server.uri + path, json=body, timeout=10)
    assert answer.status_code == status
    assert answer.json()["error"]["type"] == kind
    assert answer.json()["error"]["code"] == status


def test_what_is_no_json_is_refused(server: CatalogServer) -> None:
    answer = requests.post(f"{server.uri}/v1/namespaces", data=b"{", timeout=10)
    assert answer.status_code == 400
    assert "not JSON" in answer.json()["error"]["message"]


def test_existence_views_and_metrics(client: Catalog, server: CatalogServer) -> None:
    client.create_table("db.there", SCHEMA)
    base = f"{server.uri}/v1/namespaces"
    assert requests.head(f"{base}/db", timeout=10).status_code == 204
    assert requests.head(f"{base}/none", timeout=10).status_code == 404
    assert requests.head(f"{base}/db/tables/there", timeout=10).status_code == 204
    assert requests.head(f"{base}/db/tables/none", timeout=10).status_code == 404
    assert requests.get(f"{base}/db/views", timeout=10).json() == {"identifiers": []}
    assert requests.post(f"{base}/db/tables/there/metrics", json={}, timeout=10).status_code == 204


def test_one_connection_serves_many_requests(server: CatalogServer) -> None:
    host, port = server.uri.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection, connection.makefile("rb") as answers:
        for _ in range(3):
            connection.sendall(b"GET /v1/config HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"200" in answers.readline()
            headers = dict(line.decode().strip().split(": ", 1) for line in iter(answers.readline, b"\r\n"))
            assert "endpoints" in json.loads(answers.read(int(headers["Content-Length"])))


@pytest.mark.parametrize("header", [{"Origin": "http://example.org"}, {"Host": "example.org"}])
def test_a_web_page_cannot_reach_the_catalog(server: CatalogServer, header: dict[str, str]) -> None:
    answer = requests.post(f"{server.uri}/v1/namespaces", json={"namespace": ["page"]}, headers=header, timeout=10)
    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "ForbiddenException")


def test_a_body_without_a_length_is_refused(server: CatalogServer) -> None:
    answer = requests.post(f"{server.uri}/v1/namespaces", data=iter([b"{}"]), timeout=10)
    assert answer.status_code == 413
    assert requests.get(f"{server.uri}/v1/namespaces/page", timeout=10).status_code == 404


def test_the_server_listens_before_the_catalog_is_open_and_ends(tmp_path: Path) -> None:
    server = CatalogServer(tmp_path)
    uri = server.start()
    assert requests.get(f"{uri}/v1/config", timeout=10).status_code == 200
    assert server.start() == uri
    server.stop()
    server.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{uri}/v1/config", timeout=10)
    with pytest.raises(DcpEnvironmentError, match="DCP428"):
        _ = server.uri


def test_a_taken_port_and_a_useless_home_are_told(server: CatalogServer, tmp_path: Path) -> None:
    port = int(server.uri.rsplit(":", 1)[1])
    with pytest.raises(DcpEnvironmentError, match="DCP427"):
        CatalogServer(tmp_path, port).start()
    (tmp_path / "catalog.db").write_text("this is no database, whatever its name says" * 100)
    with pytest.raises(DcpEnvironmentError, match="DCP425"):
        EmbeddedCatalog(tmp_path).catalog()
    with CatalogServer(tmp_path) as broken:
        answer = requests.get(f"{broken.uri}/v1/namespaces", timeout=30)
        assert answer.status_code == 500
        assert "DCP425" in answer.json()["error"]["message"]
