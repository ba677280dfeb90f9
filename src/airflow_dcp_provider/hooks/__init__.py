"""Airflow connections and configuration as our values: environments, settings, runners and catalogs."""
