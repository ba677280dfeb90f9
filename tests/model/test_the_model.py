"""The model, the generator and the shrinker themselves; no Spark is started."""

from __future__ import annotations

import datetime  # noqa: ICN001 -- printed sequences name it so

import pytest

from .actions import LAYOUTS, Row, Run, Sequence, Write, reproduction, spelled
from .generate import generate
from .reference import Change, RefusalError, Table, change, check, result_rows
from .shrink import shrink

A, B, C = (1, "a", "2013-01-05"), (2, "b", "2013-01-06"), (3, "c", "2013-01-06")


def test_a_seed_always_gives_the_same_sequences() -> None:
    assert [generate(5, number) for number in range(50)] == [generate(5, number) for number in range(50)]
    assert [generate(5, number) for number in range(50)] != [generate(6, number) for number in range(50)]
    assert {generate(5, number).layout for number in range(50)} == set(LAYOUTS)


def test_a_printed_step_makes_the_step() -> None:
    for number in range(200):
        sequence = generate(1, number)
        for step in sequence.steps:
            assert eval(spelled(step)) == step
        compile(reproduction(sequence), "reproduction", "exec")


def rows_after(run: Run, layout: str, before: tuple[Row, ...]) -> Change:
    return change(run, layout, Table(list(before)), result_rows(run, layout, [], before), "run:out")


@pytest.mark.parametrize(
    ("run", "layout", "after", "deleted", "partitions"),
    [
        # The own day is replaced whole, also by nothing; other days only where the result has rows of them.
        (Run(), "day as text", (B, C), 1, {"ds=2013-01-05"}),
        (Run(rows=((4, "d", "2013-01-06"),)), "day as text", ((4, "d", "2013-01-06"),), 3, {"ds=2013-01-05", "ds=2013-01-06"}),
        (Run(rows=((4, "d", None),), adds_day=True), "day as text", (B, C, (4, "d", "2013-01-05")), 1, {"ds=2013-01-05"}),
        (Run(day="2014-01-01", rows=((4, "d", None),)), "day as text", (A, B, C, (4, "d", None)), 0, {"ds=2014-01-01", "ds=null"}),
    ],
)
def test_an_overwrite(run: Run, layout: str, after: tuple[Row, ...], deleted: int, partitions: set[str]) -> None:
    expected = rows_after(run, layout, (A, B, C))
    assert (expected.result, expected.after, expected.deleted) == ("written", after, deleted)
    assert set(expected.partitions) == partitions


def test_a_time_belongs_to_its_day() -> None:
    late, other = (
        (1, "a", datetime.datetime.fromisoformat("2013-01-05T23:00")),
        (2, "b", datetime.datetime.fromisoformat("2013-01-06")),
    )
    assert rows_after(Run(), "day as timestamp", (late, other)).after == (other,)
    again = (3, "c", datetime.datetime.fromisoformat("2013-01-06T10:00"))
    replacing = rows_after(Run(rows=(again,)), "day as timestamp", (late, other))
    assert (replacing.after, replacing.partitions) == ((again,), ("ds=2013-01-05", "ds=2013-01-06"))


def test_without_a_day_only_the_partitions_of_the_result_are_replaced() -> None:
    before = ((1, "a", "US"), (2, "b", "DE"), (3, "c", None))
    assert rows_after(Run(rows=((4, "d", None),)), "country", before).after == (*before[:2], (4, "d", None))
    assert rows_after(Run(), "country", before).result == "no-change"
    assert rows_after(Run(), "none", ((1, "a"),)).after == ()


def test_an_append_happens_once_for_its_run() -> None:
    table = Table([A], {"run:out": ("execution", 1, 1, ("ds=2013-01-05",))})
    run = Run(mode="append", rows=(B,))
    assert change(run, "day as text", table, [B], "run:out").made_by == ("execution", 1)
    assert change(run, "day as text", table, [B], "other:out").after == (A, B)
    assert change(run, "day as text", table, [], "other:out").result == "no-change"


def test_a_merge_matches_null_keys_and_refuses_the_same_key_twice() -> None:
    before = ((1, "a"), (None, "n"), (None, "m"))
    run = Run(mode="merge", rows=((None, "N"), (2, "b")))
    assert rows_after(run, "none", before).after == ((1, "a"), (None, "N"), (None, "N"), (2, "b"))
    with pytest.raises(RefusalError, match="DCP327"):
        check(run, "none", [(None, "x"), (None, "y")])


def test_a_failing_sequence_becomes_as_small_as_its_fault() -> None:
    culprit = Run(mode="append", rows=((7, "x"), (8, "y")), zone="Pacific/Apia", fault=("after", 0))
    sequence = Sequence("none", (Run(rows=((1, "a"),)), culprit, Write(rows=((2, "b"),)), Run()), source=((1, "a"), (2, "b")))

    def fails(candidate: Sequence) -> bool:
        return any(isinstance(step, Run) and (7, "x") in step.rows and step.zone != "UTC" for step in candidate.steps)

    assert shrink(sequence, fails) == Sequence("none", (Run(mode="append", rows=((7, "x"),), zone="Pacific/Apia"),))


def test_shrinking_ends() -> None:
    tried: list[Sequence] = []
    sequence = Sequence("none", tuple(Run(rows=((number, "a"),)) for number in range(20)))
    shrink(sequence, lambda candidate: bool(tried.append(candidate)), tries=10)
    assert len(tried) == 10
