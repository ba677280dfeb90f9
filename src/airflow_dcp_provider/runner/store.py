"""The history of executions in SQL, through SQLAlchemy (``Store`` in the design): SQLite on one machine, PostgreSQL for many.

Nothing decides by it. Losing it loses history, never a job.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.execution import Attempt, Cancellation
from airflow_dcp_provider.model.home import dcp_home
from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.runner.locks import locked
from airflow_dcp_provider.runner.store_tables import HEAD, VERSION_TABLE, attempts, audit, events, executions

#: Seconds that a writer waits for another one of the same SQLite file.
_BUSY_PATIENCE = 10.0

#: Names the migration among PostgreSQL's advisory locks.
_ADVISORY_LOCK = 0x6463705F  # the letters dcp_

_HINT = "check the connection dcp_store, or the rights and the free space of DCP_HOME; jobs are not affected"


@dataclass(frozen=True)
class ExecutionRecord:
    """One execution as the history knows it; times are epoch seconds, ``attempt`` and ``state`` the latest ones."""

    execution_id: str
    idempotency_key: str
    manifest_id: str
    job_name: str
    team: str
    owner: str
    environment: str
    run_key: str
    ds: str
    attempt: int
    state: str
    first_submitted_at: float
    updated_at: float


@dataclass(frozen=True)
class EventRecord:
    """One thing that happened to an attempt: ``event`` as in :meth:`Store.record`, ``at`` in epoch seconds."""

    execution_id: str
    attempt: int
    at: float
    event: str
    details: Mapping[str, Any]


@dataclass(frozen=True)
class AuditRecord:
    """Who asked for what: ``actor`` a task and its try or a user, ``action`` like ``SUBMIT`` or ``CANCEL``."""

    at: float
    actor: str
    action: str
    execution_id: str
    attempt: int
    details: Mapping[str, Any]


class SqlStore:
    """Keeps the history in one SQL database. The schema is made and brought up to date at the first use.

    :param url: SQLAlchemy URL; empty for the SQLite file ``dcp.db`` under :func:`dcp_home`.
    """

    def __init__(self, url: str = "") -> None:
        self._url = url or f"sqlite:///{dcp_home() / 'dcp.db'}"
        self._engine: Engine | None = None

    def record(self, attempt: Attempt, event: str, details: Mapping[str, Any] | None = None) -> None:
        """Write the attempt's present state and one event; a state that is known already is no event.

        :raises DcpEnvironmentError: DCP446 when the database does not answer or refuses.
        """
        try:
            self._record(attempt, event, dict(details or {}))
        except IntegrityError:
            # Another process has just written the execution's first row.
            with _readable_errors():
                self._record(attempt, event, dict(details or {}))
        except (SQLAlchemyError, OSError, ImportError) as error:
            raise _store_error(error) from error

    def executions(
        self, limit: int = 50, *, environment: str = "", manifest_id: str = "", state: str = ""
    ) -> list[ExecutionRecord]:
        """Return executions, the latest first.

        :param limit: at most so many.
        :param environment: only of this environment; likewise ``manifest_id`` and ``state``.
        :raises DcpEnvironmentError: DCP446 when the database does not answer.
        """
        query = sa.select(executions).order_by(executions.c.first_submitted_at.desc()).limit(limit)
        for column, wanted in (
            (executions.c.environment, environment),
            (executions.c.manifest_id, manifest_id),
            (executions.c.state, state),
        ):
            if wanted:
                query = query.where(column == wanted)
        return [ExecutionRecord(**row) for row in self._rows(query)]

    def attempts(self, execution_id: str) -> list[Attempt]:
        """Return the execution's attempts as they were last seen, the first one first.

        :raises DcpEnvironmentError: DCP446 when the database does not answer.
        """
        query = sa.select(attempts.c.document).where(attempts.c.execution_id == execution_id).order_by(attempts.c.attempt)
        return [Attempt.from_dict(row["document"]) for row in self._rows(query)]

    def events(self, execution_id: str) -> list[EventRecord]:
        """Return what happened to the execution, the earliest first.

        :raises DcpEnvironmentError: DCP446 when the database does not answer.
        """
        query = sa.select(events).where(events.c.execution_id == execution_id).order_by(events.c.id)
        return [EventRecord(**{key: row[key] for key in row if key != "id"}) for row in self._rows(query)]

    def audit(self, limit: int = 100) -> list[AuditRecord]:
        """Return who asked for what, the latest first.

        :raises DcpEnvironmentError: DCP446 when the database does not answer.
        """
        query = sa.select(audit).order_by(audit.c.id.desc()).limit(limit)
        return [AuditRecord(**{key: row[key] for key in row if key != "id"}) for row in self._rows(query)]

    def cancel_intents(self, environment: str, since: float = 0.0) -> dict[str, Cancellation]:
        """Return the cancellations that could not be sent and that nobody has sent since: the attempt's name -> the first wish.

        :param since: epoch seconds; what was asked for before is left out.
        :raises DcpEnvironmentError: DCP446 when the database does not answer.
        """
        told = events.c.event.in_(["CANCEL_INTENT", "CANCEL"])
        query = sa.select(events).where(told & (events.c.at >= since)).order_by(events.c.id)
        pending: dict[tuple[str, int], tuple[str, Cancellation]] = {}
        for row in self._rows(query):
            key = (row["execution_id"], row["attempt"])
            ref = row["details"].get("ref") or {}
            if row["event"] == "CANCEL":
                pending.pop(key, None)
            elif ref.get("environment") == environment:
                pending.setdefault(key, (ref["name"], Cancellation.from_dict(row["details"]["cancellation"])))
        return dict(pending.values())

    def _rows(self, query: Any) -> list[dict[str, Any]]:
        with _readable_errors(), self._ready().connect() as connection:
            return [dict(row._mapping) for row in connection.execute(query)]

    def _record(self, attempt: Attempt, event: str, details: dict[str, Any]) -> None:
        now = time.time()
        with self._ready().begin() as connection:
            changed = _write_attempt(connection, attempt, now) if _is_news(connection, attempt) else False
            if not changed and event in ExecutionState.__members__:
                return
            where = {"execution_id": attempt.ref.execution_id, "attempt": attempt.ref.attempt, "at": now, "details": details}
            connection.execute(events.insert().values(event=event, **where))
            if actor := details.get("actor"):
                connection.execute(audit.insert().values(actor=str(actor)[:255], action=event, **where))

    def _ready(self) -> Engine:
        """Return the engine of a database whose schema is the newest."""
        if self._engine is None:
            engine = _engine(make_url(self._url))
            if _version(engine) != HEAD:
                _migrate(engine)
            self._engine = engine
        return self._engine


def _engine(url: URL) -> Engine:
    # No pool: Airflow forks, and a connection must not be shared with a child.
    if url.get_backend_name() == "sqlite":
        if url.database:
            Path(url.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return sa.create_engine(url, poolclass=NullPool, connect_args={"timeout": _BUSY_PATIENCE})
    if url.drivername in {"postgres", "postgresql"}:
        # Which driver the plain name means differs between versions of SQLAlchemy; this is the one of the extra `postgres`.
        url = url.set(drivername="postgresql+psycopg2")
    return sa.create_engine(url, poolclass=NullPool)


def _version(engine: Engine) -> str:
    """Return the schema's version, empty when there is none yet."""
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table(VERSION_TABLE):
            return ""
        return str(connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar() or "")  # noqa: S608 - a constant


def _migrate(engine: Engine) -> None:
    """Bring the schema up to date; one process does it, the others wait for it."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    with contextlib.ExitStack() as stack:
        if engine.dialect.name == "sqlite" and engine.url.database:
            stack.enter_context(locked(Path(f"{engine.url.database}.lock")))
        connection = stack.enter_context(engine.begin())
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        # Alembic looks again at what is there: another process may have been first while we waited.
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _is_news(connection: Connection, attempt: Attempt) -> bool:
    """Whether the attempt says more than what is written: one of which only the place is known says less."""
    if attempt.request.idempotency_key:
        return True
    mine = executions.c.execution_id == attempt.ref.execution_id
    return connection.execute(sa.select(executions.c.execution_id).where(mine)).first() is None


def _write_attempt(connection: Connection, attempt: Attempt, now: float) -> bool:
    """Write the rows of the execution and the attempt; return whether the attempt's state is news."""
    _write_execution(connection, attempt, now)
    ref = attempt.ref
    mine = (attempts.c.execution_id == ref.execution_id) & (attempts.c.attempt == ref.attempt)
    known = connection.execute(sa.select(attempts.c.state).where(mine)).scalar()
    values = {"name": ref.name, "state": attempt.state.value, "updated_at": now, "document": attempt.to_dict()}
    if known is None:
        connection.execute(attempts.insert().values(execution_id=ref.execution_id, attempt=ref.attempt, **values))
        return True
    written = connection.execute(attempts.update().where(mine & _not_taken_back(attempts.c.state, attempt.state)).values(**values))
    return written.rowcount > 0 and known != attempt.state.value


def _write_execution(connection: Connection, attempt: Attempt, now: float) -> None:
    request, ref = attempt.request, attempt.ref
    mine = executions.c.execution_id == ref.execution_id
    known = connection.execute(sa.select(executions.c.execution_id).where(mine)).first()
    if known is None:
        connection.execute(
            executions.insert().values(
                execution_id=ref.execution_id,
                idempotency_key=request.idempotency_key,
                manifest_id=request.manifest_id,
                job_name=str(request.job.get("name", "")),
                team=str(request.job.get("team", "")),
                owner=str(request.job.get("owner", "")),
                environment=ref.environment,
                run_key=request.run_key,
                ds=request.ds,
                attempt=ref.attempt,
                state=attempt.state.value,
                first_submitted_at=request.first_submitted_at,
                updated_at=now,
            )
        )
        return
    newer = executions.c.attempt < ref.attempt
    same = (executions.c.attempt == ref.attempt) & _not_taken_back(executions.c.state, attempt.state)
    values = {"attempt": ref.attempt, "state": attempt.state.value, "updated_at": now}
    connection.execute(executions.update().where(mine & (newer | same)).values(**values))


def _not_taken_back(column: sa.Column[Any], state: ExecutionState) -> Any:
    """Return the condition under which ``state`` may be written: observers may report out of order, an end is not taken back."""
    if state.is_terminal:
        return sa.true()
    return column.notin_([known.value for known in ExecutionState if known.is_terminal])


@contextlib.contextmanager
def _readable_errors() -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, OSError, ImportError) as error:
        raise _store_error(error) from error


def _store_error(error: Exception) -> DcpEnvironmentError:
    # The driver's own sentence, without the statement and its parameters.
    why = str(getattr(error, "orig", None) or error).splitlines()[0]
    return DcpEnvironmentError(f"the store of executions failed: {why}", code="DCP446", hint=_HINT)
