"""What the sweeper decides. It deletes what has expired and nothing else, whatever it sees."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.execution import Actor, AttemptRequest
from airflow_dcp_provider.model.states import ExecutionState as State
from airflow_dcp_provider.runner.sweeper import (
    Action,
    Answer,
    Files,
    Finding,
    Leftover,
    Remains,
    Rules,
    Waiting,
    Waits,
    decide,
    expired,
    nobody_knows,
    sweep,
)
from tests.support.executions import cancellation, request, waiter

NOW = 1_000_000.0
RULES = Rules()
LIVE = [state for state in State if not state.is_terminal]
ENDED = [state for state in State if state.is_terminal]


def ago(seconds: float) -> float:
    return NOW - seconds


def remains(**fields: object) -> Remains:
    return replace(Remains(request().ref, request(), State.RUNNING, ago(10_000), files=Files.OWNED, files_at=ago(10_001)), **fields)  # type: ignore[arg-type]


def bare(**fields: object) -> Remains:
    """Without an application."""
    return replace(Remains(request().ref), **fields)  # type: ignore[arg-type]


def ended(_: AttemptRequest) -> Answer:
    return Answer(Waiting.ENDED, Actor("wait"))


def found(one: Remains, waits: Waits = nobody_knows, rules: Rules = RULES) -> list[tuple[Leftover, Action]]:
    return [(finding.leftover, finding.action) for finding in decide(one, rules, NOW, waits)]


@pytest.mark.parametrize("state", list(State))
def test_a_sound_attempt_is_left_alone(state: State) -> None:
    assert found(remains(state=state)) == []


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (bare(files=Files.UNOWNED, files_at=ago(3_600)), [(Leftover.FILES, Action.DELETE)]),
        (bare(files=Files.OWNED, files_at=ago(3_600)), [(Leftover.FILES, Action.DELETE)]),
        (bare(files=Files.UNOWNED, files_at=ago(3_599)), []),
        (bare(stone_at=ago(7 * 86_400)), [(Leftover.TOMBSTONE, Action.DELETE)]),
        (bare(stone_at=ago(7 * 86_400 - 1)), []),
        (bare(fence_at=ago(7 * 86_400)), [(Leftover.FENCE, Action.DELETE)]),
        (bare(fence_at=ago(7 * 86_400 - 1)), []),
        (remains(fence_at=ago(8 * 86_400)), []),
        (remains(files=Files.NONE), [(Leftover.UNOWNED, Action.MEND)]),
        (remains(files=Files.UNOWNED), [(Leftover.UNOWNED, Action.MEND)]),
        (remains(files=Files.NONE, made_at=ago(299)), []),
        (remains(files=Files.NONE, being_deleted=True), []),
        (remains(files=Files.NONE, state=State.SUCCEEDED), []),
        (remains(stone_at=ago(1)), [(Leftover.LOST_CANCEL, Action.CANCEL)]),
        (remains(stone_at=ago(1), being_deleted=True), []),
        (remains(stone_at=ago(1), state=State.FAILED), []),
        (remains(stone_at=ago(8 * 86_400), state=State.FAILED), [(Leftover.TOMBSTONE, Action.DELETE)]),
        (remains(intent=cancellation()), [(Leftover.CANCEL_INTENT, Action.CANCEL)]),
        (remains(intent=cancellation(), state=State.SUCCEEDED), []),
        (bare(intent=cancellation()), []),
    ],
)
def test_each_thing_that_may_be_left_over(one: Remains, expected: list[tuple[Leftover, Action]]) -> None:
    assert found(one) == expected


@pytest.mark.parametrize(
    ("waiting", "cancel", "expected"),
    [
        (Waiting.ENDED, False, [(Leftover.ORPHAN, Action.SAY)]),
        (Waiting.ENDED, True, [(Leftover.ORPHAN, Action.CANCEL)]),
        (Waiting.UNKNOWN, True, []),
        (Waiting.WAITS, True, []),
    ],
)
def test_an_orphan_is_said_and_cancelled_only_when_asked(
    waiting: Waiting, cancel: bool, expected: list[tuple[Leftover, Action]]
) -> None:
    assert found(remains(), lambda _: Answer(waiting), Rules(cancel_orphans=cancel)) == expected


def test_a_young_application_is_no_orphan() -> None:
    assert found(remains(made_at=ago(299)), ended, Rules(cancel_orphans=True)) == []


def test_an_orphan_ends_in_the_name_of_its_waiting_task_so_that_a_clear_goes_on() -> None:
    (finding,) = decide(remains(), RULES, NOW, ended)
    assert finding.cancellation is not None
    wish = finding.cancellation
    assert (wish.asked_by, wish.reason) == (Actor("wait"), "orphan")
    assert wish.asked_by.try_number < waiter().try_number


def test_without_a_known_task_it_ends_in_the_sweepers_name() -> None:
    (finding,) = decide(remains(), RULES, NOW, lambda _: Answer(Waiting.ENDED))
    assert finding.cancellation is not None
    assert str(finding.cancellation.asked_by) == "user the sweeper"


times = st.integers(0, int(NOW)).map(float)  # whole seconds, so that no rounding decides
anything = st.builds(
    Remains,
    ref=st.just(request().ref),
    request=st.sampled_from([None, request()]),
    state=st.sampled_from([None, *State]),
    made_at=times,
    being_deleted=st.booleans(),
    files=st.sampled_from(Files),
    files_at=times,
    stone_at=st.none() | times,
    fence_at=st.none() | times,
    intent=st.sampled_from([None, cancellation()]),
)
rules = st.builds(
    Rules,
    files_grace=times,
    mend_grace=times,
    orphan_grace=times,
    retention=times,
    cancel_orphans=st.booleans(),
)


@given(anything, rules, st.sampled_from(Waiting))
def test_what_has_expired_goes_and_nothing_else(one: Remains, rule: Rules, waiting: Waiting) -> None:
    """Held against the definition, said here in another way than in the code."""
    findings = decide(one, rule, NOW, lambda _: Answer(waiting))
    kinds = {finding.leftover: finding.action for finding in findings}
    assert len(kinds) == len(findings)
    gone, live = one.state is None, one.state in LIVE and not one.being_deleted
    over = one.state in ENDED and not one.being_deleted

    assert (Leftover.FILES in kinds) == (gone and one.files is not Files.NONE and one.files_at + rule.files_grace <= NOW)
    old = one.stone_at is not None and NOW - one.stone_at >= rule.retention
    assert (Leftover.TOMBSTONE in kinds) == (old and (gone or over))
    fenced = one.fence_at is not None and NOW - one.fence_at >= rule.retention
    assert (Leftover.FENCE in kinds) == (gone and fenced)
    deleted = {kind for kind, action in kinds.items() if action is Action.DELETE}
    assert deleted <= {Leftover.FILES, Leftover.TOMBSTONE, Leftover.FENCE}

    ends = {kind for kind, action in kinds.items() if action is Action.CANCEL}
    if ends:
        assert live
        wanted = one.stone_at is not None or one.intent is not None
        orphaned = waiting is Waiting.ENDED and rule.cancel_orphans and NOW - one.made_at >= rule.orphan_grace
        assert wanted or orphaned
    if live and (one.stone_at is not None or one.intent is not None):
        assert len(ends) == 1


@dataclass
class Shelf:
    """A place that has these findings and refuses to act on some."""

    found: list[Finding]
    broken: frozenset[str] = frozenset()
    name: str = "here"
    carried_out: list[Finding] = field(default_factory=list)

    def findings(self, rules: Rules, now: float, waits: Waits) -> list[Finding]:
        return self.found

    def carry_out(self, finding: Finding) -> None:
        if finding.ref.name in self.broken:
            raise DcpEnvironmentError("the cluster is away", code="DCP463", hint="try again")
        self.carried_out.append(finding)


def finding(name: str, action: Action = Action.DELETE) -> Finding:
    return Finding(Leftover.FILES, action, replace(request().ref, name=name), "it is old")


def test_what_fails_is_said_beside_the_rest() -> None:
    shelf = Shelf([finding("a"), finding("b"), finding("c", Action.SAY)], frozenset({"a"}))
    swept = sweep(shelf, RULES, NOW)
    assert [(one.finding.ref.name, one.done, "is away" in one.error) for one in swept] == [
        ("a", False, True),
        ("b", True, False),
        ("c", False, False),
    ]
    assert [one.ref.name for one in shelf.carried_out] == ["b"]


def test_a_dry_run_changes_nothing() -> None:
    shelf = Shelf([finding("a")])
    (one,) = sweep(shelf, RULES, NOW, dry_run=True)
    assert (one.done, one.error, shelf.carried_out) == (False, "", [])
    assert one.to_dict()["leftover"] == "files"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | times)), times)
def test_a_local_record_goes_only_with_its_whole_execution(ends: list[tuple[str, float | None]], retention: float) -> None:
    gone = expired(ends, retention, NOW)
    for execution in "abc":
        mine = [end for one, end in ends if one == execution]
        assert (execution in gone) == (bool(mine) and all(end is not None and NOW - end >= retention for end in mine))
