"""Airflow hooks; thin, with lazy imports."""
