from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from airflow_dcp_provider.model.errors import ManifestError
from dag_factory.compiled import CompileSettings, compile_manifest
from dag_factory.manifest.files import FolderFiles
from tests.unit.manifest.conftest import ENVIRONMENTS, SPARK_JOB


def error_of(path: Path, root: Path, settings: CompileSettings | None = None) -> ManifestError:
    with pytest.raises(ManifestError) as caught:
        compile_manifest(path, root, ENVIRONMENTS, settings or CompileSettings())
    return caught.value


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    assert error_of(tmp_path / "job.yaml", tmp_path).code == "DCP101"


def test_a_folder_under_a_manifests_name(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").mkdir()
    assert error_of(tmp_path / "job.yaml", tmp_path).code == "DCP101"


def test_a_named_pipe_does_not_hold_the_parser_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "job.yaml")
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append(error_of(tmp_path / "job.yaml", tmp_path).code), daemon=True)
    reader.start()
    reader.join(10)
    assert found == ["DCP101"]


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(SPARK_JOB + "#" * 5000)
    error = error_of(tmp_path / "job.yaml", tmp_path, CompileSettings(max_file_bytes=4000))
    assert error.code == "DCP102"
    assert "4000 bytes" in error.message


def test_a_large_foreign_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("rows:\n" + "  - 1\n" * 5000)
    assert compile_manifest(tmp_path / "data.yaml", tmp_path, ENVIRONMENTS, CompileSettings(max_file_bytes=4000)) is None


def test_an_sql_file_that_is_too_large_is_reported_with_the_rest(tmp_path: Path) -> None:
    job = SPARK_JOB.replace("query: SELECT user_id, COUNT(*) AS events FROM raw_events GROUP BY user_id", "file: totals.sql")
    (tmp_path / "job.yaml").write_text(job.replace("memory: 2g", "memory: 2x"))
    (tmp_path / "totals.sql").write_text("SELECT 1 AS user_id" + " " * 5000)
    error = error_of(tmp_path / "job.yaml", tmp_path, CompileSettings(max_file_bytes=4000))
    assert [problem.code for problem in error.problems] == ["DCP130", "DCP102"]


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_bytes(b"\xef\xbb\xbf" + SPARK_JOB.encode())
    assert compile_manifest(tmp_path / "job.yaml", tmp_path, ENVIRONMENTS, CompileSettings()) is not None


def test_names_are_relative_to_the_folder(tmp_path: Path) -> None:
    files = FolderFiles(tmp_path, CompileSettings())
    assert files.name_of(tmp_path / "a" / "b.yaml") == "a/b.yaml"
    assert files.name_of(tmp_path.parent / "c.yaml") == "../c.yaml"


def test_inside_follows_links(tmp_path: Path) -> None:
    root, outside = tmp_path / "dags", tmp_path / "dags-elsewhere"
    root.mkdir()
    outside.mkdir()
    (root / "link").symlink_to(outside)
    files = FolderFiles(root, CompileSettings())
    assert files.is_inside(root / "a.sql")
    assert not files.is_inside(root / "link" / "a.sql")
    assert not files.is_inside(outside / "a.sql")


def test_a_folder_that_is_a_link_itself_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "job.yaml").write_text(SPARK_JOB)
    (tmp_path / "dags").symlink_to(tmp_path / "real")
    compiled = compile_manifest(tmp_path / "dags" / "job.yaml", tmp_path / "dags", ENVIRONMENTS, CompileSettings())
    assert compiled is not None
    assert compiled.path == "job.yaml"
