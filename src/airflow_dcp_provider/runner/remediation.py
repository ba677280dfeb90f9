"""What a failed attempt teaches the next one: after running out of memory it gets more (``Retries`` in the design).

Only sizes change. The fingerprint is that of the manifest and stays what it was.
"""

from __future__ import annotations

from dataclasses import replace

from airflow_dcp_provider.model.job import JobSpec, ResourceSpec
from airflow_dcp_provider.model.quantities import memory_bytes, memory_text

#: How often memory is raised within one round, and by how much each time.
MAX_RAISES = 3
FACTOR = 1.5


def raise_memory(job: JobSpec, limit: int, raises: int) -> tuple[JobSpec, str]:
    """Return ``job`` with more memory and one sentence on what was changed.

    Driver and executors are raised alike: from outside, an exit code does not tell whose memory was too small.

    :param limit: bytes that neither the driver nor an executor may exceed.
    :param raises: how often memory was raised before in this round.
    :return: the unchanged job and an empty sentence when nothing more can be given.
    """
    if raises >= MAX_RAISES:
        return job, ""
    resources = job.resources
    driver = _raised(resources.driver.memory, limit)
    executor = _raised(resources.executor.memory, limit)
    changes = [
        f"{who} memory raised from {old} to {new}"
        for who, old, new in (("driver", resources.driver.memory, driver), ("executor", resources.executor.memory, executor))
        if new != old
    ]
    if not changes:
        return job, ""
    bigger = ResourceSpec(
        driver=replace(resources.driver, memory=driver),
        executor=replace(resources.executor, memory=executor),
    )
    return replace(job, resources=bigger), "; ".join(changes)


def _raised(memory: str, limit: int) -> str:
    size = memory_bytes(memory)
    raised = min(int(size * FACTOR), limit)
    # A job may ask for more than the limit from the start; it is never given less than it asked for here.
    return memory_text(raised) if raised > size else memory
