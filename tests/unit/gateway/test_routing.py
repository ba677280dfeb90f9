"""Ranks are stable, weighted and the same in every process."""

from __future__ import annotations

import uuid
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from airflow_dcp_provider.gateway.routing import rank
from airflow_dcp_provider.model.cluster import Cluster

CLUSTERS = st.lists(
    st.builds(
        Cluster,
        name=st.text("abc", min_size=1, max_size=3),
        connection=st.just("k"),
        region=st.sampled_from(["", "eu", "us"]),
        weight=st.sampled_from([0.0, 0.5, 1.0, 10.0]),
        spark_versions=st.sampled_from([(), ("3.5",), ("4.0",), ("3.5", "4.0")]),
    ),
    max_size=6,
    unique_by=lambda cluster: cluster.name,
)
IDS = st.uuids().map(str)


@given(CLUSTERS, IDS, st.randoms())
def test_the_order_of_the_connection_does_not_matter(clusters: list[Cluster], identity: str, random: object) -> None:
    shuffled = list(clusters)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert rank(clusters, identity, "3.5") == rank(shuffled, identity, "3.5")


@given(CLUSTERS, IDS, st.sampled_from(["eu", "us"]))
def test_only_what_may_run_it_is_ranked_and_its_region_first(clusters: list[Cluster], identity: str, region: str) -> None:
    found = rank(clusters, identity, "3.5.5", region)
    assert set(found) == {each for each in clusters if each.weight > 0 and each.spark_versions in {(), ("3.5",), ("3.5", "4.0")}}
    near = [each.region == region for each in found]
    assert near == sorted(near, reverse=True)
    # Within and without the region, the order is that without a wish.
    assert [each for each in rank(clusters, identity, "3.5.5") if each.region == region] == [
        each for each in found if each.region == region
    ]


@given(CLUSTERS.filter(bool), IDS, st.data())
def test_a_cluster_that_goes_or_is_drained_moves_only_its_own(clusters: list[Cluster], identity: str, data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(clusters))
    before = rank(clusters, identity, "3.5")
    without = tuple(each for each in before if each != gone)
    assert rank([each for each in clusters if each != gone], identity, "3.5") == without
    drained = [replace(each, weight=0.0) if each == gone else each for each in clusters]
    assert rank(drained, identity, "3.5") == without


def test_executions_spread_by_weight() -> None:
    clusters = [Cluster("one", "k", weight=1), Cluster("three", "k", weight=3), Cluster("none", "k", weight=0)]
    ids = [str(uuid.UUID(int=number)) for number in range(4000)]
    first = [rank(clusters, identity, "3.5")[0].name for identity in ids]
    assert "none" not in first
    # Four standard deviations of a share of 0.75 in 4,000 draws are 0.027.
    assert abs(first.count("three") / len(first) - 0.75) < 0.028


def test_the_rank_is_the_same_for_ever() -> None:
    # Other values here would send the tries of a running execution elsewhere after an upgrade.
    clusters = [Cluster(name, "k") for name in ("a", "b", "c")]
    orders = ["".join(each.name for each in rank(clusters, str(uuid.UUID(int=number)), "3.5")) for number in range(4)]
    assert orders == ["cba", "bac", "abc", "cab"]
