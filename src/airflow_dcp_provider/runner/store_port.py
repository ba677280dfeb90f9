"""What the Runner tells its store. No decision needs the store: a store that is down loses history, never a job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from airflow_dcp_provider.model.execution import Attempt


class Store(Protocol):
    """Keeps executions, attempts, events and the audit trail."""

    def record(self, attempt: Attempt, event: str, details: Mapping[str, Any] | None = None) -> None:
        """Write the attempt's present state and one event.

        :param event: ``SUBMIT``, ``ADOPT``, a state's name, ``CANCEL``, ``CANCEL_INTENT``, ``ADVANCE`` or ``PROOF``.
        """
