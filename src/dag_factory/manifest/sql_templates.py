"""SQL that holds Jinja templates, made readable for an SQL parser without moving a character.

Every template is replaced by a neutral word of the same length, so that a place in the result is the same place in the text as it
stands. Of ``{% if %}`` the first branch counts. What loops cannot be read so; it is rendered with sample values
instead, and places inside it are lost.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jinja2

from airflow_dcp_provider.model.templates import date_names, macros, template_environment

_SAMPLE_DAY = dt.datetime(2013, 1, 5, tzinfo=dt.UTC)
_WORD = re.compile(r"[a-z]+")
_OPENINGS = ("{{", "{%", "{#")
#: Blocks that leave the SQL around them as it is.
_PLAIN_BLOCKS = frozenset({"if", "elif", "else", "endif", "set"})
#: Blocks whose text is not written where it stands.
_KEPT_BLOCKS = frozenset({"endset", "macro", "call", "filter"})
#: A day or month, and a time behind a day, as SQL would take it for a subtraction.
_DATE = re.compile(r"\s*\d{4}-\d\d(-\d\d([T ][\d:.+Z-]*)?)?\s*")
#: What Spark SQL does not read as words and numbers; what is not closed goes to the end.
_QUOTED = re.compile(
    r"""(?<!\w)[rR](?:'[^']*(?:'|\Z)|"[^"]*(?:"|\Z)) | '(?:\\.|[^'\\])*(?:'|\Z) | "(?:\\.|[^"\\])*(?:"|\Z) | `[^`]*(?:`|\Z)
    | --[^\n]* | /\*.*?(?:\*/|\Z)""",
    re.DOTALL | re.VERBOSE,
)


@dataclass(frozen=True)
class NeutralSql:
    """SQL without templates.

    :param text: the SQL, for a parser.
    :param spans: ``(start, end)`` of each template in it; what overlaps one is not known before the run.
    :param exact: whether places in ``text`` are places in the original.
    """

    text: str
    spans: tuple[tuple[int, int], ...] = ()
    exact: bool = True


@dataclass(frozen=True)
class _Piece:
    kind: str
    start: int
    end: int
    word: str = ""


def neutral_sql(text: str, parameters: Mapping[str, Any]) -> NeutralSql | None:
    """Return ``text`` without its templates, or None when they have a mistake (which the templates' own check reports).

    :param parameters: defaults of the manifest's parameters, for templates that must be rendered.
    """
    if not any(opening in text for opening in _OPENINGS):
        return NeutralSql(text)
    pieces = _pieces(text)
    if pieces is None:
        return None
    if any(piece.kind == "block" and piece.word not in _PLAIN_BLOCKS for piece in pieces):
        return _rendered(text, parameters)
    characters = list(text)
    for piece in pieces:
        _overwrite(characters, piece.start, piece.end, word=piece.kind == "variable")
    for start, end in _other_branches(pieces):
        _overwrite(characters, start, end, word=False)
    return NeutralSql("".join(characters), tuple((piece.start, piece.end) for piece in pieces if piece.kind == "variable"))


def unquoted_dates(text: str, parameters: Mapping[str, Any]) -> tuple[tuple[int, str], ...]:
    """Return place and text of each template that writes a date or time outside of quotes and comments.

    :param parameters: defaults of the manifest's parameters.
    """
    if "{{" not in text:
        return ()
    return _unquoted_dates_with(text, parameters) if "params" in text else _unquoted_dates(text)


@functools.lru_cache(maxsize=4096)
def _unquoted_dates(text: str) -> tuple[tuple[int, str], ...]:
    return _unquoted_dates_with(text, {})


def _unquoted_dates_with(text: str, parameters: Mapping[str, Any]) -> tuple[tuple[int, str], ...]:
    pieces = _pieces(text)
    if pieces is None or any(piece.word in _KEPT_BLOCKS for piece in pieces):
        return ()
    characters = list(text)
    for piece in pieces:
        _overwrite(characters, piece.start, piece.end, word=piece.kind == "variable")
    sql = "".join(characters)
    quoted = [match.span() for match in _QUOTED.finditer(sql)]
    found = []
    given = ""
    for piece in pieces:
        template = text[piece.start : piece.end]
        if piece.word == "set":
            given += template
        # A date that goes on with a word is part of a name.
        inside = any(start <= piece.start < end for start, end in quoted) or re.match(r"[\w.]", sql[piece.start - 1 : piece.start])
        if piece.kind == "variable" and not inside and _is_date(given + template, parameters):
            found.append((piece.start, template.strip()))
    return tuple(found)


@functools.lru_cache(maxsize=4096)
def _compiled(template: str) -> jinja2.Template:
    return _environment().from_string(template)


def _is_date(template: str, parameters: Mapping[str, Any]) -> bool:
    try:
        written = _compiled(template).render(sample_values(parameters))
    except Exception:  # noqa: BLE001 - a template may fail in any way on sample values; names that it lacks are reported elsewhere
        return False
    return bool(_DATE.fullmatch(written))


@functools.cache
def _environment() -> jinja2.Environment:
    return template_environment()


@functools.lru_cache(maxsize=4096)
def _pieces(text: str) -> tuple[_Piece, ...] | None:
    """Return the templates of ``text``, or None when they have a mistake."""
    try:
        _environment().parse(text)
        return tuple(_lexed(text))
    except jinja2.TemplateSyntaxError:
        return None


def _lexed(text: str) -> Iterator[_Piece]:
    """Yield the templates of ``text`` with their places."""
    kind, start, at, word = "", 0, 0, ""
    for _, part, value in _environment().lex(text):
        # The lexer leaves out white space that `{%-` strips, so each token is looked for from the last one's end.
        found = text.find(value, at)
        found = at if found < 0 else found
        at = found + len(value)
        if part.endswith("_begin"):
            kind, start, word = part.removesuffix("_begin"), found, "raw" if part == "raw_begin" else ""
            if kind == "raw":
                yield _Piece("comment", start, at)
        elif part == "raw_end":
            yield _Piece("comment", found, at)
        elif part.endswith("_end"):
            yield _Piece(kind, start, at, word)
        elif kind == "block" and not word and _WORD.fullmatch(value):
            word = value


def _other_branches(pieces: tuple[_Piece, ...]) -> Iterator[tuple[int, int]]:
    """Yield what stands between the first ``else`` or ``elif`` of each ``if`` and its ``endif``."""
    open_since: list[int | None] = []
    for piece in pieces:
        if piece.kind != "block":
            continue
        if piece.word == "if":
            open_since.append(None)
        elif piece.word == "endif":
            start = open_since.pop()
            if start is not None:
                yield start, piece.start
        elif piece.word in {"else", "elif"} and open_since[-1] is None:
            open_since[-1] = piece.end


def _overwrite(characters: list[str], start: int, end: int, *, word: bool) -> None:
    """Put spaces in place of a range, or a word as far as its first line goes; line ends stay."""
    for place in range(start, end):
        if characters[place] == "\n":
            word = False
        elif word:
            characters[place] = "j" if place == start else "_"
        else:
            characters[place] = " "


def _rendered(text: str, parameters: Mapping[str, Any]) -> NeutralSql | None:
    try:
        return NeutralSql(_environment().from_string(text).render(sample_values(parameters)), exact=False)
    except Exception:  # noqa: BLE001 - a template may fail in any way on sample values; at run time it has the real ones
        return None


def sample_values(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return values for every name that templates may use, of one sample day.

    :param parameters: defaults of the manifest's parameters.
    """
    return {
        **date_names(_SAMPLE_DAY, _SAMPLE_DAY, _SAMPLE_DAY + dt.timedelta(days=1)),
        "run_id": "sample",
        "dag_id": "sample",
        "environment": "local",
        "params": {"environment": "local", "parameters": dict(parameters)},
        "macros": macros(),
    }
