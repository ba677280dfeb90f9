"""Placing executions: first tries pass over what does not answer, later tries never guess."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from airflow_dcp_provider.gateway.circuit import Circuit, Circuits
from airflow_dcp_provider.gateway.gateway import Gateway, Placement
from airflow_dcp_provider.gateway.routing import rank
from airflow_dcp_provider.model.cluster import Cluster
from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.errors import DcpEnvironmentError, ManifestError
from airflow_dcp_provider.model.images import Images
from airflow_dcp_provider.model.job import EngineSpec, JobSpec
from airflow_dcp_provider.model.limits import Limits

CLUSTERS = tuple(Cluster(name, f"k8s_{name}", region=name[:2]) for name in ("eu-1", "eu-2", "us-1"))
PROD = Environment(
    "prod",
    backend="kubeflow",
    teams=("growth",),
    clusters=CLUSTERS,
    namespace_template="sjns-{team}-{environment}",
    images=Images(rules={"default": "spark:3.5.5"}),
)
JOB = JobSpec("growth/daily", "daily", "prod", team="growth")
IDENTITY = "6f1c3a52-0000-4000-8000-000000000001"
ORDER = rank(CLUSTERS, IDENTITY, "3.5")
NAMESPACE = "sjns-growth-prod"


class World:
    """Clusters that answer, hold and refuse as a test says."""

    def __init__(self, *, down: tuple[str, ...] = (), holding: tuple[str, ...] = (), live: int = 0) -> None:
        self.down, self.holding, self.count = set(down), set(holding), live
        self.asked: list[str] = []
        self.fenced: list[str] = []

    def holds(self, cluster: Cluster, namespace: str) -> bool:
        assert namespace == NAMESPACE
        self.asked.append(cluster.name)
        self._answer(cluster)
        return cluster.name in self.holding

    def fence(self, cluster: Cluster, namespace: str) -> bool:
        assert namespace == NAMESPACE
        self._answer(cluster)
        if cluster.name in self.holding:
            return False
        self.fenced.append(cluster.name)
        return True

    def live(self, cluster: Cluster, namespace: str) -> int:
        return self.count

    def _answer(self, cluster: Cluster) -> None:
        if cluster.name in self.down:
            raise DcpEnvironmentError(f"no route to {cluster.name}", code="DCP460")


def place(
    world: World,
    *,
    first_try: bool = True,
    environment: Environment = PROD,
    job: JobSpec = JOB,
    circuits: Circuits | None = None,
) -> Placement:
    gateway = Gateway(environment, circuits or Circuits())
    return gateway.place(job, IDENTITY, first_try=first_try, holds=world.holds, fence=world.fence, live=world.live)


def test_the_first_choice_gets_it() -> None:
    world = World()
    assert place(world) == Placement(ORDER[0], NAMESPACE, "spark:3.5.5")
    assert (world.asked, world.fenced) == ([ORDER[0].name], [])


def test_a_first_try_passes_over_what_does_not_answer() -> None:
    world = World(down=(ORDER[0].name,))
    assert place(world).cluster == ORDER[1]
    with pytest.raises(DcpEnvironmentError, match="no cluster of environment prod answers") as caught:
        place(World(down=tuple(each.name for each in CLUSTERS)))
    assert caught.value.code == "DCP483"
    assert all(f"{each.name}: no route to {each.name}" in caught.value.message for each in CLUSTERS)


def test_an_open_circuit_is_passed_over_without_being_asked_and_heals() -> None:
    now = [0.0]
    circuits = Circuits(lambda: Circuit(failures=1, cooling=30, clock=lambda: now[0]))
    place(World(down=(ORDER[0].name,)), circuits=circuits)
    world = World()
    assert place(world, circuits=circuits).cluster == ORDER[1]
    assert world.asked == [ORDER[1].name]
    now[0] = 30.0
    assert place(world, circuits=circuits).cluster == ORDER[0]
    assert circuits.of(ORDER[0].connection, ORDER[0].name).state == "closed"


def test_the_probe_of_a_cluster_that_is_not_asked_is_not_spent() -> None:
    """A half-open circuit lets one caller through; it is there for the one who needs that cluster."""
    now = [0.0]
    circuits = Circuits(lambda: Circuit(failures=1, cooling=30, clock=lambda: now[0]))
    circuits.of(ORDER[1].connection, ORDER[1].name).failed()
    now[0] = 30.0
    assert place(World(), circuits=circuits).cluster == ORDER[0]
    down = World(down=(ORDER[0].name,))
    assert place(down, circuits=circuits).cluster == ORDER[1]
    assert down.asked == [ORDER[0].name, ORDER[1].name]


def test_where_all_circuits_are_open_all_are_asked() -> None:
    circuits = Circuits(lambda: Circuit(failures=1, clock=lambda: 0.0))
    with pytest.raises(DcpEnvironmentError):
        place(World(down=tuple(each.name for each in CLUSTERS)), circuits=circuits)
    assert place(World(), circuits=circuits).cluster == ORDER[0]


@pytest.mark.parametrize("holder", CLUSTERS)
def test_a_later_try_goes_where_the_execution_is(holder: Cluster) -> None:
    # Also where it is drained by now, and where nobody else answers.
    drained = replace(PROD, clusters=tuple(replace(each, weight=0.0) for each in CLUSTERS))
    world = World(holding=(holder.name,), down=tuple(each.name for each in CLUSTERS if each != holder))
    assert place(world, first_try=False, environment=drained).cluster.name == holder.name
    assert world.fenced == []


@pytest.mark.parametrize("silent", CLUSTERS)
def test_a_later_try_creates_nothing_while_a_cluster_cannot_be_asked(silent: Cluster) -> None:
    world = World(down=(silent.name,))
    with pytest.raises(DcpEnvironmentError, match=f"cannot be asked: {silent.name}: no route") as caught:
        place(world, first_try=False)
    assert caught.value.code == "DCP484"
    assert world.fenced == []


def test_a_later_try_fences_the_clusters_that_it_does_not_take() -> None:
    world = World()
    assert place(world, first_try=False).cluster == ORDER[0]
    assert sorted(world.fenced) == sorted(each.name for each in ORDER[1:])


def test_what_appears_between_asking_and_fencing_is_found() -> None:
    world = World()
    late = ORDER[2].name

    def fence(cluster: Cluster, namespace: str) -> bool:
        # Another try, thought dead, creates the moment before.
        world.holding.add(late)
        return world.fence(cluster, namespace)

    found = Gateway(PROD, Circuits()).place(JOB, IDENTITY, first_try=False, holds=world.holds, fence=fence, live=world.live)
    assert found.cluster.name == late


def test_a_cluster_that_falls_silent_while_it_is_fenced_stops_the_try() -> None:
    world = World()

    def fence(cluster: Cluster, namespace: str) -> bool:
        world.down.add(cluster.name)
        return world.fence(cluster, namespace)

    with pytest.raises(DcpEnvironmentError) as caught:
        Gateway(PROD, Circuits()).place(JOB, IDENTITY, first_try=False, holds=world.holds, fence=fence, live=world.live)
    assert caught.value.code == "DCP484"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: None, "it has no clusters"),
        (lambda one: replace(one, weight=0.0), "all of its clusters are drained"),
        (lambda one: replace(one, spark_versions=("4.0",)), "none of its clusters serves Spark 3.5"),
    ],
)
@pytest.mark.parametrize("first_try", [True, False])
def test_why_no_cluster_fits(change: Callable[[Cluster], Cluster | None], said: str, *, first_try: bool) -> None:
    clusters = tuple(found for found in map(change, CLUSTERS) if found)
    with pytest.raises(DcpEnvironmentError, match=said) as caught:
        place(World(), environment=replace(PROD, clusters=clusters), first_try=first_try)
    assert caught.value.code == "DCP480"
    assert "dcp_prod" in caught.value.hint


def test_a_cluster_is_chosen_for_the_environments_version_where_the_job_names_none() -> None:
    clusters = tuple(replace(each, spark_versions=("4.0" if each.name == "eu-1" else "3.5",)) for each in CLUSTERS)
    environment = replace(PROD, clusters=clusters, spark_version="4.0")
    assert place(World(), environment=environment).cluster.name == "eu-1"
    other = place(World(), environment=environment, job=replace(JOB, engine=EngineSpec(version="3.5")))
    assert other.cluster.name != "eu-1"


@pytest.mark.parametrize("first_try", [True, False])
def test_the_only_cluster_is_not_asked(*, first_try: bool) -> None:
    only = replace(PROD, clusters=CLUSTERS[:1])
    world = World()
    assert place(world, environment=only, first_try=first_try).cluster == CLUSTERS[0]
    assert (world.asked, world.fenced) == ([], [])


def test_the_only_cluster_is_asked_where_executions_are_counted_or_it_is_drained() -> None:
    only = replace(PROD, clusters=CLUSTERS[:1], limits=Limits(max_executions=1))
    assert place(World(live=1, holding=("eu-1",)), environment=only, first_try=False).cluster == CLUSTERS[0]
    with pytest.raises(DcpEnvironmentError, match="the limit max_executions is 1"):
        place(World(live=1), environment=only, first_try=False)
    drained = replace(PROD, clusters=(replace(CLUSTERS[0], weight=0.0),))
    assert place(World(holding=("eu-1",)), environment=drained, first_try=False).cluster == drained.clusters[0]


def test_a_manifests_label_prefers_a_region() -> None:
    assert place(World(), job=replace(JOB, labels={"region": "us"})).cluster.name == "us-1"
    world = World(down=("us-1",))
    assert place(world, job=replace(JOB, labels={"region": "us"})).cluster == next(each for each in ORDER if each.name != "us-1")


def test_the_most_concurrent_executions_hold_back_new_ones_only() -> None:
    full = replace(PROD, limits=Limits(max_executions=3))
    with pytest.raises(DcpEnvironmentError, match="has 3 executions, and the limit max_executions is 3"):
        place(World(live=3), environment=full)
    assert place(World(live=2), environment=full).cluster == ORDER[0]
    holding = World(live=3, holding=(ORDER[1].name,))
    assert place(holding, environment=full, first_try=False).cluster == ORDER[1]


def test_a_team_or_an_image_that_is_refused_is_refused_before_anything_is_asked() -> None:
    world = World()
    with pytest.raises(DcpEnvironmentError, match="does not serve the team `search`"):
        place(world, job=replace(JOB, team="search"))
    strict = replace(PROD, images=replace(PROD.images, policy="digest"))
    with pytest.raises(ManifestError, match="the image `mine:1`"):
        place(world, environment=strict, job=replace(JOB, engine=EngineSpec(image="mine:1")))
    assert world.asked == []
