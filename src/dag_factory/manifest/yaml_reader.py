"""YAML text to located values.

Scalars follow YAML 1.2's core schema, so ``on``, ``no`` and ``2024-01-01`` are texts and only ``true`` and ``false`` are booleans.
The tree is built from the parser's events, not from its own nodes: nesting and aliases are bounded while they are read, so that a
few lines cannot blow up into millions of values. ``<<`` merges a map as everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class _Opened:
    """A value inside of ``{ }`` in which a ``(`` is open, so that its comma was not meant to end it.

    :param event: the value as the parser read it, ``text`` as it was meant, up to ``end``.
    """

    name: str
    event: Any
    text: str
    end: Any

    @classmethod
    def of(cls, name: str, event: Any) -> _Opened | None:
        """Return the value of ``name``, or None when nothing is open in it."""
        if not isinstance(event, yaml.ScalarEvent) or not event.implicit[0] or event.value.count("(") <= event.value.count(")"):
            return None
        return cls(name, event, event.value, event.end_mark)

    @property
    def is_closed(self) -> bool:
        """Whether every ``(`` has its ``)``."""
        return self.text.count("(") <= self.text.count(")")

    def up_to(self, key: Any) -> _Opened:
        """Return the value with what YAML took for the next name."""
        start = key.start_mark
        gap = start.column - self.end.column - 1 if start.line == self.end.line else 1
        return replace(self, text=f"{self.text},{' ' * gap}{key.value}", end=key.end_mark)


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
            value: Any = self._map(events, depth, in_braces=bool(event.flow_style))
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

    def _map(self, events: Iterator[Any], depth: int, *, in_braces: bool) -> dict[str, Node]:
        found: dict[str, Node] = {}
        opened: _Opened | None = None
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
            event = next(events)
            value = self._node(event, events, depth + 1, mark)
            if opened and value.value is None:
                opened = opened.up_to(key)
                if opened.is_closed:
                    self._tell_split(opened)
                    opened = None
                    continue
            elif in_braces:
                opened = _Opened.of(key.value, event)
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

    def _tell_split(self, value: _Opened) -> None:
        doubled = value.text.replace("'", "''")
        quoted = f"'{doubled}'" if '"' in value.text or "\\" in value.text else f'"{value.text}"'
        hint = f"a comma ends a value inside {{ }}; write {value.name}: {quoted}"
        self._tell("DCP104", f"`{value.name}` ends at the comma and is `{value.event.value}`", value.event, hint)

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
