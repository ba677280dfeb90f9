"""The store's tables as SQLAlchemy sees them; :mod:`airflow_dcp_provider.runner.migrations` makes them.

Times are epoch seconds. Names begin with ``dcp_`` because the store may share a database with Airflow.
"""

from __future__ import annotations

import sqlalchemy as sa

#: Alembic's own table; not ``alembic_version``, which is Airflow's in a shared database.
VERSION_TABLE = "dcp_alembic_version"

#: The newest version in :mod:`airflow_dcp_provider.runner.migrations.versions`.
HEAD = "0001"

metadata = sa.MetaData()

executions = sa.Table(
    "dcp_executions",
    metadata,
    sa.Column("execution_id", sa.String(36), primary_key=True),
    sa.Column("idempotency_key", sa.Text, nullable=False),
    sa.Column("manifest_id", sa.String(255), nullable=False),
    sa.Column("job_name", sa.String(255), nullable=False),
    sa.Column("team", sa.String(255), nullable=False),
    sa.Column("owner", sa.String(255), nullable=False),
    sa.Column("environment", sa.String(64), nullable=False),
    sa.Column("run_key", sa.Text, nullable=False),
    sa.Column("ds", sa.String(10), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("first_submitted_at", sa.Float, nullable=False),
    sa.Column("updated_at", sa.Float, nullable=False),
    sa.Index("dcp_executions_by_time", "first_submitted_at"),
)

attempts = sa.Table(
    "dcp_attempts",
    metadata,
    sa.Column("execution_id", sa.String(36), sa.ForeignKey("dcp_executions.execution_id"), primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(63), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("updated_at", sa.Float, nullable=False),
    sa.Column("document", sa.JSON, nullable=False),
)

events = sa.Table(
    "dcp_events",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("execution_id", sa.String(36), sa.ForeignKey("dcp_executions.execution_id"), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("event", sa.String(32), nullable=False),
    sa.Column("details", sa.JSON, nullable=False),
    sa.Index("dcp_events_by_execution", "execution_id"),
)

audit = sa.Table(
    "dcp_audit",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("actor", sa.String(255), nullable=False),
    sa.Column("action", sa.String(32), nullable=False),
    sa.Column("execution_id", sa.String(36), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("details", sa.JSON, nullable=False),
)
