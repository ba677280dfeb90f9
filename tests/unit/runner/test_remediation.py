"""More memory after an attempt ran out of it."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from airflow_dcp_provider.model.job import DriverResources, ExecutorResources, ResourceSpec
from airflow_dcp_provider.model.quantities import memory_bytes
from airflow_dcp_provider.runner.remediation import MAX_RAISES, raise_memory
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
