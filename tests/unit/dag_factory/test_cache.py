"""The cache of compiled manifests: whatever changes, what is loaded through it is what is there."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dag_factory.cache
import dag_factory.compiled
from dag_factory.cache import read_checked, write_checked
from dag_factory.compiled import CompileSettings
from dag_factory.folder import LoadedFolder, ManifestFolder
from tests.support.manifests import broken, spark_job, write_folder

FROM_FILE = spark_job("daily", query_file="daily.sql")


class Folder:
    """A folder of manifests with its cache, and a count of how many files were compiled."""

    def __init__(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.cache = base / "dags", base / "home"
        self.log = base / "compiled.log"
        self.environments: tuple[str, ...] = ("local", "prod")
        self.catalog = "pedregal"
        # Files of a test are always new; that a file is settled has tests of its own.
        monkeypatch.setattr(dag_factory.cache, "_SETTLED_SECONDS", -60.0)
        compile_manifest = dag_factory.compiled.compile_manifest

        def counting(path: Path, *others: Any, **more: Any) -> Any:
            # In a file, since manifests are compiled by other processes.
            with self.log.open("a", encoding="utf-8") as file:
                file.write(f"{path.relative_to(self.root)}\n")
            return compile_manifest(path, *others, **more)

        monkeypatch.setattr(dag_factory.compiled, "compile_manifest", counting)

    @property
    def compiled(self) -> list[str]:
        """What was compiled since the last load began."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    def forget_compiled(self) -> None:
        self.log.unlink(missing_ok=True)

    def write(self, **manifests: str) -> None:
        write_folder(self.root, {f"{name}.yaml": text for name, text in manifests.items()})

    def manifests(self, cache: Path | None = None) -> ManifestFolder:
        return ManifestFolder(self.root, self.environments, CompileSettings(default_catalog=self.catalog), cache or self.cache)

    def load(self) -> LoadedFolder:
        self.forget_compiled()
        return self.manifests().load()

    def fresh(self) -> LoadedFolder:
        """What a load without any cache gives."""
        return self.manifests(self.cache.parent / "nowhere" / os.urandom(8).hex()).load()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    found = Folder(tmp_path, monkeypatch)
    found.write(daily=FROM_FILE, other=spark_job("other"))
    (found.root / "daily.sql").write_text("SELECT origin, ds FROM flights\n")
    return found


def same(one: LoadedFolder, other: LoadedFolder) -> bool:
    return one.parts == other.parts and {path: str(error) for path, error in one.errors.items()} == {
        path: str(error) for path, error in other.errors.items()
    }


def query_of(loaded: LoadedFolder, dag_id: str = "daily") -> str:
    (parts,) = [parts for parts in loaded.parts if parts.dag_id == dag_id]
    return str(parts.jobs["local"]["job"]["core_etl"]["job"]["transformations"][0]["query"])


def test_what_did_not_change_is_not_compiled_again(folder: Folder) -> None:
    first = folder.load()
    assert sorted(folder.compiled) == ["daily.yaml", "other.yaml"]
    again = folder.load()
    assert folder.compiled == []
    assert same(first, again)
    assert [parts.dag_id for parts in again.parts] == ["daily", "other"]


def test_foreign_yaml_is_not_compiled_again_either(folder: Folder) -> None:
    folder.write(values="replicas: 3\n")
    folder.load()
    assert "values.yaml" in folder.compiled
    folder.load()
    assert folder.compiled == []


def edit_manifest(folder: Folder) -> None:
    folder.write(other=spark_job("other", schedule="30 7 * * *"))


def edit_sql(folder: Folder) -> None:
    (folder.root / "daily.sql").write_text("SELECT dest AS origin, ds FROM flights\n")


def edit_within_one_tick(folder: Folder) -> None:
    """Another text of the same size, with the same modification time."""
    file = folder.root / "daily.sql"
    before = file.stat()
    file.write_text("SELECT dest  , ds FROM flights\n"[: before.st_size].ljust(before.st_size))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def add_defaults(folder: Folder) -> None:
    (folder.root / "defaults.yaml").write_text("SparkJob:\n  spec:\n    resources:\n      driver: {memory: 3g}\n")


def break_manifest(folder: Folder) -> None:
    folder.write(other=broken(spark_job("other")))


def rename_dag(folder: Folder) -> None:
    folder.write(other=spark_job("another"))


def make_clash(folder: Folder) -> None:
    folder.write(third=spark_job("other"))


def add_manifest(folder: Folder) -> None:
    folder.write(third=spark_job("third"))


def delete_manifest(folder: Folder) -> None:
    (folder.root / "other.yaml").unlink()


def move_manifest(folder: Folder) -> None:
    (folder.root / "sub").mkdir()
    (folder.root / "other.yaml").rename(folder.root / "sub" / "other.yaml")


def make_foreign(folder: Folder) -> None:
    folder.write(other="replicas: 3\n")


def delete_sql(folder: Folder) -> None:
    (folder.root / "daily.sql").unlink()


def link_sql_outside(folder: Folder) -> None:
    """The same bytes, but now in a file that is not in the folder."""
    outside = folder.root.parent / "outside.sql"
    shutil.copy(folder.root / "daily.sql", outside)
    (folder.root / "daily.sql").unlink()
    (folder.root / "daily.sql").symlink_to(outside)


def more_environments(folder: Folder) -> None:
    folder.environments = ("local", "staging", "prod")


@pytest.mark.parametrize(
    "change",
    [
        edit_manifest,
        edit_sql,
        edit_within_one_tick,
        add_defaults,
        break_manifest,
        rename_dag,
        make_clash,
        add_manifest,
        delete_manifest,
        move_manifest,
        make_foreign,
        delete_sql,
        link_sql_outside,
        more_environments,
    ],
    ids=lambda change: change.__name__,
)
def test_every_change_is_seen(folder: Folder, change: Callable[[Folder], None]) -> None:
    before = folder.load()
    change(folder)
    after = folder.load()
    assert not same(before, after)
    assert same(after, folder.fresh())


def test_a_change_taken_back_is_seen(folder: Folder) -> None:
    before = folder.load()
    add_defaults(folder)
    assert folder.load().parts[0].jobs["local"]["job"]["resources"]["driver"]["memory"] == "3g"
    (folder.root / "defaults.yaml").unlink()
    assert same(folder.load(), before)


def test_nearer_defaults_are_seen(folder: Folder) -> None:
    (folder.root / "team").mkdir()
    (folder.root / "other.yaml").rename(folder.root / "team" / "other.yaml")
    add_defaults(folder)
    assert folder.load().parts[1].jobs["local"]["job"]["resources"]["driver"]["memory"] == "3g"
    (folder.root / "team" / "defaults.yaml").write_text("SparkJob:\n  spec:\n    resources:\n      driver: {memory: 5g}\n")
    assert folder.load().parts[1].jobs["local"]["job"]["resources"]["driver"]["memory"] == "5g"


def test_another_catalog_is_another_result(folder: Folder) -> None:
    folder.load()
    folder.catalog = "lake"
    folder.load()
    assert sorted(folder.compiled) == ["daily.yaml", "other.yaml"]


def test_a_touch_changes_nothing(folder: Folder) -> None:
    folder.load()
    os.utime(folder.root / "daily.yaml")
    folder.load()
    assert folder.compiled == []


def test_sql_that_changes_while_it_is_compiled_is_not_kept(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dag_factory.cache, "_SETTLED_SECONDS", 2.0)
    compile_manifest = dag_factory.compiled.compile_manifest

    def then_edited(path: Path, *others: Any, **more: Any) -> Any:
        compiled = compile_manifest(path, *others, **more)
        edit_sql(folder)
        return compiled

    monkeypatch.setattr(dag_factory.compiled, "compile_manifest", then_edited)
    assert "dest" not in query_of(folder.load())
    assert "dest" in query_of(folder.load())


def test_a_manifest_that_changes_while_it_is_compiled_is_not_kept(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_manifest = dag_factory.compiled.compile_manifest

    def then_edited(path: Path, *others: Any, **more: Any) -> Any:
        compiled = compile_manifest(path, *others, **more)
        edit_manifest(folder)
        return compiled

    monkeypatch.setattr(dag_factory.compiled, "compile_manifest", then_edited)
    folder.load()
    loaded = folder.load()
    assert [parts.dag["schedule"] for parts in loaded.parts if parts.dag_id == "other"] == ["30 7 * * *"]


def test_without_a_place_to_write_everything_works(folder: Folder) -> None:
    folder.cache = folder.root / "loader.py" / "below-a-file"
    assert same(folder.load(), folder.fresh())
    folder.load()
    assert sorted(folder.compiled) == ["daily.yaml", "other.yaml"]


def damage_by_cutting(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-40])


def damage_by_emptying(file: Path) -> None:
    file.write_bytes(b"")


def damage_inside(file: Path) -> None:
    """Still JSON, with another value."""
    content = file.read_bytes()
    assert b"data@example.com" in content or b"daily" in content
    file.write_bytes(content.replace(b"data@example.com", b"evil@example.com").replace(b"daily", b"dairy"))


@pytest.mark.parametrize("damage", [damage_by_cutting, damage_by_emptying, damage_inside], ids=lambda damage: damage.__name__)
def test_damaged_files_are_ignored_and_made_again(folder: Folder, damage: Callable[[Path], None]) -> None:
    expected = folder.load()
    for file in folder.cache.glob("*/*.json"):
        damage(file)
    assert same(folder.load(), expected)
    assert folder.manifests().find("daily").parts is not None
    folder.load()
    assert folder.compiled == []


def test_entries_of_manifests_that_are_gone_are_dropped(folder: Folder) -> None:
    folder.load()
    before = len(list(folder.cache.glob("*/*.json")))
    delete_manifest(folder)
    folder.load()
    assert len(list(folder.cache.glob("*/*.json"))) == before - 1


def test_one_dag_is_found_without_compiling_the_others(folder: Folder) -> None:
    folder.load()
    shutil.rmtree(folder.root / "nowhere", ignore_errors=True)
    folder.write(daily=spark_job("daily", schedule="@daily"), third=spark_job("third"))
    folder.forget_compiled()
    found = folder.manifests().find("daily")
    assert found.parts is not None
    assert found.parts.dag["schedule"] == "@daily"
    assert folder.compiled == ["daily.yaml"]


def test_one_dag_is_found_in_a_folder_that_was_never_loaded(folder: Folder) -> None:
    found = folder.manifests().find("other")
    assert found.parts is not None
    assert folder.compiled == ["other.yaml"]
    folder.forget_compiled()
    assert folder.manifests().find("other").parts == found.parts
    assert folder.compiled == []


def test_a_manifest_that_moved_is_found(folder: Folder) -> None:
    folder.load()
    move_manifest(folder)
    found = folder.manifests().find("other")
    assert found.parts is not None
    assert found.parts.path == "sub/other.yaml"


def test_a_broken_manifest_is_found_by_the_dag_that_it_made(folder: Folder) -> None:
    folder.load()
    break_manifest(folder)
    folder.load()
    found = folder.manifests().find("other")
    assert found.parts is None
    assert found.error is not None
    assert "tema" in str(found.error)
    assert found.last_known is not None
    assert found.last_known.outlets == ("iceberg://pedregal/out/other",)


def test_a_dag_of_nobody_is_not_found(folder: Folder) -> None:
    found = folder.manifests().find("nobody")
    assert (found.parts, found.error, found.last_known) == (None, None, None)


def test_readers_never_see_half_a_file(tmp_path: Path) -> None:
    file = tmp_path / "entry.json"
    write_checked(file, {"n": -1, "filler": "x" * 50_000})
    stop = threading.Event()

    def keep_writing() -> None:
        number = 0
        while not stop.is_set():
            write_checked(file, {"n": number, "filler": "x" * (50_000 + number % 7)})
            number += 1

    writers = [threading.Thread(target=keep_writing) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        seen = [read_checked(file) for _ in range(300)]
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert None not in seen
    assert [path.name for path in tmp_path.iterdir()] == ["entry.json"]


CHANGES = [
    edit_manifest,
    edit_sql,
    break_manifest,
    rename_dag,
    make_clash,
    add_manifest,
    make_foreign,
    add_defaults,
    lambda folder: (folder.root / "defaults.yaml").unlink(missing_ok=True),
    lambda folder: (folder.root / "third.yaml").unlink(missing_ok=True),
    lambda folder: (folder.root / "other.yaml").unlink(missing_ok=True),
    lambda folder: (folder.root / "daily.sql").unlink(missing_ok=True),
    lambda folder: folder.write(daily=FROM_FILE, other=spark_job("other")),
]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.integers(0, len(CHANGES) - 1), min_size=1, max_size=6))
def test_any_row_of_changes_is_seen(tmp_path_factory: pytest.TempPathFactory, changes: list[int]) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        folder = Folder(tmp_path_factory.mktemp("folder"), monkeypatch)
        folder.write(daily=FROM_FILE, other=spark_job("other"))
        (folder.root / "daily.sql").write_text("SELECT origin, ds FROM flights\n")
        folder.load()
        for number in changes:
            CHANGES[number](folder)
            assert same(folder.load(), folder.fresh())
