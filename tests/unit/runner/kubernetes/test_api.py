"""The client against a real HTTP server that misbehaves as told: what is tried again, what is not, and what is said."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import yaml

from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.runner.backends.kubernetes.access import ClusterAccess
from airflow_dcp_provider.runner.backends.kubernetes.api import TRIES, KubernetesApi
from airflow_dcp_provider.runner.backends.kubernetes.problems import KubernetesProblem

PATH = "/api/v1/namespaces/team-a/configmaps"


class Server(ThreadingHTTPServer):
    """Answers with the scripted answers in turn, then with an empty object; remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[tuple[int, dict[str, str], Any]] = []
        self.asked: list[tuple[str, str, str, Any]] = []
        self.connections = 0

    def get_request(self) -> Any:
        self.connections += 1
        return super().get_request()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        self.server.asked.append((self.command, self.path, self.headers.get("Content-Type", ""), body))
        status, headers, answer = self.server.script.pop(0) if self.server.script else (200, {}, {})
        if status == 0:
            # The connection is cut after the request was read, as by a server that dies.
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        if answer == "silence":
            time.sleep(3)
        data = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815

    def log_message(self, *args: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def access(url: str, **user: str) -> ClusterAccess:
    document = {
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "c", "user": user or {"token": "tik-tok"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
    }
    return ClusterAccess("eu-1", kube_config=yaml.safe_dump(document))


@pytest.fixture
def api(server: Server) -> Iterator[KubernetesApi]:
    with KubernetesApi(access(server.url), read_seconds=1.0) as made:
        yield made


def status(code: int, reason: str, message: str, **details: str) -> dict[str, Any]:
    return {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message, "details": details}


class TestRequests:
    def test_writes_are_strict_and_reads_are_not(self, api, server):
        api.request("POST", PATH, body={"a": 1}, params={"dryRun": "All"})
        api.request("PATCH", f"{PATH}/x", body={"b": 2}, content_type="application/merge-patch+json")
        api.request("GET", PATH, params={"labelSelector": "a=b,c"})
        api.request("DELETE", f"{PATH}/x", body={"preconditions": {}})
        post, patch, get, delete = server.asked
        assert post == ("POST", f"{PATH}?fieldValidation=Strict&dryRun=All", "application/json", {"a": 1})
        assert patch == ("PATCH", f"{PATH}/x?fieldValidation=Strict", "application/merge-patch+json", {"b": 2})
        assert get[1] == f"{PATH}?labelSelector=a%3Db%2Cc"
        assert delete[1:] == (f"{PATH}/x", "application/json", {"preconditions": {}})

    def test_one_connection_serves_many_requests(self, api, server):
        for _ in range(5):
            api.get(PATH)
        assert server.connections == 1

    def test_what_is_not_there_is_none_and_a_missing_kind_is_an_error(self, api, server):
        server.script = [(404, {}, status(404, "NotFound", 'configmaps "x" not found', name="x", kind="configmaps"))]
        assert api.get(f"{PATH}/x") is None
        server.script = [(404, {}, "404 page not found\n")]
        with pytest.raises(KubernetesProblem) as caught:
            api.get(f"{PATH}/x")
        assert (caught.value.code, caught.value.cause) == ("DCP468", "missing")

    def test_texts_with_broken_characters(self, api, server):
        server.script = [(200, {}, "Grüße\n")]
        assert api.text(f"{PATH}/x/log") == "Grüße\n"


class TestAgain:
    @pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
    @pytest.mark.parametrize("code", [429, 503])
    def test_what_was_surely_not_carried_out_is_tried_again_as_the_server_asks(self, api, server, method, code):
        server.script = [(code, {"Retry-After": "1"}, status(code, "TooManyRequests", "slow down"))]
        started = time.monotonic()
        api.request(method, PATH, body=None if method == "GET" else {})
        assert len(server.asked) == 2
        assert time.monotonic() - started >= 0.7

    @pytest.mark.parametrize("failure", [(500, {}, "oops"), (502, {}, "<html>"), (504, {}, ""), (0, {}, ""), (200, {}, "silence")])
    def test_reads_are_tried_again_and_writes_are_left_to_whoever_knows(self, api, server, failure):
        server.script = [failure]
        assert api.get(PATH) == {}
        assert len(server.asked) == 2
        for method in ("POST", "PATCH", "DELETE"):
            server.asked.clear()
            server.script = [failure]
            with pytest.raises(KubernetesProblem) as caught:
                api.request(method, PATH, body={})
            assert caught.value.ambiguous
            assert len(server.asked) == 1

    def test_there_is_an_end_to_it(self, api, server):
        server.script = [(429, {"Retry-After": "0"}, status(429, "TooManyRequests", "never"))] * 20
        with pytest.raises(KubernetesProblem, match="never") as caught:
            api.request("GET", PATH)
        assert (caught.value.status, len(server.asked)) == (429, TRIES)

    @pytest.mark.parametrize("code", [400, 401, 403, 404, 409, 410, 422])
    def test_what_is_refused_is_not_tried_again(self, api, server, code):
        server.script = [(code, {}, status(code, "Reason", "no"))]
        with pytest.raises(KubernetesProblem) as caught:
            api.request("GET", PATH)
        assert (caught.value.status, caught.value.ambiguous, len(server.asked)) == (code, False, 1)

    def test_nobody_there(self):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
        with KubernetesApi(access(f"http://127.0.0.1:{port}"), patience=0.5) as api, pytest.raises(KubernetesProblem) as caught:
            api.request("POST", PATH, body={})
        assert (caught.value.code, caught.value.status, caught.value.ambiguous) == ("DCP460", 0, False)
        assert f"POST {PATH} on cluster eu-1" in caught.value.message


class TestProblems:
    @pytest.mark.parametrize(
        ("code", "reason", "message", "cause", "error"),
        [
            (401, "Unauthorized", "Unauthorized", "credentials", "DCP461"),
            (403, "Forbidden", 'User "x" cannot create resource "sparkapplications" in API group', "rbac", "DCP462"),
            (403, "Forbidden", "is forbidden: exceeded quota: q, requested: count/x=1, used: 1, limited: 1", "quota", "DCP463"),
            (403, "Forbidden", "is forbidden: status unknown for quota: q, resources: count/x", "quota-unknown", "DCP464"),
            (403, "Forbidden", 'admission webhook "v.example" denied the request: no', "webhook", "DCP465"),
            (400, "BadRequest", 'admission webhook "v.example" denied the request: no', "webhook", "DCP465"),
            (500, "InternalError", 'failed calling webhook "v.example": connection refused', "webhook", "DCP465"),
            (403, "Forbidden", "unable to create new content in namespace x because it is being terminated", "missing", "DCP468"),
            (422, "Invalid", "spec.driver.cores: Invalid value: 0", "invalid", "DCP466"),
            (400, "BadRequest", 'strict decoding error: unknown field "spec.oops"', "invalid", "DCP466"),
            (409, "AlreadyExists", "already exists", "conflict", "DCP467"),
            (410, "Expired", "too old resource version", "expired", "DCP467"),
            (418, "Teapot", "no tea", "server", "DCP467"),
        ],
    )
    def test_each_cause_has_a_code_of_its_own(self, api, server, code, reason, message, cause, error):
        server.script = [(code, {}, status(code, reason, message))]
        with pytest.raises(KubernetesProblem) as caught:
            api.request("POST", PATH, body={})
        assert (caught.value.cause, caught.value.code) == (cause, error)
        assert message in caught.value.message
        assert caught.value.hint

    def test_a_namespace_that_is_not_there(self, api, server):
        server.script = [(404, {}, status(404, "NotFound", 'namespaces "x" not found', name="x", kind="namespaces"))]
        with pytest.raises(KubernetesProblem) as caught:
            api.request("POST", PATH, body={})
        assert caught.value.code == "DCP468"

    def test_an_answer_that_is_no_json(self, api, server):
        server.script = [(200, {}, "<html>a proxy's greeting</html>")]
        with pytest.raises(KubernetesProblem, match="not JSON"):
            api.request("POST", PATH, body={})

    def test_a_redirect_is_not_followed_with_the_token(self, api, server):
        server.script = [(302, {"Location": f"{server.url}/elsewhere"}, "")]
        with pytest.raises(KubernetesProblem):
            api.request("GET", PATH)
        assert len(server.asked) == 1

    def test_a_plugin_that_fails_is_told_without_what_it_printed(self, server, tmp_path):
        plugin = tmp_path / "plugin"
        plugin.write_text("#!/bin/sh\nexit 3\n")
        plugin.chmod(0o755)
        user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin)}}
        with KubernetesApi(access(server.url, **user)) as api, pytest.raises(DcpEnvironmentError) as caught:
            api.request("GET", PATH)
        assert caught.value.code == "DCP469"
