"""The garbage collector of owned objects, which a bare API server lacks: pods and ConfigMaps go with their application."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import httpx

from tests.support.kubernetes.client import RigClient, checked

FOREGROUND = "foregroundDeletion"
APPLICATIONS = "/apis/sparkoperator.k8s.io/v1beta2"
CONFIG_MAPS = "/api/v1/configmaps"


class GarbageCollector:
    """Deletes what an application owns, directly or through its driver's pod.

    :param step: seconds between two looks at what is left.
    """

    def __init__(self, client: RigClient, spawn: Callable[[Coroutine[Any, Any, None]], Any], step: float) -> None:
        self._client = client
        self._spawn = spawn
        self._step = step
        self._collecting: set[tuple[str, bool]] = set()

    def see(self, kind: str, application: dict[str, Any]) -> None:
        """Take note of an application's change."""
        meta = application["metadata"]
        waiting = bool(meta.get("deletionTimestamp")) and FOREGROUND in meta.get("finalizers", ())
        if (kind == "DELETED" or waiting) and (meta["uid"], kind == "DELETED") not in self._collecting:
            self._collecting.add((meta["uid"], kind == "DELETED"))
            self._spawn(self._collect(application, foreground=kind != "DELETED"))

    async def watch_config_maps(self, since: str) -> None:
        """Delete every ConfigMap made or changed from now on whose owner is no more, also when it got that owner only afterwards."""
        async for kind, found in self._client.watch(CONFIG_MAPS, since):
            owners = [owner for owner in found["metadata"].get("ownerReferences", ()) if owner["kind"] == "SparkApplication"]
            if kind == "DELETED" or not owners:
                continue
            namespace = found["metadata"]["namespace"]
            for owner in owners:
                path = f"/apis/{owner['apiVersion']}/namespaces/{namespace}/sparkapplications/{owner['name']}"
                application = await self._client.get(path)
                if application is None or application["metadata"]["uid"] != owner["uid"]:
                    await self._delete("configmaps", found)

    async def _collect(self, application: dict[str, Any], *, foreground: bool) -> None:
        """Delete what it owns; in the foreground the application itself goes last."""
        meta = application["metadata"]
        owners = {meta["uid"]}
        while left := await self._owned(meta["namespace"], owners):
            for plural, each in left:
                if not each["metadata"].get("deletionTimestamp"):
                    await self._delete(plural, each)
            await asyncio.sleep(self._step)
        if foreground:
            finalizers = [each for each in meta["finalizers"] if each != FOREGROUND]
            path = f"/apis/{application['apiVersion']}/namespaces/{meta['namespace']}/sparkapplications/{meta['name']}"
            body = {"metadata": {"uid": meta["uid"], "finalizers": finalizers}}
            answer = await self._client.ask("PATCH", path, body)
            # Another of the same name may have taken its place since.
            if answer.status_code not in (httpx.codes.NOT_FOUND, httpx.codes.CONFLICT):
                checked(answer)

    async def _owned(self, namespace: str, owners: set[str]) -> list[tuple[str, dict[str, Any]]]:
        """Return what ``owners`` own in the namespace, and add the owned pods to them: executors belong to the driver's pod."""
        found: list[tuple[str, dict[str, Any]]] = []
        pods = await self._client.items(f"/api/v1/namespaces/{namespace}/pods")
        for _ in range(2):
            owners |= {pod["metadata"]["uid"] for pod in pods if _is_owned(pod, owners)}
        found += [("pods", pod) for pod in pods if _is_owned(pod, owners)]
        maps = await self._client.items(f"/api/v1/namespaces/{namespace}/configmaps")
        return found + [("configmaps", each) for each in maps if _is_owned(each, owners)]

    async def _delete(self, plural: str, found: dict[str, Any]) -> None:
        meta = found["metadata"]
        body = {"preconditions": {"uid": meta["uid"]}}
        await self._client.ask("DELETE", f"/api/v1/namespaces/{meta['namespace']}/{plural}/{meta['name']}", body)


def _is_owned(found: dict[str, Any], owners: set[str]) -> bool:
    return any(owner["uid"] in owners for owner in found["metadata"].get("ownerReferences", ()))
