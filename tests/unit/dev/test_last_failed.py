"""What continuous integration does with a test that fails: once more by itself, and what then passes is named."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dev.last_failed import last_failed

_ROOT = Path(__file__).parents[3]
_CACHE = ".pytest_cache/v/cache/lastfailed"


def test_no_record_names_no_test(tmp_path: Path) -> None:
    assert last_failed(tmp_path / _CACHE) == []


def test_pytest_s_own_record_is_read(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text("def test_good(): pass\ndef test_bad(): assert False\n")
    # Its own root: pytest takes the nearest folder above with a configuration for it.
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    subprocess.run([sys.executable, "-m", "pytest", "-q"], cwd=tmp_path, env=clean, capture_output=True, check=False)
    assert last_failed(tmp_path / _CACHE) == ["test_one.py::test_bad"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the script of continuous integration, whose `make` is the test's own."""
    for name in (".ci", ".venv/bin", "bin", "dev"):
        (tmp_path / name).mkdir(parents=True)
    shutil.copy(_ROOT / ".ci/run", tmp_path / ".ci/run")
    shutil.copy(_ROOT / "dev/last_failed.py", tmp_path / "dev/last_failed.py")
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)
    return tmp_path


def _run(checkout: Path, failures: list[list[str]]) -> subprocess.CompletedProcess[str]:
    """Run the script; `make test` fails with each list of tests in turn, then passes."""
    (checkout / "failures.json").write_text(json.dumps(failures))
    make = checkout / "bin/make"
    make.write_text(
        f"""#!{sys.executable}
import json, pathlib, sys
cache = pathlib.Path({_CACHE!r})
plan = pathlib.Path("failures.json")
print("make", *sys.argv[1:])
left = json.loads(plan.read_text())
if sys.argv[1] == "test" and left:
    plan.write_text(json.dumps(left[1:]))
    if left[0]:
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.write_text(json.dumps(dict.fromkeys(left[0], True)))
    sys.exit(1)
"""
    )
    make.chmod(0o755)
    path = f"{checkout / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", ".ci/run"], cwd=checkout, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )


def test_what_passes_the_second_time_is_named_in_the_last_lines(checkout: Path) -> None:
    done = _run(checkout, [["tests/a.py::test_x[1]"]])
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["flaky (failed, then passed; each is a defect to repair):", "tests/a.py::test_x[1]"]
    assert "make test PYTEST_OPTIONS=--last-failed --last-failed-no-failures none" in done.stdout


@pytest.mark.parametrize(
    "failures",
    [
        pytest.param([["tests/a.py::test_x"], ["tests/a.py::test_x"]], id="twice"),
        pytest.param([[f"tests/a.py::test_{number}" for number in range(6)]], id="too many"),
        pytest.param([[]], id="pytest itself"),
    ],
)
def test_what_is_no_accident_fails_the_run(checkout: Path, failures: list[list[str]]) -> None:
    done = _run(checkout, failures)
    assert done.returncode != 0
    assert "make test-wheel" not in done.stdout


def test_a_good_run_names_no_test(checkout: Path) -> None:
    done = _run(checkout, [])
    assert done.returncode == 0, done.stderr
    assert "flaky" not in done.stdout
