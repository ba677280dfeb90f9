"""What compiled manifests depend on besides files: each of it changes the context, and nothing else does."""

from __future__ import annotations

import importlib
import importlib.metadata
from pathlib import Path

import pytest

from dag_factory.cache_context import PLUGIN_GROUP, cache_context


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages with one plugin."""
    site = tmp_path / "site"
    (site / "their_plugin").mkdir(parents=True)
    (site / "their_plugin" / "__init__.py").write_text("")
    (site / "their_plugin" / "rules.py").write_text("LIMIT = 1\n")
    install(site, "their-1.0", "their_kind = their_plugin.rules:Plugin")
    monkeypatch.syspath_prepend(site)
    return site


def install(site: Path, name: str, entry_point: str = "") -> None:
    folder = site / f"{name}.dist-info"
    folder.mkdir()
    project, _, version = name.partition("-")
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n")
    if entry_point:
        (folder / "entry_points.txt").write_text(f"[{PLUGIN_GROUP}]\n{entry_point}\n")


def context(home: Path, settings: object = ("local",)) -> str:
    importlib.invalidate_caches()
    return cache_context(settings, home)


def test_nothing_changed(site: Path, tmp_path: Path) -> None:
    assert context(tmp_path / "one") == context(tmp_path / "one") == context(tmp_path / "two")


def test_other_settings(site: Path, tmp_path: Path) -> None:
    assert context(tmp_path, ("local",)) != context(tmp_path, ("local", "prod"))


def test_a_plugin_that_is_edited(site: Path, tmp_path: Path) -> None:
    before = context(tmp_path)
    (site / "their_plugin" / "rules.py").write_text("LIMIT = 22\n")
    assert context(tmp_path) != before


def test_a_package_that_is_installed(site: Path, tmp_path: Path) -> None:
    before = context(tmp_path)
    install(site, "parser-2.0")
    assert context(tmp_path) != before


def test_a_plugin_that_is_installed_after_the_list_was_kept(site: Path, tmp_path: Path) -> None:
    context(tmp_path)
    (site / "second_plugin.py").write_text("A = 1\n")
    install(site, "second-1.0", "second_kind = second_plugin:Plugin")
    with_second = context(tmp_path)
    (site / "second_plugin.py").write_text("A = 222\n")
    assert context(tmp_path) != with_second


def test_the_search_for_plugins_is_not_repeated(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = context(tmp_path)

    def searched(**_: object) -> None:
        raise AssertionError("searched again")

    monkeypatch.setattr(importlib.metadata, "entry_points", searched)
    assert context(tmp_path) == before


def test_a_plugin_whose_package_is_missing_does_no_harm(site: Path, tmp_path: Path) -> None:
    install(site, "gone-1.0", "gone_kind = no_such_package.plugin:Plugin")
    assert context(tmp_path)
