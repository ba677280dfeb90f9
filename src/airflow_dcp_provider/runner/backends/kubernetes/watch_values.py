"""What a watch is told, and what it tells, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from airflow_dcp_provider.runner.backends.kubernetes.watch_events import IN_DOUBT


class Told(StrEnum):
    """What a waiter is told. What follows is its own decision."""

    #: The application has ended, or is gone.
    ENDED = "ended"
    #: Its own state does not say whether it has ended, and may never do; its pods are to be asked.
    IN_DOUBT = "in-doubt"
    #: Its deadline is reached.
    DEADLINE = "deadline"
    #: Its start deadline was reached before it had started.
    START_DEADLINE = "start-deadline"
    #: The cluster could not be watched for so long that the waiter had better ask by itself, and report what it is told.
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Applications:
    """The applications to watch.

    :param path: of their list on the API server.
    :param ended: states in which nothing more happens.
    :param unstarted: states before the driver runs.
    """

    path: str
    ended: frozenset[str]
    unstarted: frozenset[str]

    def news(self, state: str | None) -> Told | None:
        """Return what a state tells those who wait, None when they wait on.

        :param state: None when the application is gone.
        """
        if state is None or state in self.ended:
            return Told.ENDED
        return Told.IN_DOUBT if state == IN_DOUBT else None


@dataclass(frozen=True)
class Timing:
    """Seconds, but for ``page_size``.

    :param watch: how long the server keeps one watch open.
    :param silence: how long it may say nothing; it sends a bookmark about once a minute.
    :param resync: how often everything is listed again although nothing asks for it.
    :param first_delay: the wait after a first failure; it doubles with each further one.
    :param longest_delay: the longest such wait.
    :param patience: how long the cluster may be out of sight before those who wait are told so.
    :param refused_patience: the same where the cluster refuses (no rights, bad credentials), which seldom passes by itself.
    :param batch: how long changes are gathered before they are handled together.
    :param page_size: applications in one page of a list.
    """

    watch: float = 290.0
    silence: float = 100.0
    resync: float = 1800.0
    first_delay: float = 0.2
    longest_delay: float = 15.0
    patience: float = 600.0
    refused_patience: float = 60.0
    batch: float = 0.05
    page_size: int = 250
