"""The watch where the cluster itself is in trouble: restarts, stops, no rights, tokens that end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.runner.backends.kubernetes.watch_client import WatchClient
from airflow_dcp_provider.runner.backends.kubernetes.watch_values import Told
from tests.contract.kubernetes_watch.cluster import QUICK, Cluster, until
from tests.contract.kubernetes_watch.proxy import Proxy
from tests.contract.kubernetes_watch.test_watch import seen, told, waiting
from tests.support.kubernetes.api_server import ApiServer

RIGHTS = [{"apiGroups": ["sparkoperator.k8s.io"], "resources": ["sparkapplications"], "verbs": ["get", "list", "watch"]}]


async def test_a_restarted_server_has_forgotten_the_version(
    new_api_server: Callable[[], ApiServer], caplog: pytest.LogCaptureFixture
) -> None:
    """Everything happens while the watch is away; then the version that it had is too old, and all is listed again."""
    server = await asyncio.to_thread(new_api_server)
    namespace = server.namespace()
    async with Proxy(server.port) as proxy:
        cluster = Cluster(server, namespace, proxy)
        for name in ("ends", "goes", "stays"):
            await cluster.create(name)
        async with cluster.watch() as watch:
            waiters = {name: waiting(watch, name) for name in ("ends", "goes", "stays")}
            await seen(watch, cluster)
            proxy.silence()
            proxy.cut()
            await cluster.move("ends", "COMPLETED")
            await cluster.delete("goes")
            await asyncio.to_thread(server.restart_server)
            proxy.speak()
            assert await waiters["ends"] is Told.ENDED
            assert await waiters["goes"] is Told.ENDED
            await seen(watch, cluster, "seen-again")
            assert not waiters["stays"].done()
            await cluster.move("stays", "FAILED")
            assert await waiters["stays"] is Told.ENDED
    assert "410" in caplog.text


async def test_a_server_that_stops_and_goes_on(new_api_server: Callable[[], ApiServer]) -> None:
    server = await asyncio.to_thread(new_api_server)
    namespace = server.namespace()
    async with Proxy(server.port) as proxy:
        cluster = Cluster(server, namespace, proxy)
        await cluster.create("job")
        async with cluster.watch(replace(QUICK, silence=1.0)) as watch:
            waiter = waiting(watch, "job")
            await seen(watch, cluster)
            server.pause()
            opened = proxy.opened
            await until(lambda: proxy.opened > opened)
            server.resume()
            await cluster.move("job", "COMPLETED")
            assert await waiter is Told.ENDED


async def test_a_token_that_ends_is_read_again(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    await cluster.create("job")
    async with cluster.watch() as watch:
        waiter = waiting(watch, "job")
        await seen(watch, cluster)
        good, cluster.token = cluster.token, "ended"
        while "401" not in caplog.text:
            # A client that was up for a while is kept, and asks with the token that it has.
            cluster.proxy.cut()
            await asyncio.sleep(0.02)
        assert not waiter.done()
        cluster.token = good
        await cluster.move("job", "COMPLETED")
        assert await waiter is Told.ENDED


async def test_who_may_not_look_is_told_so_after_a_while(cluster: Cluster) -> None:
    await cluster.create("job")
    cluster.token = cluster.server.service_account(cluster.namespace, "stranger")
    async with cluster.watch(replace(QUICK, refused_patience=0.3)) as watch:
        assert await told(watch, "job") is Told.UNREADABLE
        # It goes on trying: once the right is given, it sees.
        user = f"system:serviceaccount:{cluster.namespace}:stranger"
        cluster.server.grant(cluster.namespace, user, RIGHTS)
        waiter = waiting(watch, "job")
        await cluster.move("job", "COMPLETED")
        assert await waiter in {Told.ENDED, Told.UNREADABLE}
        await until(lambda: watch._states is not None)
        assert await told(watch, "job") is Told.ENDED


async def test_a_cluster_out_of_reach_is_waited_for_longer(cluster: Cluster) -> None:
    await cluster.create("job")

    async def nowhere() -> WatchClient:
        async with Proxy(1) as proxy:
            away = Cluster(cluster.server, cluster.namespace, proxy)
        return await WatchClient.open(away.access())

    async with cluster.watch(replace(QUICK, refused_patience=0.0, patience=0.5), nowhere) as watch:
        began = asyncio.get_running_loop().time()
        assert await told(watch, "job") is Told.UNREADABLE
        assert asyncio.get_running_loop().time() - began >= 0.5


@pytest.mark.parametrize("error", [DcpEnvironmentError("no such connection", code="DCP416"), RuntimeError("never thought of")])
async def test_whatever_goes_wrong_it_begins_again(cluster: Cluster, error: Exception) -> None:
    await cluster.create("job")
    failures = [error, error]

    async def connect() -> WatchClient:
        if failures:
            raise failures.pop()
        return await cluster.connect()

    async with cluster.watch(connect=connect) as watch:
        waiter = waiting(watch, "job")
        await cluster.move("job", "COMPLETED")
        assert await waiter is Told.ENDED
    assert failures == []
