"""No text and no number of a manifest is one that a database, a log or a terminal cannot keep or show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.hostile.ways import BLOCK, FLOW, KINDS, Raw, codes_of, compiled, every_way, place, problems_of

CASES = Path(__file__).parent / "cases"

TEXTS = {
    kind: (
        (*BLOCK[kind], "sparkConf", "spark.sql.shuffle.partitions"),
        (*FLOW[kind], "airflow", "pool"),
        (*FLOW[kind], "airflow", "queue"),
        (*FLOW[kind], "parameters", "text"),
        (*BLOCK[kind], "engine", "image"),
        ("metadata", "description"),
        ("metadata", "owner" if kind == "SparkJob" else "business_owner"),
    )
    for kind in KINDS
}
ONE_LINE = {
    kind: tuple(path for path in paths if path[-1] in {"pool", "queue", "image", "owner", "business_owner"})
    for kind, paths in TEXTS.items()
}
#: Those whose values no other rule is about.
FREE = {kind: tuple(path for path in paths if "sparkConf" not in path and path[-1] != "image") for kind, paths in TEXTS.items()}
PARAMETERS = {kind: ((*FLOW[kind], "parameters", "number"),) for kind in KINDS}
DATES = {kind: tuple((*FLOW[kind], name) for name in ("startDate", "endDate")) for kind in KINDS}

REFUSED = [
    "\0",
    "a\0b",
    "\x01",
    "\x1b[31mred\x1b[0m",
    "\x7f",
    "\x85",
    "\x9b31m",
    "a\u2028b",
    "\u2029",
    "\u202eabc",
    "\u2066x",
    "\ufeff",
    "\U000e0041",
]
LONG = {"pool": 251, "queue": 251, "owner": 251, "business_owner": 251, "image": 501, "description": 1001, "text": 16_385}


@pytest.mark.parametrize("case", ["nul-owner", "long-owner", "big-integer", "date-out-of-range", "escape-in-description"])
def test_what_emptied_the_dag_processor_is_a_problem(case: str) -> None:
    expected = {
        "nul-owner": {"DCP123"},
        "long-owner": {"DCP125"},
        "big-integer": {"DCP124"},
        "date-out-of-range": {"DCP133"},
        "escape-in-description": {"DCP123"},
    }
    assert codes_of(CASES / f"{case}.yaml") == expected[case]


@pytest.mark.parametrize(("kind", "path", "way"), every_way(TEXTS))
def test_characters_that_act_are_refused(tmp_path: Path, kind: str, path: tuple[str, ...], way: str) -> None:
    for text in REFUSED:
        problems = problems_of(place(tmp_path, kind, path, text, way))
        assert {problem.code for problem in problems} == {"DCP123"}, repr(text)
        shown = "\n".join(problem.render() for problem in problems)
        assert all(char.isprintable() or char == "\n" for char in shown)
        assert problems[0].position is not None
        assert problems[0].position.file == ("defaults.yaml" if way == "defaults" else "job.yaml")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["\x1b", "\u202e", "\0"])
def test_names_of_fields_hold_none_either(tmp_path: Path, kind: str, text: str) -> None:
    assert codes_of(place(tmp_path, kind, (*BLOCK[kind], "sparkConf", f"spark.sql.{text}x"), "1", "manifest")) == {"DCP123"}


@pytest.mark.parametrize("character", ["\u202e", "\x85", "\x1b", "\u2028"])
def test_files_hold_none_outside_of_values(tmp_path: Path, character: str) -> None:
    file = place(tmp_path, "DerivedDataset", ("metadata", "description"), "x", "manifest")
    file.write_text(f"# a {character} comment\n{file.read_text()}")
    (problem,) = problems_of(file)
    assert (problem.code, str(problem.position)) == ("DCP123", "job.yaml:1:5")
    file = place(tmp_path, "DerivedDataset", ("metadata", "description"), "x", "manifest")
    (tmp_path / "good.sql").write_text(f"SELECT a\nFROM {character} raw.events")
    (problem,) = problems_of(file)
    assert (problem.code, str(problem.position)) == ("DCP123", "good.sql:2:6")


@pytest.mark.parametrize(("kind", "path", "way"), every_way(FREE))
def test_texts_of_people_are_taken(tmp_path: Path, kind: str, path: tuple[str, ...], way: str) -> None:
    for text in [
        "Zürich",
        "日本語",
        "👩\u200d🔬",
        "עברית\u200f",
        "a\u00a0b",
        "naïve \u2013 \u201cquoted\u201d",
        "10 % {braces} $x #1",
    ]:
        assert not codes_of(place(tmp_path, kind, path, text, way)), text


@pytest.mark.parametrize(("kind", "path", "way"), every_way(ONE_LINE))
@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\tb", "a\n"])
def test_a_field_that_is_one_line_takes_no_line_ends(tmp_path: Path, kind: str, path: tuple[str, ...], way: str, text: str) -> None:
    assert codes_of(place(tmp_path, kind, path, text, way)) == {"DCP123"}


@pytest.mark.parametrize(("kind", "path", "way"), every_way(TEXTS))
def test_texts_fit_where_they_are_kept(tmp_path: Path, kind: str, path: tuple[str, ...], way: str) -> None:
    limit = LONG.get(path[-1], 4_097)
    assert codes_of(place(tmp_path, kind, path, "x" * limit, way)) == {"DCP125"}
    assert "DCP125" not in codes_of(place(tmp_path, kind, path, "x" * (limit - 1), way))


@pytest.mark.parametrize(("kind", "path", "way"), every_way(PARAMETERS))
@pytest.mark.parametrize(
    "written",
    [
        "9223372036854775808",
        "-9223372036854775809",
        "1" * 39,
        "1" * 41,
        "-" + "1" * 5000,
        "1e999",
        "-1e999",
        ".inf",
        "-.INF",
        ".nan",
        "[1, 1e999]",
        "[[9223372036854775808]]",
        "[{a: .nan}]",
    ],
)
def test_numbers_that_nobody_keeps_are_refused(tmp_path: Path, kind: str, path: tuple[str, ...], way: str, written: str) -> None:
    assert codes_of(place(tmp_path, kind, path, Raw(written), way)) == {"DCP124"}


@pytest.mark.parametrize(("kind", "path", "way"), every_way(PARAMETERS))
@pytest.mark.parametrize("written", ["9223372036854775807", "-9223372036854775808", "1e308", "-0.5", '"1e999"', "'.inf'"])
def test_numbers_in_range_are_taken(tmp_path: Path, kind: str, path: tuple[str, ...], way: str, written: str) -> None:
    assert not codes_of(place(tmp_path, kind, path, Raw(written), way))


@pytest.mark.parametrize(("kind", "path", "way"), every_way(DATES))
@pytest.mark.parametrize(
    "text",
    [
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31",
        "0001-01-01",
        "1899-12-31",
        "3000-01-01",
        "10000-01-01",
        "2013-02-30",
        "2013-01-01T00:00:00+99:00",
    ],
)
def test_dates_out_of_range_are_problems(tmp_path: Path, kind: str, path: tuple[str, ...], way: str, text: str) -> None:
    assert "DCP133" in codes_of(place(tmp_path, kind, path, text, way))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("schedule", [",".join(["0"] * 65) + " * * * *", "* * * " + ",".join(["9-9"] * 40) + " *"])
def test_a_schedule_has_a_description_that_airflow_can_keep(tmp_path: Path, kind: str, schedule: str) -> None:
    assert codes_of(place(tmp_path, kind, (*FLOW[kind], "schedule"), schedule, "manifest")) == {"DCP125"}


@pytest.mark.parametrize("separator", ["\x01", "\x1f", "\t", "\r\n"])
def test_a_separator_of_a_file_may_be_a_control_character(tmp_path: Path, separator: str) -> None:
    source = {"name": "src", "type": "csv", "path": "/data", "options": {"sep": separator, "lineSep": separator}}
    file = place(tmp_path, "SparkJob", ("spec", "coreEtl", "jobSpec", "sources"), [source], "manifest")
    found = compiled(file)
    assert found is not None
    assert found.jobs["local"].job.core_etl.job.sources[0].options == {"sep": separator, "lineSep": separator}
    source["options"] = {"sep": "\0"}
    assert codes_of(place(tmp_path, "SparkJob", ("spec", "coreEtl", "jobSpec", "sources"), [source], "manifest")) == {"DCP123"}


def test_a_long_text_cannot_be_named_again_and_again(tmp_path: Path) -> None:
    file = place(tmp_path, "DerivedDataset", ("metadata", "description"), "x", "manifest")
    many: Any = ", ".join(["*text"] * 1000)
    file.write_text(f'x-text: &text "{"x" * 16_000}"\nx-list: [{many}]\n{file.read_text()}')
    assert codes_of(file) == {"DCP106"}


@pytest.mark.parametrize(("kind", "path", "way"), every_way(PARAMETERS))
@pytest.mark.parametrize(
    ("written", "number"),
    [("01234", "1234"), ("3.10", "3.1"), ("1e6", "1000000.0"), ("0x1F", ""), ("-0", "0"), ("[1, 007]", "7"), ("1_000", "")],
)
def test_a_parameter_that_is_another_number_than_it_looks_is_named(
    tmp_path: Path, kind: str, path: tuple[str, ...], way: str, written: str, number: str
) -> None:
    result = compiled(place(tmp_path, kind, path, Raw(written), way))
    assert result is not None
    named = [problem.message for problem in result.warnings if problem.code == "DCP164"]
    assert [f"is the number {number}," in message for message in named] == ([True] if number else [])


@pytest.mark.parametrize("written", ["1234", "-3", "0.5", "0", '"01234"', "01:30", "1e3x", "true", "{type: number, default: 0.10}"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_parameter_that_is_what_it_looks_is_not_named(tmp_path: Path, kind: str, written: str) -> None:
    result = compiled(place(tmp_path, kind, PARAMETERS[kind][0], Raw(written), "manifest"))
    assert result is not None
    assert [problem.code for problem in result.warnings] == []
