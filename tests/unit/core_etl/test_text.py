"""Nothing in somebody else's text acts where it is shown, and a line of it stays one line."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_dcp_provider.core_etl.text import LINE_LIMIT, escaped, lines_of, log_line, log_lines, shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "SELECT a::int::string, b::decimal(38,18) FROM t WHERE c = 'é 漢字 😀'",
            "SELECT a::int::string, b::decimal(38,18) FROM t WHERE c = 'é 漢字 😀'",
        ),
        ("a\tb", "a\tb"),
        ("東京\u3000大阪\xa0x", "東京\u3000大阪\xa0x"),
        ("a\r\nb", r"a\r\nb"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x9b31m", r"\x9b31m"),
        ("a\u2028b\u2029c\x85d", r"a\u2028b\u2029c\x85d"),
        ("user\u202etxt.exe\u2066", r"user\u202etxt.exe\u2066"),
        ("a\0b", r"a\x00b"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
        ("::group::secrets", r"\x3a:group::secrets"),
        ("x ::endgroup:: y", r"x \x3a:endgroup:: y"),
        ("::GROUP::x", r"\x3a:GROUP::x"),
        ("::error file=a.py,line=1::no", r"\x3a:error file=a.py,line=1::no"),
        ("::add-mask::a", r"\x3a:add-mask::a"),
        ("::::group::a", r"::\x3a:group::a"),
    ],
)
def test_what_acts_is_written_as_an_escape(text: str, expected: str) -> None:
    assert escaped(text) == expected


@given(st.text(alphabet=st.characters(), max_size=200))
def test_any_text_becomes_one_printable_line(text: str) -> None:
    line = escaped(text)
    assert all(char.isprintable() or char == "\t" or unicodedata.category(char) == "Zs" for char in line)
    assert len(line.splitlines()) <= 1
    line.encode("utf-8")
    assert "::group::" not in line
    # Once is enough: what was escaped stays as it is.
    assert escaped(line) == line


@given(st.text(alphabet=st.characters(), max_size=200))
def test_lines_stay_lines_and_no_more_come(text: str) -> None:
    assert shown(text).count("\n") == text.count("\n")
    assert list(lines_of(text)) == list(lines_of(shown(text)))[: len(list(lines_of(text)))] or "\r" in text


def test_a_line_is_bounded_and_says_what_is_left_out() -> None:
    assert log_line("x" * LINE_LIMIT) == "x" * LINE_LIMIT
    assert log_line("x" * (LINE_LIMIT + 7)) == "x" * LINE_LIMIT + "... (7 more characters)"
    assert [len(line) for line in lines_of("y" * 20_000_000)] == [LINE_LIMIT + len("... (19990000 more characters)")]


def test_the_lines_of_a_log() -> None:
    assert list(lines_of("a\r\nb\u2028c\n\nd")) == ["a", r"b\u2028c", "", "d"]
    assert list(lines_of("a\n")) == ["a"]
    assert list(lines_of("")) == [""]


def test_the_later_lines_of_an_error_cannot_be_taken_for_others() -> None:
    assert log_lines("no\n2026-11-29T10:00:00Z INFO core_etl: sink out: no change") == (
        "no\n    2026-11-29T10:00:00Z INFO core_etl: sink out: no change"
    )
