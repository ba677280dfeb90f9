"""How long a commit is tried, exactly."""

from __future__ import annotations

import pytest

from airflow_dcp_provider.core_etl import commits
from airflow_dcp_provider.core_etl.commits import commit_with_retries
from airflow_dcp_provider.core_etl.faults import DriverError

from .test_commits import failing
from .test_diagnosis import CommitFailedException


def test_a_commit_is_tried_five_times_with_waits_that_double(monkeypatch: pytest.MonkeyPatch) -> None:
    spread: list[tuple[float, float]] = []
    monkeypatch.setattr(commits.random, "uniform", lambda low, high: spread.append((low, high)) or 1.25)
    waits: list[float] = []
    commit, calls = failing(*[CommitFailedException()] * 99)
    with pytest.raises(DriverError) as caught:
        commit_with_retries(commit, lambda: None, "sink", waits.append)
    assert caught.value.code == "DCP335"
    assert len(calls) == 5
    # Nobody waits after the last try.
    assert waits == [1.25, 2.5, 5.0, 10.0]
    assert spread == [(0.5, 1.5)] * 4


def test_a_commit_that_takes_place_waits_for_nothing() -> None:
    waits: list[float] = []
    commit, calls = failing()
    commit_with_retries(commit, lambda: None, "sink", waits.append)
    assert (len(calls), waits) == (1, [])
