"""Whatever is sent to the embedded catalog is answered as the specification says, and holds nothing that others need."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_dcp_provider.embedded_catalog import server as catalog_server
from airflow_dcp_provider.embedded_catalog.routes import ROUTES
from airflow_dcp_provider.embedded_catalog.server import CatalogServer
from tests.support.executions import wait_for

SCHEMA = {"type": "struct", "schema-id": 0, "fields": [{"id": 1, "name": "a", "required": False, "type": "long"}]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CatalogServer]:
    """A catalog with one table."""
    with CatalogServer(tmp_path_factory.mktemp("home")) as running:
        running.wait_until_open()
        assert ask(running, "POST", "/v1/namespaces", {"namespace": ["db"]})[0] == 200
        assert ask(running, "POST", "/v1/namespaces/db/tables", {"name": "t", "schema": SCHEMA})[0] == 200
        yield running


def ask(
    server: CatalogServer, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    """Send one request and return its answer."""
    raw = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    connection = http.client.HTTPConnection("127.0.0.1", int(server.uri.rpartition(":")[2]), timeout=20)
    try:
        connection.request(method, path, raw, {"Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else {}
    finally:
        connection.close()


def check(status: int, answer: dict[str, Any], *, head: bool = False) -> None:
    """Check that an answer is a success, or a client's mistake in the specification's form."""
    assert status < 500, answer
    if status >= 400 and not head:
        assert set(answer["error"]) == {"message", "type", "code"}
        assert answer["error"]["code"] == status
        assert isinstance(answer["error"]["message"], str)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
#: What the endpoints look for, at any place and of any type.
FIELDS = st.sampled_from(
    [
        *("namespace", "properties", "updates", "removals", "name", "schema", "location", "partition-spec", "write-order"),
        *("stage-create", "requirements", "identifier", "source", "destination", "metadata-location", "overwrite", "action"),
        *("type", "fields", "ref", "snapshot", "snapshot-id", "schema-id", "spec-id", "uuid", "format-version"),
    ]
)
UPDATES = st.sampled_from(
    [
        *("assign-uuid", "upgrade-format-version", "add-schema", "set-current-schema", "add-spec", "set-default-spec"),
        *(
            "add-sort-order",
            "set-default-sort-order",
            "add-snapshot",
            "set-snapshot-ref",
            "remove-snapshots",
            "remove-snapshot-ref",
        ),
        *("set-location", "set-properties", "remove-properties", "set-statistics", "remove-statistics", "remove-schemas"),
    ]
)
VALUES = JSON | st.sampled_from([SCHEMA, ["db"], "t", "db", -1, 2**63, 10**30, {"namespace": ["db"], "name": "t"}])
BODIES = st.dictionaries(FIELDS, VALUES, max_size=6) | st.fixed_dictionaries(
    {
        "requirements": st.lists(
            st.fixed_dictionaries({"type": st.sampled_from(["assert-create", "assert-table-uuid", "x"])}), max_size=2
        ),
        "updates": st.lists(
            st.builds(
                lambda action, rest: {**rest, "action": action},
                UPDATES,
                st.dictionaries(FIELDS | st.sampled_from(["updates"]), VALUES),
            ),
            max_size=3,
        ),
    }
)
CREATIONS = st.builds(lambda rest: {"name": "u", "schema": SCHEMA, **rest}, st.dictionaries(FIELDS, VALUES, max_size=3))
NAMES = st.sampled_from(["db", "t", "nope", "%00", "..", "%2E%2E", "a%1Fb", "%F0%28", "%ED%A0%80", "x" * 300])


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(route=st.sampled_from(ROUTES), names=st.tuples(NAMES, NAMES), body=BODIES | CREATIONS, query=st.text(max_size=10))
def test_no_request_is_the_servers_fault(server: CatalogServer, route: Any, names: tuple[str, str], body: Any, query: str) -> None:
    method, path, _ = route
    place = path.format(namespace=names[0], table=names[1])
    sent = None if method in {"GET", "HEAD"} else body
    text = "".join(char for char in query if char.isalnum() and char.isascii())
    check(*ask(server, method, f"{place}?{text}=%FF&parent={names[0]}", sent), head=method == "HEAD")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/namespaces", {"namespace": ["a"], "properties": [1]}),
        ("POST", "/v1/namespaces", {"namespace": "a"}),
        ("POST", "/v1/namespaces", {"namespace": [1]}),
        ("POST", "/v1/namespaces", {"namespace": ["b"], "properties": {"a": {"b": 1}}}),
        ("POST", "/v1/namespaces", {}),
        ("POST", "/v1/namespaces/db/properties", {"updates": [1]}),
        ("POST", "/v1/namespaces/db/properties", {"removals": {"a": 1}}),
        ("POST", "/v1/namespaces/db/properties", {"removals": [[]]}),
        ("POST", "/v1/tables/rename", {"source": 1, "destination": 2}),
        (
            "POST",
            "/v1/tables/rename",
            {"source": {"namespace": "db", "name": "t"}, "destination": {"namespace": ["db"], "name": 1}},
        ),
        ("POST", "/v1/namespaces/db/register", {"name": "r", "metadata-location": "file:///nowhere"}),
        ("POST", "/v1/namespaces/db/tables/t", {"requirements": 1, "updates": 1}),
        ("POST", "/v1/namespaces", b"[" * 100_000),
        ("POST", "/v1/namespaces", b"\xff"),
        ("POST", "/v1/namespaces", b"1" * 10_000),
        ("POST", "/v1/namespaces", b'{"namespace": ["\\ud800"]}'),
        ("PUT", "/v1/namespaces", {}),
        ("PATCH", "/v1/namespaces/db", None),
        ("OPTIONS", "*", None),
        ("NONSENSE", "/v1/namespaces", None),
        ("GET", "/" + "x" * 100_000, None),
        ("GET", "/v1/namespaces?" + "a=1&" * 1_000, None),
    ],
)
def test_a_clients_mistake_is_its_own(server: CatalogServer, method: str, path: str, body: Any) -> None:
    status, answer = ask(server, method, path, body)
    assert 400 <= status < 500, answer
    check(status, answer)


def test_a_table_that_cannot_be_read_is_not_registered(server: CatalogServer, tmp_path: Path) -> None:
    broken = Path(server.embedded.warehouse) / "broken.metadata.json"
    broken.write_text("{}")
    for place in (broken, broken.parent, broken.with_name("nothing")):
        status, _ = ask(server, "POST", "/v1/namespaces/db/register", {"name": "r", "metadata-location": f"file://{place}"})
        assert status == 400
    assert ask(server, "GET", "/v1/namespaces/db/tables/r")[0] == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "attacker.example"},
        {"Host": "127.0.0.1.attacker.example:80"},
        {"Host": ""},
        {"Origin": "http://127.0.0.1"},
        {"Host": "attacker.example", "X-Forwarded-Host": "127.0.0.1"},
    ],
)
def test_a_page_in_a_browser_is_refused(server: CatalogServer, headers: dict[str, str]) -> None:
    """Also one whose name was made to lead to this machine."""
    assert ask(server, "GET", "/v1/namespaces", headers=headers)[0] == 403


def test_the_catalog_is_on_this_machine_alone(server: CatalogServer) -> None:
    assert server.uri.startswith("http://127.0.0.1:")


@pytest.mark.parametrize("length", ["-1", "1e3", "²", "9" * 5_000, str(2**40), "0x10"])
def test_a_body_has_a_length_and_a_bound(server: CatalogServer, length: str) -> None:
    with raw_connection(server) as client:
        client.sendall(f"POST /v1/namespaces HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n".encode("latin-1"))
        answer = client.makefile("rb").read()
    assert answer.split(b"\r\n", 1)[0].split()[1] in {b"413", b"431"}


@pytest.mark.parametrize(
    "line",
    [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"GET / X\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_what_is_no_http_is_a_clients_mistake(server: CatalogServer, line: bytes) -> None:
    with raw_connection(server) as client:
        client.sendall(line)
        client.shutdown(socket.SHUT_WR)
        answer = client.makefile("rb").read()
    assert b" 50" not in answer.split(b"\r\n", 1)[0]
    assert b"<html" not in answer.lower()


@contextlib.contextmanager
def raw_connection(server: CatalogServer) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", int(server.uri.rpartition(":")[2])), timeout=20) as client:
        yield client


def serving() -> int:
    return sum("process_request_thread" in thread.name for thread in threading.enumerate())


class TestSilence:
    @pytest.fixture
    def impatient(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[CatalogServer]:
        monkeypatch.setattr(catalog_server._Handler, "timeout", 0.2)
        monkeypatch.setattr(catalog_server, "_CONNECTIONS", 3)
        with CatalogServer(tmp_path) as running:
            running.wait_until_open()
            yield running

    @pytest.mark.parametrize(
        "sent",
        [
            b"",
            b"GET /v1/conf",
            b"GET /v1/config HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{",
        ],
        ids=["nothing", "half a line", "one request", "half a body"],
    )
    def test_a_silent_client_is_let_go(self, impatient: CatalogServer, sent: bytes) -> None:
        with raw_connection(impatient) as client:
            client.sendall(sent)
            client.makefile("rb").read()
        wait_for(lambda: serving() == 0, "the connection's thread to end")
        assert ask(impatient, "GET", "/v1/config")[0] == 200

    def test_too_many_are_turned_away_and_the_others_served(
        self, impatient: CatalogServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(catalog_server._Handler, "timeout", 20)
        with contextlib.ExitStack() as stack:
            for _ in range(3):
                client = stack.enter_context(raw_connection(impatient))
                client.sendall(b"GET /v1/config HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                assert client.recv(20).startswith(b"HTTP/1.1 200")
            with raw_connection(impatient) as late:
                assert late.makefile("rb").read().startswith(b"HTTP/1.1 503")
        wait_for(lambda: serving() == 0, "the connections' threads to end")
        assert ask(impatient, "GET", "/v1/config")[0] == 200

    def test_clients_are_told_how_long_a_connection_may_be_silent(self, server: CatalogServer) -> None:
        with raw_connection(server) as client:
            client.sendall(b"GET /v1/config HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert b"\r\nKeep-Alive: timeout=60\r\n" in client.recv(4096)
