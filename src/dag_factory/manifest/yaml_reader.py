"""YAML text to located values.

Scalars follow YAML 1.2's core schema, so ``on``, ``no`` and ``2024-01-01`` are texts and only ``true`` and ``false`` are booleans.
Those that are no texts keep how they are written, for fields that take them as texts. The tree is built from the parser's events,
not from its own nodes: nesting, aliases and the length of texts are bounded while they are read, so that a few lines cannot blow up
into millions of values. ``<<`` merges a map as everywhere.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import yaml

from airflow_dcp_provider.model.errors import ManifestError, Position
from airflow_dcp_provider.model.texts import character_name, cut, refused_character
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
_NESTED_TYPE = re.compile(r"(list|array|map|struct)\s*<", re.IGNORECASE)
_NOT_FINITE = {
    f"{sign}{word}": math.copysign(math.inf, -1 if sign == "-" else 1)
    for sign in ("", "+", "-")
    for word in (".inf", ".Inf", ".INF")
} | dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan)
#: Python reads no whole numbers of thousands of digits, and shorter ones in a time that grows with the square of their length.
_MOST_DIGITS = 40
#: Fields that hold SQL: they may be as long as a file. All others have a bound of their own.
_SQL_FIELDS = frozenset({"query", "filter"})
#: Fields that hold a separator of a file, which may be a control character.
_SEPARATORS = frozenset({"sep", "delimiter", "lineSep"})
_SEPARATING = frozenset(map(chr, range(1, 32)))
_LONGEST_NAME = 500
#: A text in braces that a comma ended is put together again up to this length.
_LONGEST_SPLIT = 2_000
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
        if _INTEGER.fullmatch(text):
            # A longer one is infinite here, which no field takes.
            return int(text) if len(text) <= _MOST_DIGITS else math.copysign(math.inf, -1 if text[0] == "-" else 1)
        if _FLOAT.fullmatch(text):
            return float(text)
        return _NOT_FINITE.get(text, text)
    return text


def _is_open(text: str) -> bool:
    """Whether a ``(``, or in the type of a column a ``<``, has no end."""
    return text.count("(") > text.count(")") or (text.count("<") > text.count(">") and bool(_NESTED_TYPE.match(text)))


@dataclass(frozen=True)
class _Opened:
    """A value inside of ``{ }`` in which a bracket is open, so that its comma was not meant to end it.

    :param event: the value as the parser read it, ``text`` as it was meant, up to ``end``.
    """

    name: str
    event: Any
    text: str
    end: Any

    @classmethod
    def of(cls, name: str, event: Any) -> _Opened | None:
        """Return the value of ``name``, or None when nothing is open in it."""
        if not isinstance(event, yaml.ScalarEvent) or not event.implicit[0] or not _is_open(event.value):
            return None
        return cls(name, event, event.value, event.end_mark)

    @property
    def is_closed(self) -> bool:
        """Whether every bracket is closed."""
        return not _is_open(self.text)

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
        self._anchors: dict[str, tuple[Node, int, int]] = {}
        self._count = 0
        self._characters = 0

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
        """Return the value that begins with ``event``; ``key`` is the event of its name, when it is a map's value."""
        length = 0
        self._weigh(1, event)
        name = key.start_mark if key else None
        kind = type(event)
        if kind is yaml.AliasEvent:
            found = self._alias(event)
            return replace(found, key_line=name.line + 1, key_column=name.column + 1) if name else found
        if depth > self.settings.max_depth:
            self._stop("DCP106", f"values nest deeper than {self.settings.max_depth} levels", event, "flatten the manifest")
        if event.tag and event.tag not in {"!", "tag:yaml.org,2002:str"}:
            self._tell("DCP107", f"the YAML tag `{event.tag}` is not used in manifests", event, "remove it")
        before, characters = self._count, self._characters
        source = ""
        style = ""
        if kind is yaml.MappingStartEvent:
            value: Any = self._map(events, depth, in_braces=bool(event.flow_style))
        elif kind is yaml.SequenceStartEvent:
            value = tuple([self._node(each, events, depth + 1) for each in _until(events, yaml.SequenceEndEvent)])
        else:
            style = event.style or ""
            value = scalar(event.value) if event.implicit[0] else event.value
            length = len(event.value)
            self._characters += length
            if not isinstance(value, str):
                source = event.value
            elif event.style == '"' or length > self.settings.max_text:
                self._check_text(value, event, key.value if key else "")
        mark = event.start_mark
        place = (mark.line + 1, mark.column + 1, name.line + 1 if name else 0, name.column + 1 if name else 0)
        node = Node(value, self.file, *place, style, source)
        if event.anchor:
            self._anchors[event.anchor] = (node, self._count - before + 1, self._characters - characters + length)
        return node

    def _check_text(self, text: str, event: Any, field: str) -> None:
        # What stands in the file as it is was checked with the file; an escape in quotes can mean any character.
        place = refused_character(text)
        # A NUL is refused everywhere: databases keep no text that holds one.
        if place is not None and not (field in _SEPARATORS and text[place] in _SEPARATING):
            hint = "remove it; what acts where it is shown or kept may not stand in a text"
            self._tell("DCP123", f"the text holds the character {character_name(text[place])}", event, hint)
        if len(text) > self.settings.max_text and field not in _SQL_FIELDS:
            text = f"the text has {len(text)} characters, and may have {self.settings.max_text}"
            self._tell("DCP125", text, event, "make it shorter; a long query belongs into an SQL file")

    def _check_name(self, key: Any) -> None:
        if key.style != '"' and len(key.value) <= _LONGEST_NAME:
            return
        if (place := refused_character(key.value)) is not None:
            self._tell("DCP123", f"the name holds the character {character_name(key.value[place])}", key, "remove it")
        if len(key.value) > _LONGEST_NAME:
            text = f"the name `{cut(key.value, 40)}` has {len(key.value)} characters, and may have {_LONGEST_NAME}"
            self._tell("DCP125", text, key, "make it shorter; `: ` within a text needs quotes")

    def _map(self, events: Iterator[Any], depth: int, *, in_braces: bool) -> dict[str, Node]:
        found: dict[str, Node] = {}
        opened: _Opened | None = None
        merged: list[Node] = []
        for key in _until(events, yaml.MappingEndEvent):
            if type(key) is not yaml.ScalarEvent:
                # Read to its end, so that what follows is still checked.
                if not isinstance(key, yaml.AliasEvent):
                    self._node(key, events, depth + 1)
                self._tell("DCP107", "a key must be a text", key, _TEMPLATE_HINT)
                self._node(next(events), events, depth + 1)
                continue
            self._check_name(key)
            event = next(events)
            value = self._node(event, events, depth + 1, key)
            if opened and value.value is None:
                opened = opened.up_to(key)
                if opened.is_closed:
                    self._tell_split(opened)
                    opened = None
                    continue
                if len(opened.text) > _LONGEST_SPLIT:
                    opened = None
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
        inherited: dict[str, Node] = {}
        # The first map that is merged goes before those after it, and what is written here before all of them.
        for node in reversed(merged):
            if not node.is_map:
                self.problems.add("DCP107", "`<<` merges maps only", node.position, "name an anchor of a map")
            inherited.update(node.fields)
        return {**inherited, **found}

    def _tell_split(self, value: _Opened) -> None:
        doubled = value.text.replace("'", "''")
        quoted = f"'{doubled}'" if '"' in value.text or "\\" in value.text else f'"{value.text}"'
        hint = f"a comma ends a value inside {{ }}; write {value.name}: {quoted}"
        self._tell("DCP104", f"`{value.name}` ends at the comma and is `{value.event.value}`", value.event, hint)

    def _alias(self, event: Any) -> Node:
        if event.anchor not in self._anchors:
            # The parser reports an unknown anchor only when it composes; a map that holds itself is one as well.
            self._stop("DCP106", f"`*{event.anchor}` names an anchor that is not complete here", event, "write the value out")
        node, weight, characters = self._anchors[event.anchor]
        self._weigh(weight, event)
        # Without aliases the texts are no longer than the file.
        self._characters += characters
        if self._characters > self.settings.max_file_bytes:
            text = f"the texts of the file have more than {self.settings.max_file_bytes} characters, aliases written out"
            self._stop("DCP106", text, event, "name a long text in fewer places")
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
        if type(event) is end:
            return
        yield event


def _sentence(error: yaml.MarkedYAMLError) -> str:
    return ", ".join(part for part in (error.context, error.problem) if part) or "this is not YAML"


def _place(error: yaml.MarkedYAMLError, file: str) -> Position:
    mark = error.problem_mark or error.context_mark
    return Position(file, mark.line + 1, mark.column + 1) if mark else Position(file, 1, 1)


def _yaml_hint(error: yaml.MarkedYAMLError, text: str) -> str:
    problem, mark = error.problem or "", error.problem_mark or error.context_mark
    lines = text.split("\n")
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
