"""How much one job may ask for in an environment. The limits are the platform's; a manifest cannot raise them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The most that a job gets; None or an empty text means no limit.

    :param driver_cores: CPUs of the driver.
    :param driver_memory: memory of the driver as Spark writes it (``8g``), with what a job's settings put on top of it.
    :param executor_cores: CPUs of one executor.
    :param executor_memory: the same of one executor.
    :param max_executors: executors of one job, also under dynamic allocation.
    :param max_executions: executions that run or wait at once in one namespace of the environment.
    """

    driver_cores: int | None = None
    driver_memory: str = ""
    executor_cores: int | None = None
    executor_memory: str = ""
    max_executors: int | None = None
    max_executions: int | None = None
