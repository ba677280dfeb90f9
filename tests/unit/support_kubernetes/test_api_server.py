"""What the API server of the tests answers, so that nobody has to believe it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.support.kubernetes.api_server import ApiServer

GROUP = "/apis/sparkoperator.k8s.io/v1beta2"
MAIN = {"mainApplicationFile": "local:///opt/main.py"}


def path(namespace: str, name: str = "") -> str:
    return f"{GROUP}/namespaces/{namespace}/sparkapplications" + (f"/{name}" if name else "")


def application(name: str = "app", **spec: Any) -> dict[str, Any]:
    driver = {"cores": 1, "memory": "512m"}
    return {
        "apiVersion": "sparkoperator.k8s.io/v1beta2",
        "kind": "SparkApplication",
        "metadata": {"name": name},
        "spec": {
            "type": "Python",
            "mode": "cluster",
            "sparkVersion": "3.5.9",
            **MAIN,
            "driver": driver,
            "executor": driver,
            **spec,
        },
    }


@contextmanager
def watching(api: ApiServer, namespace: str, version: str) -> Iterator[Iterator[dict[str, Any]]]:
    query = {"watch": "true", "resourceVersion": version, "timeoutSeconds": "30"}
    with api.client() as http, http.stream("GET", path(namespace), params=query) as answer:
        yield (json.loads(line) for line in answer.iter_lines() if line)


def test_create_watch_and_the_status_subresource(api_server: ApiServer, kube_namespace: str) -> None:
    version = api_server.request("GET", path(kube_namespace))["metadata"]["resourceVersion"]
    made = api_server.request("POST", path(kube_namespace), application())
    api_server.request("PATCH", path(kube_namespace, "app"), {"status": {"driverInfo": {"podName": "ignored"}}})
    status = {"applicationState": {"state": "SUBMITTED"}, "driverInfo": {"podName": "app-driver"}}
    api_server.request("PATCH", f"{path(kube_namespace, 'app')}/status", {"status": status})
    with watching(api_server, kube_namespace, version) as events:
        seen = [next(events) for _ in range(2)]
    assert [(event["type"], event["object"].get("status")) for event in seen] == [("ADDED", None), ("MODIFIED", status)]
    assert seen[0]["object"]["metadata"]["uid"] == made["metadata"]["uid"]


@pytest.mark.parametrize(
    ("query", "body", "status", "message"),
    [
        ({}, application("taken"), 409, "already exists"),
        ({}, application(type="Cobol"), 422, "spec.type: Unsupported value"),
        ({"fieldValidation": "Strict"}, application(colour="red"), 400, "strict decoding error"),
        ({}, application("Bad_Name"), 422, "metadata.name"),
    ],
    ids=["duplicate", "schema", "strict", "name"],
)
def test_refusals(api_server: ApiServer, kube_namespace: str, query: dict[str, str], body: Any, status: int, message: str) -> None:
    api_server.request("POST", path(kube_namespace), application("taken"))
    answer = api_server.http.post(path(kube_namespace), params=query, json=body)
    assert (answer.status_code, message in answer.json()["message"]) == (status, True), answer.text


def test_rights_are_those_of_the_token(api_server: ApiServer, kube_namespace: str) -> None:
    rules = [{"apiGroups": ["sparkoperator.k8s.io"], "resources": ["sparkapplications"], "verbs": ["create", "get"]}]
    token = api_server.service_account(kube_namespace, "submitter", rules)
    with api_server.client(token) as mine, api_server.client("wrong") as stranger:
        answers = [
            mine.post(path(kube_namespace), json=application()).status_code,
            mine.delete(path(kube_namespace, "app")).status_code,
            mine.post(path(api_server.namespace()), json=application()).status_code,
            stranger.get(path(kube_namespace)).status_code,
        ]
    assert answers == [201, 403, 403, 401]


def test_a_quota_that_is_known_and_one_that_is_not(api_server: ApiServer) -> None:
    hard = {"count/sparkapplications.sparkoperator.k8s.io": "1"}
    known, unknown = api_server.namespace(), api_server.namespace()
    api_server.quota(known, hard)
    api_server.quota(unknown, hard, known=False)
    assert api_server.http.post(path(known), json=application()).status_code == 201
    refused = [api_server.http.post(path(place), json=application("second")) for place in (known, unknown)]
    assert [answer.status_code for answer in refused] == [403, 403]
    assert "exceeded quota" in refused[0].json()["message"]
    assert "status unknown for quota" in refused[1].json()["message"]


def test_killed_paused_and_started_again(new_api_server: Callable[[], ApiServer]) -> None:
    api = new_api_server()
    namespace = api.namespace()
    version = api.request("POST", path(namespace), application())["metadata"]["resourceVersion"]

    api.pause()
    with pytest.raises(httpx.ReadTimeout):
        api.http.get(path(namespace), timeout=0.5)
    answered: list[int] = []
    slow = threading.Thread(target=lambda: answered.append(api.http.get(path(namespace)).status_code))
    slow.start()
    api.resume()
    slow.join(30)
    assert answered == [200]

    api.kill_server()
    with pytest.raises(httpx.TransportError):
        api.http.get(path(namespace))
    api.start_server()
    assert api.request("GET", path(namespace, "app"))["metadata"]["name"] == "app"
    # What was written before the restart is no longer in the server's window.
    api.request("PATCH", path(namespace, "app"), {"metadata": {"labels": {"a": "b"}}})
    with watching(api, namespace, str(int(version) - 1)) as events:
        event = next(events)
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
