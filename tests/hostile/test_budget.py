"""One manifest never stops the others: whatever reading it does, it has a budget, and its overrun is its own error."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dag_factory.cache
import dag_factory.compilation
import dag_factory.compiled
from dag_factory.compiled import CompileSettings
from dag_factory.folder import ManifestFolder
from dag_factory.guard import Budget
from tests.contract.loader.conftest import DagsFolder, dags_folder
from tests.hostile.full_manifests import KINDS, write_with
from tests.support.manifests import broken, spark_job, write_folder

__all__ = ["dags_folder"]

Misbehaviour = Callable[[], Any]


def loop() -> None:
    while True:
        pass


def power() -> None:
    str(9**9**9)


def memory() -> None:
    [bytes(100_000_000) for _ in range(100)]


def memory_of_many_values() -> None:
    kept: list[Any] = []
    while True:
        kept.append([kept, {}, ()])


def recursion() -> None:
    def deeper() -> None:
        deeper()

    deeper()


def crash() -> None:
    import faulthandler

    faulthandler.disable()
    os.kill(os.getpid(), signal.SIGSEGV)


def leaving() -> None:
    sys.exit(0)


def interrupt() -> None:
    raise KeyboardInterrupt


def pipe() -> None:
    reader, _ = os.pipe()
    os.read(reader, 1)


MISBEHAVIOURS: dict[Misbehaviour, str] = {
    loop: "DCP186 reading the manifest takes too much time: it used 0.5 s of the processor's time",
    power: "DCP186 reading the manifest takes too much time: it used 0.5 s of the processor's time",
    memory: "DCP186 reading the manifest takes too much memory: it needs more than 256 MiB",
    memory_of_many_values: "DCP186 reading the manifest takes too much",
    recursion: "DCP195 reading the manifest failed: RecursionError",
    crash: "DCP187 reading the manifest ended its process",
    leaving: "DCP187 reading the manifest ended its process",
    interrupt: "DCP187 reading the manifest ended its process",
    pipe: "DCP186 reading the manifest takes too much time: it was not done after 3 s",
}


@pytest.fixture
def misbehaving(monkeypatch: pytest.MonkeyPatch) -> Callable[[Misbehaviour], None]:
    """Makes the compilation of every manifest whose name begins with ``bad`` misbehave, below all that keeps real ones from it."""
    monkeypatch.setattr(dag_factory.cache, "_SETTLED_SECONDS", -60.0)
    budget = Budget(cpu_seconds=0.5, wall_seconds=3.0, memory_bytes=256 * 1024**2)
    monkeypatch.setattr(dag_factory.compilation.ManifestCompiler.compile, "__kwdefaults__", {
        "deadline": None, "in_order": False, "budget": budget,
    })  # fmt: skip
    compile_manifest = dag_factory.compiled.compile_manifest

    def install(misbehaviour: Misbehaviour) -> None:
        def compiled(path: Path, *others: Any, **more: Any) -> Any:
            if path.name.startswith("bad"):
                misbehaviour()
            return compile_manifest(path, *others, **more)

        monkeypatch.setattr(dag_factory.compiled, "compile_manifest", compiled)

    return install


@pytest.mark.parametrize("misbehaviour", MISBEHAVIOURS, ids=lambda each: each.__name__)
def test_an_overrun_is_the_error_of_one_manifest(
    dags_folder: DagsFolder, misbehaving: Callable[[Misbehaviour], None], misbehaviour: Misbehaviour
) -> None:
    misbehaving(misbehaviour)
    dags_folder.write({f"{name}.yaml": spark_job(name) for name in ("a-good", "bad-one", "bad-two", "good")})
    parsed = dags_folder.as_processor()
    assert sorted(parsed.serialized) == ["a-good", "good"]
    assert sorted(parsed.errors) == ["bad-one.yaml", "bad-two.yaml"]
    for path, error in parsed.errors.items():
        assert f"{path}:1:1: {MISBEHAVIOURS[misbehaviour]}" in error


@pytest.mark.parametrize("kind", KINDS)
def test_the_overrun_costs_once(tmp_path: Path, misbehaving: Callable[[Misbehaviour], None], kind: str) -> None:
    misbehaving(loop)
    path = write_with(tmp_path / "dags", kind, "manifest", {}, "bad")
    folder = lambda: ManifestFolder(tmp_path / "dags", ("local",), CompileSettings(), tmp_path / "cache")  # noqa: E731
    first = folder().load()
    began = time.process_time(), time.monotonic()
    again = folder().load()
    assert time.monotonic() - began[1] < 0.4
    assert {path: str(error) for path, error in first.errors.items()} == {path: str(error) for path, error in again.errors.items()}
    assert list(again.errors) == ["bad.yaml"]
    # Another text is another manifest.
    path.write_text(path.read_text() + "# edited\n")
    misbehaving(crash)
    assert "DCP187" in str(folder().load().errors["bad.yaml"])


def test_what_reads_a_file_before_it_overruns_is_looked_at_again_when_that_file_changes(
    tmp_path: Path, misbehaving: Callable[[Misbehaviour], None]
) -> None:
    misbehaving(lambda: None)
    write_folder(tmp_path / "dags", {"daily.yaml": spark_job("daily", query_file="daily.sql")})
    sql = tmp_path / "dags" / "daily.sql"
    folder = lambda: ManifestFolder(tmp_path / "dags", ("local",), CompileSettings(), tmp_path / "cache")  # noqa: E731
    assert "DCP160" in str(folder().load().errors["daily.yaml"])
    sql.write_text("SELECT FROM WHERE")
    assert "DCP144" in str(folder().load().errors["daily.yaml"])
    sql.write_text("SELECT origin, ds FROM flights")
    assert folder().load().errors == {}


def test_many_overruns_do_not_add_up_to_airflows_time_out(
    dags_folder: DagsFolder, misbehaving: Callable[[Misbehaviour], None]
) -> None:
    misbehaving(lambda: None)
    dags_folder.write({"known.yaml": spark_job("known"), "good.yaml": spark_job("good")})
    assert sorted(dags_folder.as_processor().serialized) == ["good", "known"]
    misbehaving(loop)
    dags_folder.monkeypatch.setenv("AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT", "6")
    # As many as would take twenty seconds; one of them was good a moment ago, and another manifest is new.
    dags_folder.write({f"bad-{n:02d}.yaml": spark_job(f"bad-{n:02d}") for n in range(40)})
    dags_folder.write({"known.yaml": spark_job("known", schedule="@daily"), "new.yaml": spark_job("new")})
    began = time.monotonic()
    parsed = dags_folder.as_processor()
    assert time.monotonic() - began < 6
    assert {"good", "known"} <= set(parsed.serialized)
    assert {path[:4] for path in parsed.errors} <= {"bad-", "new."}
    waiting = [path for path, error in parsed.errors.items() if "DCP188" in error]
    overrun = [path for path, error in parsed.errors.items() if "DCP186" in error]
    assert waiting
    assert overrun
    # The next parse goes on where this one ended, and what could not be read is not read again before the others.
    again = dags_folder.as_processor()
    still_overrun = [path for path, error in again.errors.items() if "DCP186" in error]
    assert set(overrun) < set(still_overrun)


def test_a_task_process_is_guarded_as_well(dags_folder: DagsFolder, misbehaving: Callable[[Misbehaviour], None]) -> None:
    misbehaving(lambda: None)
    dags_folder.write({"bad.yaml": spark_job("bad"), "good.yaml": spark_job("good")})
    dags_folder.as_processor()
    misbehaving(loop)
    dags_folder.write({"bad.yaml": spark_job("bad", schedule="@daily"), "good.yaml": spark_job("good")})
    began = time.monotonic()
    (dag,) = dags_folder.as_task("bad").dags.values()
    assert time.monotonic() - began < 5
    assert [task.task_id for task in dag.tasks] == ["ensure_tables", "submit", "wait", "publish"]
    assert "DCP186" in str(dag.get_task("submit").error)  # type: ignore[union-attr]
    assert list(dags_folder.as_task("good").dags) == ["good"]


def test_a_broken_manifest_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dag_factory.cache, "_SETTLED_SECONDS", -60.0)
    write_folder(tmp_path / "dags", {"daily.yaml": broken(spark_job("daily"))})
    folder = lambda: ManifestFolder(tmp_path / "dags", ("local",), CompileSettings(), tmp_path / "cache")  # noqa: E731
    first = str(folder().load().errors["daily.yaml"])

    def none_again(*others: Any, **more: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(dag_factory.compiled, "compile_manifest", none_again)
    assert str(folder().load().errors["daily.yaml"]) == first
    assert "      ^" in first


def test_names_of_files_cannot_break_the_list_of_import_errors(dags_folder: DagsFolder) -> None:
    deep = "/".join(["d" * 200] * 6)
    names = ["line\nbreak.yaml", "bell\a.yaml", os.fsdecode(b"bad-\xff\xfe.yaml"), f"{deep}/daily.yaml"]
    dags_folder.write({"good.yaml": spark_job("good"), **{name: broken(spark_job("daily")) for name in names}})
    parsed = dags_folder.as_processor()
    assert sorted(parsed.serialized) == ["good"]
    assert len(parsed.errors) == len(names)
    for path, error in parsed.errors.items():
        assert path.isprintable()
        path.encode()
        error.encode()
        assert len(str(dags_folder.root / path)) < 1024
        assert len(error) < 60_000
