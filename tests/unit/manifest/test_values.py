from __future__ import annotations

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from dag_factory.manifest.node import Node
from dag_factory.manifest.problems import Problems, did_you_mean
from dag_factory.manifest.types import iceberg_type
from dag_factory.manifest.values import check_dates, check_job_name, check_schedule


def codes_of_schedule(text: str) -> list[str]:
    problems = Problems()
    check_schedule(Node(text, "f.yaml", 1, 1), problems)
    return [problem.code for problem in problems.sorted()]


@pytest.mark.parametrize(
    "text", ["0 6 * * *", "*/15 * * * *", "0 0 1 1 *", "0 0 * * MON-FRI", "@daily", "@continuous", "@once", "0 0 29 2 *"]
)
def test_schedules(text: str) -> None:
    assert codes_of_schedule(text) == []


@pytest.mark.parametrize(
    "text", ["", "daily", "@every 5m", "60 * * * *", "* * * *", "* * * * * *", "0 0 30 2 *", "0 0 * * BLA", "a b c d e"]
)
def test_what_is_no_schedule(text: str) -> None:
    assert codes_of_schedule(text) == ["DCP132"]


@settings(deadline=None)
@given(st.text("0123456789*/-, LMONUE#?", max_size=20))
def test_any_text_is_judged_and_what_passes_fires(text: str) -> None:
    if codes_of_schedule(text) == []:
        assert croniter(text).get_next()


def test_dates() -> None:
    def codes(start: str | None, end: str | None) -> list[str]:
        problems = Problems()
        nodes = [None if text is None else Node(text, "f.yaml", 1, 1) for text in (start, end)]
        check_dates(*nodes, problems)
        return [problem.code for problem in problems.sorted()]

    assert codes("2024-01-01", "2024-01-01") == []
    assert codes("2024-01-01T00:00:00+02:00", "2023-12-31T23:00:00Z") == []
    assert codes("2024-01-01", "2023-12-31T23:59:59") == ["DCP134"]
    assert codes("yesterday", None) == ["DCP133"]
    assert codes(None, "2024-02-30") == ["DCP133"]


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("a", True),
        ("a-1", True),
        ("x" * 63, True),
        ("x" * 64, False),
        ("A", False),
        ("1a", False),
        ("a_b", False),
        ("a-", False),
        ("é", False),
        ("", False),
    ],
)
def test_job_names(name: str, good: bool) -> None:
    problems = Problems()
    check_job_name(Node(name, "f.yaml", 1, 1), problems)
    assert (problems.sorted() == ()) is good


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("STRING", "string"),
        ("integer", "int"),
        ("bigint", "long"),
        ("decimal", "decimal(38,18)"),
        ("Decimal( 10 , 2 )", "decimal(10,2)"),
        ("decimal(5)", "decimal(5,0)"),
    ],
)
def test_types(text: str, expected: str) -> None:
    assert iceberg_type(text) == expected


@pytest.mark.parametrize("text", ["", "varchar", "decimal(39,1)", "decimal(0)", "decimal(2,3)", "array<int"])
def test_what_is_no_type(text: str) -> None:
    with pytest.raises(ValueError, match="`"):
        iceberg_type(text)


def test_hints_do_not_mind_another_way_of_writing() -> None:
    assert did_you_mean("max_retries", ["maxRetries", "retryInterval"]) == "did you mean `maxRetries`?"
    assert did_you_mean("executer", ["driver", "executor"]) == "did you mean `executor`?"
    assert did_you_mean("xyz", ["driver", "executor"]) == ""


@pytest.mark.parametrize(
    "text",
    ["R 0 * * *", "0 R(1-5) * * *", "H H * * *", "0 0 * * X", "\u0663 * * * *", "0 0 \u00e9 * *", "0 0 LW * *", "1_0 * * * *"],
)
def test_a_schedule_that_is_another_one_each_time_or_cannot_be_read(text: str) -> None:
    problems = Problems()
    check_schedule(Node(text, "f.yaml", 1, 1), problems)
    assert [problem.code for problem in problems.errors] == ["DCP132"]


@pytest.mark.parametrize(
    "text", ["0 6 * * MON-FRI", "0 6 1 jan *", "*/10 0-6/2 1,15 * *", "0 0 L * *", "0 0 * * L5", "0 0 * * 5#3", "0 0 ? * *"]
)
def test_schedules_that_cron_knows(text: str) -> None:
    problems = Problems()
    check_schedule(Node(text, "f.yaml", 1, 1), problems)
    assert not problems.sorted()
