"""Where the parts of a template stand in its text; Jinja's tree itself knows only their lines."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from jinja2 import nodes

from airflow_dcp_provider.model.template_tree import ParsedTemplate, environment, parse_template, walk


@dataclass(frozen=True)
class Located:
    """A syntax tree with the place of each text and each ``{{ }}``.

    :param places: start and end by the node's id, in the text as the lexer has it: with plain line ends.
    :param original: for each character of that text where it stands in the one that was written; empty when they are the same.
    """

    parsed: ParsedTemplate
    places: Mapping[int, tuple[int, int]]
    original: Sequence[int] = ()

    def pieces(self, node: nodes.Node) -> Iterator[tuple[int, int, int]]:
        """Yield the length of each piece of a node's text, and its start and end in the text that was written."""
        start, end = self.places[id(node)]
        if not self.original:
            yield end - start, start, end
            return
        while start < end:
            # A piece goes as far as characters follow each other, which is to the end of a line.
            after = start + 1
            while after < end and self.original[after] == self.original[after - 1] + 1:
                after += 1
            yield after - start, self.original[start], self.original[after - 1] + 1
            start = after


@functools.lru_cache(maxsize=4096)
def located_template(text: str) -> Located:
    """Return the syntax tree of ``text`` with its places."""
    parsed = parse_template(text)
    if parsed.tree is None:
        return Located(parsed, {})
    tokens = _tokens(text)
    places: dict[int, tuple[int, int]] = {}
    texts = ((start, end) for kind, start, end in tokens if kind == "data")
    written = ((start, end) for kind, start, end in tokens if kind != "data")
    for node, parent, _ in walk(parsed.tree):
        if isinstance(parent, nodes.Output):
            places[id(node)] = next(texts if isinstance(node, nodes.TemplateData) else written)
    return Located(parsed, places, _offsets(text))


def _tokens(text: str) -> list[tuple[str, int, int]]:
    """Return kind and place of each plain text and each ``{{ }}``, in order."""
    # The lexer makes every line end "\n"; places are those of the text as it stands.
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    tokens, at, begin = [], 0, 0
    for _, kind, value in environment().lex(plain):
        # White space that `{%-` strips is in no token, so each is looked for from the last one's end.
        place = plain.find(value, at)
        at = place + len(value)
        if kind == "variable_begin":
            begin = place
        if kind in {"data", "variable_end"}:
            start = place if kind == "data" else begin
            end = start + len(plain[start:at].rstrip()) if kind == "variable_end" else at
            tokens.append((kind, start, end))
    return tokens


def _offsets(text: str) -> list[int]:
    """Return for each character of ``text`` with plain line ends where it stands in ``text``; nothing when that has only those."""
    if "\r" not in text:
        return []
    offsets = [place for place, character in enumerate(text) if character != "\n" or text[place - 1 : place] != "\r"]
    return [*offsets, len(text)]
