"""The driver ships as one small zip that needs nothing of the project, and runs on old Pythons."""

import ast
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from airflow_dcp_provider.core_etl.bundle import build_zip, main_script

SOURCES = sorted(main_script().parent.glob("*.py"))


def test_equal_sources_give_equal_bytes(tmp_path: Path) -> None:
    first, second = build_zip(tmp_path / "a" / "one.zip"), build_zip(tmp_path / "two.zip")
    assert first.read_bytes() == second.read_bytes()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["one.zip"]
    with zipfile.ZipFile(first) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
    assert {"core_etl/__init__.py", "core_etl/__main__.py", "core_etl/driver.py"} <= set(names)
    assert all(name.startswith("core_etl/") for name in names)
    assert first.stat().st_size < 100_000


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_every_module_is_old_python_and_imports_only_itself_the_standard_library_and_pyspark(source: Path) -> None:
    tree = ast.parse(source.read_text(), feature_version=(3, 8))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            roots = [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level <= 1
            roots = [] if node.level else [str(node.module).split(".")[0]]
        else:
            continue
        for root in roots:
            assert root == "pyspark" or root in sys.stdlib_module_names, f"{source.name} imports {root}"


def test_no_module_hides_one_of_the_standard_library() -> None:
    # spark-submit puts main.py's folder first on the path.
    assert not {source.stem for source in SOURCES} & set(sys.stdlib_module_names)


def test_a_spec_that_cannot_be_used_is_told_without_spark(tmp_path: Path) -> None:
    build_zip(tmp_path / "core_etl.zip")
    done = subprocess.run(
        [sys.executable, "-S", "-m", "core_etl", "--job-spec", str(tmp_path / "none.json")],
        env={"PYTHONPATH": str(tmp_path / "core_etl.zip")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 20, done.stderr
    result = json.loads(done.stdout.splitlines()[-1].removeprefix("DCP_RESULT "))
    assert (result["status"], result["error"]["code"], result["sinks"]) == ("failed", "DCP320", [])
    assert "none.json" in result["error"]["message"]


@pytest.mark.parametrize("arguments", [[], ["--job-spec", "a", "--job-spec-json", "{}"]])
def test_the_command_line_wants_one_spec(arguments: list[str], tmp_path: Path) -> None:
    build_zip(tmp_path / "core_etl.zip")
    done = subprocess.run(
        [sys.executable, "-S", "-m", "core_etl", *arguments],
        env={"PYTHONPATH": str(tmp_path / "core_etl.zip")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "--job-spec" in done.stderr
