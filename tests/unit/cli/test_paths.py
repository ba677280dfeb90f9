"""Paths as people type them: with ``..``, from below, beside and above the current folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dag_factory.cli import main
from dag_factory.manifest.files import absolute
from tests.hostile.ways import SQL, manifest, top


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("dags/team", "dags/other/below", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "dags" / "team" / "orders.yaml").write_text(top(manifest("DerivedDataset")))
    (tmp_path / "dags" / "team" / "good.sql").write_text(SQL)
    (tmp_path / "dags" / "defaults.yaml").write_text("DerivedDataset:\n  metadata: {tier: 1}\n")
    monkeypatch.chdir(tmp_path / "dags" / "other" / "below")
    return tmp_path


@pytest.mark.parametrize(
    "path",
    [
        "../../team/orders.yaml",
        "../../team",
        "../..",
        "./../../team/./orders.yaml",
        "../below/../../team/orders.yaml",
    ],
)
@pytest.mark.parametrize("here", ["dags/other/below", "elsewhere", "dags"])
def test_lint_takes_paths_with_dots(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], path: str, here: str
) -> None:
    target = absolute(folder / "dags/other/below" / path)
    monkeypatch.chdir(folder / here)
    written = f"../{Path.cwd().name}/{os.path.relpath(target)}"
    assert main(["lint", written]) == 0
    assert "1 manifest, 0 errors" in capsys.readouterr().out


@pytest.mark.parametrize("path", ["../../team/orders.yaml", "../below/../../team/orders.yaml"])
def test_render_takes_paths_with_dots(folder: Path, capsys: pytest.CaptureFixture[str], path: str) -> None:
    assert main(["render", path, "--date", "2013-01-05", "--part", "manifest", "--origins"]) == 0
    assert "orders.yaml:" in capsys.readouterr().out


def test_a_path_with_dots_that_leads_nowhere_is_said_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", "../../../team/orders.yaml"]) == 2
    assert "there is no file or folder ../../../team/orders.yaml" in capsys.readouterr().err
