"""More memory after an attempt ran out of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_dcp_provider.gateway.limits import excesses
from airflow_dcp_provider.model.execution import Failure, FailureKind
from airflow_dcp_provider.model.job import DriverResources, ExecutorResources, ResourceSpec
from airflow_dcp_provider.model.limits import Limits
from airflow_dcp_provider.model.quantities import memory_bytes
from airflow_dcp_provider.runner.remediation import MAX_RAISES, Shortage, raise_memory, shortages
from tests.support.executions import job

GIB = 2**30


def sized(driver: str, executor: str = "1g"):
    return replace(job(), resources=ResourceSpec(DriverResources(2, driver), ExecutorResources(3, executor, 4, 1, 9)))


def test_driver_and_executors_get_half_as_much_again():
    bigger, sentence = raise_memory(sized("1g", "2g"), 64 * GIB, 0)
    assert (bigger.resources.driver.memory, bigger.resources.executor.memory) == ("1536m", "3072m")
    assert sentence == "driver memory raised from 1g to 1536m; executor memory raised from 2g to 3072m"


def test_the_limit_bounds_a_raise():
    bigger, sentence = raise_memory(sized("3g", "1g"), 4 * GIB, 0)
    assert bigger.resources.driver.memory == "4096m"
    assert "driver memory raised from 3g to 4096m" in sentence


def test_nothing_is_raised_at_the_limit_or_after_the_last_raise():
    at_limit = sized("4g", "4g")
    assert raise_memory(at_limit, 4 * GIB, 0) == (at_limit, "")
    assert raise_memory(at_limit, 2 * GIB, 0) == (at_limit, "")
    assert raise_memory(sized("1g"), 64 * GIB, MAX_RAISES) == (sized("1g"), "")


@given(st.integers(1, 2**16), st.integers(1, 2**16), st.integers(0, MAX_RAISES))
def test_memory_never_shrinks_never_passes_the_limit_and_nothing_else_changes(mebibytes, limit, raises):
    before = sized(f"{mebibytes}m", f"{mebibytes}m")
    after, sentence = raise_memory(before, limit * 2**20, raises)
    size = memory_bytes(after.resources.driver.memory)
    assert memory_bytes(before.resources.driver.memory) <= size <= max(limit, mebibytes) * 2**20
    assert bool(sentence) == (after != before)
    assert replace(after, resources=before.resources) == before
    assert replace(after.resources.driver, memory="") == replace(before.resources.driver, memory="")
    assert replace(after.resources.executor, memory="") == replace(before.resources.executor, memory="")


class TestOnlyWhatWasShort:
    def raised(self, *short, before=None, limit=64 * GIB, executor_limit=None, **options):
        return raise_memory(before or sized("4g", "8g"), limit, 0, executor_limit, short=short, **options)

    def test_the_drivers_heap(self):
        bigger, sentence = self.raised(Shortage.DRIVER_HEAP)
        assert (bigger.resources.driver.memory, bigger.resources.executor.memory) == ("6144m", "8g")
        assert sentence == "driver memory raised from 4g to 6144m"

    def test_the_executors_heap(self):
        bigger, sentence = self.raised(Shortage.EXECUTOR_HEAP)
        assert (bigger.resources.driver.memory, bigger.resources.executor.memory) == ("4g", "12288m")
        assert sentence == "executor memory raised from 8g to 12288m"

    @pytest.mark.parametrize(
        ("short", "setting", "old", "new"),
        [
            (Shortage.DRIVER_CONTAINER, "spark.driver.memoryOverhead", "820m", "1639m"),
            (Shortage.EXECUTOR_CONTAINER, "spark.executor.memoryOverhead", "820m", "1639m"),
        ],
    )
    def test_a_killed_container_gets_memory_beside_its_heap(self, short, setting, old, new):
        bigger, sentence = self.raised(short)
        assert bigger.spark_conf[setting] == new
        assert bigger.resources == sized("4g", "8g").resources
        role = setting.split(".")[1]
        assert sentence == f"{role} memory overhead raised from {old} to {new}, because the container and not the heap was short"

    def test_an_overhead_that_is_set_is_doubled(self):
        before = replace(sized("4g"), spark_conf={"spark.driver.memoryOverhead": "1g"})
        bigger, _ = self.raised(Shortage.DRIVER_CONTAINER, before=before)
        assert bigger.spark_conf == {"spark.driver.memoryOverhead": "2048m"}

    def test_so_is_one_of_the_environment_and_one_without_a_unit(self):
        bigger, _ = self.raised(Shortage.EXECUTOR_CONTAINER, spark_defaults={"spark.executor.memoryOverhead": "3000"})
        assert bigger.spark_conf["spark.executor.memoryOverhead"] == "6000m"
        bigger, _ = self.raised(Shortage.EXECUTOR_CONTAINER, spark_defaults={"spark.executor.memoryOverheadFactor": "0.5"})
        assert bigger.spark_conf["spark.executor.memoryOverhead"] == "8192m"

    def test_heap_and_overhead_stay_within_the_limit_of_their_own(self):
        bigger, _ = self.raised(Shortage.EXECUTOR_CONTAINER, executor_limit=9 * GIB)
        assert bigger.spark_conf["spark.executor.memoryOverhead"] == "1024m"
        bigger, _ = self.raised(Shortage.EXECUTOR_HEAP, limit=GIB, executor_limit=9 * GIB)
        assert bigger.resources.executor.memory == "9216m"
        before = replace(sized("4g", "8g"), spark_conf={"spark.executor.memoryOverhead": "1g"})
        assert self.raised(Shortage.EXECUTOR_HEAP, before=before, executor_limit=9 * GIB) == (before, "")

    @pytest.mark.parametrize(
        ("settings", "heap"),
        [
            ({"spark.memory.offHeap.size": "6g"}, "10240m"),
            ({"spark.executor.pyspark.memory": "5g", "spark.memory.offHeap.size": str(2 * GIB)}, "9216m"),
            ({"spark.executor.memoryOverheadFactor": "0.6"}, "10240m"),
            ({"spark.executor.memoryOverhead": "1g", "spark.executor.memoryOverheadFactor": "0.75"}, "8777m"),
            ({"spark.memory.offHeap.size": "8g"}, "8g"),
        ],
    )
    def test_whatever_comes_on_top_of_the_heap_counts_as_the_limits_count_it(self, settings, heap):
        limits = Limits(executor_memory="16g")
        before = replace(sized("4g", "8g"), spark_conf=settings)
        assert not excesses(before, limits)
        bigger, _ = self.raised(Shortage.EXECUTOR_HEAP, before=before, executor_limit=16 * GIB)
        assert bigger.resources.executor.memory == heap
        assert not excesses(bigger, limits)

    def test_so_it_does_for_an_overhead(self):
        before = replace(
            sized("4g", "8g"), spark_conf={"spark.memory.offHeap.size": "6g", "spark.executor.memoryOverhead": "1536m"}
        )
        bigger, _ = self.raised(Shortage.EXECUTOR_CONTAINER, before=before, executor_limit=16 * GIB)
        assert bigger.spark_conf["spark.executor.memoryOverhead"] == "2048m"
        assert not excesses(bigger, Limits(executor_memory="16g"))

    def test_nothing_is_short(self):
        assert self.raised() == (sized("4g", "8g"), "")


@pytest.mark.parametrize(
    ("kind", "code", "short"),
    [
        (FailureKind.RESOURCES, "DCP340", (Shortage.DRIVER_HEAP,)),
        (FailureKind.RESOURCES, "DCP341", (Shortage.EXECUTOR_HEAP,)),
        (FailureKind.RESOURCES, "DCP351", (Shortage.DRIVER_HEAP, Shortage.EXECUTOR_HEAP)),
        (FailureKind.RESOURCES, "DCP360", (Shortage.DRIVER_CONTAINER,)),
        (FailureKind.RESOURCES, "DCP361", (Shortage.EXECUTOR_HEAP,)),
        (FailureKind.RESOURCES, "DCP362", (Shortage.EXECUTOR_CONTAINER,)),
        (FailureKind.RESOURCES, "DCP368", ()),
        (FailureKind.RESOURCES, "DCP372", ()),
        (FailureKind.PLATFORM, "DCP340", ()),
        (FailureKind.USER, "DCP360", ()),
    ],
)
def test_a_failure_tells_what_was_short(kind, code, short):
    assert shortages(Failure(kind, code, "x")) == short
    assert shortages(None) == ()
