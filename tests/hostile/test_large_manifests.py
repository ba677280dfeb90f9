"""Large manifests are read in a time that grows with their size, and their problems are bounded in number and length."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from airflow_dcp_provider.model.errors import MOST_PROBLEMS, ManifestError, Position, Problem, bounded
from dag_factory.cli import main
from dag_factory.compiled import CompileSettings, compile_manifest
from dag_factory.manifest.problems import nearest
from tests.support.large_manifests import SHAPES

#: Seconds of CPU for what takes far less than one; a check that grows with the square of the size takes minutes.
MOST_SECONDS = 5.0


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("factor", [1, 2])
def test_a_large_manifest_is_checked_at_once(tmp_path: Path, shape: str, factor: int) -> None:
    make, size = SHAPES[shape]
    (tmp_path / "large.yaml").write_text(make(size * factor))
    began = time.process_time()
    try:
        compile_manifest(tmp_path / "large.yaml", tmp_path, ("local", "prod"), CompileSettings())
    except ManifestError as error:
        sizes = len(error.problems), len(str(error)), len(error.to_json())
    else:
        sizes = 0, 0, 0
    assert all(size <= most for size, most in zip(sizes, (MOST_PROBLEMS, 50_000, 200_000), strict=True))
    assert time.process_time() - began < MOST_SECONDS


def test_lint_prints_as_many_problems_as_can_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, size = SHAPES["unknown fields"]
    (tmp_path / "large.yaml").write_text(make(size))
    assert main(["lint", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert f"DCP126 and {size - MOST_PROBLEMS + 1} more problems" in printed
    assert len(printed) < 50_000
    assert max(map(len, printed.splitlines())) < 300


def test_of_too_many_problems_errors_are_kept_before_warnings() -> None:
    def problem(line: int, severity: str) -> Problem:
        return Problem("DCP110", str(line), Position("f", line, 1), severity=severity)

    problems = [problem(line, "warning" if line <= 150 else "error") for line in range(1, 201)]
    kept = bounded(problems)
    assert len(kept) == MOST_PROBLEMS
    assert sum(each.severity == "error" for each in kept) == 50
    assert kept[-1].code == "DCP126"
    assert kept[-1].severity == "warning"
    assert kept[-1].message == "and 101 more problems, 0 of them errors"
    assert bounded(problems[:MOST_PROBLEMS]) == tuple(problems[:MOST_PROBLEMS])


@pytest.mark.parametrize("column", [1, 50, 5_000, 9_990, 10_000])
def test_of_a_long_line_the_part_around_the_caret_is_shown(column: int) -> None:
    line = "".join(chr(ord("a") + number % 26) for number in range(10_000))
    problem = Problem.at_line("DCP110", "x", Position("f", 1, column), line=line)
    _, shown, caret = problem.render().split("\n")
    assert len(shown) < 170
    assert shown[caret.index("^")] == line[column - 1]
    assert shown.lstrip().startswith("…") == (column > 101)
    assert shown.endswith("…") == (column < 9_940)


def test_a_line_that_fits_is_shown_as_it_is() -> None:
    problem = Problem.at_line("DCP110", "x", Position("f", 1, 160), line="x" * 160)
    assert problem.render().split("\n")[1:] == [f"    {'x' * 160}", f"    {' ' * 159}^"]


def test_near_names_are_found_among_many_and_at_once() -> None:
    names = [f"column_{number}" for number in range(20_000)]
    began = time.process_time()
    assert nearest("colum_77", names) == "column_77"
    assert nearest("user_idd", [*names, "user_id"]) == "user_id"
    assert nearest("USERID", [*names, "user_id"]) == "user_id"
    assert nearest("x" * 10_000, names) == ""
    assert nearest("x" * 50, ["y" * 100_000] * 100) == ""
    assert time.process_time() - began < 1
