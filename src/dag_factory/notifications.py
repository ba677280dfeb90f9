"""E-mail about a DAG's runs. No part of it is a template: Airflow renders nothing of what a manifest says.

Airflow's own notifier renders its addresses, subject and text with all that Airflow's context leads to, in the DAG processor. This
one has no such fields. It is imported only for manifests that ask for e-mail, because it needs Airflow's smtp provider.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from airflow.providers.smtp.notifications.smtp import SmtpNotifier

from airflow_dcp_provider.model.names import is_email_address

if TYPE_CHECKING:
    from airflow.sdk import Context

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class RunMail(SmtpNotifier):
    """Tells by e-mail how a run ended, through the connection of Airflow's smtp provider.

    :param to: plain addresses.
    :param word: how the run ended, for example ``failed``.
    :raises ValueError: when an address is more or less than an address.
    """

    # Nothing is rendered, whatever an address holds.
    template_fields: Sequence[str] = ()  # type: ignore[assignment]

    def __init__(self, to: Iterable[str], word: str) -> None:
        addresses = list(to)
        for address in addresses:
            if not is_email_address(address):
                raise ValueError(f"{address!r} is not an e-mail address")
        super().__init__(to=addresses, subject="", html_content="")
        self._word = word

    def notify(self, context: Context) -> None:
        """Send the mail."""
        self._write(context)
        super().notify(context)

    async def async_notify(self, context: Context) -> None:
        """Send the mail from an event loop."""
        self._write(context)
        await super().async_notify(context)

    def _write(self, context: Context) -> None:
        run, dag = (_one_line(text) for text in (str(context["run_id"]), context["dag"].dag_id))
        self.subject = f"{dag} {self._word}: {run}"
        self.html_content = f"<p>The run <b>{html.escape(run)}</b> of <b>{html.escape(dag)}</b> {self._word}.</p>"


def _one_line(text: str) -> str:
    """Return a text that cannot end a header's line. Whoever may trigger a run names it."""
    return _CONTROL.sub(" ", text)
