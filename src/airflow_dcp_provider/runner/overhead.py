"""Memory beside the heap of driver and executors: how much a container gets when no setting says it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

#: The share of the heap, and the least in bytes. The driver runs Python beside its JVM.
_DEFAULTS = {"driver": (0.20, 512 * 2**20), "executor": (0.10, 384 * 2**20)}


def overhead_setting(role: str) -> str:
    """Return the Spark setting that says the overhead of ``driver`` or ``executor``."""
    return f"spark.{role}.memoryOverhead"


def default_overhead(role: str, heap: int, conf: Mapping[str, str] | None = None) -> int:
    """Return the overhead in bytes of a heap of ``heap`` bytes.

    :param role: ``driver`` or ``executor``.
    :param conf: Spark configuration, whose ``memoryOverheadFactor`` counts.
    """
    share, least = _DEFAULTS[role]
    with contextlib.suppress(ValueError):
        share = float((conf or {}).get(f"{overhead_setting(role)}Factor", share))
    return max(int(heap * share), least)
