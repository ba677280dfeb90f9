"""Finds, or builds once, the two programs of a real Kubernetes API server: ``kube-apiserver`` and ``etcd``.

``python -m dev.kubernetes_assets`` prints the folder that holds them. It is, in this order,

1. what ``KUBEBUILDER_ASSETS`` names (the convention of the Kubernetes project's own ``envtest``),
2. ``airflow-dcp-provider/kubernetes-<version>`` in the user's cache, filled the first time: etcd from the PATH or from Debian's
   package ``etcd-server``, the API server built from the Go module in ``dev/apiserver`` (several minutes).
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

MODULE = Path(__file__).resolve().parent / "apiserver"
PROGRAMS = ("kube-apiserver", "etcd")
#: Built by Go 1.27 the API server serves a broken OpenAPI document, and an older Go cannot build it.
GO_SERIES = "go1.26"
GO_TOOLCHAIN = "go1.26.8"
DEBIAN_ETCD = "etcd-server"


class AssetsError(RuntimeError):
    """The programs cannot be had here; says what is missing and what to do."""


def version() -> str:
    """Return the version of Kubernetes that ``dev/apiserver/go.mod`` names, for example ``1.36.2``."""
    found = re.search(r"^\s*k8s\.io/kubernetes v(\S+)$", (MODULE / "go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise AssetsError(f"{MODULE / 'go.mod'} names no version of k8s.io/kubernetes")
    return found[1]


def cache_folder() -> Path:
    """Return where the built programs of this version are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "airflow-dcp-provider" / f"kubernetes-{version()}"


def assets(*, build: bool = True) -> Path:
    """Return the folder with both programs.

    :param build: make them when they are not there; any number of processes may ask at once, one builds.
    :raises AssetsError: when they are not there and cannot (or may not) be made.
    """
    if named := os.environ.get("KUBEBUILDER_ASSETS"):
        missing = _missing(Path(named))
        if missing:
            raise AssetsError(f"KUBEBUILDER_ASSETS={named} lacks {' and '.join(missing)}; correct it or unset it")
        return Path(named)
    folder = cache_folder()
    if not _missing(folder):
        return folder
    if not build:
        raise AssetsError(f"{folder} is not built yet; run `python -m dev.kubernetes_assets` (several minutes, once)")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name, make in (("etcd", _make_etcd), ("kube-apiserver", _make_api_server)):
            if name in _missing(folder):
                # Made beside its place and moved there whole: a build that is killed leaves nothing half done.
                with tempfile.TemporaryDirectory(dir=folder, prefix=".making-") as work:
                    make(Path(work)).replace(folder / name)
    return folder


def _missing(folder: Path) -> list[str]:
    return [name for name in PROGRAMS if not os.access(folder / name, os.X_OK)]


def _make_etcd(work: Path) -> Path:
    """Copy etcd from the PATH, or unpack it from Debian's package without installing that (which would start a server)."""
    made = work / "etcd"
    if found := shutil.which("etcd"):
        shutil.copy(found, made)
        return made
    if not shutil.which("apt-get"):
        raise AssetsError("etcd is not on the PATH and this is no Debian; install etcd 3.4 or newer")
    _tell(f"taking etcd from Debian's package {DEBIAN_ETCD}")
    if os.geteuid() == 0:
        _run("apt-get", "update", "-qq")
    # apt's own unprivileged user has to be able to write where a download goes.
    work.chmod(0o755)
    _run("apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", DEBIAN_ETCD, cwd=work)
    (package,) = work.glob("*.deb")
    _run("dpkg-deb", "--extract", str(package), str(work / "unpacked"))
    (work / "unpacked" / "usr" / "bin" / "etcd").replace(made)
    return made


def _make_api_server(work: Path) -> Path:
    if not shutil.which("go"):
        raise AssetsError(
            f"Go was not found, and kube-apiserver {version()} has to be built; install Go 1.21 or newer "
            f"(it fetches {GO_TOOLCHAIN} itself), or set KUBEBUILDER_ASSETS to a folder that holds kube-apiserver and etcd"
        )
    _tell(f"building kube-apiserver {version()} (once, 5 to 15 minutes)")
    with_local = _run("go", "env", "GOVERSION", environment={"GOTOOLCHAIN": "local"}).strip()
    toolchain = "local" if with_local.startswith(f"{GO_SERIES}.") else GO_TOOLCHAIN
    major, minor, _ = version().split(".")
    names = {"gitVersion": f"v{version()}", "gitMajor": major, "gitMinor": minor}
    flags = " ".join(["-s", "-w", *(f"-X k8s.io/component-base/version.{key}={value}" for key, value in names.items())])
    made = work / "kube-apiserver"
    _run(
        *("go", "build", "-mod=readonly", "-trimpath", "-ldflags", flags, "-o", str(made), "."),
        cwd=MODULE,
        environment={"GOTOOLCHAIN": toolchain},
    )
    return made


def _tell(what: str) -> None:
    """Say what takes long where it does not mix with the answer."""
    print(what, file=sys.stderr, flush=True)


def _run(*command: str, cwd: Path | None = None, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssetsError(f"`{' '.join(command[:3])} ...` ended with {done.returncode}:\n{done.stderr[-4000:]}")
    return done.stdout


def main() -> int:
    """Print the folder; return 1 with the reason on standard error when there is none."""
    try:
        print(assets())
    except AssetsError as error:
        _tell(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
