"""What a job asks for beyond its environment's limits is refused, by whatever way it asks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_dcp_provider.gateway.limits import check_executions, check_limits, excesses
from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.errors import DcpEnvironmentError, ManifestError, Position
from airflow_dcp_provider.model.job import DriverResources, ExecutorResources, JobSpec, ResourceSpec
from airflow_dcp_provider.model.limits import Limits
from airflow_dcp_provider.model.quantities import memory_bytes

LIMITS = Limits(driver_cores=2, driver_memory="4g", executor_cores=4, executor_memory="8g", max_executors=5)
PROD = Environment("prod", backend="kubeflow", limits=LIMITS)


def job(driver: dict[str, Any] | None = None, executor: dict[str, Any] | None = None, **conf: str) -> JobSpec:
    sizes = ResourceSpec(DriverResources(**(driver or {})), ExecutorResources(**(executor or {})))
    return JobSpec("growth/daily", "daily", "prod", resources=sizes, spark_conf=conf)


def conf(**settings: str) -> JobSpec:
    return job(executor={"memory": "6g"}, driver={"memory": "3g"}, **settings)


def fields(spec: JobSpec) -> list[tuple[str, str, str]]:
    return [(each.field, each.asked, each.limit) for each in excesses(spec, LIMITS)]


def test_what_the_limits_allow_passes() -> None:
    most = job(
        {"cores": 2, "memory": "4g"},
        {"cores": 4, "memory": "8192m", "instances": 5, "min_instances": 1, "max_instances": 5},
        **{"spark.executor.instances": "5", "spark.executor.cores": "4", "spark.sql.shuffle.partitions": "10000"},
    )
    check_limits(most, PROD)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (job({"cores": 3}), ("resources.driver.cores", "3", "2")),
        (job({"memory": "4097m"}), ("resources.driver.memory", "4097m", "4g")),
        (job(None, {"cores": 5}), ("resources.executor.cores", "5", "4")),
        (job(None, {"memory": "1t"}), ("resources.executor.memory", "1t", "8g")),
        (job(None, {"instances": 6}), ("resources.executor.instances", "6", "5")),
        (job(None, {"min_instances": 6, "max_instances": 5}), ("resources.executor.minInstances", "6", "5")),
        (job(None, {"min_instances": 1, "max_instances": 6}), ("resources.executor.maxInstances", "6", "5")),
        (conf(**{"spark.driver.cores": "3"}), ("sparkConf.spark.driver.cores", "3", "2")),
        (conf(**{"spark.driver.memory": "5g"}), ("sparkConf.spark.driver.memory", "5g", "4g")),
        (conf(**{"spark.executor.cores": "5"}), ("sparkConf.spark.executor.cores", "5", "4")),
        (conf(**{"spark.executor.memory": "9216"}), ("sparkConf.spark.executor.memory", "9216", "8g")),
        (conf(**{"spark.executor.memory": "9gb"}), ("sparkConf.spark.executor.memory", "9gb", "8g")),
        (conf(**{"spark.executor.instances": "6"}), ("sparkConf.spark.executor.instances", "6", "5")),
        (
            conf(**{"spark.dynamicAllocation.maxExecutors": "6"}),
            ("sparkConf.spark.dynamicAllocation.maxExecutors", "6", "5"),
        ),
        (
            conf(**{"spark.dynamicAllocation.initialExecutors": "6"}),
            ("sparkConf.spark.dynamicAllocation.initialExecutors", "6", "5"),
        ),
        (
            conf(**{"spark.dynamicAllocation.minExecutors": "6"}),
            ("sparkConf.spark.dynamicAllocation.minExecutors", "6", "5"),
        ),
        (conf(**{"spark.driver.memoryOverhead": "2g"}), ("sparkConf.spark.driver.memoryOverhead", "5120m in all", "4g")),
        (conf(**{"spark.executor.memoryOverhead": "3g"}), ("sparkConf.spark.executor.memoryOverhead", "9216m in all", "8g")),
        (
            conf(**{"spark.yarn.executor.memoryOverhead": "3072"}),
            ("sparkConf.spark.yarn.executor.memoryOverhead", "9216m in all", "8g"),
        ),
        (
            conf(**{"spark.executor.memoryOverheadFactor": "0.5"}),
            ("sparkConf.spark.executor.memoryOverheadFactor", "9216m in all", "8g"),
        ),
        (
            conf(**{"spark.executor.minMemoryOverhead": "3g"}),
            ("sparkConf.spark.executor.minMemoryOverhead", "9216m in all", "8g"),
        ),
        (
            conf(**{"spark.executor.pyspark.memory": "1g", "spark.memory.offHeap.size": str(2 * 2**30)}),
            ("sparkConf.spark.memory.offHeap.size", "9216m in all", "8g"),
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_each_way_to_ask_for_more_is_found(spec: JobSpec, expected: tuple[str, str, str]) -> None:
    assert fields(spec) == [expected]
    with pytest.raises(ManifestError) as caught:
        check_limits(spec, PROD)
    text = str(caught.value)
    assert caught.value.code == ("DCP171" if expected[0].startswith("sparkConf") else "DCP170")
    assert all(part in text for part in (*expected, "growth/daily", "environment prod", "dcp_prod"))
    check_limits(spec, replace(PROD, limits=Limits()))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("spark.executor.memory", "plenty"),
        ("spark.executor.memoryOverhead", "10%"),
        ("spark.executor.memoryOverheadFactor", "nan"),
        ("spark.executor.memoryOverheadFactor", "-1"),
        ("spark.executor.instances", "1e9"),
        ("spark.driver.cores", "-3"),
    ],
)
def test_what_cannot_be_read_is_not_let_through(key: str, value: str) -> None:
    with pytest.raises(ManifestError, match="cannot be read") as caught:
        check_limits(conf(**{key: value}), PROD)
    assert caught.value.code == "DCP173"


def test_every_excess_is_named_at_its_place() -> None:
    spec = job({"cores": 9, "memory": "64g"}, {"instances": 500}, **{"spark.executor.cores": "32"})
    places = {"resources.driver.memory": ("jobs/daily.yaml", 12, 15), "sparkConf.spark.executor.cores": ("defaults.yaml", 3, 5)}
    with pytest.raises(ManifestError) as caught:
        check_limits(spec, PROD, places)
    found = {problem.message: problem.position for problem in caught.value.problems}
    assert len(found) == 4
    assert found["the job asks for 64g, and the limit driver_memory of environment prod is 4g"] == Position(
        "jobs/daily.yaml", 12, 15
    )
    assert found["the job asks for 32, and the limit executor_cores of environment prod is 4"] == Position("defaults.yaml", 3, 5)
    assert "growth/daily, resources.driver.cores: the job asks for 9, and the limit driver_cores of environment prod is 2" in found


@given(
    st.integers(1, 12),
    st.one_of(st.none(), st.integers(0, 12)),
    st.one_of(st.none(), st.integers(0, 12)),
    st.integers(1, 12 * 1024),
    st.one_of(st.none(), st.integers(0, 12 * 1024)),
)
def test_no_way_around(executors: int, conf_executors: int | None, most: int | None, memory: int, overhead: int | None) -> None:
    """Whatever passes asks for no more than the limits, by every number in it."""
    settings = {"spark.executor.instances": conf_executors, "spark.dynamicAllocation.maxExecutors": most}
    given_conf = {key: str(value) for key, value in settings.items() if value is not None}
    if overhead is not None:
        given_conf["spark.executor.memoryOverhead"] = f"{overhead}m"
    spec = job(None, {"instances": executors, "memory": f"{memory}m"}, **given_conf)
    numbers = [number for number in (executors, conf_executors, most) if number is not None]
    total = (memory + (overhead or 0)) * 2**20
    assert (not excesses(spec, LIMITS)) == (max(numbers) <= 5 and total <= memory_bytes("8g"))


def test_the_number_of_executions_is_asked_only_where_it_is_limited() -> None:
    limited = replace(PROD, limits=Limits(max_executions=2))
    check_executions(limited, "sjns-growth-prod", lambda: 1)
    with pytest.raises(DcpEnvironmentError, match="sjns-growth-prod of environment prod has 2 executions") as caught:
        check_executions(limited, "sjns-growth-prod", lambda: 2)
    assert caught.value.code == "DCP485"

    def never() -> int:
        raise AssertionError

    check_executions(PROD, "sjns-growth-prod", never)
