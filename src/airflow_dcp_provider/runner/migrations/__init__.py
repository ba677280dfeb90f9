"""The store's schema, version by version; run by :mod:`airflow_dcp_provider.runner.store` through alembic."""
