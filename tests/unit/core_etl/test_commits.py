"""When a commit is tried again."""

from collections.abc import Callable

import pytest

from airflow_dcp_provider.core_etl.commits import TRIES, commit_with_retries
from airflow_dcp_provider.core_etl.faults import DriverError
from airflow_dcp_provider.core_etl.proof import Snapshot

from .test_diagnosis import CommitFailedException, CommitStateUnknownException

SNAPSHOT = Snapshot(1, None, {})


def failing(*errors: Exception) -> tuple[Callable[[], None], list[int]]:
    """A commit that fails with each error in turn and then succeeds, and the list of its calls."""
    calls: list[int] = []

    def commit() -> None:
        calls.append(1)
        if len(calls) <= len(errors):
            raise errors[len(calls) - 1]

    return commit, calls


def test_a_conflict_is_tried_again_with_growing_waits() -> None:
    waits: list[float] = []
    commit, calls = failing(CommitFailedException(), CommitFailedException(), CommitFailedException())
    commit_with_retries(commit, lambda: None, "sink", waits.append)
    assert len(calls) == 4
    for number, wait in enumerate(waits):
        assert 0.5 * 2**number <= wait <= 1.5 * 2**number


def test_conflicts_without_end_are_the_platforms_fault() -> None:
    commit, calls = failing(*[CommitFailedException()] * 99)
    with pytest.raises(DriverError, match="DCP335") as caught:
        commit_with_retries(commit, lambda: None, "sink", lambda _: None)
    assert caught.value.exit_code == 22
    assert len(calls) == TRIES


def test_other_failures_are_not_tried_again() -> None:
    commit, calls = failing(ValueError("x"))
    with pytest.raises(ValueError, match="x"):
        commit_with_retries(commit, lambda: SNAPSHOT, "sink", lambda _: None)
    assert len(calls) == 1


def test_an_unknown_outcome_is_looked_up_before_it_is_tried_again() -> None:
    commit, calls = failing(CommitStateUnknownException())
    commit_with_retries(commit, lambda: SNAPSHOT, "sink", lambda _: None)
    assert len(calls) == 1
    commit, calls = failing(CommitStateUnknownException())
    commit_with_retries(commit, lambda: None, "sink", lambda _: None)
    assert len(calls) == 2


def test_an_unknown_outcome_of_the_last_try_is_looked_up_too() -> None:
    commit, _ = failing(*[CommitFailedException()] * (TRIES - 1), CommitStateUnknownException())
    commit_with_retries(commit, lambda: SNAPSHOT, "sink", lambda _: None)
