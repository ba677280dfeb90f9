"""Executions and their attempts as values.

An *execution* is one run of one job; its id follows from the idempotency key. Each *attempt* of it is one Spark application with
a name of its own. Nothing here decides or does anything; decisions are in :mod:`airflow_dcp_provider.runner`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from airflow_dcp_provider.model.states import ExecutionState

#: The reason of a cancellation that is a failure: the driver had not started in time, so that retries may follow.
START_TIMEOUT = "start-timeout"


class FailureKind(StrEnum):
    """Whose fault a failure is. Only ``USER`` is never retried; ``RESOURCES`` is retried with more memory."""

    USER = "user"
    RESOURCES = "resources"
    PLATFORM = "platform"


@dataclass(frozen=True)
class Failure:
    """Why an attempt ended badly: whose fault, a stable code, one sentence, what to do, and the last useful lines of the log."""

    kind: FailureKind
    code: str
    message: str
    hint: str = ""
    log_tail: str = ""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Failure:
        """Build a failure from its JSON values."""
        return cls(**{**data, "kind": FailureKind(data["kind"])})


@dataclass(frozen=True)
class Actor:
    """Who asks for something: a task (``task_id`` and its ``try_number``), or a person (``user``).

    :param round_try: the try that began this round of tries of the task (``max_tries - retries + 1``); clearing a finished task
        begins a new round, an automatic retry does not.
    """

    task_id: str = ""
    try_number: int = 0
    round_try: int = 0
    user: str = ""

    def __str__(self) -> str:
        return f"task {self.task_id}, try {self.try_number}" if self.task_id else f"user {self.user or 'unknown'}"


@dataclass(frozen=True)
class Cancellation:
    """A wish to end one attempt: who asked, why, and when (epoch seconds).

    :param reason: :data:`START_TIMEOUT`, ``kill``, ``timeout``, ``superseded``, free text.
    """

    asked_by: Actor
    reason: str = "kill"
    at: float = 0.0

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Cancellation:
        """Build a cancellation from its JSON values."""
        return cls(**{**data, "asked_by": Actor(**data["asked_by"])})


@dataclass(frozen=True)
class AttemptRef:
    """Where one attempt lives. It is all that a later process needs to find it again; no database is asked.

    :param name: the resource's name (a DNS-1035 label) in ``cluster`` and ``namespace``.
    """

    execution_id: str
    attempt: int
    environment: str
    cluster: str
    namespace: str
    name: str


@dataclass(frozen=True)
class AttemptRequest:
    """What a backend is asked to create. It is written down by the backend before anything runs and never changes.

    :param job: the rendered job of this attempt (:meth:`JobSpec.to_dict`), after remediation.
    :param fingerprint: hash of the unrendered, resolved manifest; remediation is not part of it.
    :param deadline: epoch seconds after which the attempt is cancelled, or None.
    :param start_deadline: epoch seconds after which the attempt is given up if its driver has not started by then, or None.
    :param run_key: names the DAG run (``dag_id/run_id/map_index``), for appends that are idempotent for their run.
    :param ds: the run's own day, ``YYYY-MM-DD``.
    :param begun_by: the task and try that asked for this attempt.
    :param round_start: number of the first attempt of this round of attempts; retries are counted from it.
    :param remediation: one sentence on what was changed for this attempt (more memory), or empty.
    :param memory_raises: how often memory was raised since this round's spec was resolved.
    """

    ref: AttemptRef
    idempotency_key: str
    manifest_id: str
    job: Mapping[str, Any]
    fingerprint: str
    submitted_at: float
    first_submitted_at: float
    begun_by: Actor
    round_start: int = 1
    deadline: float | None = None
    run_key: str = ""
    ds: str = ""
    remediation: str = ""
    memory_raises: int = 0
    start_deadline: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the request as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> AttemptRequest:
        """Build a request from :meth:`to_dict`'s values."""
        return cls(**{**data, "ref": AttemptRef(**data["ref"]), "begun_by": Actor(**data["begun_by"])})


@dataclass(frozen=True)
class Attempt:
    """What a backend knows of one attempt at one moment.

    :param waited_by: the wait task's round that has claimed this attempt, or None while nobody waits for it.
    :param result: what the driver reported (see :mod:`airflow_dcp_provider.core_etl`), or None.
    :param spark_app_id: Spark's own id of the application, under which its history is kept; empty until the driver has started.
    """

    request: AttemptRequest
    state: ExecutionState
    waited_by: int | None = None
    cancellation: Cancellation | None = None
    failure: Failure | None = None
    result: Mapping[str, Any] | None = None
    started_at: float | None = None
    ended_at: float | None = None
    spark_ui_url: str = ""
    message: str = ""
    spark_app_id: str = ""

    @property
    def ref(self) -> AttemptRef:
        """Where the attempt lives."""
        return self.request.ref

    def with_state(self, state: ExecutionState, **changes: Any) -> Attempt:
        """Return this attempt in another state."""
        return replace(self, state=state, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return the attempt as JSON-ready values."""
        data = asdict(self)
        data["state"] = self.state.value
        if self.failure:
            data["failure"]["kind"] = self.failure.kind.value
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Attempt:
        """Build an attempt from :meth:`to_dict`'s values."""
        return cls(
            **{
                **data,
                "request": AttemptRequest.from_dict(data["request"]),
                "state": ExecutionState(data["state"]),
                "failure": Failure.from_dict(data["failure"]) if data.get("failure") else None,
                "cancellation": Cancellation.from_dict(data["cancellation"]) if data.get("cancellation") else None,
            }
        )


@dataclass(frozen=True)
class Execution:
    """The handle of an execution: what ``submit`` hands on through XCom and what a trigger carries.

    It holds the attempt's whole request, so that a later process can start the next attempt from the spec frozen at submit.
    """

    request: AttemptRequest
    #: Warnings that the submitter should log, for example that a live attempt of an older manifest was adopted.
    warnings: tuple[str, ...] = field(default=())

    @property
    def execution_id(self) -> str:
        """The execution's id, ``uuid5`` of the idempotency key."""
        return self.request.ref.execution_id

    @property
    def ref(self) -> AttemptRef:
        """The attempt that the handle was made for."""
        return self.request.ref

    def to_dict(self) -> dict[str, Any]:
        """Return the handle as JSON-ready values, for XCom."""
        return {"request": self.request.to_dict(), "warnings": list(self.warnings)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Execution:
        """Build a handle from :meth:`to_dict`'s values."""
        return cls(request=AttemptRequest.from_dict(data["request"]), warnings=tuple(data.get("warnings") or ()))
