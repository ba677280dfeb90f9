"""Manifests: loading, schemas, source positions, merging and templates. Nothing here imports Airflow."""

from __future__ import annotations

from dag_factory.manifest.discovery import DEFAULTS_FILE, discover

__all__ = ["DEFAULTS_FILE", "discover"]
