"""What a job asks for, held against its environment's limits before anything is submitted.

Nothing is cut down to a limit: a job that asks for more is refused with every excess in one error. A limit bounds what Spark is
given by whatever way: ``resources``, and the settings of ``sparkConf`` that mean the same or come on top of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from airflow_dcp_provider.gateway.places import Places, problem
from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.errors import DcpEnvironmentError, ManifestError, Problem
from airflow_dcp_provider.model.job import JobSpec
from airflow_dcp_provider.model.limits import Limits
from airflow_dcp_provider.model.quantities import memory_bytes, memory_text

_MIB = 2**20

_SIZE = re.compile(r"(\d+)\s*(b|[kmgtp]b?)?", re.IGNORECASE)
_UNITS = {"b": 1, "k": 2**10, "m": _MIB, "g": 2**30, "t": 2**40, "p": 2**50}

#: Settings that take memory beside the heap, and the bytes of their unit when they have none, as Spark reads them.
_ON_TOP: dict[str, dict[str, int]] = {
    "driver": {
        "spark.driver.memoryOverhead": _MIB,
        "spark.yarn.driver.memoryOverhead": _MIB,
        "spark.driver.minMemoryOverhead": _MIB,
    },
    "executor": {
        "spark.executor.memoryOverhead": _MIB,
        "spark.yarn.executor.memoryOverhead": _MIB,
        "spark.executor.minMemoryOverhead": _MIB,
        "spark.executor.pyspark.memory": _MIB,
        "spark.memory.offHeap.size": 1,
    },
}
_EXECUTOR_COUNTS = (
    "spark.executor.instances",
    "spark.dynamicAllocation.initialExecutors",
    "spark.dynamicAllocation.minExecutors",
    "spark.dynamicAllocation.maxExecutors",
)


@dataclass(frozen=True)
class Excess:
    """One thing of which a job asks for too much.

    :param field: as the manifest spells it, for example ``resources.executor.memory``.
    :param asked: what it comes to.
    :param name: the limit's name; ``limit`` is its value. Both are empty for a setting that cannot be read.
    """

    field: str
    asked: str
    name: str
    limit: str


def check_limits(job: JobSpec, environment: Environment, places: Places | None = None) -> None:
    """Refuse a job that asks for more than its environment gives.

    :param places: where fields of the job stand in its manifest, for messages.
    :raises ManifestError: DCP170 and DCP171 with every excess; DCP173 for a size or number that cannot be read.
    """
    problems = [_problem(excess, job, environment, places) for excess in excesses(job, environment.limits)]
    if problems:
        raise ManifestError(problems)


def _problem(excess: Excess, job: JobSpec, environment: Environment, places: Places | None) -> Problem:
    if not excess.name:
        hint = "write a whole number, memory with a unit, for example 8g"
        return problem("DCP173", f"`{excess.asked}` cannot be read", job, excess.field, places=places, hint=hint)
    setting = excess.field.startswith("sparkConf.")
    message = f"the job asks for {excess.asked}, and the limit {excess.name} of environment {environment.name} is {excess.limit}"
    hint = (
        f"ask for at most {excess.limit}, for example by an override for {environment.name} in the manifest; "
        f"the limit is the platform's, in the connection dcp_{environment.name}"
    )
    return problem("DCP171" if setting else "DCP170", message, job, excess.field, places=places, hint=hint)


def excesses(job: JobSpec, limits: Limits) -> tuple[Excess, ...]:
    """Return everything of which ``job`` asks for more than ``limits`` allow, and settings that cannot be read."""
    return (*_sizes(job, limits), *_executors(job, limits.max_executors))


def _sizes(job: JobSpec, limits: Limits) -> Iterator[Excess]:
    wanted = job.resources
    for role, cores, memory, most_cores, most_memory in (
        ("driver", wanted.driver.cores, wanted.driver.memory, limits.driver_cores, limits.driver_memory),
        ("executor", wanted.executor.cores, wanted.executor.memory, limits.executor_cores, limits.executor_memory),
    ):
        if most_cores is not None:
            yield from _counts({f"resources.{role}.cores": cores}, f"{role}_cores", most_cores)
            yield from _counts(_settings(job, f"spark.{role}.cores"), f"{role}_cores", most_cores)
        if most_memory:
            yield from _memory(job, role, memory, most_memory)


def _settings(job: JobSpec, *keys: str) -> dict[str, str]:
    """Return those of ``keys`` that the job's ``sparkConf`` sets, by the field's name."""
    return {f"sparkConf.{key}": job.spark_conf[key] for key in keys if key in job.spark_conf}


def _memory(job: JobSpec, role: str, memory: str, limit: str) -> Iterator[Excess]:
    """Yield an excess of the heap, at the field that sets it, or else of the heap and what comes on top of it."""
    most = memory_bytes(limit)
    fields = {f"resources.{role}.memory": memory, **_settings(job, f"spark.{role}.memory")}
    heap = 0
    for field, text in fields.items():
        size = _bytes(text, _MIB)
        if size is None:
            yield Excess(field, text, "", "")
        elif size > most:
            yield Excess(field, text, f"{role}_memory", limit)
        heap = max(heap, size or 0)
    if heap <= most:
        yield from _on_top(job, role, heap, most, limit)


def _on_top(job: JobSpec, role: str, heap: int, most: int, limit: str) -> Iterator[Excess]:
    last = ""
    for key, value in _beside_heap(job.spark_conf, role).items():
        if value is None:
            yield Excess(f"sparkConf.{key}", job.spark_conf[key], "", "")
        elif value:
            last = key
    fixed, share = on_top(job.spark_conf, role)
    total = heap + fixed + int(heap * share)
    if last and total > most:
        yield Excess(f"sparkConf.{last}", f"{memory_text(total)} in all", f"{role}_memory", limit)


def on_top(conf: Mapping[str, str], role: str) -> tuple[int, float]:
    """Return what settings take beside the heap of ``driver`` or ``executor``: bytes, and a share of the heap.

    What cannot be read counts nothing here.
    """
    found = _beside_heap(conf, role)
    share = found.pop(_factor_setting(role), None) or 0.0
    return sum(int(size or 0) for size in found.values()), share


def _beside_heap(conf: Mapping[str, str], role: str) -> dict[str, float | None]:
    """Return the bytes of each setting that takes memory beside the heap, and the factor; None for what cannot be read."""
    found: dict[str, float | None] = {key: _bytes(conf[key], unit) for key, unit in _ON_TOP[role].items() if key in conf}
    if _factor_setting(role) in conf:
        found[_factor_setting(role)] = _factor(conf[_factor_setting(role)])
    return found


def _factor_setting(role: str) -> str:
    return f"spark.{role}.memoryOverheadFactor"


def _executors(job: JobSpec, most: int | None) -> Iterator[Excess]:
    if most is None:
        return
    executor = job.resources.executor
    numbers = {
        "resources.executor.instances": executor.instances,
        "resources.executor.minInstances": executor.min_instances,
        "resources.executor.maxInstances": executor.max_instances,
    }
    yield from _counts(numbers, "max_executors", most)
    yield from _counts(_settings(job, *_EXECUTOR_COUNTS), "max_executors", most)


def _counts(fields: Mapping[str, int | str | None], name: str, most: int) -> Iterator[Excess]:
    for field, value in fields.items():
        text = str(value).strip()
        if value is None:
            continue
        if not text.isdecimal():
            yield Excess(field, text, "", "")
        elif int(text) > most:
            yield Excess(field, text, name, str(most))


def _bytes(text: str, unit: int) -> int | None:
    """Return the bytes of a size as Spark reads it, or None when it is none.

    :param unit: bytes of a number without a unit.
    """
    match = _SIZE.fullmatch(text.strip())
    if not match:
        return None
    return int(match.group(1)) * (_UNITS[match.group(2)[0].lower()] if match.group(2) else unit)


def _factor(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if 0 <= found < float("inf") else None


def check_executions(environment: Environment, namespace: str, live: Callable[[], int]) -> None:
    """Refuse another execution where the environment's most concurrent ones run or wait already.

    Asked before an execution's first attempt is created. It keeps order among well-behaved submitters; where the number must hold
    against everybody, a ResourceQuota on ``count/sparkapplications.sparkoperator.k8s.io`` does that.

    :param live: returns how many applications in ``namespace`` have not ended; it is called only where there is a limit.
    :raises DcpEnvironmentError: DCP485; Airflow's retries try again later.
    """
    most = environment.limits.max_executions
    if most is None or (found := live()) < most:
        return
    raise DcpEnvironmentError(
        f"namespace {namespace} of environment {environment.name} has {found} executions, and the limit max_executions is {most}",
        code="DCP485",
        hint="the task tries again; wait for others to end, or have the platform raise the limit in the connection "
        f"dcp_{environment.name}",
    )
