"""Every row of the two tables of "Identity, in one place"."""

from __future__ import annotations

import itertools

import pytest

from airflow_dcp_provider.model.execution import START_TIMEOUT, Actor, Failure, FailureKind
from airflow_dcp_provider.model.job import RetryPolicy
from airflow_dcp_provider.model.states import ExecutionState as State
from airflow_dcp_provider.runner.policy import (
    Adopt,
    Cancel,
    Claim,
    Create,
    Fail,
    RetryAt,
    Succeed,
    Wait,
    next_step,
    submit_step,
)
from tests.support.executions import attempt, cancellation, submitter, waiter

NOW = 200.0
NO_RETRIES = RetryPolicy(0, 60.0)
TWO_RETRIES = RetryPolicy(2, 60.0)
PLATFORM = Failure(FailureKind.PLATFORM, "DCP350", "it crashed", "look")
USER = Failure(FailureKind.USER, "DCP321", "no such column", "mend the SQL")
MEMORY = Failure(FailureKind.RESOURCES, "DCP351", "out of memory")
LIVE = [State.SUBMITTED, State.PENDING, State.RUNNING, State.UNKNOWN]


def submit(latest, actor=None, key="key", fingerprint="f" * 64):
    return submit_step(latest, key, fingerprint, actor or submitter())


def advance(latest, actor=None, policy=NO_RETRIES, now=NOW, **kwargs):
    return next_step(latest, policy, now, actor or waiter(), **kwargs)


class TestSubmit:
    def test_nothing_there_creates_the_first_attempt(self):
        step = submit(None)
        assert isinstance(step, Create)
        assert (step.number, step.fresh, step.new_round) == (1, True, True)

    @pytest.mark.parametrize("state", list(State))
    def test_any_attempt_of_ours_is_handed_on(self, state):
        assert submit(attempt(state)) == Adopt()

    def test_an_attempt_of_another_manifest_version_is_handed_on_with_a_warning(self):
        step = submit(attempt(State.RUNNING), fingerprint="0" * 64)
        assert isinstance(step, Adopt)
        assert "another version" in step.warning

    @pytest.mark.parametrize("state", [*LIVE, State.CANCELLED])
    def test_cancelled_by_an_earlier_try_is_replaced(self, state):
        latest = attempt(state, 3, cancellation=cancellation(submitter(1)))
        step = submit(latest, submitter(2))
        assert isinstance(step, Create)
        assert step.number == 4

    @pytest.mark.parametrize("state", [*LIVE, State.CANCELLED])
    def test_cancelled_by_a_user_fails_and_says_who(self, state):
        step = submit(attempt(state, cancellation=cancellation(Actor(user="jane"))), submitter(2))
        assert isinstance(step, Fail)
        assert step.code == "DCP301"
        assert "user jane" in step.message
        # Nobody was handed an execution that the wait task could go on with.
        assert "clear the submit task" in step.hint

    @pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED])
    @pytest.mark.parametrize("by", [Actor(user="jane"), submitter(1)])
    def test_a_cancellation_that_came_too_late_does_not_count(self, state, by):
        assert submit(attempt(state, cancellation=cancellation(by)), submitter(2)) == Adopt()

    def test_cancelled_by_the_wait_task_is_handed_on(self):
        assert submit(attempt(State.CANCELLED, cancellation=cancellation(waiter())), submitter(2)) == Adopt()

    def test_another_owner_is_an_error(self):
        step = submit(attempt(State.RUNNING), key="somebody else's")
        assert isinstance(step, Fail)
        assert step.code == "DCP310"


class TestClaim:
    @pytest.mark.parametrize("state", list(State))
    def test_unclaimed_is_claimed_whatever_its_state(self, state):
        assert advance(attempt(state)) == Claim()

    @pytest.mark.parametrize("state", list(State))
    def test_claimed_by_a_newer_round_is_given_up(self, state):
        step = advance(attempt(state, waited_by=3), waiter(4, 2))
        assert isinstance(step, Fail)
        assert step.code == "DCP303"

    def test_an_unclaimed_attempt_that_a_newer_round_began_is_not_stolen(self):
        step = advance(attempt(State.RUNNING, of={"begun_by": waiter(3, 3)}), waiter(2, 1))
        assert isinstance(step, Fail)
        assert step.code == "DCP303"

    def test_older_round_and_succeeded_succeeds(self):
        assert advance(attempt(State.SUCCEEDED, waited_by=1), waiter(3, 3)) == Succeed()

    @pytest.mark.parametrize("state", LIVE)
    def test_older_round_and_alive_is_cancelled_first(self, state):
        assert advance(attempt(state, waited_by=1), waiter(3, 3)) == Cancel("superseded")

    @pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED, State.TIMEOUT])
    @pytest.mark.parametrize("failure", [USER, PLATFORM])
    def test_older_round_and_ended_is_followed_by_a_fresh_attempt(self, state, failure):
        step = advance(attempt(state, 2, waited_by=1, failure=failure), waiter(3, 3))
        assert isinstance(step, Create)
        assert (step.number, step.fresh, step.new_round) == (3, True, True)

    @pytest.mark.parametrize("by", [waiter(1), waiter(3, 3), Actor(user="jane")])
    @pytest.mark.parametrize("state", LIVE)
    def test_older_round_and_already_being_cancelled_is_followed_by_a_fresh_attempt(self, state, by):
        step = advance(attempt(state, waited_by=1, cancellation=cancellation(by)), waiter(3, 3))
        assert isinstance(step, Create)
        assert step.fresh
        assert step.new_round


def mine(state, number=1, **fields):
    return attempt(state, number, waited_by=1, **fields)


class TestGoingOn:
    @pytest.mark.parametrize("state", LIVE)
    def test_running_before_the_deadline_defers(self, state):
        assert advance(mine(state, of={"deadline": NOW + 1})) == Wait(NOW + 1)
        assert advance(mine(state)) == Wait(None)

    @pytest.mark.parametrize("state", LIVE)
    def test_running_past_the_deadline_is_cancelled(self, state):
        assert advance(mine(state, of={"deadline": NOW})) == Cancel("timeout")

    @pytest.mark.parametrize("state", [*LIVE, State.CANCELLED, State.TIMEOUT])
    @pytest.mark.parametrize("by", [waiter(1), waiter(2)])
    def test_a_time_out_fails_whichever_try_asked_for_it(self, state, by):
        step = advance(mine(state, cancellation=cancellation(by, "timeout")), waiter(2))
        assert isinstance(step, Fail)
        assert step.code == "DCP302"

    def test_a_time_out_by_the_backend_itself_fails(self):
        step = advance(mine(State.TIMEOUT, of={"deadline": 160.0}), policy=TWO_RETRIES)
        assert isinstance(step, Fail)
        assert step.code == "DCP302"
        assert "60 s" in step.message

    def test_succeeded_succeeds(self):
        assert advance(mine(State.SUCCEEDED)) == Succeed()

    def test_a_success_counts_although_a_cancellation_or_the_deadline_came_meanwhile(self):
        assert advance(mine(State.SUCCEEDED, cancellation=cancellation(), of={"deadline": NOW - 1})) == Succeed()

    @pytest.mark.parametrize("state", [*LIVE, State.CANCELLED])
    def test_cancelled_by_an_earlier_try_of_this_round_starts_the_next_from_the_manifest(self, state):
        step = advance(mine(state, 2, cancellation=cancellation(waiter(1))), waiter(2))
        assert isinstance(step, Create)
        assert (step.number, step.fresh, step.new_round) == (3, True, False)

    def test_no_next_attempt_past_the_deadline(self):
        step = advance(mine(State.CANCELLED, cancellation=cancellation(waiter(1)), of={"deadline": NOW}), waiter(2))
        assert isinstance(step, Fail)
        assert step.code == "DCP302"

    @pytest.mark.parametrize("state", [*LIVE, State.CANCELLED])
    @pytest.mark.parametrize("by", [waiter(2), Actor(user="jane"), submitter(1)])
    def test_cancelled_by_this_try_or_somebody_else_fails(self, state, by):
        step = advance(mine(state, cancellation=cancellation(by)), waiter(2))
        assert isinstance(step, Fail)
        assert step.code == "DCP301"

    @pytest.mark.parametrize("state", [*LIVE, State.CANCELLED])
    def test_cancelled_by_a_later_try_is_given_up(self, state):
        step = advance(mine(state, cancellation=cancellation(waiter(2))), waiter(1))
        assert isinstance(step, Fail)
        assert step.code == "DCP303"

    def test_cancelled_without_a_record_of_who_fails(self):
        step = advance(mine(State.CANCELLED), policy=TWO_RETRIES)
        assert isinstance(step, Fail)
        assert step.code == "DCP301"

    def test_vanished_is_a_failure(self):
        step = advance(None)
        assert isinstance(step, Fail)
        assert step.code == "DCP304"


class TestStart:
    """A driver that does not start: an attempt may wait so long, and is then a failure like another."""

    @pytest.mark.parametrize("state", [State.SUBMITTED, State.PENDING])
    def test_it_is_given_up_once_when_its_time_is_over(self, state):
        late = attempt(state, waited_by=1, of={"start_deadline": NOW - 1, "deadline": NOW + 500})
        assert advance(late) == Cancel(START_TIMEOUT)
        again = attempt(state, waited_by=1, of={"start_deadline": NOW - 1}, cancellation=cancellation(waiter(), START_TIMEOUT))
        assert advance(again) == Wait(None)

    @pytest.mark.parametrize("state", [State.SUBMITTED, State.PENDING])
    def test_until_then_it_is_looked_at_no_later_than_its_nearest_deadline(self, state):
        waiting = attempt(state, waited_by=1, of={"start_deadline": NOW + 50, "deadline": NOW + 500})
        assert advance(waiting) == Wait(NOW + 50)
        waiting = attempt(state, waited_by=1, of={"start_deadline": NOW + 500, "deadline": NOW + 50})
        assert advance(waiting) == Wait(NOW + 50)

    @pytest.mark.parametrize("state", [State.RUNNING, State.UNKNOWN])
    def test_a_driver_that_has_started_has_its_time(self, state):
        started = attempt(state, waited_by=1, of={"start_deadline": NOW - 1, "deadline": NOW + 500})
        assert advance(started) == Wait(NOW + 500)

    def test_the_executions_own_time_out_comes_first(self):
        late = attempt(State.PENDING, waited_by=1, of={"start_deadline": NOW - 1, "deadline": NOW - 1})
        assert advance(late) == Cancel("timeout")

    @pytest.mark.parametrize("by", [waiter(), waiter(2), Actor(user="jane")])
    def test_once_it_is_gone_it_is_retried_like_a_failure(self, by):
        gone = attempt(
            State.FAILED, waited_by=1, failure=PLATFORM, cancellation=cancellation(by, START_TIMEOUT), ended_at=NOW - 100
        )
        assert advance(gone).code == PLATFORM.code
        step = advance(gone, policy=TWO_RETRIES)
        assert isinstance(step, Create)
        assert (step.number, step.fresh) == (2, False)

    def test_submit_hands_it_on(self):
        gone = attempt(State.FAILED, failure=PLATFORM, cancellation=cancellation(waiter(), START_TIMEOUT))
        assert submit(gone, submitter(2)) == Adopt()

    def test_an_observer_enforces_it_too(self):
        late = attempt(State.PENDING, of={"start_deadline": NOW - 1})
        assert advance(late, observe_only=True) == Cancel(START_TIMEOUT)


class TestRetries:
    def test_the_users_fault_is_not_retried(self):
        step = advance(mine(State.FAILED, failure=USER, ended_at=100.0), policy=TWO_RETRIES)
        assert step == Fail("DCP321", step.message, "mend the SQL")
        assert "no such column" in step.message

    @pytest.mark.parametrize("failure", [PLATFORM, MEMORY, None])
    def test_another_failure_waits_for_the_interval_and_then_starts_the_frozen_spec(self, failure):
        failed = mine(State.FAILED, failure=failure, ended_at=190.0)
        assert advance(failed, policy=TWO_RETRIES, now=249.9) == RetryAt(250.0)
        step = advance(failed, policy=TWO_RETRIES, now=250.0)
        assert isinstance(step, Create)
        assert (step.number, step.fresh, step.new_round) == (2, False, False)

    @pytest.mark.parametrize(
        ("number", "round_start", "retried"), [(1, 1, True), (2, 1, True), (3, 1, False), (3, 3, True), (4, 3, True), (5, 3, False)]
    )
    def test_retries_are_counted_from_the_attempt_that_began_the_round(self, number, round_start, retried):
        step = advance(
            mine(State.FAILED, number, failure=PLATFORM, ended_at=0.0, of={"round_start": round_start}), policy=TWO_RETRIES
        )
        assert isinstance(step, Create) == retried
        assert isinstance(step, Fail) != retried

    def test_no_retry_that_would_begin_past_the_deadline(self):
        failed = {"failure": PLATFORM, "ended_at": 190.0}
        assert isinstance(advance(mine(State.FAILED, **failed, of={"deadline": 250.0}), policy=TWO_RETRIES), Fail)
        assert advance(mine(State.FAILED, **failed, of={"deadline": 250.1}), policy=TWO_RETRIES) == RetryAt(250.0)

    def test_a_failure_without_retries_left_fails_with_its_own_code(self):
        step = advance(mine(State.FAILED, failure=PLATFORM, ended_at=0.0))
        assert isinstance(step, Fail)
        assert (step.code, step.hint) == ("DCP350", "look")

    def test_a_failure_that_says_nothing_still_says_where(self):
        step = advance(mine(State.FAILED, ended_at=0.0))
        assert isinstance(step, Fail)
        assert step.code == "DCP300"


class TestObserving:
    @pytest.mark.parametrize(
        ("state", "waited_by", "by"),
        list(itertools.product(State, [None, 1, 9], [None, waiter(1), waiter(2), Actor(user="jane")])),
    )
    def test_an_observer_never_claims_creates_or_waits_for_a_retry(self, state, waited_by, by):
        latest = attempt(state, waited_by=waited_by, failure=PLATFORM, cancellation=cancellation(by) if by else None)
        step = advance(latest, waiter(2), policy=TWO_RETRIES, observe_only=True)
        assert isinstance(step, (Wait, Succeed, Fail))

    def test_an_observer_enforces_the_deadline(self):
        assert advance(attempt(State.RUNNING, of={"deadline": NOW}), observe_only=True) == Cancel("timeout")


def test_nothing_but_success_succeeds():
    """What has vanished, was cancelled, failed or timed out is never a success, whoever waits."""
    actors = [waiter(1), waiter(2), waiter(3, 3)]
    bys = [None, waiter(1), waiter(2), Actor(user="jane")]
    for state, waited_by, by, actor, observe in itertools.product(State, [None, 1, 3, 9], bys, actors, [True, False]):
        latest = attempt(state, waited_by=waited_by, cancellation=cancellation(by) if by else None, failure=PLATFORM)
        step = advance(latest, actor, policy=TWO_RETRIES, observe_only=observe)
        assert not isinstance(step, Succeed) or state is State.SUCCEEDED
