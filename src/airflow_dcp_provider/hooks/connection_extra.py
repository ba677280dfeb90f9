"""The extra of an Airflow connection, read strictly: Airflow itself takes one that is broken for an empty one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_dcp_provider.model.errors import DcpEnvironmentError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection


def extra_of(connection: Connection, conn_id: str) -> dict[str, Any]:
    """Return a connection's extra; empty where none is set.

    :raises DcpEnvironmentError: DCP416 when it is set and no JSON object. It is not shown: it may hold a secret.
    """
    try:
        # A connection from the metadata database looks at it as it is read, and raises ValueError itself.
        extra = json.loads(connection.extra) if connection.extra else {}
    except ValueError as error:
        where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        # Without its cause, which carries the whole text.
        raise _broken(conn_id, where) from None
    if not isinstance(extra, dict):
        raise _broken(conn_id, "")
    # Read once more by Airflow, which masks in its logs what is secret in it.
    return connection.extra_dejson


def _broken(conn_id: str, where: str) -> DcpEnvironmentError:
    return DcpEnvironmentError(
        f"the extra of connection {conn_id} is no JSON object{where}",
        code="DCP416",
        hint="write a JSON object; the text is not shown here, because it may hold a secret",
    )
