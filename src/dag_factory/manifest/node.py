"""Located values: what stands in a YAML file, and where.

A :class:`Node` is one value with its place; maps and lists hold Nodes, so that every value of a merged manifest still knows the
file, line and column that it came from. Nodes are never changed; a merge makes new ones that share the old ones' children.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_dcp_provider.model.errors import Position

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Node:
    """One value of a YAML file.

    :param value: a scalar, a map of names to Nodes, or a tuple of Nodes.
    :param file: the file as the user names it; ``line`` and ``column`` count from 1.
    :param key_line: where the name of the value stands, when it is a map's value; 0 otherwise.
    :param style: how a text is written: ``|``, ``>``, ``"``, ``'`` or empty for plain.
    :param source: a number, ``true``, ``false`` or ``null`` as it is written; empty for everything else.
    """

    value: Scalar | dict[str, Node] | tuple[Node, ...]
    file: str
    line: int
    column: int
    key_line: int = 0
    key_column: int = 0
    style: str = ""
    source: str = ""

    @property
    def position(self) -> Position:
        """Where the value begins."""
        return Position(self.file, self.line, self.column)

    @property
    def key_position(self) -> Position:
        """Where the value's name stands, or the value itself when it has none."""
        return Position(self.file, self.key_line, self.key_column) if self.key_line else self.position

    @property
    def is_map(self) -> bool:
        """Whether the value is a map."""
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        """Whether the value is a list."""
        return isinstance(self.value, tuple)

    @property
    def fields(self) -> Mapping[str, Node]:
        """The map's values by name; empty when this is no map."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> tuple[Node, ...]:
        """The list's values; empty when this is no list."""
        return self.value if isinstance(self.value, tuple) else ()

    @property
    def text(self) -> str:
        """The text; empty when this is none."""
        return self.value if isinstance(self.value, str) else ""

    @property
    def written(self) -> str:
        """A scalar as it is written: a text, or the source of a number, ``true``, ``false`` or ``null``."""
        if isinstance(self.value, str):
            return self.value
        return self.source or ("" if self.value is None else str(self.value))

    def get(self, *path: str | int) -> Node | None:
        """Return the value that ``path`` (names of maps, places in lists) leads to, or None."""
        found: Node | None = self
        for step in path:
            if found is None:
                return None
            found = found.fields.get(step) if isinstance(step, str) else found._at(step)
        return found

    def _at(self, place: int) -> Node | None:
        return self.items[place] if place < len(self.items) else None

    def nearest(self, path: Sequence[str | int]) -> Node:
        """Return the value that ``path`` leads to, or the last one on the way that exists."""
        found = self
        for step in path:
            below = found.get(step)
            if below is None:
                break
            found = below
        return found

    def plain(self) -> Any:
        """Return the value without places: dicts, lists and scalars."""
        value = self.value
        if isinstance(value, dict):
            return {name: node.plain() for name, node in value.items()}
        return [node.plain() for node in value] if isinstance(value, tuple) else value

    def everything(self) -> Iterator[Node]:
        """Yield this value and every one below it."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            value = node.value
            if type(value) is dict:
                waiting += value.values()
            elif type(value) is tuple:
                waiting += value

    def size(self) -> int:
        """Return how many values there are, this one and all below it."""
        return sum(1 for _ in self.everything())

    def texts(self) -> Iterator[Node]:
        """Yield every text below this value."""
        return (node for node in self.everything() if isinstance(node.value, str))
