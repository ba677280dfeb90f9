"""Finding and building the programs of the API server; the compiler is a small program that counts its starts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dev import kubernetes_assets
from dev.kubernetes_assets import AssetsError, assets

ROOT = Path(kubernetes_assets.__file__).resolve().parent.parent
GO = """#!/bin/sh
if [ "$1" = env ]; then echo {version}; exit; fi
echo "$GOTOOLCHAIN $*" >> "{counter}"
while [ "$1" != -o ]; do shift; done
sleep 0.3
printf '#!/bin/sh\\n' > "$2"; chmod +x "$2"
"""


def program(folder: Path, name: str, text: str = "#!/bin/sh\n") -> Path:
    folder.mkdir(exist_ok=True)
    made = folder / name
    made.write_text(text)
    made.chmod(0o755)
    return made


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH that holds etcd and what a shell script needs, and an empty cache."""
    folder = tmp_path / "bin"
    program(folder, "etcd")
    for name in ("sh", "sleep", "chmod"):
        (folder / name).symlink_to(shutil.which(name) or "")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    return folder


def test_the_named_folder_is_taken_and_one_that_lacks_a_program_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(path))
    with pytest.raises(AssetsError, match=r"lacks kube-apiserver; correct it or unset it"):
        assets()
    program(path, "kube-apiserver")
    assert assets() == path


def test_without_go_the_error_says_what_to_do(path: Path) -> None:
    with pytest.raises(AssetsError, match=r"Go was not found.*install Go.*or set KUBEBUILDER_ASSETS"):
        assets()
    with pytest.raises(AssetsError, match=r"run `python -m dev\.kubernetes_assets`"):
        assets(build=False)


@pytest.mark.parametrize(("version", "toolchain"), [("go1.26.3", "local"), ("go1.27.0", kubernetes_assets.GO_TOOLCHAIN)])
def test_processes_that_ask_at_once_build_once(tmp_path: Path, path: Path, version: str, toolchain: str) -> None:
    counter = tmp_path / "starts"
    program(path, "go", GO.format(version=version, counter=counter))
    command = [sys.executable, "-m", "dev.kubernetes_assets"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    asking = [subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = {process.communicate(timeout=60)[0].strip() for process in asking}
    assert answers == {str(kubernetes_assets.cache_folder())}
    assert sorted(file.name for file in kubernetes_assets.cache_folder().iterdir()) == [".lock", "etcd", "kube-apiserver"]
    (started,) = counter.read_text().splitlines()
    assert started.startswith(f"{toolchain} build ")
    assert f"gitVersion=v{kubernetes_assets.version()}" in started


def test_a_build_that_fails_says_why_and_leaves_nothing(path: Path) -> None:
    program(path, "go", '#!/bin/sh\n[ "$1" = env ] && { echo go1.26.3; exit; }\necho "no such module" >&2\nexit 1\n')
    with pytest.raises(AssetsError, match="no such module"):
        assets()
    assert sorted(file.name for file in kubernetes_assets.cache_folder().iterdir()) == [".lock", "etcd"]
