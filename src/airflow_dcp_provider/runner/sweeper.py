"""Finds what was left over where attempts live, and mends it or says it (``Never twice, never lost`` in the design).

What is to be done about what is seen is a pure function. It deletes what has expired and nothing else: whatever it is not sure of
it leaves alone. Effects are a :class:`Place`'s, which does each of them so that a process that acts at the same time loses nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Protocol

from airflow_dcp_provider.model.errors import DcpError
from airflow_dcp_provider.model.execution import Actor, AttemptRef, AttemptRequest, Cancellation
from airflow_dcp_provider.model.states import ExecutionState

logger = logging.getLogger(__name__)

#: In whose name an orphan is cancelled whose waiting task is not known.
SWEEPER = Actor(user="the sweeper")

_DAY = 86_400.0


class Waiting(StrEnum):
    """Whether a task waits for an execution."""

    WAITS = "waits"
    #: The task that waited has ended and nothing will wait again by itself.
    ENDED = "ended"
    #: Nobody here knows the run: another Airflow may have submitted it, or a person.
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Answer:
    """Whether a task waits, and which one would.

    :param waiter: the task in whose name an orphan is cancelled, before its first try: whichever try comes next starts the next
        attempt. None where the task is not known; then it is cancelled in the sweeper's own name.
    """

    waiting: Waiting
    waiter: Actor | None = None


class Leftover(StrEnum):
    """What may be left over."""

    #: The driver's files, made before an application that then was never made, or that is gone.
    FILES = "files"
    #: An application whose driver files are missing or would outlive it.
    UNOWNED = "unowned"
    #: A cancel was accepted and the application lives on.
    LOST_CANCEL = "lost-cancel"
    #: A cancel was asked for while the cluster could not be reached.
    CANCEL_INTENT = "cancel-intent"
    #: The note of a cancellation that nobody will ask for any more.
    TOMBSTONE = "tombstone"
    #: The note that keeps an execution away from a cluster that was not chosen for it.
    FENCE = "fence"
    #: An application that nobody waits for.
    ORPHAN = "orphan"
    #: The local record of an execution that ended long ago.
    RECORD = "record"


class Action(StrEnum):
    """What the sweeper does about it."""

    DELETE = "delete"
    MEND = "mend"
    CANCEL = "cancel"
    SAY = "say"


class Files(StrEnum):
    """What there is of the driver's files."""

    NONE = "none"
    OWNED = "owned"
    UNOWNED = "unowned"


@dataclass(frozen=True)
class Remains:
    """What one place holds of one attempt.

    :param request: as the application keeps it; None where only other things are left.
    :param state: of the application; None when there is none.
    :param made_at: when the application was made, in epoch seconds.
    :param being_deleted: the application is ending because it was deleted.
    :param files_at: when the driver's files were made, in epoch seconds.
    :param stone_at: when the attempt was noted as cancelled, in epoch seconds; None for one that was not.
    :param fence_at: when the place was closed to the execution, in epoch seconds; None where it is open.
    :param intent: a cancellation that was asked for and could not be sent.
    """

    ref: AttemptRef
    request: AttemptRequest | None = None
    state: ExecutionState | None = None
    made_at: float = 0.0
    being_deleted: bool = False
    files: Files = Files.NONE
    files_at: float = 0.0
    stone_at: float | None = None
    fence_at: float | None = None
    intent: Cancellation | None = None


@dataclass(frozen=True)
class Rules:
    """When something counts as left over; all values are seconds.

    :param files_grace: age from which driver files without an application are nobody's any more.
    :param mend_grace: age from which an application's files should have been there and owned.
    :param orphan_grace: age from which an application that nobody waits for is an orphan.
    :param retention: how long the note of a cancellation or of a cluster's choice is kept.
    :param cancel_orphans: cancel orphans; otherwise they are only named.
    """

    files_grace: float = 3_600.0
    mend_grace: float = 300.0
    orphan_grace: float = 300.0
    retention: float = 7 * _DAY
    cancel_orphans: bool = False


@dataclass(frozen=True)
class Finding:
    """One thing that is left over, and what is to be done about it.

    :param why: one sentence.
    :param cancellation: what a ``CANCEL`` is sent with.
    """

    leftover: Leftover
    action: Action
    ref: AttemptRef
    why: str
    request: AttemptRequest | None = None
    cancellation: Cancellation | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON-ready values, without the whole request."""
        return {"leftover": self.leftover.value, "action": self.action.value, **asdict(self.ref), "why": self.why}


@dataclass(frozen=True)
class Swept:
    """A finding and what became of it: ``done``, or why not in ``error``; neither in a dry run or where something is only said."""

    finding: Finding
    done: bool = False
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return {**self.finding.to_dict(), "done": self.done, "error": self.error}


#: Says whether a task waits for the attempt with this request.
Waits = Callable[[AttemptRequest], Answer]


class Place(Protocol):
    """Somewhere that attempts live: a namespace of a cluster, or this machine."""

    #: What messages call it.
    name: str

    def findings(self, rules: Rules, now: float, waits: Waits) -> Sequence[Finding]:
        """Return what is left over there.

        :raises DcpEnvironmentError: when the place cannot be seen.
        """

    def carry_out(self, finding: Finding) -> None:
        """Do what the finding says, unless what it was found for has changed meanwhile.

        :raises DcpError: when it cannot be done.
        """


def nobody_knows(_: AttemptRequest) -> Answer:
    """Return that it is not known who waits: the answer outside Airflow."""
    return Answer(Waiting.UNKNOWN)


def sweep(place: Place, rules: Rules, now: float, waits: Waits = nobody_knows, *, dry_run: bool = False) -> list[Swept]:
    """Find what is left over in one place and do what the rules say about it.

    What fails is reported beside the rest and ends nothing.

    :param now: epoch seconds.
    :param waits: says who still waits; asked only about applications that live.
    :param dry_run: change nothing.
    :raises DcpEnvironmentError: when the place cannot be seen.
    """
    return [_carried_out(place, finding, dry_run=dry_run) for finding in place.findings(rules, now, waits)]


def decide(remains: Remains, rules: Rules, now: float, waits: Waits = nobody_knows) -> list[Finding]:
    """Return what is left over of one attempt. Pure, but for what ``waits`` asks."""
    if remains.state is None:
        return _without_application(remains, rules, now)
    if remains.being_deleted:
        return []
    if remains.state.is_terminal:
        return _old_stone(remains, rules, now)
    if remains.stone_at is not None:
        why = "it was cancelled, and its deletion was lost"
        return [Finding(Leftover.LOST_CANCEL, Action.CANCEL, remains.ref, why, remains.request)]
    if remains.intent is not None:
        why = f"{remains.intent.asked_by} asked to cancel it ({remains.intent.reason}) while its cluster could not be reached"
        return [Finding(Leftover.CANCEL_INTENT, Action.CANCEL, remains.ref, why, remains.request, remains.intent)]
    return [*_unowned(remains, rules, now), *_orphan(remains, rules, now, waits)]


def _without_application(remains: Remains, rules: Rules, now: float) -> list[Finding]:
    found = _old_stone(remains, rules, now)
    if remains.files is not Files.NONE and now - remains.files_at >= rules.files_grace:
        why = "its driver's files are there and its application is not"
        found.append(Finding(Leftover.FILES, Action.DELETE, remains.ref, why))
    if remains.fence_at is not None and now - remains.fence_at >= rules.retention:
        why = f"another cluster was chosen more than {_days(rules.retention)} ago"
        found.append(Finding(Leftover.FENCE, Action.DELETE, remains.ref, why))
    return found


def _old_stone(remains: Remains, rules: Rules, now: float) -> list[Finding]:
    if remains.stone_at is None or now - remains.stone_at < rules.retention:
        return []
    why = f"it was cancelled more than {_days(rules.retention)} ago"
    return [Finding(Leftover.TOMBSTONE, Action.DELETE, remains.ref, why)]


def _days(seconds: float) -> str:
    return f"{seconds / _DAY:.3g} days"


def _unowned(remains: Remains, rules: Rules, now: float) -> list[Finding]:
    if remains.files is Files.OWNED or now - remains.made_at < rules.mend_grace or remains.request is None:
        return []
    lacking = "are missing" if remains.files is Files.NONE else "would outlive it"
    return [Finding(Leftover.UNOWNED, Action.MEND, remains.ref, f"its driver's files {lacking}", remains.request)]


def _orphan(remains: Remains, rules: Rules, now: float, waits: Waits) -> list[Finding]:
    if remains.request is None or now - remains.made_at < rules.orphan_grace:
        return []
    answer = waits(remains.request)
    if answer.waiting is not Waiting.ENDED:
        return []
    action = Action.CANCEL if rules.cancel_orphans else Action.SAY
    wish = Cancellation(answer.waiter or SWEEPER, "orphan", now)
    return [Finding(Leftover.ORPHAN, action, remains.ref, "no task waits for it any more", remains.request, wish)]


def _carried_out(place: Place, finding: Finding, *, dry_run: bool) -> Swept:
    if dry_run or finding.action is Action.SAY:
        return Swept(finding)
    try:
        place.carry_out(finding)
    except DcpError as error:
        logger.warning("%s of %s in %s: %s", finding.action, finding.ref.name, place.name, error)
        return Swept(finding, error=str(error))
    logger.info("%s: %s %s, because %s", place.name, finding.action, finding.ref.name, finding.why)
    return Swept(finding, done=True)


def expired(ends: Iterable[tuple[str, float | None]], retention: float, now: float) -> list[str]:
    """Return the executions whose every attempt ended longer ago than ``retention`` seconds.

    :param ends: execution id and end (epoch seconds, None: not ended) of each attempt.
    """
    latest: dict[str, float | None] = {}
    for execution_id, ended_at in ends:
        before = latest.get(execution_id, 0.0)
        latest[execution_id] = None if ended_at is None or before is None else max(before, ended_at)
    return sorted(one for one, ended_at in latest.items() if ended_at is not None and now - ended_at >= retention)
