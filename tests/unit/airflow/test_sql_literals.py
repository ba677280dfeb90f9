"""The filter ``sql``: a literal means the value, whatever the value holds, and nothing of the value leaves it."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

from airflow_dcp_provider.model.sql_literals import sql_literal
from airflow_dcp_provider.model.template_values import TemplateFault

AT_ONE = dt.timezone(dt.timedelta(hours=1))


def unescaped(literal: str) -> str:
    """Read a text's literal as Spark's ParserUtils does with default settings."""
    body = re.fullmatch(r"'((?:[^'\\]|\\.)*)'", literal, re.DOTALL)
    assert body is not None
    named = {"n": "\n", "r": "\r", "t": "\t", "0": "\0", "b": "\b", "Z": "\x1a"}

    def one(match: re.Match[str]) -> str:
        if match.group(1):
            return chr(int(match.group(1), 16))
        return named.get(match.group(2), match.group(2) if match.group(2) not in "%_" else match.group())

    return re.sub(r"\\(?:u([0-9a-fA-F]{4})|(.))", one, body.group(1), flags=re.DOTALL)


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        ("NL", "'NL'"),
        ("it's", r"'it\'s'"),
        ("a\\'b", r"'a\\\'b'"),
        ("a\nb\tc\r", r"'a\nb\tc\r'"),
        ("50%_\\%", r"'50%_\\%'"),
        ("${env:PATH} $ {", "'\\u0024{env:PATH} $ {'"),
        ("' OR 1 = 1 --", r"'\' OR 1 = 1 --'"),
        ("\0\x1b\x7f", "'\\u0000\\u001b\\u007f'"),
        ("naïve 😀", "'naïve 😀'"),
        ("", "''"),
        (None, "NULL"),
        (True, "TRUE"),
        (False, "FALSE"),
        (7, "7"),
        (-7, "(-7)"),
        (10**38 - 1, "9" * 38),
        (0.1, "0.1D"),
        (-1e300, "(-1e+300D)"),
        (dt.date(2024, 2, 29), "DATE '2024-02-29'"),
        (dt.date(1, 1, 1), "DATE '0001-01-01'"),
        (dt.datetime(2024, 2, 29, 1, 2, 3, tzinfo=dt.UTC), "TIMESTAMP '2024-02-29 01:02:03+00:00'"),
        (dt.datetime(2024, 2, 29, 0, 30, 0, 5, tzinfo=AT_ONE), "TIMESTAMP '2024-02-28 23:30:00.000005+00:00'"),
        (dt.datetime(2024, 2, 29, tzinfo=dt.UTC).replace(tzinfo=None), "TIMESTAMP '2024-02-29 00:00:00+00:00'"),
        (dt.timedelta(days=1, seconds=7384, microseconds=5), "INTERVAL '1 02:03:04.000005' DAY TO SECOND"),
        (dt.timedelta(seconds=-90), "INTERVAL '-0 00:01:30.000000' DAY TO SECOND"),
        (["NL", 'B"E', 3], "('NL', 'B\"E', 3)"),
        ((1,), "(1)"),
    ],
)
def test_literals_are_written_by_type(value: Any, literal: str) -> None:
    assert sql_literal(value) == literal


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        float("-inf"),
        {},
        {"a": 1},
        [],
        [[1]],
        [{}],
        10**38,
        -(10**38),
        "\ud800",
        object(),
        "x" * 2_000_000,
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_has_no_literal_is_refused(value: Any) -> None:
    with pytest.raises(TemplateFault):
        sql_literal(value)


@given(st.text())
def test_a_text_is_read_back_and_stays_inside(value: str) -> None:
    literal = sql_literal(value)
    assert unescaped(literal) == value
    assert "${" not in literal
    assert "\n" not in literal
    tree = sqlglot.parse_one(f"SELECT {literal} AS a, 'x' AS b FROM t WHERE c = {literal} AND d = 1", dialect="spark")
    assert [column.alias for column in tree.expressions] == ["a", "b"]
    assert tree.expressions[1].this.this == "x"
    assert isinstance(tree.args["where"].this, exp.And)


@given(st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False)))
def test_a_number_is_read_back(value: float) -> None:
    (number,) = re.findall(r"[-\d.e+]+", sql_literal(value))
    assert (int if isinstance(value, int) else float)(number) == value
    tree = sqlglot.parse_one(f"SELECT 1 -{sql_literal(value)} AS a, 2 AS b", dialect="spark")
    assert [column.alias for column in tree.expressions] == ["a", "b"]


@given(st.lists(st.one_of(st.none(), st.booleans(), st.text(max_size=9), st.dates()), min_size=1, max_size=9))
def test_a_list_has_as_many_items_in_sql(value: list[Any]) -> None:
    tree = sqlglot.parse_one(f"SELECT 1 FROM t WHERE a IN {sql_literal(value)}", dialect="spark")
    within = tree.find(exp.In)
    assert within is not None
    assert len(within.expressions) == len(value)
