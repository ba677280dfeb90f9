"""Runs migrations on the connection that the store hands over; alembic executes this file."""

from alembic import context

from airflow_dcp_provider.runner.store_tables import VERSION_TABLE, metadata

# Alembic's configuration carries the open connection, so that its lock and transaction are the store's.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
