"""Names and locations of the embedded catalog stay in its warehouse."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_dcp_provider.embedded_catalog.names import is_inside, is_plain_name, location_of, path_of


@pytest.mark.parametrize("name", ["raw", "user_features_daily", "a-b", "_x", "1", "A" * 255])
def test_plain_names_are_accepted(name: str) -> None:
    assert is_plain_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", "a.b", "a/b", "a\\b", "a b", "a\x1fb", "-a", "ä", "a\n", "A" * 256])
def test_other_names_are_refused(name: str) -> None:
    assert not is_plain_name(name)


@given(st.text())
def test_an_accepted_name_is_one_component_of_a_path(name: str) -> None:
    if is_plain_name(name):
        assert Path("/warehouse", name).resolve() == Path("/warehouse") / name


@pytest.mark.parametrize(
    ("location", "path"), [("file:///a/b", "/a/b"), ("file:/a/b", "/a/b"), ("/a/b", "/a/b"), ("file:///a%20b", "/a%20b")]
)
def test_a_location_is_taken_literally(location: str, path: str) -> None:
    assert path_of(location) == Path(path)


@pytest.mark.parametrize("location", ["s3://bucket/a", "file://host/a", "a/b", "", "file:a"])
def test_other_locations_are_refused(location: str) -> None:
    with pytest.raises(ValueError, match="not an absolute path"):
        path_of(location)


def test_inside_means_really_inside(tmp_path: Path) -> None:
    warehouse = tmp_path / "warehouse"
    warehouse.mkdir()
    (warehouse / "out").symlink_to(tmp_path)
    assert is_inside(location_of(warehouse / "db" / "t"), warehouse)
    assert not is_inside(location_of(warehouse), warehouse)
    assert not is_inside(f"{location_of(warehouse)}/../secret", warehouse)
    assert not is_inside(location_of(warehouse / "out" / "secret"), warehouse)
    assert not is_inside("s3://bucket/db", warehouse)
