"""The first design document's table of environments, as the defaults of connections that say no more than they must."""

from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_dcp_provider.gateway.namespaces import namespace_for
from airflow_dcp_provider.hooks.environment_fields import parse_environment
from airflow_dcp_provider.model.cluster import Cluster
from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.images import Images
from airflow_dcp_provider.model.limits import Limits

HOUR = 3600
DYNAMIC = {"spark.dynamicAllocation.enabled": "true", "spark.dynamicAllocation.shuffleTracking.enabled": "true"}
CLUSTERS = [{"name": "one", "connection": "k8s_one"}]

#: Environment, namespace, driver, executor, most executors, TTL, shuffle partitions, adaptive, `latest` allowed.
TABLE = [
    ("local", "sjns-playground-local-ana", (2, "4g"), (2, "4g"), 2, 4 * HOUR, "4", False, True),
    ("playground_ana", "sjns-playground-local-ana", (2, "4g"), (2, "4g"), 2, 4 * HOUR, "4", False, True),
    ("test", "sjns-playground-test", (2, "4g"), (4, "8g"), 5, HOUR, "10", False, False),
    ("staging", "sjns-growth-staging", (4, "8g"), (4, "8g"), 10, 24 * HOUR, "100", False, False),
    ("prod", "sjns-growth-prod", (4, "16g"), (8, "32g"), 100, HOUR, "200", True, False),
]


def parsed(name: str, **extra: Any) -> Environment:
    return parse_environment(name, f"dcp_{name}", {"backend": "kubeflow", "clusters": CLUSTERS, **extra})


@pytest.mark.parametrize("backend", ["kubeflow", "apache"])
@pytest.mark.parametrize(
    ("name", "namespace", "driver", "executor", "executors", "ttl", "partitions", "adaptive", "latest"),
    TABLE,
    ids=[row[0] for row in TABLE],
)
def test_the_documents_table(
    name: str,
    namespace: str,
    driver: tuple[int, str],
    executor: tuple[int, str],
    executors: int,
    ttl: int,
    partitions: str,
    *,
    adaptive: bool,
    latest: bool,
    backend: str,
) -> None:
    found = parse_environment(name, f"dcp_{name}", {"backend": backend, "clusters": CLUSTERS})
    assert found.name == name
    assert namespace_for(found, found.clusters[0], "growth", "ana") == namespace
    assert found.limits == Limits(*driver, *executor, executors)
    assert found.ttl_seconds == ttl
    expected = {"spark.sql.shuffle.partitions": partitions, **DYNAMIC}
    assert found.spark_defaults == ({**expected, "spark.sql.adaptive.enabled": "true"} if adaptive else expected)
    assert found.images == Images(policy="any" if latest else "tag")


@pytest.mark.parametrize("name", [row[0] for row in TABLE])
def test_no_host_bucket_or_registry_is_a_default(name: str) -> None:
    found = parsed(name)
    assert (found.images.registry, found.images.rules, found.event_log_dir, found.history_server_url) == ("", {}, "", "")
    assert re.search(r"https?://|s3a?://|\.(com|io|team|org)\b", repr(found)) is None


@pytest.mark.parametrize("name", [row[0] for row in TABLE])
def test_the_local_backend_has_none_of_them(name: str) -> None:
    assert parse_environment(name, f"dcp_{name}", {}) == Environment(name)
    assert parse_environment(name, f"dcp_{name}", {"limits": {"max_executors": 1}}).limits == Limits(max_executors=1)


def test_each_limit_and_setting_is_changed_by_itself_and_null_lifts_a_limit() -> None:
    found = parsed(
        "prod",
        limits={"executor_memory": "64g", "max_executors": None, "driver_memory": None, "max_executions": 50},
        spark_defaults={"spark.sql.adaptive.enabled": False, "spark.sql.shuffle.partitions": 400},
    )
    assert found.limits == Limits(4, "", 8, "64g", None, 50)
    assert found.spark_defaults == {
        **DYNAMIC,
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.shuffle.partitions": "400",
    }


def test_what_the_connection_says_is_above_every_default() -> None:
    found = parsed("prod", ttl_seconds=0, namespace_template="jobs-{team}", image_policy="digest", live_logs=0)
    assert (found.ttl_seconds, found.namespace_template, found.images.policy, found.live_logs) == (0, "jobs-{team}", "digest", 0)
    assert found.clusters == (Cluster("one", "k8s_one"),)
