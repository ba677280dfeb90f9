"""The protocol that every backend satisfies; one contract test suite runs against all of them.

A backend keeps one record per attempt that outlives the processes that asked for it, and answers from that record alone. It takes
no decisions: which attempt comes next is :mod:`airflow_dcp_provider.runner.policy`'s.
"""

from __future__ import annotations

from typing import Protocol

from airflow_dcp_provider.model.execution import Attempt, AttemptRef, AttemptRequest, Cancellation


class Backend(Protocol):
    """Where attempts run: a local Spark process, or a SparkApplication on a cluster."""

    #: ``local``, ``kubeflow`` or ``apache``.
    name: str

    def create(self, request: AttemptRequest) -> Attempt:
        """Start the attempt that ``request`` describes, exactly once, and return at once.

        Idempotent: when the attempt exists it is returned as it is (and started if an earlier caller died before it was).

        :raises ExecutionError: DCP310 when a resource of that name belongs to another owner.
        :raises DcpEnvironmentError: when the backend cannot be reached or refuses.
        """

    def get(self, ref: AttemptRef) -> Attempt | None:
        """Return the attempt as it is now, or None when the backend holds nothing for it."""

    def latest(self, ref: AttemptRef) -> Attempt | None:
        """Return the attempt with the highest number of ``ref``'s execution (``ref.attempt`` is ignored), or None."""

    def claim(self, ref: AttemptRef, round_try: int) -> Attempt:
        """Record that the wait task's round ``round_try`` waits for this attempt; return the attempt.

        A round that is recorded already is kept. What a creator that died left undone is done first.
        """

    def cancel(self, ref: AttemptRef, cancellation: Cancellation) -> Attempt | None:
        """Ask for the end of the attempt and return when that is accepted; the first cancellation is kept, later ones are ignored.

        A finished attempt is left as it is. Returns the attempt, or None when there is none.
        """

    def is_gone(self, ref: AttemptRef) -> bool:
        """Whether nothing of the attempt runs any more, so that the next one may be created."""

    def read_log(self, ref: AttemptRef, offset: int = 0, limit: int = 1_000_000) -> tuple[str, int]:
        """Return driver log text from ``offset`` and the offset to go on from; ``("", offset)`` when there is no more now.

        :param offset: 0, or what an earlier call returned; what it counts is the backend's own.
        :param limit: return about so many bytes at most.
        """
