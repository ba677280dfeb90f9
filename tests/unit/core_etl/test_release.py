"""Letting kept rows go never hides why a run failed."""

from __future__ import annotations

from typing import Any

from airflow_dcp_provider.core_etl.measure import release


class Gone:
    """A kept result whose JVM has ended."""

    asked = 0

    def unpersist(self) -> None:
        self.asked += 1
        raise ConnectionRefusedError


def test_rows_that_are_gone_with_spark_are_no_further_failure() -> None:
    kept: Any = Gone()
    release(kept)
    assert kept.asked == 1
    release(None)
