"""YAML text to located values.

Scalars follow YAML 1.2's core schema, so ``on``, ``no`` and ``2024-01-01`` are texts and only ``true`` and ``false`` are booleans.
The tree is built from the parser's events, not from its own nodes: nesting and aliases are bounded while they are read, so that a
few lines cannot blow up into millions of values. ``<<`` merges a map as everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NoReturn

import yaml

from airflow_dcp_provider.model.errors import ManifestError, Position
from dag_factory.manifest.node import Node, Scalar
from dag_factory.manifest.problems import Problems
from dag_factory.manifest.settings import CompileSettings

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Scalar] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_TEMPLATE_HINT = 'quote a value that begins with a template: "{{ ds }}"'


def read_yaml(text: str, file: str, settings: CompileSettings) -> Node | None:
    """Return the one document of ``text``, or None when it is empty.

    :param file: the name that positions give.
    :raises ManifestError: DCP104 when it is no YAML, DCP105 for duplicate keys, DCP106 when it nests or aliases without end, DCP107
        for YAML that manifests do not use (tags, several documents, keys that are no text).
    """
    builder = _Builder(file, settings, Problems({file: text}))
    try:
        node = builder.document(yaml.parse(text, _Loader))
    except yaml.MarkedYAMLError as error:
        builder.problems.add("DCP104", _sentence(error), _place(error, file), _yaml_hint(error, text))
    except yaml.reader.ReaderError as error:
        character = error.character if isinstance(error.character, int) else ord(error.character)
        # Not the error's own position, which the C parser counts in bytes.
        before = text[: max(text.find(chr(character)), 0)]
        where = Position(file, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
        builder.problems.add("DCP104", f"the character U+{character:04X} may not stand in YAML", where, "remove it")
    builder.problems.raise_errors()
    return node


def scalar(text: str) -> Scalar:
    """Return the value of a plain scalar by YAML 1.2's core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "-+.0123456789":
        if _INTEGER.fullmatch(text) and len(text) <= 40:
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
    return text


class _Builder:
    """Builds Nodes from the parser's events, which the stubs do not type well enough to be more than Any, and counts as it goes."""

    def __init__(self, file: str, settings: CompileSettings, problems: Problems) -> None:
        self.file = file
        self.settings = settings
        self.problems = problems
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._count = 0

    def document(self, events: Iterator[Any]) -> Node | None:
        root: Node | None = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._stop("DCP107", "a manifest is one document, and here a second one begins", event, "use one file for each")
            elif isinstance(event, yaml.NodeEvent):
                root = self._node(event, events, 0)
        return root if documents else None

    def _node(self, event: Any, events: Iterator[Any], depth: int, key: Any = None) -> Node:
        """Return the value that begins with ``event``; ``key`` is the mark of its name, when it is a map's value."""
        self._weigh(1, event)
        if isinstance(event, yaml.AliasEvent):
            found = self._alias(event)
            return replace(found, key_line=key.line + 1, key_column=key.column + 1) if key else found
        if depth > self.settings.max_depth:
            self._stop("DCP106", f"values nest deeper than {self.settings.max_depth} levels", event, "flatten the manifest")
        if event.tag and event.tag not in {"!", "tag:yaml.org,2002:str"}:
            self._tell("DCP107", f"the YAML tag `{event.tag}` is not used in manifests", event, "remove it")
        before = self._count
        if isinstance(event, yaml.MappingStartEvent):
            value: Any = self._map(events, depth)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = tuple(self._node(each, events, depth + 1) for each in _until(events, yaml.SequenceEndEvent))
        else:
            value = scalar(event.value) if event.implicit[0] else event.value
        mark = event.start_mark
        style = getattr(event, "style", None) or ""
        place = (mark.line + 1, mark.column + 1, key.line + 1 if key else 0, key.column + 1 if key else 0)
        node = Node(value, self.file, *place, style)
        if event.anchor:
            self._anchors[event.anchor] = (node, self._count - before + 1)
        return node

    def _map(self, events: Iterator[Any], depth: int) -> dict[str, Node]:
        found: dict[str, Node] = {}
        merged: list[Node] = []
        for key in _until(events, yaml.MappingEndEvent):
            if not isinstance(key, yaml.ScalarEvent):
                # Read to its end, so that what follows is still checked.
                if not isinstance(key, yaml.AliasEvent):
                    self._node(key, events, depth + 1)
                self._tell("DCP107", "a key must be a text", key, _TEMPLATE_HINT)
                self._node(next(events), events, depth + 1)
                continue
            mark: Any = key.start_mark
            value = self._node(next(events), events, depth + 1, mark)
            if key.value == "<<" and key.implicit[0]:
                merged += value.items or (value,)
            elif key.value in found:
                first = found[key.value].key_position
                hint = f"the first one is in line {first.line}; remove one of them"
                self._tell("DCP105", f"`{key.value}` is given twice", key, hint)
            else:
                found[key.value] = value
        for node in merged:
            if not node.is_map:
                self.problems.add("DCP107", "`<<` merges maps only", node.position, "name an anchor of a map")
            found = {**node.fields, **found}
        return found

    def _alias(self, event: Any) -> Node:
        if event.anchor not in self._anchors:
            # The parser reports an unknown anchor only when it composes; a map that holds itself is one as well.
            self._stop("DCP106", f"`*{event.anchor}` names an anchor that is not complete here", event, "write the value out")
        node, weight = self._anchors[event.anchor]
        self._weigh(weight, event)
        return node

    def _weigh(self, amount: int, event: Any) -> None:
        self._count += amount
        if self._count > self.settings.max_nodes:
            text = f"the file holds more than {self.settings.max_nodes} values, aliases written out"
            self._stop("DCP106", text, event, "remove aliases of aliases")

    def _tell(self, code: str, message: str, event: Any, hint: str) -> None:
        self.problems.add(code, message, Position(self.file, event.start_mark.line + 1, event.start_mark.column + 1), hint)

    def _stop(self, code: str, message: str, event: Any, hint: str) -> NoReturn:
        self._tell(code, message, event, hint)
        raise ManifestError(self.problems.sorted())


def _until(events: Iterator[Any], end: type[yaml.Event]) -> Iterator[Any]:
    for event in events:
        if isinstance(event, end):
            return
        yield event


def _sentence(error: yaml.MarkedYAMLError) -> str:
    return ", ".join(part for part in (error.context, error.problem) if part) or "this is not YAML"


def _place(error: yaml.MarkedYAMLError, file: str) -> Position:
    mark = error.problem_mark or error.context_mark
    return Position(file, mark.line + 1, mark.column + 1) if mark else Position(file, 1, 1)


def _yaml_hint(error: yaml.MarkedYAMLError, text: str) -> str:
    problem, mark = error.problem or "", error.problem_mark or error.context_mark
    lines = text.splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    if "tab" in problem or "\t" in line[: len(line) - len(line.lstrip())]:
        return "indent with spaces; YAML does not allow tabs there"
    if "{{" in line:
        return _TEMPLATE_HINT
    if "mapping values are not allowed" in problem:
        return "quote a text that holds `: `, or check the indentation"
    if error.context_mark and mark and error.context_mark.line != mark.line:
        return f"what is open there began in line {error.context_mark.line + 1}; check quotes, brackets and indentation"
    return "check quotes, brackets and indentation"
