"""The one timetable of manifests: a cron expression with data-interval semantics.

The run for a day starts when that day is over, and ``{{ ds }}`` is that day. A bare cron string means the other thing in
Airflow 3.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

try:
    from airflow.sdk import CronDataIntervalTimetable
except ImportError:  # Airflow 3.0: timetables are not part of the task SDK yet
    from airflow.timetables.interval import CronDataIntervalTimetable  # type: ignore[assignment]


@lru_cache(maxsize=1024)
def data_interval_timetable(cron: str) -> Any:
    """Return the timetable of a cron expression or preset (``@daily``) in UTC; manifests with the same schedule share it.

    :raises Exception: Airflow's own, when the expression is none; :mod:`dag_factory.dag` names the manifest.
    """
    return CronDataIntervalTimetable(cron, timezone="UTC")
