"""Answers that a healthy API server never gives to a test: a scripted server gives them, in order."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from aiohttp import web

from airflow_dcp_provider.runner.backends.kubernetes.watch import NamespaceWatch
from airflow_dcp_provider.runner.backends.kubernetes.watch_client import WatchClient
from airflow_dcp_provider.runner.backends.kubernetes.watch_values import Told
from airflow_dcp_provider.runner.metrics import Metrics
from tests.contract.kubernetes_watch.cluster import QUICK, applications, list_path, until
from tests.contract.kubernetes_watch.test_watch import told, waiting

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(name: str, state: str, version: str = "1") -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": version}, "status": {"applicationState": {"state": state}}}


def listed(*items: dict[str, Any], version: str = "1", next_page: str = "") -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response({"metadata": {"resourceVersion": version, "continue": next_page}, "items": list(items)})

    return answer


def refused(status: int, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        text = json.dumps({"kind": "Status", "reason": "Whatever", "message": "no", "code": status})
        return web.Response(status=status, text=text, headers=headers)

    return answer


def streamed(*events: dict[str, Any], pieces: int = 1, hold: bool = False) -> Answer:
    """Return a watch's answer.

    :param pieces: into how many pieces the bytes are cut.
    :param hold: keep the stream open.
    """

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        text = b"".join(json.dumps(event).encode() + b"\n" for event in events)
        size = max(1, len(text) // pieces)
        for start in range(0, len(text), size):
            await response.write(text[start : start + size])
            await asyncio.sleep(0)
        if hold:
            await asyncio.Event().wait()
        return response

    return answer


def text(body: str) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(text=body)

    return answer


class Script:
    """Gives each answer once, in order; notes what was asked and when."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[float, dict[str, str], dict[str, str]]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((time.monotonic(), dict(request.query), dict(request.headers)))
        return await (self._answers.pop(0) if self._answers else streamed(hold=True))(request)


@asynccontextmanager
async def scripted(
    *answers: Answer, auth: httpx2.Auth | None = None, metrics: Metrics | None = None, client: type[WatchClient] = WatchClient
) -> AsyncIterator[tuple[NamespaceWatch, Script]]:
    script = Script(*answers)
    app = web.Application()
    app.router.add_get(list_path("team") + "{name:.*}", script.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    options = {"base_url": f"http://127.0.0.1:{port}", "auth": auth, "proxy": None, "trust_env": False}

    async def connect() -> WatchClient:
        return client("scripted", {**options, "verify": ssl.create_default_context()})

    watch = NamespaceWatch(connect, applications("team"), timing=QUICK, metrics=metrics)
    try:
        yield watch, script
    finally:
        await watch.close()
        await runner.cleanup()


async def test_a_version_that_is_too_old_within_the_stream() -> None:
    error = {"type": "ERROR", "object": {"kind": "Status", "metadata": {}, "status": "Failure", "code": 410, "reason": "Expired"}}
    async with scripted(
        listed(application("job", "RUNNING"), version="7"), streamed(error), listed(application("job", "FAILED"), version="9")
    ) as (watch, script):
        assert await told(watch, "job") is Told.ENDED
        assert script.asked[1][1]["resourceVersion"] == "7"
        assert "watch" not in script.asked[2][1]


async def test_it_goes_on_from_the_last_bookmark() -> None:
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "42"}}}
    change = {"type": "MODIFIED", "object": application("job", "COMPLETED", "43")}
    async with scripted(listed(application("job", "RUNNING")), streamed(bookmark), streamed(change, hold=True)) as (watch, script):
        assert await told(watch, "job") is Told.ENDED
        assert script.asked[2][1]["resourceVersion"] == "42"


async def test_a_list_whose_later_page_is_too_old_begins_anew() -> None:
    async with scripted(
        listed(application("other", "RUNNING"), next_page="more"),
        refused(410),
        listed(application("other", "RUNNING"), next_page="again"),
        listed(application("job", "COMPLETED")),
    ) as (watch, script):
        assert await told(watch, "job") is Told.ENDED
        assert [query.get("continue") for _, query, _ in script.asked[:4]] == [None, "more", None, "again"]


@pytest.mark.parametrize("status", [429, 503])
async def test_a_server_that_asks_to_wait_is_left_alone_for_so_long(status: int) -> None:
    async with scripted(refused(status, **{"Retry-After": "1"}), listed(application("job", "COMPLETED"))) as (watch, script):
        assert await told(watch, "job") is Told.ENDED
        assert script.asked[1][0] - script.asked[0][0] >= 1.0


@pytest.mark.parametrize("odd", [text("<html>gateway</html>"), text("{}"), refused(500), refused(302), text("")])
async def test_what_cannot_be_read_is_asked_again(odd: Answer) -> None:
    async with scripted(odd, listed(application("job", "RUNNING")), odd, odd) as (watch, script):
        waiter = waiting(watch, "job")
        await until(lambda: len(script.asked) >= 5)
        assert not waiter.done()
        waiter.cancel()


async def test_an_event_in_many_pieces() -> None:
    change = {"type": "MODIFIED", "object": application("job", "COMPLETED", "2") | {"spec": {"padding": "x" * 5000}}}
    other = {"type": "ADDED", "object": application("other", "RUNNING", "3")}
    async with scripted(listed(application("job", "RUNNING")), streamed(change, other, pieces=50, hold=True)) as (watch, _):
        assert await told(watch, "job") is Told.ENDED


async def test_the_other_operators_state_is_read_too() -> None:
    item = {
        "metadata": {"name": "job", "resourceVersion": "1"},
        "status": {"currentState": {"currentStateSummary": "Succeeded", "message": ""}},
    }
    async with scripted(listed(item), streamed(hold=True)) as (watch, script):
        waiter = waiting(watch, "job")
        await until(lambda: len(script.asked) >= 2)
        assert watch._states == {"job": "Succeeded"}
        waiter.cancel()


class BrokenMetrics:
    """A metrics system that cannot be reached."""

    def count(self, name: str, tags: Mapping[str, str], amount: int = 1) -> None:
        raise OSError("no route to the metrics")

    def seconds(self, name: str, value: float, tags: Mapping[str, str]) -> None:
        raise OSError("no route to the metrics")

    def level(self, name: str, value: float, tags: Mapping[str, str]) -> None:
        raise OSError("no route to the metrics")


async def test_figures_that_nobody_takes_cost_no_watch(caplog: pytest.LogCaptureFixture) -> None:
    change = {"type": "MODIFIED", "object": application("job", "COMPLETED", "2")}
    async with scripted(
        refused(500), listed(application("job", "RUNNING")), streamed(change, hold=True), metrics=BrokenMetrics()
    ) as (watch, script):
        assert await told(watch, "job") is Told.ENDED
        assert len(script.asked) == 3
    assert caplog.text.count("no route to the metrics") == 1


class UnclosableClient(WatchClient):
    async def close(self) -> None:
        await super().close()
        raise RuntimeError("never thought of")


async def test_a_connection_that_cannot_be_closed_costs_no_watch() -> None:
    async with scripted(refused(500), refused(500), listed(application("job", "COMPLETED")), client=UnclosableClient) as (watch, _):
        assert await told(watch, "job") is Told.ENDED


async def test_a_watch_that_was_ended_begins_again_with_the_next_who_waits() -> None:
    async with scripted(listed(application("job", "RUNNING"))) as (watch, script):
        first = waiting(watch, "job")
        await until(lambda: len(script.asked) == 2)
        assert watch._running is not None
        watch._running.cancel()
        await asyncio.wait([watch._running])
        second = waiting(watch, "job")
        await until(lambda: len(script.asked) == 3)
        for waiter in (first, second):
            waiter.cancel()


async def test_credentials_are_sent_with_every_request() -> None:
    async with scripted(
        listed(application("job", "RUNNING")),
        streamed({"type": "DELETED", "object": application("job", "RUNNING", "2")}, hold=True),
        auth=httpx2.BasicAuth("me", "secret"),
    ) as (watch, script):
        assert await told(watch, "job") is Told.ENDED
        assert {headers["Authorization"] for _, _, headers in script.asked} == {"Basic bWU6c2VjcmV0"}


async def test_the_way_may_lead_through_a_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "inside.example")
    options = {"auth": None, "verify": ssl.create_default_context(), "proxy": None, "trust_env": True}
    for host, proxy in (("outside.example", "http://proxy.example:3128"), ("inside.example", None)):
        client = WatchClient("c", {**options, "base_url": f"https://{host}"})
        assert client._proxy == proxy
        await client.close()
    client = WatchClient("c", {**options, "base_url": "https://outside.example", "proxy": "http://own.example"})
    assert client._proxy == "http://own.example"
    await client.close()
