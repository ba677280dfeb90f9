"""The states of an execution and of each of its attempts (``States`` in the design)."""

from __future__ import annotations

from enum import StrEnum


class ExecutionState(StrEnum):
    """What is known of an execution. The value is its name, so that it travels as plain text."""

    SUBMITTED = "SUBMITTED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    TIMEOUT = "TIMEOUT"
    #: What cannot be proved. It is not terminal: it must first be proved or given up by a decision.
    UNKNOWN = "UNKNOWN"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more happens by itself."""
        return self in _TERMINAL

    @property
    def is_successful(self) -> bool:
        """Whether the driver ended well. What has vanished is never a success."""
        return self is ExecutionState.SUCCEEDED


_TERMINAL = frozenset({ExecutionState.SUCCEEDED, ExecutionState.FAILED, ExecutionState.CANCELLED, ExecutionState.TIMEOUT})
