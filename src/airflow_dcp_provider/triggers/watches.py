"""The watches of a triggerer: one for each environment, cluster and namespace that anything waits in.

A watch belongs to an event loop. The first who waits opens it and it reads the connections; the others find it. Some time after the
last has left it is closed. Several triggerers know nothing of each other: each watches what its own triggers wait for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async

from airflow_dcp_provider.hooks.cluster_access import cluster_access, cluster_of
from airflow_dcp_provider.hooks.dcp import environment_for
from airflow_dcp_provider.hooks.metrics import AirflowMetrics
from airflow_dcp_provider.model.environment import KUBERNETES_BACKENDS

if TYPE_CHECKING:
    from airflow_dcp_provider.runner.backends.kubernetes.access import ClusterAccess
    from airflow_dcp_provider.runner.backends.kubernetes.watch import NamespaceWatch
    from airflow_dcp_provider.runner.backends.kubernetes.watch_client import WatchClient

#: Backends whose attempts are watched; those of the others are looked at one by one.
WATCHED_BACKENDS = frozenset(KUBERNETES_BACKENDS)

#: Seconds for which a watch stays open for nobody.
GRACE_SECONDS = 60.0


@dataclass(frozen=True)
class Place:
    """Where something is waited for."""

    backend: str
    environment: str
    cluster: str
    namespace: str


class WatchRegistry:
    """The watches of one event loop.

    :param open_watch: makes the watch of a place.
    :param grace: seconds for which a watch stays open for nobody.
    """

    def __init__(self, open_watch: Callable[[Place], NamespaceWatch], grace: float = GRACE_SECONDS) -> None:
        self._open_watch = open_watch
        self._grace = grace
        self._watches: dict[Place, NamespaceWatch] = {}
        self._users: dict[Place, int] = {}
        self._leaving: dict[Place, asyncio.TimerHandle] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @contextmanager
    def joined(self, place: Place) -> Iterator[NamespaceWatch]:
        """Give the watch of a place, and keep it open for as long."""
        if leaving := self._leaving.pop(place, None):
            leaving.cancel()
        if place not in self._watches:
            self._watches[place] = self._open_watch(place)
        self._users[place] = self._users.get(place, 0) + 1
        try:
            yield self._watches[place]
        finally:
            self._users[place] -= 1
            if not self._users[place]:
                del self._users[place]
                self._leaving[place] = asyncio.get_running_loop().call_later(self._grace, self._close, place)

    def _close(self, place: Place) -> None:
        del self._leaving[place]
        closing = asyncio.get_running_loop().create_task(self._watches.pop(place).close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


_registries: WeakKeyDictionary[asyncio.AbstractEventLoop, WatchRegistry] = WeakKeyDictionary()


def watches() -> WatchRegistry:
    """Return the running event loop's registry."""
    return _registries.setdefault(asyncio.get_running_loop(), WatchRegistry(open_watch))


def open_watch(place: Place) -> NamespaceWatch:
    """Make the watch of a place; its connections are read when it begins, and again when they are no longer good."""
    from airflow_dcp_provider.runner.backends.kubernetes.watch import NamespaceWatch
    from airflow_dcp_provider.runner.backends.kubernetes.watched import applications_of

    async def connect() -> WatchClient:
        from airflow_dcp_provider.runner.backends.kubernetes.watch_client import WatchClient

        # A connection is read through the event loop, which only asgiref's threads can reach.
        return await WatchClient.open(await sync_to_async(_access, thread_sensitive=False)(place))

    tags = {"environment": place.environment, "backend": place.backend, "cluster": place.cluster}
    return NamespaceWatch(connect, applications_of(place.backend, place.namespace), metrics=AirflowMetrics(), tags=tags)


def _access(place: Place) -> ClusterAccess:
    return cluster_access(cluster_of(environment_for(place.environment), place.cluster))
