"""From a place inside a text to its place in the file that holds the text."""

from __future__ import annotations

import bisect
import functools
import re
from collections.abc import Mapping, Sequence

from airflow_dcp_provider.model.errors import Position
from dag_factory.manifest.node import Node

#: The style of a Node that is a whole file, for example a query in an ``.sql`` file.
WHOLE_FILE = "file"


def file_node(text: str, file: str) -> Node:
    """Return the text of a whole file as a located value."""
    return Node(text, file, 1, 1, style=WHOLE_FILE)


def place_in(node: Node, offset: int | None, sources: Mapping[str, str]) -> Position:
    """Return where the character at ``offset`` of a text stands in its file.

    Exact for whole files, literal blocks (``|``) and texts that stand in one line as they are; else where the text begins.

    :param sources: the text of each file by name.
    """
    if offset is None:
        return node.position
    starts = _line_starts(node.text)
    line = bisect.bisect_right(starts, offset) - 1
    column = offset - starts[line]
    if node.style == WHOLE_FILE:
        return Position(node.file, line + 1, column + 1)
    lines = _lines(sources.get(node.file, ""))
    if node.style == "|":
        return _place_in_block(node, line, column, lines)
    quotes = 1 if node.style in {'"', "'"} else 0
    source = lines[node.line - 1] if node.line <= len(lines) else ""
    start = node.column - 1 + quotes
    if _stands_at(node.text, source, start):
        return Position(node.file, node.line, start + offset + 1)
    return node.position


# A large text can have many problems, and each asks for its place: what is the same for all of them is found once.
@functools.lru_cache(maxsize=16)
def _lines(text: str) -> tuple[str, ...]:
    return tuple(text.split("\n"))


@functools.lru_cache(maxsize=16)
def _line_starts(text: str) -> tuple[int, ...]:
    return (0, *(match.end() for match in re.finditer("\n", text)))


@functools.lru_cache(maxsize=16)
def _stands_at(text: str, source: str, start: int) -> bool:
    return source.startswith(text, start)


def _place_in_block(node: Node, line: int, column: int, lines: Sequence[str]) -> Position:
    for number, text in enumerate(_lines(node.text)):
        if text.strip() and node.line + number < len(lines):
            indent = len(lines[node.line + number]) - len(text)
            return Position(node.file, node.line + 1 + line, max(indent, 0) + column + 1)
    return node.position
