"""Airflow operators; thin, with lazy imports."""
