"""What goes wrong while a run is at work: commits that fail, a driver that dies, machines in other time zones."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from pyspark.sql import DataFrameWriterV2, SparkSession


class Crash(Exception):  # noqa: N818 -- the driver's process ends here
    """The driver is gone."""


class CommitStateUnknownException(Exception):  # noqa: N818 -- the name is what counts
    """What Iceberg throws when a catalog does not say whether it took a commit."""


class CommitFailedException(Exception):  # noqa: N818 -- the name is what counts
    """What Iceberg throws when another writer was faster."""


class FaultyCommit:
    """A commit that meets a fault once.

    ``happened`` says whether the driver has died in it: ``between`` can only happen to a commit that takes two steps.
    """

    def __init__(self, commit: Callable[[], None], fault: str) -> None:
        self._commit, self._fault = commit, fault
        self.happened = ""

    def __call__(self) -> None:
        fault, self._fault = self._fault, ""
        if fault == "conflict":
            raise CommitFailedException
        if fault == "between":
            with mock.patch.object(DataFrameWriterV2, "overwritePartitions", self._die_between):
                self._commit()
        elif fault in ("", "after", "unknown after"):
            self._commit()
        if fault in ("before", "after"):
            self.happened = fault
            raise Crash
        if fault.startswith("unknown"):
            raise CommitStateUnknownException

    def _die_between(self, *_: Any) -> None:
        self.happened = "between"
        raise Crash


@contextmanager
def time_zone(spark: SparkSession, name: str) -> Iterator[None]:
    """Let the JVM and Python live in a time zone."""
    java = spark._jvm.java.util.TimeZone
    before = java.getDefault()
    before_python = os.environ.get("TZ")
    try:
        java.setDefault(java.getTimeZone(name))
        os.environ["TZ"] = name
        time.tzset()
        yield
    finally:
        java.setDefault(before)
        os.environ.pop("TZ")
        if before_python is not None:
            os.environ["TZ"] = before_python
        time.tzset()
