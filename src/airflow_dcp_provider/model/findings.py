"""What a check of an environment found, line by line."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["good", "bad", "not checked"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    :param subject: what, for example ``cluster eu-1``.
    :param verdict: ``not checked`` where this user may not look, or where something is to be named first.
    :param message: what was found.
    :param hint: what to do; never empty for what is bad.
    """

    subject: str
    verdict: Verdict
    message: str
    hint: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON-ready values."""
        return asdict(self)
