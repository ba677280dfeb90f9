"""``DCP_HOME`` is its user's alone, whatever the umask is and whoever made the folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.home import private_home
from airflow_dcp_provider.runner.backends.local import LocalBackend
from airflow_dcp_provider.runner.store import SqlStore
from dag_factory.cache import read_checked, write_checked
from dag_factory.loader import _cache_folder
from tests.support.executions import local_settings, request


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_made_private_under_any_umask(tmp_path: Path, umask: int) -> None:
    assert mode(private_home(tmp_path / "a" / "home")) == 0o700


@pytest.mark.parametrize("rights", [0o755, 0o750, 0o770, 0o711, 0o701])
def test_what_others_may_do_in_it_is_taken_from_them(tmp_path: Path, rights: int, caplog: pytest.LogCaptureFixture) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(rights)
    assert mode(private_home(home)) == 0o700
    assert "other users could enter" in caplog.text
    caplog.clear()
    private_home(home)
    assert caplog.text == ""


def test_a_folder_that_everybody_may_write_to_is_refused(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o1777)
    with pytest.raises(DcpEnvironmentError, match="every user of this machine") as error:
        private_home(home)
    assert error.value.code == "DCP448"
    # It may be /tmp itself: nothing is changed.
    assert mode(home) == 0o1777


def test_another_users_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_dcp_provider.model.home.os", SimpleNamespace(geteuid=lambda: os.geteuid() + 1, environ=os.environ))
    with pytest.raises(DcpEnvironmentError, match="belongs to the user") as error:
        private_home(tmp_path)
    assert error.value.code == "DCP448"


def test_a_file_in_its_place_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(DcpEnvironmentError) as error:
        private_home(tmp_path / "home")
    assert error.value.code == "DCP445"


def test_an_attempt_is_made_in_a_private_folder_or_not_at_all(tmp_path: Path, umask: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalBackend, "_start", lambda *_: None)
    home = tmp_path / "home"
    asked = request()
    LocalBackend(home, local_settings(tmp_path)).create(asked)
    assert mode(home) == 0o700
    folder = home / "executions" / asked.ref.execution_id
    assert {mode(each) for each in (folder.parent, folder, folder / "1")} == {0o700}
    assert {mode(path) for path in (folder / "1").iterdir()} == {0o600}
    open_home = tmp_path / "open"
    open_home.mkdir()
    open_home.chmod(0o777)
    with pytest.raises(DcpEnvironmentError):
        LocalBackend(open_home, local_settings(tmp_path)).create(asked)
    assert list(open_home.iterdir()) == []


def test_the_history_makes_it_private_too(tmp_path: Path, umask: int) -> None:
    home = tmp_path / "home"
    SqlStore(f"sqlite:///{home / 'dcp.db'}").executions()
    assert mode(home) == 0o700


def test_compiled_manifests_of_a_foreign_home_are_not_believed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tmp_path.chmod(0o777)
    folder = _cache_folder(tmp_path)
    assert "DCP448" in caplog.text
    write_checked(folder / "a.json", {"a": 1})
    assert read_checked(folder / "a.json") is None
    assert list(tmp_path.iterdir()) == []
