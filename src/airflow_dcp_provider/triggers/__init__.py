"""Airflow triggers; thin, with lazy imports."""
