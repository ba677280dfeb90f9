"""Which of our errors end a task at once and which Airflow's own retries may try again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_dcp_provider.model.errors import DcpEnvironmentError, DcpError

#: Faults of the environment that stay until somebody changes a connection, an option, a table or what is installed.
_LASTING = frozenset({f"DCP{number}" for number in (*range(410, 420), *range(421, 425), *range(436, 440), 480, 481, 482, 486)})


def is_transient(error: DcpError) -> bool:
    """Whether the same call may succeed a little later without anybody doing anything."""
    return isinstance(error, DcpEnvironmentError) and error.code not in _LASTING


@contextmanager
def faults() -> Iterator[None]:
    """Turn an error that no retry mends into :class:`AirflowFailException` with the same text; let the others be retried."""
    try:
        yield
    except DcpError as error:
        if is_transient(error):
            raise
        raise AirflowFailException(str(error)) from error
