"""Airflow sensors; thin, with lazy imports."""
