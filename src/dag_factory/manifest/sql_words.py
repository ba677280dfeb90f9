"""Looking at the words of an SQL text before it is parsed: whether it is small enough to be, and what no manifest's SQL may say."""

from __future__ import annotations

import itertools
from typing import Any

from sqlglot.dialects.spark import Spark
from sqlglot.tokens import TokenType

from dag_factory.manifest.sql_problems import SqlProblem

#: The longest SQL text that is read, the most words and signs in it, and how deep its brackets may nest.
MAX_SQL = 200_000
MAX_WORDS = 25_000
MAX_NESTING = 100

#: Functions that call into the driver's Java, whatever their arguments.
_CODE = frozenset({"reflect", "java_method", "try_reflect"})
_OPENING = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE})
_CLOSING = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE})
#: Holds no state of what it reads.
_SPARK = Spark()
_TEXTS = frozenset({TokenType.STRING, TokenType.RAW_STRING})


def too_large(text: str) -> SqlProblem | None:
    """Return what is wrong with an SQL text that is too long to be read."""
    if len(text) <= MAX_SQL:
        return None
    message = f"the SQL has {len(text)} characters, and lint reads {MAX_SQL}"
    return SqlProblem("DCP163", message, "split it into several transformations, or put long lists into a table")


class ParserTired(Exception):  # noqa: N818 - no fault of the text alone
    """The parser went back and forth too often."""


class _BoundedParser(Spark.Parser):  # type: ignore[misc]
    """Spark's parser with a bound on its work: it tries several readings of some words, and of those inside of them again."""

    left = 0

    def _advance(self, times: int = 1) -> None:
        self.left -= 1
        if self.left < 0:
            raise ParserTired
        super()._advance(times)


def tokens_of(text: str) -> list[Any]:
    """Return the words of an SQL text.

    :raises TokenError: when it ends inside of a quote or comment.
    """
    tokens: list[Any] = _SPARK.tokenize(text)
    return tokens


def parsed(text: str, tokens: list[Any]) -> list[Any]:
    """Return the statements of an SQL text.

    :param tokens: its words.
    :raises ParseError: when it is no SQL.
    :raises ParserTired: when the parser would take too long.
    """
    parser = _BoundedParser(dialect=_SPARK)
    parser.left = 10_000 + 40 * len(tokens)
    statements: list[Any] = parser.parse(tokens, text)
    return statements


def problem_in(text: str, tokens: list[Any]) -> SqlProblem | None:
    """Return the first thing that no SQL of a manifest may say, or that makes it too large.

    :param tokens: the words of ``text``.
    """
    if len(tokens) > MAX_WORDS:
        message = f"the SQL has {len(tokens)} words and signs, and lint reads {MAX_WORDS}"
        return SqlProblem("DCP163", message, "split it into several transformations, or put long lists into a table")
    if (variable := text.find("${")) >= 0:
        message = "Spark would put a variable's value in place of `${...}`"
        return SqlProblem("DCP162", message, "use a parameter: {{ params.parameters.<name> | sql }}", variable)
    depth = 0
    for token, following in itertools.zip_longest(tokens, tokens[1:]):
        kind = token.token_type
        if kind in _OPENING:
            depth += 1
            if depth > MAX_NESTING:
                return too_deep(token.start)
        elif kind in _CLOSING:
            depth -= 1
        if following is None:
            continue
        if following.token_type is TokenType.L_PAREN:
            if problem := _of_call(token):
                return problem
        elif kind is TokenType.USING and following.token_type in _TEXTS:
            message = "`USING` with a text runs a script on the cluster"
            return SqlProblem("DCP159", message, "write it in SQL's own functions", token.start)
    return None


def too_deep(offset: int | None = None) -> SqlProblem:
    """Return the problem of SQL whose brackets or cases nest too deep."""
    return SqlProblem("DCP144", "the SQL nests too deep to be read", "split it into several transformations", offset)


def _of_call(token: Any) -> SqlProblem | None:
    """Return what is wrong with a word before a bracket."""
    word = token.text.lower()
    if word in _CODE:
        return SqlProblem(
            "DCP159", f"the function `{word}` runs code on the driver", "write it in SQL's own functions", token.start
        )
    if word == "identifier":
        message = "`IDENTIFIER(...)` names a table, column or function by a text"
        return SqlProblem("DCP159", message, "write the name itself", token.start)
    if token.token_type is TokenType.TABLE:
        return SqlProblem("DCP159", "`TABLE(...)` hands a table to a function", "read the table with SELECT", token.start)
    return None
