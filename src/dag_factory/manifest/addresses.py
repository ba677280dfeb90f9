"""Checks of the e-mail addresses that a manifest notifies."""

from __future__ import annotations

from airflow_dcp_provider.model.names import is_email_address
from dag_factory.manifest.node import Node
from dag_factory.manifest.problems import Problems

_EVENTS = ("onFailure", "onSuccess")


def check_notifications(notifications: Node | None, problems: Problems) -> None:
    """Record DCP184 for what is not a plain address."""
    for event in _EVENTS if notifications is not None else ():
        addresses = notifications.get(event) if notifications else None
        items = addresses.items if addresses else ()
        for address in items:
            if not is_email_address(address.text):
                hint = "write user@example.com: no name before it, no spaces, quotes or braces"
                problems.add("DCP184", f"{address.text[:100]!r} is not an e-mail address", address.position, hint)
