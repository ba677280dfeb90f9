"""From a place inside a text to its place in the file that holds the text."""

from __future__ import annotations

from collections.abc import Mapping

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
    before = node.text[:offset]
    line, column = before.count("\n"), offset - (before.rfind("\n") + 1)
    if node.style == WHOLE_FILE:
        return Position(node.file, line + 1, column + 1)
    lines = sources.get(node.file, "").split("\n")
    if node.style == "|":
        return _place_in_block(node, line, column, lines)
    quotes = 1 if node.style in {'"', "'"} else 0
    source = lines[node.line - 1] if node.line <= len(lines) else ""
    start = node.column - 1 + quotes
    if source[start : start + len(node.text)] == node.text:
        return Position(node.file, node.line, start + offset + 1)
    return node.position


def _place_in_block(node: Node, line: int, column: int, lines: list[str]) -> Position:
    text_lines = node.text.split("\n")
    for number, text in enumerate(text_lines):
        if text.strip() and node.line + number < len(lines):
            indent = len(lines[node.line + number].rstrip("\r")) - len(text)
            return Position(node.file, node.line + 1 + line, max(indent, 0) + column + 1)
    return node.position
