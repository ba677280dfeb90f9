"""The watch against a real API server: who is told what, and that nobody is told too early."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import replace

import pytest

from airflow_dcp_provider.runner.backends.kubernetes.watch import NamespaceWatch
from airflow_dcp_provider.runner.backends.kubernetes.watch_values import Told
from tests.contract.kubernetes_watch.cluster import PATIENCE, QUICK, SPEC, Cluster, list_path, until


async def told(watch: NamespaceWatch, name: str, **options: float) -> Told:
    return await asyncio.wait_for(watch.wait(name, **options), PATIENCE)


def waiting(watch: NamespaceWatch, name: str, **options: float) -> asyncio.Task[Told]:
    return asyncio.create_task(told(watch, name, **options))


async def seen(watch: NamespaceWatch, cluster: Cluster, name: str = "seen") -> None:
    """Return when the watch has surely taken in everything that happened so far: it has told of something that came later."""
    await cluster.create(name)
    waiter = waiting(watch, name)
    await cluster.move(name, "COMPLETED")
    assert await waiter is Told.ENDED


@pytest.mark.parametrize("end", ["COMPLETED", "FAILED"])
async def test_tells_of_the_end_and_of_no_other_change(cluster: Cluster, end: str) -> None:
    await cluster.create("job")
    async with cluster.watch() as watch:
        waiter = waiting(watch, "job")
        for state in (
            "SUBMITTED",
            "RUNNING",
            "FAILING",
            "SUBMISSION_FAILED",
            "PENDING_RERUN",
            "SUBMITTED",
            "RUNNING",
            "SUCCEEDING",
        ):
            await cluster.move("job", state)
        await seen(watch, cluster)
        assert not waiter.done()
        await cluster.move("job", end)
        assert await waiter is Told.ENDED


async def test_tells_of_what_ended_before_and_of_what_is_deleted(cluster: Cluster) -> None:
    await cluster.create("ended")
    await cluster.move("ended", "COMPLETED")
    await cluster.create("deleted")
    async with cluster.watch() as watch:
        assert await told(watch, "ended") is Told.ENDED
        waiter = waiting(watch, "deleted")
        await seen(watch, cluster)
        assert not waiter.done()
        await cluster.delete("deleted")
        assert await waiter is Told.ENDED
        # And of what is gone already when its waiter comes.
        assert await told(watch, "deleted") is Told.ENDED


async def test_a_waiting_execution_costs_no_request(cluster: Cluster) -> None:
    names = [f"job-{number}" for number in range(150)]
    await asyncio.gather(*map(cluster.create, names))
    before = await cluster.requests()
    async with cluster.watch() as watch:
        waiters = [waiting(watch, name) for name in names]
        await seen(watch, cluster)
        # A watch is counted when it ends.
        cluster.proxy.cut()
        await seen(watch, cluster, "seen-again")
        await asyncio.gather(*(cluster.move(name, "COMPLETED") for name in names))
        assert set(await asyncio.gather(*waiters)) == {Told.ENDED}
    after = await cluster.requests()
    cost = {verb: after[verb] - before.get(verb, 0) for verb in ("LIST", "GET") if verb in after}
    # One list; at most one look for each of the two that were waited for just after they were made, again where the cut met it.
    assert cost["LIST"] == 1
    assert cost.get("GET", 0) <= 4


async def test_no_end_is_missed_and_none_told_early_while_connections_are_cut(cluster: Cluster) -> None:
    """Hundreds of applications move on while the connection is cut at random, in the middle of events, lists and looks."""
    random.seed(11)
    names = [f"job-{number}" for number in range(300)]
    await asyncio.gather(*(cluster.create(name, padding=2000) for name in names))
    ended: set[str] = set()
    early: list[str] = []
    done = asyncio.Event()

    async def wait(name: str) -> None:
        assert await told(watch, name) is Told.ENDED
        if name not in ended:
            early.append(name)

    async def live(name: str) -> None:
        for state in ("SUBMITTED", "RUNNING"):
            await cluster.move(name, state)
        ended.add(name)
        if random.random() < 0.5:
            await cluster.move(name, random.choice(("COMPLETED", "FAILED")))
        else:
            await cluster.delete(name)

    async def cut() -> int:
        cuts = 0
        while not done.is_set():
            await asyncio.sleep(random.uniform(0.0, 0.05))
            cluster.proxy.cut()
            cuts += 1
        return cuts

    async with cluster.watch(replace(QUICK, page_size=40)) as watch:
        cutting = asyncio.create_task(cut())
        waiters = []
        lives = []
        for name in names:
            waiters.append(asyncio.create_task(wait(name)))
            lives.append(asyncio.create_task(live(name)))
            await asyncio.sleep(random.uniform(0.0, 0.01))
        await asyncio.gather(*lives)
        # From here on the connections hold, so that what is left is told.
        done.set()
        assert await cutting > 20
        await asyncio.gather(*waiters)
    assert early == []
    assert watch.waiting == 0


async def test_what_happens_while_the_connection_is_down_is_told_after_it(cluster: Cluster) -> None:
    for name in ("ends", "goes", "stays"):
        await cluster.create(name)
    async with cluster.watch() as watch:
        waiters = {name: waiting(watch, name) for name in ("ends", "goes", "stays")}
        await seen(watch, cluster)
        cluster.proxy.silence()
        cluster.proxy.cut()
        await cluster.move("ends", "FAILED")
        await cluster.delete("goes")
        assert not any(waiter.done() for waiter in waiters.values())
        cluster.proxy.speak()
        assert await waiters["ends"] is Told.ENDED
        assert await waiters["goes"] is Told.ENDED
        await seen(watch, cluster, "seen-again")
        assert not waiters["stays"].done()
        waiters["stays"].cancel()


async def test_a_connection_that_only_looks_alive_is_noticed(cluster: Cluster) -> None:
    await cluster.create("job")
    async with cluster.watch(replace(QUICK, silence=0.5)) as watch:
        waiter = waiting(watch, "job")
        await seen(watch, cluster)
        cluster.proxy.silence()
        await cluster.move("job", "COMPLETED")
        opened = cluster.proxy.opened
        # Nothing closes the silent connection but the watch itself.
        await until(lambda: cluster.proxy.opened > opened)
        cluster.proxy.speak()
        assert await waiter is Told.ENDED


async def test_an_application_that_is_not_seen_yet_is_not_gone(cluster: Cluster) -> None:
    """It is made after the list, and the watch lags behind: one look by name says that it is there."""
    async with cluster.watch() as watch:
        await seen(watch, cluster)
        before = await cluster.requests()
        states = watch._states
        assert states is not None
        await cluster.create("job")
        await until(lambda: "job" in states)
        # As if the change were still on its way.
        del states["job"]
        waiter = waiting(watch, "job")
        for _ in range(1000):
            if (await cluster.requests()).get("GET", 0) > before.get("GET", 0):
                break
        await seen(watch, cluster, "seen-again")
        assert not waiter.done()
        await cluster.move("job", "COMPLETED")
        assert await waiter is Told.ENDED


async def test_everything_is_listed_again_now_and_then(cluster: Cluster) -> None:
    await cluster.create("job")
    timing = replace(QUICK, watch=1.0, resync=0.0)
    async with cluster.watch(timing) as watch:
        waiter = waiting(watch, "job")
        await seen(watch, cluster)
        states = watch._states
        await until(lambda: watch._states is not states)
        assert not waiter.done()
        waiter.cancel()


async def test_deadlines_are_absolute(cluster: Cluster) -> None:
    await cluster.create("job")
    async with cluster.watch() as watch:
        assert await told(watch, "job", deadline=time.time() - 100) is Told.DEADLINE
        deadline = time.time() + 0.3
        assert await told(watch, "job", deadline=deadline) is Told.DEADLINE
        assert time.time() >= deadline


async def test_a_start_deadline_is_for_what_has_not_started(cluster: Cluster) -> None:
    for name, state in (("new", ""), ("submitted", "SUBMITTED"), ("running", "RUNNING"), ("rerun", "PENDING_RERUN")):
        await cluster.create(name)
        if state:
            await cluster.move(name, state)
    async with cluster.watch() as watch:
        # Reached before anything is known, and reached while it waits.
        for moment in (time.time() - 5, time.time() + 0.5):
            running = waiting(watch, "running", start_deadline=moment)
            for name in ("new", "submitted", "rerun"):
                assert await told(watch, name, start_deadline=moment) is Told.START_DEADLINE
            assert not running.done()
            running.cancel()
        late = waiting(watch, "submitted", start_deadline=time.time() + PATIENCE / 2)
        await cluster.move("submitted", "RUNNING")
        await cluster.move("submitted", "COMPLETED")
        assert await late is Told.ENDED


async def test_a_start_deadline_is_checked_against_the_cluster_itself(cluster: Cluster) -> None:
    """What is kept may be old: an application that has started meanwhile is not told to be late."""
    await cluster.create("job")
    async with cluster.watch() as watch:
        await seen(watch, cluster)
        await cluster.move("job", "RUNNING")
        states = watch._states
        assert states is not None
        await until(lambda: states["job"] == "RUNNING")
        states["job"] = "SUBMITTED"
        waiter = waiting(watch, "job", start_deadline=time.time() - 5)
        await seen(watch, cluster, "seen-again")
        assert not waiter.done()
        await cluster.move("job", "COMPLETED")
        assert await waiter is Told.ENDED


async def test_several_wait_for_one_and_one_may_leave(cluster: Cluster) -> None:
    await cluster.create("job")
    async with cluster.watch() as watch:
        first, second = waiting(watch, "job"), waiting(watch, "job")
        await seen(watch, cluster)
        first.cancel("user-action")
        with pytest.raises(asyncio.CancelledError) as caught:
            await first
        assert caught.value.args == ("user-action",)
        assert watch.waiting == 1
        await cluster.move("job", "FAILED")
        assert await second is Told.ENDED
        assert watch.waiting == 0


async def test_two_watches_work_independently(cluster: Cluster) -> None:
    await cluster.create("job")
    async with cluster.watch() as one, cluster.watch() as other:
        waiters = waiting(one, "job"), waiting(other, "job")
        await seen(one, cluster)
        await one.close()
        waiters[0].cancel()
        await cluster.move("job", "COMPLETED")
        assert await waiters[1] is Told.ENDED


async def test_closing_leaves_nothing_behind(cluster: Cluster) -> None:
    before = asyncio.all_tasks()
    async with cluster.watch() as watch:
        await seen(watch, cluster)
        assert asyncio.all_tasks() > before
    assert {task for task in asyncio.all_tasks() - before if "Proxy" not in repr(task)} == set()


async def test_other_applications_are_not_even_read(cluster: Cluster) -> None:
    body = {
        "apiVersion": "sparkoperator.k8s.io/v1beta2",
        "kind": "SparkApplication",
        "metadata": {"name": "foreign"},
        "spec": SPEC,
    }
    await cluster.do("POST", list_path(cluster.namespace), body)
    async with cluster.watch() as watch:
        await seen(watch, cluster)
        assert watch._states == {"seen": "COMPLETED"}
