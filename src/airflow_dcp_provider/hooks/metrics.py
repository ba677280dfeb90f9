"""The Runner's figures in Airflow's own metrics: StatsD, Datadog or OpenTelemetry, as ``[metrics]`` says.

Airflow has two copies of its ``Stats``, one of the core and one of the task SDK, and initialises in each process only the one that
it uses itself. The logger behind them, which ``[metrics]`` describes, is the same and works in every process.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any

from airflow.providers.common.compat.sdk import conf

log = logging.getLogger(__name__)

#: The tags that stand in a metric's second name, in order. All have few values, and none holds a dot.
_NAMED_TAGS = ("environment", "backend", "cluster", "state", "reason")


class AirflowMetrics:
    """A :class:`~airflow_dcp_provider.runner.metrics.Metrics` on Airflow's metrics logger.

    StatsD has no tags of its own. As Airflow does with its own metrics, each is sent with tags and, unless
    ``[metrics] legacy_names_on`` is off, once more under a name that ends with the tags' values.
    """

    def count(self, name: str, tags: Mapping[str, str], amount: int = 1) -> None:
        """Add ``amount`` to a counter."""
        for logger, each, tagged in _destinations(name, tags):
            logger.incr(each, count=amount, tags=tagged)

    def seconds(self, name: str, value: float, tags: Mapping[str, str]) -> None:
        """Report a duration in seconds; Airflow's loggers send milliseconds."""
        for logger, each, tagged in _destinations(name, tags):
            logger.timing(each, timedelta(seconds=value), tags=tagged)

    def level(self, name: str, value: float, tags: Mapping[str, str]) -> None:
        """Report how much there is of something now."""
        for logger, each, tagged in _destinations(name, tags):
            logger.gauge(each, value, tags=tagged)


def _destinations(name: str, tags: Mapping[str, str]) -> list[tuple[Any, str, dict[str, str]]]:
    """Return the loggers, names and tags under which one figure is sent; none where Airflow's metrics are off."""
    logger = _logger(os.getpid())
    if logger is None:
        return []
    found = [(logger, name, dict(tags))]
    if conf.getboolean("metrics", "legacy_names_on", fallback=True):
        values = [tags[tag].replace(".", "_") for tag in _NAMED_TAGS if tags.get(tag)]
        found.append((logger, ".".join([name, *values]), {}))
    return found


@lru_cache(maxsize=1)
def _logger(pid: int) -> Any:  # noqa: ARG001 - a process that was forked needs a socket of its own
    """Return Airflow's metrics logger for this process, None where it cannot be had."""
    try:
        from airflow.sdk.observability.metrics.stats_utils import get_stats_factory
    except ImportError:
        # Before Airflow 3.2 there was one Stats, which makes its logger by itself.
        from airflow.stats import Stats

        return Stats
    try:
        return get_stats_factory()()
    except (ImportError, OSError) as error:
        log.warning("Airflow's metrics cannot be used here: %s", error)
        return None
