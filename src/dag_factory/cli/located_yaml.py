"""A manifest's values as YAML, on request each with the place that it came from as a comment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from dag_factory.manifest.node import Node

#: Comments begin in this column, where the line leaves room.
_COMMENT_COLUMN = 64


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, and never wraps a line."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


class _Written(str):
    """A number, ``true``, ``false`` or ``null`` as it is written in the manifest."""

    __slots__ = ()


def _as_written(dumper: yaml.SafeDumper, text: _Written) -> yaml.ScalarNode:
    # The tag that the text has by itself, so that it is written without one.
    tag = dumper.resolve(yaml.ScalarNode, str(text), (True, False))  # type: ignore[no-untyped-call]
    return dumper.represent_scalar(tag, str(text))


_Dumper.add_representer(_Written, _as_written)


def to_yaml(value: Any) -> str:
    """Return JSON-like values as YAML, in their own order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**31)


def to_written_yaml(node: Node) -> str:
    """Return a manifest's values as YAML, numbers as they are written."""
    return to_yaml(_written(node))


def _written(node: Node) -> Any:
    if node.is_map:
        return {name: _written(value) for name, value in node.fields.items()}
    if node.is_list:
        return [_written(item) for item in node.items]
    return _Written(node.source) if node.source else node.value


def to_located_yaml(node: Node) -> str:
    """Return a manifest's values as YAML, with ``# file:line:column`` behind each."""
    text = to_written_yaml(node)
    lines = text.splitlines()
    for line, place in _places(node, yaml.compose(text, Loader=yaml.SafeLoader)):
        lines[line] = f"{lines[line].ljust(_COMMENT_COLUMN)}  # {place}"
    return "\n".join(lines) + "\n"


def origins(node: Node, path: str = "") -> dict[str, str]:
    """Return the place of each value without values below it, by its path: ``spec.sources[0].name`` -> ``file:line:column``."""
    below = [(f"{path}.{name}".lstrip("."), value) for name, value in node.fields.items()]
    below += [(f"{path}[{at}]", value) for at, value in enumerate(node.items)]
    if not below:
        return {path: str(node.position)}
    return {key: place for inner, value in below for key, place in origins(value, inner).items()}


def _places(node: Node, written: Any) -> Iterator[tuple[int, str]]:
    """Yield the line on which each value stands in the written text, counted from 0, and where it came from."""
    if node.fields:
        for below, (_, value) in zip(node.fields.values(), written.value, strict=True):
            yield from _places(below, value)
    elif node.items:
        for below, value in zip(node.items, written.value, strict=True):
            yield from _places(below, value)
    else:
        yield written.start_mark.line, str(node.position)
