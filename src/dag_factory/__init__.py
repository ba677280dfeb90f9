"""Manifests in a DAGs folder become Airflow DAGs.

The loader file of a DAGs folder is two lines::

    from dag_factory import load_dags  # airflow
    globals().update(load_dags())
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dag_factory.loader import load_dags

__all__ = ["load_dags"]


def __getattr__(name: str) -> object:
    # Lazy, so that the command line and the manifest package do not pay for importing Airflow.
    if name == "load_dags":
        from dag_factory.loader import load_dags

        return load_dags
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
