from __future__ import annotations

from pathlib import Path

import pytest
from airflow._shared.module_loading.file_discovery import find_path_from_directory

from dag_factory.compiled import CompileSettings, compile_folder
from dag_factory.manifest import discover
from tests.unit.manifest.conftest import ENVIRONMENTS, SPARK_JOB


def make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("a: 1\n")


def found(root: Path, **options: str) -> list[str]:
    return [path.relative_to(root).as_posix() for path in discover(root, **options)]


def test_yaml_files_sorted_without_defaults_and_hidden_ones(tmp_path: Path) -> None:
    make(tmp_path, "b.yaml", "a/c.yml", "a/defaults.yaml", "defaults.yaml", "x.sql", ".hidden.yaml", ".git/x.yaml", "README.md")
    assert found(tmp_path) == ["a/c.yml", "b.yaml"]


def test_a_folder_that_does_not_exist_holds_nothing(tmp_path: Path) -> None:
    assert found(tmp_path / "none") == []


RULES = {
    "plain": "skip.yaml\n",
    "folder": "a/\n",
    "rooted": "/a/x.yaml\n",
    "anywhere": "x.yaml\n",
    "stars": "**/b/*.yaml\n",
    "negated": "*.yaml\n!keep.yaml\n",
    "comment": "# nothing\nskip.yaml # because\n",
    "lone_slash": "/\nskip.yaml\n",
}


@pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")  # Airflow's own
@pytest.mark.parametrize("rules", RULES.values(), ids=RULES.keys())
def test_ignores_what_airflow_ignores(tmp_path: Path, rules: str) -> None:
    make(tmp_path, "skip.yaml", "keep.yaml", "a/x.yaml", "a/keep.yaml", "a/b/x.yaml", "b/x.yaml", "x.yaml")
    (tmp_path / ".airflowignore").write_text(rules)
    expected = sorted(
        Path(path).relative_to(tmp_path).as_posix() for path in find_path_from_directory(tmp_path, ".airflowignore", "glob")
    )
    assert found(tmp_path) == expected
    assert expected != sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.yaml"))


def test_a_deeper_file_overrides_a_higher_one(tmp_path: Path) -> None:
    make(tmp_path, "x.yaml", "a/x.yaml", "a/y.yaml")
    (tmp_path / ".airflowignore").write_text("*.yaml\n")
    (tmp_path / "a" / ".airflowignore").write_text("!y.yaml\n")
    assert found(tmp_path) == ["a/y.yaml"]


def test_regular_expressions_as_airflow_reads_them(tmp_path: Path) -> None:
    make(tmp_path, "skip_me.yaml", "a/skip.yaml", "keep.yaml")
    (tmp_path / ".airflowignore").write_text("skip.*\\.yaml\n[broken\n")
    assert found(tmp_path, ignore_syntax="regexp") == ["keep.yaml"]


def test_loops_of_links_end(tmp_path: Path) -> None:
    make(tmp_path, "a/x.yaml")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a" / "self")
    (tmp_path / "a" / "again").symlink_to(tmp_path / "a")
    assert found(tmp_path) == ["a/x.yaml"]


def test_a_link_to_a_file_of_the_folder_is_the_same_manifest(tmp_path: Path) -> None:
    make(tmp_path, "b/real.yaml")
    (tmp_path / "a.yaml").symlink_to(tmp_path / "b" / "real.yaml")
    assert found(tmp_path) == ["b/real.yaml"]


def test_files_as_a_config_map_mounts_them(tmp_path: Path) -> None:
    make(tmp_path, "..2024_01_01/job.yaml")
    (tmp_path / "..data").symlink_to(tmp_path / "..2024_01_01")
    (tmp_path / "job.yaml").symlink_to(tmp_path / "..data" / "job.yaml")
    assert found(tmp_path) == ["job.yaml"]


def test_manifests_behind_a_link_out_of_the_folder_are_errors_and_foreign_files_are_not(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "dags"
    make(outside, "foreign.yaml")
    (outside / "job.yaml").write_text(SPARK_JOB)
    root.mkdir()
    (root / "linked").symlink_to(outside)
    assert found(root) == ["linked/foreign.yaml", "linked/job.yaml"]
    folder = compile_folder(root, ENVIRONMENTS, CompileSettings())
    assert {path: error.code for path, error in folder.errors.items()} == {"linked/job.yaml": "DCP108"}
    assert folder.manifests == ()


def test_a_dangling_link_is_no_manifest(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").symlink_to(tmp_path / "nowhere.yaml")
    assert found(tmp_path) == []
