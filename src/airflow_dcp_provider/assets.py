"""Iceberg tables as Airflow assets: ``iceberg://<catalog alias>/<database>/<table>``, the name as well as the URI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from airflow.sdk import Asset


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Return the URI in its one form: without a slash at its end.

    Other packages may mean other things by ``iceberg://``; a URI of another shape is left as it is.
    """
    return uri._replace(path=uri.path.rstrip("/"))


def create_asset(*, catalog: str, database: str, table: str, extra: dict[str, Any] | None = None) -> Asset:
    """Return a table's asset."""
    from airflow.sdk import Asset

    uri = f"iceberg://{catalog}/{database}/{table}"
    return Asset(name=uri, uri=uri, extra=extra or {})


def convert_asset_to_openlineage(asset: Asset, lineage_context: Any) -> Any:  # noqa: ARG001 - Airflow's signature
    """Return the table as an OpenLineage dataset: the catalog is its namespace, ``<database>.<table>`` its name."""
    from airflow.providers.common.compat.openlineage.facet import Dataset

    parts = urlsplit(asset.uri)
    return Dataset(namespace=f"{parts.scheme}://{parts.netloc}", name=parts.path.strip("/").replace("/", "."))
