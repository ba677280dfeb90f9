"""Triggers: what runs in Airflow's triggerer while a task is deferred. Nothing here blocks its event loop."""
