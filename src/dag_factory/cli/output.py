"""What a command prints, and where.

Text: the result on stdout, notes on what happens meanwhile on stderr. JSON: exactly one document on stdout, all else on stderr.
Whatever is printed of a manifest, a file or a log does nothing to the terminal (:mod:`airflow_dcp_provider.core_etl.text`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from airflow_dcp_provider.core_etl.text import escaped, shown
from airflow_dcp_provider.model.errors import DcpError


class Output:
    """Prints a command's result in the format that the user asked for.

    :param fmt: ``text`` or ``json``.
    """

    def __init__(self, fmt: str = "text") -> None:
        self.json = fmt == "json"
        # Libraries that print get another stdout while a command runs; the result's is this one.
        self._stdout = sys.stdout

    def result(self, data: Any, text: str) -> None:
        """Print a command's whole result: ``data`` as JSON, or ``text``."""
        print(_document(data) if self.json else shown(text), file=self._stdout)

    def piece(self, text: str) -> None:
        """Print a piece of a text result now, while there is more to come."""
        print(shown(text), end="", file=self._stdout, flush=True)

    def note(self, text: str) -> None:
        """Print one line on what is going on, now. It is never part of the result."""
        print(shown(text), file=sys.stderr, flush=True)

    def failure(self, error: DcpError) -> None:
        """Print an error: its text on stderr, and in JSON also a document ``{"error": {...}}`` on stdout."""
        if self.json:
            self.result({"error": error.to_dict()}, "")
        print(shown(str(error)), file=sys.stderr, flush=True)


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Return rows as a plain text table with a header; missing values are empty.

    :param columns: the keys of each row to show, in order.
    """
    cells = [[cell(row.get(column)) for column in columns] for row in rows]
    widths = [max([len(column), *(len(line[at]) for line in cells)]) for at, column in enumerate(columns)]
    lines = [list(columns), ["-" * width for width in widths], *cells]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def cell(value: Any) -> str:
    """Return one value as a table shows it: nothing for None, times without needless zeros."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return escaped(str(value))


def _document(data: Any) -> str:
    text = json.dumps(data, indent=2, default=str, ensure_ascii=False)
    # JSON has escapes of its own, but it need not use them for what a terminal would act on.
    return text if text.replace("\n", "").isprintable() else json.dumps(data, indent=2, default=str)


def moment(epoch: float | None) -> str:
    """Return epoch seconds as ``YYYY-MM-DD HH:MM:SS`` in UTC, empty for None."""
    return "" if epoch is None else datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M:%S")


def count(number: int, noun: str) -> str:
    """Return ``1 problem``, ``2 problems``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
