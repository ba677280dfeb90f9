"""One event loop with many triggers, as in a triggerer, for :mod:`benchmarks.waiting`. Talks with it over its pipes.

``python -m benchmarks._waiting_triggers`` reads ``{"kind": "ours" | "theirs" | "none", "namespace": ..., "names": [...]}``, prints
``{"ready": ...}`` once everything waits, measures from the next line on its input to the one after it, and prints the figures at
the third.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import json
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import psutil
from airflow.triggers.base import BaseTrigger, TriggerEvent

LAG_INTERVAL = 0.025
KIBIBYTE = 1024.0


class NoTrigger(BaseTrigger):
    """Waits for nothing, with what a trigger of ours carries: what Airflow and this measuring cost by themselves."""

    def __init__(self, **carried: Any) -> None:
        super().__init__()
        self.carried = carried

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class's path and its arguments."""
        return "benchmarks._waiting_triggers.NoTrigger", self.carried

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for ever."""
        await asyncio.get_running_loop().create_future()
        yield TriggerEvent({})


def make_trigger(kind: str, namespace: str, name: str) -> BaseTrigger:
    if kind == "theirs":
        from airflow.providers.cncf.kubernetes.triggers.pod import KubernetesPodTrigger

        # As SparkKubernetesOperator defers, by default.
        return KubernetesPodTrigger(
            pod_name=f"{name}-driver",
            pod_namespace=namespace,
            trigger_start_time=dt.datetime.now(tz=dt.UTC),
            base_container_name="spark-kubernetes-driver",
            kubernetes_conn_id="k8s_bench",
            poll_interval=2,
        )
    from airflow_dcp_provider.triggers.spark_execution import SparkExecutionTrigger

    ref = {"execution_id": name, "attempt": 1, "environment": "test", "cluster": "bench", "namespace": namespace, "name": name}
    actor = {"task_id": "wait", "try_number": 1, "round_try": 1, "user": ""}
    options: dict[str, Any] = {"ref": ref, "actor": actor, "deadline": time.time() + 86400, "start_deadline": time.time() + 3600}
    return NoTrigger(**options) if kind == "none" else SparkExecutionTrigger(**options, backend="kubeflow")


class Triggerer:
    """Runs the triggers and notes when each fires."""

    def __init__(self, kind: str, namespace: str, names: list[str]) -> None:
        self.kind, self.namespace, self.names = kind, namespace, names
        self.fired: dict[str, float] = {}
        self.lags: list[float] = []
        self.process = psutil.Process()

    async def run(self) -> None:
        await self.start(self.names[:1])
        before = self.memory()
        await self.start(self.names[1:])
        grown = (self.memory() - before) / KIBIBYTE / max(1, len(self.names) - 1)
        say({"ready": True, "kib": grown})
        await next_line()
        sampling = asyncio.create_task(self.sample())
        cpu, began = time.process_time(), time.monotonic()
        await next_line()
        seconds = time.monotonic() - began
        cpu = (time.process_time() - cpu) * 60 / seconds
        sampling.cancel()
        await next_line()
        self.lags.sort()
        say({"cpu": cpu, "lag": self.lags[int(len(self.lags) * 0.99)], "fired": self.fired})

    async def start(self, names: list[str]) -> None:
        """Start triggers as the triggerer does, one after the other, and return when each of them waits."""
        self.tasks = [*getattr(self, "tasks", []), *(asyncio.create_task(self.trigger(name), name=name) for name in names)]
        settle = 20.0 if self.kind == "theirs" and len(self.tasks) > 1 else 3.0
        end = time.monotonic() + settle
        while time.monotonic() < end or not self.in_sync():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.1)

    def in_sync(self) -> bool:
        if self.kind != "ours":
            return True
        from airflow_dcp_provider.triggers.watches import watches

        found = list(watches()._watches.values())
        return len(found) == 1 and found[0]._states is not None and found[0].waiting == len(self.tasks)

    async def trigger(self, name: str) -> None:
        async for _ in make_trigger(self.kind, self.namespace, name).run():
            self.fired[name] = time.monotonic()

    def memory(self) -> float:
        gc.collect()
        return float(self.process.memory_full_info().uss)

    async def sample(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(LAG_INTERVAL)
            self.lags.append(time.monotonic() - before - LAG_INTERVAL)


def say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


async def next_line() -> None:
    await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    given = json.loads(sys.stdin.readline())
    asyncio.run(Triggerer(given["kind"], given["namespace"], given["names"]).run())
    # Whatever still waits need not be asked to stop.
    sys.stdout.flush()
    sys.exit(0)
