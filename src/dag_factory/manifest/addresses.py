"""Checks of the e-mail addresses that a manifest notifies."""

from __future__ import annotations

from airflow_dcp_provider.model.names import is_email_address
from dag_factory.manifest.node import Node
from dag_factory.manifest.problems import Problems

#: Most addresses for one event; a mailing list serves more people better.
MOST_ADDRESSES = 50

_EVENTS = ("onFailure", "onSuccess")


def check_notifications(notifications: Node | None, problems: Problems) -> None:
    """Record DCP184 for what is not a plain address, and for more addresses than a mail should have."""
    for event in _EVENTS if notifications is not None else ():
        addresses = notifications.get(event) if notifications else None
        items = addresses.items if addresses else ()
        if addresses is not None and len(items) > MOST_ADDRESSES:
            text = f"`{event}` has {len(items)} addresses, and a mail goes to {MOST_ADDRESSES} at most"
            problems.add("DCP184", text, addresses.position, "write the address of a mailing list")
            continue
        for address in items:
            if not is_email_address(address.text):
                hint = "write user@example.com: no name before it, no spaces, quotes or braces"
                problems.add("DCP184", f"{address.text[:100]!r} is not an e-mail address", address.position, hint)
