"""A partition of the network, a process that was thought dead, and any order of their requests never lead to two runs.

Several tries of one task run at once, as they do when Airflow takes a process for dead that is not. Their requests reach the
clusters one at a time, in an order that hypothesis chooses; each may be lost on the way there (the cluster cannot be asked) or on
the way back (it was carried out and nobody knows). A try may stop for ever at any request. Only the first try is told that it is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_dcp_provider.gateway.circuit import Circuits
from airflow_dcp_provider.gateway.gateway import Gateway
from airflow_dcp_provider.model.cluster import Cluster
from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.images import Images
from airflow_dcp_provider.model.job import JobSpec

NAMES = ("a", "b", "c")
JOB = JobSpec("growth/daily", "daily", "prod", team="growth")


class Died(Exception):  # noqa: N818 - it is no error of ours
    """The process of a try ended."""


@dataclass
class Namespace:
    """What one cluster holds of the execution; each method is one request, which the cluster carries out as a whole."""

    files: str = ""
    applications: int = 0

    def holds(self) -> bool:
        return self.applications > 0 or self.files == "files"

    def fence(self) -> bool:
        self.files = self.files or "fence"
        return self.files == "fence"

    def send_files(self) -> bool:
        self.files = self.files or "files"
        return self.files == "files"

    def create(self) -> None:
        # One name: the second create of it finds the first.
        self.applications = 1


@dataclass
class Network:
    """Lets requests of several tries through one at a time.

    :param order: which of the waiting tries goes next, by its number modulo how many wait.
    :param fates: what becomes of each request in turn: ``ok``, ``lost``, ``unanswered`` or ``dies``.
    """

    order: list[int]
    fates: list[str]
    clusters: dict[str, Namespace] = field(default_factory=lambda: {name: Namespace() for name in NAMES})

    def run(self, tries: list[Callable[[Callable[..., object]], None]]) -> None:
        turns = {number: threading.Semaphore(0) for number in range(len(tries))}
        idle = threading.Semaphore(0)
        finished: set[int] = set()

        def runner(number: int, body: Callable[[Callable[..., object]], None]) -> None:
            def request(effect: Callable[[], object]) -> object:
                idle.release()
                turns[number].acquire()
                fate = self.fates.pop(0) if self.fates else "ok"
                if fate == "dies":
                    raise Died
                if fate == "lost":
                    raise DcpEnvironmentError("no route", code="DCP460")
                found = effect()
                if fate == "unanswered":
                    raise DcpEnvironmentError("no answer", code="DCP460")
                return found

            try:
                body(request)
            except (DcpEnvironmentError, Died):
                pass
            finally:
                finished.add(number)
                idle.release()

        threads = [threading.Thread(target=runner, args=(number, body)) for number, body in enumerate(tries)]
        for thread in threads:
            thread.start()
            idle.acquire()
        while waiting := [number for number in turns if number not in finished]:
            turns[waiting[(self.order.pop(0) if self.order else 0) % len(waiting)]].release()
            idle.acquire()
        for thread in threads:
            thread.join()


def a_try(network: Network, clusters: tuple[Cluster, ...], identity: str, *, first_try: bool) -> Callable[..., None]:
    """Return one try of ``submit``: it places the execution, sends its files, creates its application."""
    environment = Environment(
        "prod", clusters=clusters, namespace_template="sjns-{team}", images=Images(rules={"default": "spark:1"})
    )

    def body(request: Callable[[Callable[[], object]], object]) -> None:
        placement = Gateway(environment, Circuits()).place(
            JOB,
            identity,
            first_try=first_try,
            holds=lambda cluster, _: bool(request(network.clusters[cluster.name].holds)),
            fence=lambda cluster, _: bool(request(network.clusters[cluster.name].fence)),
            live=lambda *_: 0,
        )
        target = network.clusters[placement.cluster.name]
        if request(target.send_files):
            request(target.create)

    return body


CLUSTERS = st.lists(st.sampled_from(NAMES), min_size=2, max_size=3, unique=True).flatmap(
    lambda names: st.tuples(
        *(st.sampled_from([0.0, 1.0, 5.0]).map(lambda weight, name=name: Cluster(name, name, weight=weight)) for name in names)
    )
)
FATES = st.lists(st.sampled_from(["ok", "ok", "ok", "lost", "unanswered", "dies"]), max_size=20)


@settings(max_examples=400, deadline=None)
@given(CLUSTERS, st.data(), st.uuids().map(str), st.lists(st.integers(0, 5), max_size=40), FATES, st.integers(2, 3))
def test_never_two_runs(
    clusters: tuple[Cluster, ...], data: st.DataObject, identity: str, order: list[int], fates: list[str], tries: int
) -> None:
    network = Network(list(order), list(fates))
    # Between tries somebody may change weights, and so the ranks.
    others = [
        tuple(Cluster(each.name, each.connection, weight=data.draw(st.sampled_from([0.0, 1.0, 5.0]))) for each in clusters)
        for _ in range(tries - 1)
    ]
    bodies = [a_try(network, clusters, identity, first_try=True)]
    bodies += [a_try(network, later, identity, first_try=False) for later in others]
    network.run(bodies)
    assert sum(namespace.applications for namespace in network.clusters.values()) <= 1


@given(CLUSTERS.filter(lambda clusters: any(each.weight for each in clusters)), st.uuids().map(str))
def test_a_lone_try_on_a_whole_network_runs_it_once(clusters: tuple[Cluster, ...], identity: str) -> None:
    for first_try in (True, False):
        network = Network([], [])
        network.run([a_try(network, clusters, identity, first_try=first_try)])
        assert sum(namespace.applications for namespace in network.clusters.values()) == 1
