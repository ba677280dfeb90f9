"""Whatever stands in the cache, what is loaded is what the folder holds: an entry that cannot be read is a miss."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import dag_factory.cache
from dag_factory.cache import read_checked, write_checked
from dag_factory.compiled import CompileSettings
from dag_factory.folder import LoadedFolder, ManifestFolder
from tests.support.manifests import broken, spark_job, write_folder

#: What JSON can hold in the place of something else.
ODD = (None, 1, [None])


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(dag_factory.cache, "_SETTLED_SECONDS", -60.0)
    write_folder(tmp_path / "dags", {"good.yaml": spark_job("good"), "bad.yaml": broken(spark_job("bad")), "other.yaml": "a: 1\n"})
    return tmp_path


def folder(base: Path) -> ManifestFolder:
    return ManifestFolder(base / "dags", ("local",), CompileSettings(), base / "cache")


def told(loaded: LoadedFolder) -> tuple[Any, ...]:
    return loaded.parts, {path: str(error) for path, error in loaded.errors.items()}


def entries(base: Path) -> list[Path]:
    files = sorted((base / "cache").rglob("*.json"))
    # Three manifests, of which one is broken; the index; the list of plugins.
    assert len(files) == 5
    return files


@pytest.mark.parametrize("content", [b"", b"\n", b"{}", b"\xff\xfe", b"0" * 1000, b"[" * 100_000, b'{"context": 1}\n{}'])
def test_what_is_no_entry_is_a_miss(base: Path, content: bytes) -> None:
    right = told(folder(base).load())
    for file in entries(base):
        file.write_bytes(content)
    assert told(folder(base).load()) == right


@pytest.mark.parametrize("text", ["null", "1", "[]", '"text"', "[" * 100_000 + "]" * 100_000, "{}", '{"a": NaN}', "1" * 5000])
def test_other_json_with_a_right_checksum_is_a_miss(base: Path, text: str) -> None:
    right = told(folder(base).load())
    for file in entries(base):
        payload = text.encode()
        file.write_bytes(dag_factory.cache._digest(payload).encode() + b"\n" + payload)
    assert told(folder(base).load()) == right
    assert told(folder(base).load()) == right


@pytest.mark.parametrize("end", [0, 1, 40, -1])
def test_half_an_entry_is_a_miss(base: Path, end: int) -> None:
    right = told(folder(base).load())
    for file in entries(base):
        file.write_bytes(file.read_bytes()[:end])
    assert told(folder(base).load()) == right


def variants(value: Any) -> Iterator[Any]:
    """The same value with one thing in it missing, added or of another kind, to two levels."""
    if isinstance(value, dict):
        for key in value:
            yield {other: item for other, item in value.items() if other != key}
            for odd in ODD:
                yield {**value, key: odd}
            if key in {"parts", "problems", "position"}:
                for changed in variants(value[key]):
                    yield {**value, key: changed}
        yield {**value, "unknown": 1}
    if isinstance(value, list) and value:
        for changed in variants(value[0]):
            yield [changed, *value[1:]]


def test_an_entry_of_another_form_is_a_miss(base: Path) -> None:
    """As another version of this package, or somebody by hand, could have written it."""
    right = folder(base).load()
    names = set()
    for file in entries(base):
        data = read_checked(file)
        assert data is not None
        for changed in variants(data):
            write_checked(file, changed)
            loaded = folder(base).load()
            # Values of one kind cannot be told apart: what counts is that nothing fails and nobody else is touched.
            assert {parts.path for parts in loaded.parts} <= {"good.yaml"}, json.dumps(changed)[:300]
            assert set(loaded.errors) <= {"bad.yaml"}, json.dumps(changed)[:300]
            folder(base).find("good")
            names.add(file.name)
            write_checked(file, data)
    assert len(names) == 5
    assert told(folder(base).load()) == told(right)


def test_a_cache_that_is_no_folder_is_left_alone(base: Path) -> None:
    right = told(folder(base).load())
    for file in entries(base):
        file.unlink()
        file.mkdir()
    assert told(folder(base).load()) == right
