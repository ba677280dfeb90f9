"""Whatever lies in a DAGs folder under a manifest's name: it fails for its own path alone, at once, with a code."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_dcp_provider.model.errors import ManifestError
from dag_factory.cli import lint, main
from dag_factory.cli.manifests import find_files
from dag_factory.compiled import CompileSettings, compile_folder
from dag_factory.folder import ManifestFolder
from dag_factory.manifest.discovery import discover
from dag_factory.manifest.regular_files import NotRegularError, TooLargeError, read_beginning, read_regular
from tests.hostile.ways import KINDS, SQL, manifest, top

ENVIRONMENTS = ("local",)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path, since the path of a socket is short."""
    path = Path(tempfile.mkdtemp())
    (path / "good.yaml").write_text(top(manifest("SparkJob")))
    (path / "good.sql").write_text(SQL)
    yield path
    # Not shutil's, which calls itself for each folder.
    subprocess.run(["rm", "-rf", path], check=True)


def text(kind: str = "SparkJob") -> str:
    return top(manifest(kind)).replace("good-job", "odd-job").replace("good_dataset", "odd_dataset")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as each:
        each.bind(str(path))


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(8 * 1024**3)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def circle(path: Path) -> None:
    path.symlink_to(path.name)


def utf_16(path: Path) -> None:
    path.write_bytes(text().encode("utf-16"))


def too_large(path: Path) -> None:
    path.write_text(text() + "#" * 2_000_000)


ODD: dict[str, tuple[Callable[[Path], None], str]] = {
    "pipe": (pipe, "DCP101"),
    "socket": (unix_socket, "DCP101"),
    "device": (device, "DCP101"),
    "circle": (circle, "DCP101"),
    "sparse": (sparse, "DCP102"),
    "too_large": (too_large, "DCP102"),
    "utf_16": (utf_16, "DCP103"),
}

#: Names of files that cannot be shown, and how they are.
NAMES = {
    b"\xff\xfe.yaml": "\\xff\\xfe.yaml",
    b"a\nb.yaml": "a\\nb.yaml",
    b"a\rb.yaml": "a\\rb.yaml",
    b"\x1b[31m.yaml": "\\x1b[31m.yaml",
    "\u202egood.yaml".encode(): "\\u202egood.yaml",
    "a\u2028b.yml".encode(): "a\\u2028b.yml",
    b"t\tb.yaml": "t\\tb.yaml",
}


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_file_is_a_problem_of_its_own(folder: Path, odd: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, code = ODD[odd]
    make(folder / "odd.yaml")
    began = time.monotonic()
    compiled = compile_folder(folder, ENVIRONMENTS, CompileSettings())
    assert [each.path for each in compiled.manifests] == ["good.yaml"]
    assert {path: error.code for path, error in compiled.errors.items()} == {"odd.yaml": code}
    # With the cache, as the DAG processor reads it, twice.
    for _ in range(2):
        loaded = ManifestFolder(folder, ENVIRONMENTS, CompileSettings(), tmp_path).load()
        assert [parts.path for parts in loaded.parts] == ["good.yaml"]
        assert {path: error.code for path, error in loaded.errors.items()} == {"odd.yaml": code}
    assert main(["lint", str(folder)]) == 1
    printed = capsys.readouterr().out
    assert f"odd.yaml:1:1: {code} " in printed
    assert "2 manifests, 1 error" in printed
    assert main(["lint", str(folder / "odd.yaml")]) == 1
    assert time.monotonic() - began < 10


def test_a_file_of_the_kernel_that_would_be_waited_for(folder: Path, tmp_path: Path) -> None:
    """It says that it is a regular file, and has nothing to read; whoever may not open it at all is refused that."""
    for name in ("odd.yaml", ".airflowignore"):
        (folder / name).symlink_to("/proc/kmsg")
    loaded = ManifestFolder(folder, ENVIRONMENTS, CompileSettings(), tmp_path).load()
    assert [parts.path for parts in loaded.parts] == ["good.yaml"]
    assert [error.code for error in loaded.errors.values()] == ["DCP101"]
    (folder / "defaults.yaml").symlink_to("/proc/kmsg")
    loaded = ManifestFolder(folder, ENVIRONMENTS, CompileSettings(), tmp_path).load()
    assert loaded.parts == ()
    assert {error.code for error in loaded.errors.values()} == {"DCP101"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_cannot_be_shown_is_a_problem(
    folder: Path, kind: str, name: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / os.fsdecode(name)
    file.write_text(text(kind))
    loaded = ManifestFolder(folder, ENVIRONMENTS, CompileSettings(), tmp_path).load()
    assert [parts.path for parts in loaded.parts] == ["good.yaml"]
    (error,) = loaded.errors.values()
    assert error.code == "DCP128"
    assert main(["lint", str(folder)]) == 1
    assert main(["--format", "json", "lint", str(file)]) == 1
    printed = capsys.readouterr().out
    assert f"{NAMES[name]}:1:1: DCP128" in printed
    assert all(char.isprintable() or char == "\n" for char in printed)


@pytest.mark.parametrize("name", [b"\xff", b"a\nb", b"\x1b[2J"])
def test_so_is_that_of_a_folder(folder: Path, name: bytes) -> None:
    below = folder / os.fsdecode(name)
    below.mkdir()
    (below / "odd.yaml").write_text(text())
    compiled = compile_folder(folder, ENVIRONMENTS, CompileSettings())
    assert [each.path for each in compiled.manifests] == ["good.yaml"]
    assert [error.code for error in compiled.errors.values()] == ["DCP128"]


def test_foreign_yaml_may_have_any_name(folder: Path) -> None:
    for name in NAMES:
        (folder / os.fsdecode(name)).write_text("a: 1\n")
    assert not compile_folder(folder, ENVIRONMENTS, CompileSettings()).errors


def test_a_path_that_airflow_cannot_keep_is_a_problem(folder: Path) -> None:
    below = folder
    for _ in range(5):
        below /= "x" * 200
    below.mkdir(parents=True)
    (below / "odd.yaml").write_text(text())
    compiled = compile_folder(folder, ENVIRONMENTS, CompileSettings())
    assert [each.path for each in compiled.manifests] == ["good.yaml"]
    assert [error.code for error in compiled.errors.values()] == ["DCP128"]


def test_a_folder_may_have_the_name_of_a_manifest(folder: Path) -> None:
    (folder / "odd.yaml").mkdir()
    (folder / "odd.yaml" / "job.yaml").write_text(text())
    compiled = compile_folder(folder, ENVIRONMENTS, CompileSettings())
    assert [each.path for each in compiled.manifests] == ["good.yaml", "odd.yaml/job.yaml"]


@pytest.mark.parametrize("name", ["odd.sql", "defaults.yaml"])
@pytest.mark.parametrize("odd", ["pipe", "socket", "device", "circle"])
def test_what_a_manifest_reads_may_be_odd_too(folder: Path, name: str, odd: str) -> None:
    below = folder / "below"
    below.mkdir()
    (below / "odd.yaml").write_text(text("DerivedDataset").replace("good.sql", "odd.sql"))
    (below / "odd.sql").write_text(SQL)
    (below / name).unlink(missing_ok=True)
    ODD[odd][0](below / name)
    compiled = compile_folder(folder, ENVIRONMENTS, CompileSettings())
    assert [each.path for each in compiled.manifests] == ["good.yaml"]
    (error,) = compiled.errors.values()
    # A device is reached by a link that leads out of the folder.
    assert error.code in {"DCP101", "DCP161"}


@pytest.mark.parametrize("syntax", ["glob", "regexp"])
def test_an_ignore_file_may_be_odd(folder: Path, syntax: str) -> None:
    for make in (pipe, unix_socket, device, circle):
        make(folder / ".airflowignore")
        assert [path.name for path in discover(folder, ignore_syntax=syntax)] == ["good.yaml"]
        (folder / ".airflowignore").unlink()
    (folder / ".airflowignore").mkdir()
    assert [path.name for path in discover(folder, ignore_syntax=syntax)] == ["good.yaml"]


@pytest.mark.parametrize("syntax", ["glob", "regexp"])
@pytest.mark.parametrize(
    "pattern",
    [
        *("a*" * 30 + "b", "(a*)*" * 10 + "b", "x" * 100_000, "**/" * 40 + "b", "(" * 600, "[z-a]", "a{99999999999}"),
        # Few wildcards, and yet many ways to match.
        *(
            "*a" * 8 + "b",
            "a*" * 8 + "b",
            "(a+)+b",
            "(a|a)" * 40 + "b",
            "a?" * 90 + "a" * 210,
            "((a?){20}){20}b",
            "(?:a{1,99}){99}b",
        ),
    ],
)
def test_patterns_of_an_ignore_file_are_bounded(folder: Path, syntax: str, pattern: str) -> None:
    (folder / ("a" * 200 + ".yaml")).write_text("a: 1\n")
    (folder / "ignored.yaml").write_text("a: 1\n")
    (folder / ".airflowignore").write_text(f"ignored.yaml\n{pattern}\n" + "never\n" * 100)
    began = time.process_time()
    assert [path.name[:4] for path in discover(folder, ignore_syntax=syntax)] == ["aaaa", "good"]
    assert time.process_time() - began < 2


@pytest.mark.parametrize("syntax", ["glob", "regexp"])
def test_patterns_of_an_ignore_file_are_bounded_for_deep_folders(folder: Path, syntax: str) -> None:
    deep = folder.joinpath(*"a" * 300)
    deep.mkdir(parents=True)
    (deep / "odd.yaml").write_text("a: 1\n")
    (folder / ".airflowignore").write_text("**/a/**/a/**/a/**/b\n.*a.*a.*a.*b\n")
    began = time.process_time()
    assert len(discover(folder, ignore_syntax=syntax)) == 2
    assert time.process_time() - began < 2


def test_a_huge_ignore_file_is_not_read_whole(folder: Path) -> None:
    (folder / ".airflowignore").write_text("ignored.yaml\n" + "never\n" * 1_000_000)
    (folder / "ignored.yaml").write_text("a: 1\n")
    assert [path.name for path in discover(folder)] == ["good.yaml"]


def test_folders_may_nest_deeper_than_python_calls(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for _ in range(1_500):
        Path("d").mkdir()
        os.chdir("d")
    Path("odd.yaml").write_text(text())
    monkeypatch.chdir(folder)
    compiled = compile_folder(folder, ENVIRONMENTS, CompileSettings())
    assert [each.path for each in compiled.manifests] == ["good.yaml"]
    assert [error.code for error in compiled.errors.values()] == ["DCP128"]


def test_a_link_to_everything_ends_soon(folder: Path) -> None:
    for number in range(20):
        (folder / f"link{number}").symlink_to("/")
        (folder / f"usr{number}").symlink_to("/usr")
    began = time.process_time()
    assert folder / "good.yaml" in discover(folder)
    assert time.process_time() - began < 2


def test_what_may_not_be_read_is_a_problem(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "odd.yaml").write_text(text())
    real = os.open

    def refusing(path: object, *args: int) -> int:
        if str(path).endswith("odd.yaml"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refusing)
    compiled = compile_folder(folder, ENVIRONMENTS, CompileSettings())
    assert [each.path for each in compiled.manifests] == ["good.yaml"]
    assert "Permission denied" in compiled.errors["odd.yaml"].message


def test_what_vanishes_while_it_is_read_is_a_problem(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "odd.yaml").write_text("kind: SparkJob\n" + "#" * 2_000_000)
    real = os.stat
    asked: list[str] = []

    def vanishing(path: object, **options: object) -> os.stat_result:
        if str(path).endswith("odd.yaml"):
            asked.append(str(path))
            if len(asked) > 1:
                raise FileNotFoundError(2, "No such file or directory", str(path))
        return real(path, **options)  # type: ignore[arg-type, call-overload]

    monkeypatch.setattr("dag_factory.manifest.regular_files.os.stat", vanishing)
    compiled = compile_folder(folder, ENVIRONMENTS, CompileSettings())
    assert [each.path for each in compiled.manifests] == ["good.yaml"]
    assert compiled.errors["odd.yaml"].code in {"DCP101", "DCP102"}


def test_the_reader_reads_regular_files_up_to_a_limit(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_regular(tmp_path / "file", 5) == b"12345"
    assert read_beginning(tmp_path / "file", 3) == b"123"
    with pytest.raises(TooLargeError):
        read_regular(tmp_path / "file", 4)
    pipe(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(NotRegularError):
            read_regular(path, 5)
    with pytest.raises(OSError, match="null"):
        read_regular(tmp_path / "a\0b", 5)


def test_a_process_that_dies_names_its_manifest_and_the_others_are_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(6):
        (tmp_path / f"job{number}.yaml").write_text(top(manifest("SparkJob")).replace("good-job", f"job-{number}"))
    real = lint.compile_manifest

    def dying(path: Path, *args: object) -> object:
        if path.name in {"job2.yaml", "job4.yaml"}:
            os._exit(11)
        return real(path, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(lint, "compile_manifest", dying)
    monkeypatch.setattr(lint, "_FILES_PER_PROCESS", 3)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    findings = lint.check(find_files([str(tmp_path)]), "local", None)
    assert findings.manifests == 6
    assert [(problem.code, str(problem.position)) for problem in findings.problems] == [
        ("DCP129", "job2.yaml:1:1"),
        ("DCP129", "job4.yaml:1:1"),
    ]


@pytest.mark.parametrize(
    "error", [RecursionError("deep"), MemoryError(), OverflowError("large"), KeyError("x" * 9_999), OSError("odd")]
)
def test_any_exception_within_a_manifest_is_its_problem(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    from dag_factory.plugins.spark_job import SparkJobPlugin

    real = SparkJobPlugin.lint

    def failing(self: SparkJobPlugin, resolved: object) -> object:
        if resolved.path == "odd.yaml":  # type: ignore[attr-defined]
            raise error
        return real(self, resolved)  # type: ignore[arg-type]

    monkeypatch.setattr(SparkJobPlugin, "lint", failing)
    (folder / "odd.yaml").write_text(text())
    assert main(["lint", str(folder)]) == 1
    printed = capsys.readouterr().out
    assert "odd.yaml:1:1: DCP195 reading the manifest failed" in printed
    assert "2 manifests, 1 error" in printed
    assert len(printed) < 1_000
    compiled = compile_folder(folder, ENVIRONMENTS, CompileSettings())
    assert [each.path for each in compiled.manifests] == ["good.yaml"]
    assert isinstance(compiled.errors["odd.yaml"], ManifestError)
