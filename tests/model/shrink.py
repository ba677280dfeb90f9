"""Makes a failing sequence smaller: fewer steps, fewer rows, plainer runs, as long as it still fails."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from .actions import Run, Sequence, Write

#: So many sequences are tried. Each one starts a few runs of the driver.
TRIES = 60


def shrink(sequence: Sequence, fails: Callable[[Sequence], bool], tries: int = TRIES) -> Sequence:
    """Return the smallest sequence that still fails, as far as ``tries`` reach."""
    smaller = True
    while smaller:
        smaller = False
        for candidate in _simpler(sequence):
            if tries <= 0:
                return sequence
            tries -= 1
            if fails(candidate):
                sequence, smaller = candidate, True
                break
    return sequence


def _simpler(sequence: Sequence) -> Iterator[Sequence]:
    steps = sequence.steps
    for index in range(len(steps) - 1, -1, -1):
        if len(steps) > 1:
            yield dataclasses.replace(sequence, steps=(*steps[:index], *steps[index + 1 :]))
    for index, step in enumerate(steps):
        for plainer in _plainer(step):
            yield dataclasses.replace(sequence, steps=(*steps[:index], plainer, *steps[index + 1 :]))
    for index in range(len(sequence.source)):
        yield dataclasses.replace(sequence, source=(*sequence.source[:index], *sequence.source[index + 1 :]))


def _plainer(step: Run | Write) -> Iterator[Run | Write]:
    plain = Run()
    if isinstance(step, Run):
        for name in ("second", "during", "fault", "zone", "upper", "adds_day", "raised", "again"):
            if getattr(step, name) != getattr(plain, name):
                yield dataclasses.replace(step, **{name: getattr(plain, name)})
    for index in range(len(step.rows)):
        yield dataclasses.replace(step, rows=(*step.rows[:index], *step.rows[index + 1 :]))
