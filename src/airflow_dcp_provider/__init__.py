"""Apache Airflow provider that runs Spark manifests on Kubernetes, or on one machine, and proves their Iceberg tables."""

from __future__ import annotations

__version__ = "0.1.0"
