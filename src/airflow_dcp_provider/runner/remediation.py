"""What a failed attempt teaches the next one: after running out of memory it gets more (``Retries`` in the design).

Only what was short grows: the driver's or the executors' memory, and of it the heap or, where a container was killed although its
heap was not full, the overhead beside the heap. Nothing else changes, and the fingerprint stays that of the manifest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum

from airflow_dcp_provider.gateway.limits import on_top
from airflow_dcp_provider.model.execution import Failure, FailureKind
from airflow_dcp_provider.model.job import JobSpec
from airflow_dcp_provider.model.quantities import memory_bytes, memory_text
from airflow_dcp_provider.runner.overhead import default_overhead, overhead_setting

#: How often memory is raised within one round.
MAX_RAISES = 3

#: By how much a heap grows each time, and an overhead, which is small beside the heap.
FACTOR = 1.5
OVERHEAD_FACTOR = 2.0


class Shortage(Enum):
    """Whose memory was short, and which part of it."""

    DRIVER_HEAP = ("driver", "heap")
    DRIVER_CONTAINER = ("driver", "overhead")
    EXECUTOR_HEAP = ("executor", "heap")
    EXECUTOR_CONTAINER = ("executor", "overhead")


#: What a failure's code says was short. Local exit codes do not tell whose memory it was: both grow.
_SHORT: dict[str, tuple[Shortage, ...]] = {
    "DCP340": (Shortage.DRIVER_HEAP,),
    "DCP341": (Shortage.EXECUTOR_HEAP,),
    "DCP351": (Shortage.DRIVER_HEAP, Shortage.EXECUTOR_HEAP),
    "DCP360": (Shortage.DRIVER_CONTAINER,),
    "DCP361": (Shortage.EXECUTOR_HEAP,),
    "DCP362": (Shortage.EXECUTOR_CONTAINER,),
}


def shortages(failure: Failure | None) -> tuple[Shortage, ...]:
    """Return what memory the failed attempt lacked; nothing when it failed for another reason, a full cluster among them."""
    if failure is None or failure.kind is not FailureKind.RESOURCES:
        return ()
    return _SHORT.get(failure.code, ())


def raise_memory(
    job: JobSpec,
    limit: int,
    raises: int,
    executor_limit: int | None = None,
    *,
    short: tuple[Shortage, ...] = (Shortage.DRIVER_HEAP, Shortage.EXECUTOR_HEAP),
    spark_defaults: Mapping[str, str] | None = None,
) -> tuple[JobSpec, str]:
    """Return ``job`` with more memory and one sentence on what was changed.

    :param limit: bytes that heap and overhead of the driver may not exceed together.
    :param raises: how often memory was raised before in this round.
    :param executor_limit: the same for an executor, where that is another limit than the driver's.
    :param short: what was short (:func:`shortages`).
    :param spark_defaults: the environment's Spark configuration, below the job's own.
    :return: the unchanged job and an empty sentence when nothing more can be given.
    """
    if raises >= MAX_RAISES:
        return job, ""
    limits = {"driver": limit, "executor": limit if executor_limit is None else executor_limit}
    changes = []
    for role, part in (shortage.value for shortage in short):
        if part == "heap":
            job, change = _raise_heap(job, role, limits[role])
        else:
            job, change = _raise_overhead(job, role, limits[role], spark_defaults or {})
        changes.append(change)
    return job, "; ".join(change for change in changes if change)


def _raise_heap(job: JobSpec, role: str, limit: int) -> tuple[JobSpec, str]:
    size = getattr(job.resources, role)
    before = memory_bytes(size.memory)
    # What the job sets beside the heap counts as the environment's limits count it.
    fixed, share = on_top(job.spark_conf, role)
    after = min(int(before * FACTOR), _whole(int((limit - fixed) / (1 + share))))
    # A job may ask for more than the limit from the start; it is never given less than it asked for here.
    if after <= before:
        return job, ""
    bigger = replace(size, memory=memory_text(after))
    resources = replace(job.resources, **{role: bigger})
    return replace(job, resources=resources), f"{role} memory raised from {size.memory} to {bigger.memory}"


def _raise_overhead(job: JobSpec, role: str, limit: int, defaults: Mapping[str, str]) -> tuple[JobSpec, str]:
    heap = memory_bytes(getattr(job.resources, role).memory)
    conf = {**defaults, **job.spark_conf}
    before = _explicit_overhead(conf, role) or default_overhead(role, heap, conf)
    setting = overhead_setting(role)
    fixed, share = on_top({key: value for key, value in job.spark_conf.items() if key != setting}, role)
    after = min(int(before * OVERHEAD_FACTOR), _whole(limit - heap - fixed - int(heap * share)))
    if memory_text(after) == memory_text(before) or after <= before:
        return job, ""
    changed = replace(job, spark_conf={**job.spark_conf, setting: memory_text(after)})
    old, new = memory_text(before), memory_text(after)
    return changed, f"{role} memory overhead raised from {old} to {new}, because the container and not the heap was short"


def _whole(size: int) -> int:
    """Return a size in whole mebibytes: sizes are written so, rounded up, and a limit is none to round beyond."""
    return size // 2**20 * 2**20


def _explicit_overhead(conf: Mapping[str, str], role: str) -> int | None:
    """Return the overhead in bytes that the configuration sets, or None; Spark reads a bare number as mebibytes."""
    text = str(conf.get(overhead_setting(role), "")).strip()
    try:
        return memory_bytes(f"{text}m" if text.isdecimal() else text)
    except ValueError:
        return None
