"""Which faults the mutation tester makes, and that it tells a killed mutant from a survivor."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from dev.mutants import mutants

ROOT = Path(__file__).resolve().parents[3]


def changes(source: str) -> list[str]:
    return [mutant.change for mutant in mutants(ast.parse(source))]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a < b", ["a < b  ->  a <= b"]),
        ("x = a is None or b", ["a is None or b  ->  a is None and b", "a is None  ->  a is not None"]),
        ("x = not a", ["not a  ->  a"]),
        ("x = a + 1", ["a + 1  ->  a - 1", "1  ->  2"]),
        ("a = True", ["True  ->  False"]),
        ("a = 'word'", ["'word'  ->  'mutated'"]),
        ("a += b", ["a += b  ->  a -= b", "a += b  ->  removed"]),
        ("if a:\n    b", ["if a: b  ->  condition negated", "b  ->  removed"]),
        ("x = [a for a in b if c]", ["for a in b if c  ->  filter removed"]),
        ("def f():\n    return a", ["return a  ->  return None"]),
    ],
)
def test_each_kind_of_fault(source: str, expected: list[str]) -> None:
    assert changes(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring."""',
        "import os",
        "LOG.info('text %s', 1)",
        "x: int",
        "raise_(f'table {name} is not there')",
        "x = 'a sentence for people, which says what is wrong'",
        "if TYPE_CHECKING:\n    x = 1",
        "@dataclass(frozen=True)\nclass A: ...",
    ],
)
def test_what_no_test_could_see_is_left_alone(source: str) -> None:
    assert not [change for change in changes(source) if not change.endswith("removed")]


def test_a_mutant_is_applied_and_taken_back() -> None:
    tree = ast.parse("x = [1, 2]")
    first, second = mutants(tree)
    with first.applied():
        assert ast.unparse(tree) == "x = [2, 2]"
    with second.applied():
        assert ast.unparse(tree) == "x = [1, 3]"
    assert ast.unparse(tree) == "x = [1, 2]"


def run(line: str, tests: Path) -> subprocess.CompletedProcess[str]:
    """Try the mutants of one line of a real module."""
    module = "airflow_dcp_provider/tables/schema.py"
    lines = (ROOT / "src" / module).read_text().splitlines()
    number = next(number for number, text in enumerate(lines, start=1) if line in text)
    command = [sys.executable, "-m", "dev.mutants", module, "--lines", str(number), "--tests", str(tests)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def test_survivors_are_named_with_their_place(tmp_path: Path) -> None:
    tests = tmp_path / "test_it.py"
    tests.write_text("import airflow_dcp_provider.tables.schema\n\n\ndef test_it() -> None:\n    pass\n")
    done = run("if char == ", tests)
    assert done.returncode == 1, done.stderr
    assert "survived  src/airflow_dcp_provider/tables/schema.py:" in done.stdout
    assert ": 0 of " in done.stdout


def test_mutants_are_killed_by_the_modules_own_tests() -> None:
    done = run("if char == ", ROOT / "tests/unit/tables/test_schema.py")
    assert done.returncode == 0, done.stderr
    assert "survived" not in done.stdout
    assert "(100.0 of 100" in done.stdout


def test_tests_that_fail_by_themselves_are_no_measure(tmp_path: Path) -> None:
    tests = tmp_path / "test_it.py"
    tests.write_text("def test_it() -> None:\n    raise ValueError\n")
    done = run("if char == ", tests)
    assert done.returncode == 1
    assert "the tests fail without any fault" in done.stderr
