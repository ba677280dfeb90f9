"""Executions, attempts, events and the audit trail."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the first tables."""
    op.create_table(
        "dcp_executions",
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
    )
    op.create_index("dcp_executions_by_time", "dcp_executions", ["first_submitted_at"])
    op.create_table(
        "dcp_attempts",
        sa.Column("execution_id", sa.String(36), sa.ForeignKey("dcp_executions.execution_id"), primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("updated_at", sa.Float, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
    )
    op.create_table(
        "dcp_events",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("execution_id", sa.String(36), sa.ForeignKey("dcp_executions.execution_id"), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("event", sa.String(32), nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
    )
    op.create_index("dcp_events_by_execution", "dcp_events", ["execution_id"])
    op.create_table(
        "dcp_audit",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("actor", sa.String(255), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("execution_id", sa.String(36), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
    )


def downgrade() -> None:
    """Drop the first tables."""
    for table in ("dcp_audit", "dcp_events", "dcp_attempts", "dcp_executions"):
        op.drop_table(table)
