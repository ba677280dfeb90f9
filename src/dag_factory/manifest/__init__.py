"""Manifests: loading, schemas, source positions, merging and templates. Nothing here imports Airflow."""
