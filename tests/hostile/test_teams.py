"""A manifest runs for a team that its folder is bound to; the author's own word does not choose another one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_dcp_provider.model.errors import DcpEnvironmentError, ManifestError
from airflow_dcp_provider.model.team_folders import allowed_teams, parse_team_folders
from dag_factory.cli import main
from dag_factory.compiled import CompileSettings, compile_manifest
from tests.contract.loader.conftest import DagsFolder, dags_folder
from tests.hostile.full_manifests import KINDS, write_with
from tests.support.manifests import spark_job

__all__ = ["dags_folder"]

FOLDERS = parse_team_folders('{"growth": ["growth", "growth-ml"], "growth/shared": ["shared"], "free": ["*"], "*": []}')


@pytest.mark.parametrize(
    ("path", "teams"),
    [
        ("growth/a.yaml", ("growth", "growth-ml")),
        ("growth/deep/er/a.yaml", ("growth", "growth-ml")),
        ("growth/shared/a.yaml", ("shared",)),
        ("growthy/a.yaml", ()),
        ("a.yaml", ()),
        ("free/a.yaml", None),
    ],
)
def test_the_nearest_folder_counts(path: str, teams: tuple[str, ...] | None) -> None:
    assert allowed_teams(FOLDERS, path) == teams


def test_where_nothing_is_bound_every_team_may_be_named() -> None:
    assert allowed_teams((), "a.yaml") is None
    assert allowed_teams(parse_team_folders('{"growth": ["growth"]}'), "other/a.yaml") is None


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "[]",
        "1",
        '{"a": "b"}',
        '{"a": [1]}',
        '{"a": [""]}',
        '{"../a": []}',
        '{"/a": []}',
        '{"": []}',
        '{".": []}',
        '{"a*": []}',
        "[" * 9999,
    ],
)
def test_what_is_no_binding_is_an_error(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_dcp_provider.hooks.settings import read_settings

    monkeypatch.setenv("AIRFLOW__DCP__TEAM_FOLDERS", text)
    with pytest.raises(DcpEnvironmentError, match="DCP417"):
        read_settings()


@pytest.mark.parametrize("way", ["manifest", "defaults"])
@pytest.mark.parametrize("kind", KINDS)
def test_another_team_is_refused_where_it_is_named(tmp_path: Path, kind: str, way: str) -> None:
    root = tmp_path / "growth"
    values: dict[str, Any] = {"metadata": {"team": "payments"}}
    path = write_with(root, kind, way, values)
    if way == "defaults":
        # What stands nearer wins, so the manifest itself must not name one.
        path.write_text(path.read_text().replace("  team: data\n", ""))
    with pytest.raises(ManifestError) as caught:
        compile_manifest(path, tmp_path, ("local", "prod"), CompileSettings(team_folders=FOLDERS))
    (problem,) = caught.value.problems
    assert problem.code == "DCP189"
    assert "`payments`" in problem.message
    assert "`growth`" in problem.hint
    assert problem.position is not None
    assert problem.position.file == ("growth/defaults.yaml" if way == "defaults" else "growth/daily.yaml")
    assert problem.position.line > 1 or way == "defaults"


def test_a_derived_datasets_owner_is_its_team_where_it_names_none(tmp_path: Path) -> None:
    path = write_with(tmp_path / "growth", "derived_dataset", "manifest", {})
    with pytest.raises(ManifestError, match="DCP189 the team `data`"):
        compile_manifest(path, tmp_path, ("local",), CompileSettings(team_folders=FOLDERS))


@pytest.mark.parametrize("kind", KINDS)
def test_a_team_of_the_folder_is_taken(tmp_path: Path, kind: str) -> None:
    path = write_with(tmp_path / "growth", kind, "manifest", {"metadata": {"team": "growth-ml"}})
    assert compile_manifest(path, tmp_path, ("local",), CompileSettings(team_folders=FOLDERS)) is not None


def test_the_loader_obeys_and_a_changed_binding_is_seen_at_once(dags_folder: DagsFolder) -> None:
    dags_folder.write({"growth/one.yaml": spark_job("one"), "data/two.yaml": spark_job("two")})
    assert sorted(dags_folder.as_processor().serialized) == ["one", "two"]
    dags_folder.monkeypatch.setenv("AIRFLOW__DCP__TEAM_FOLDERS", '{"growth": ["growth"], "data": ["data"]}')
    parsed = dags_folder.as_processor()
    assert sorted(parsed.serialized) == ["two"]
    assert "DCP189" in parsed.errors["growth/one.yaml"]


def test_lint_obeys_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write_with(tmp_path / "growth", "spark_job", "manifest", {})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AIRFLOW__DCP__TEAM_FOLDERS", '{"growth": ["growth"]}')
    assert main(["lint", "growth", "--format", "json"]) == 1
    assert [problem["code"] for problem in json.loads(capsys.readouterr().out)["problems"]] == ["DCP189"]
