"""Whatever a job spec holds, the driver reads it or says DCP320 (DCP329 for an input that is not there), and never shows a stack."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_dcp_provider.core_etl import spec as driver
from airflow_dcp_provider.core_etl.bundle import lay_driver
from airflow_dcp_provider.core_etl.faults import DriverError
from airflow_dcp_provider.core_etl.fields import READERS

WHOLE: dict[str, Any] = {
    "version": 1, "execution_id": "e", "attempt": 2, "fingerprint": "f", "manifest_id": "m", "run_key": "r", "ds": "2013-01-05",
    "sources": [
        {"name": "src", "type": "iceberg", "catalog": "c", "database": "d", "table": "s", "path": None, "filter": "a > 1", "options": {}},
        {"name": "file", "type": "csv", "path": "/data", "options": {"header": "true"}},
    ],
    "transformations": [{"name": "result", "query": "SELECT 1 AS id", "type": "sql"}],
    "sinks": [
        {
            "name": "out", "catalog": "c", "database": "d", "table": "t", "input": "result", "type": "iceberg", "mode": "merge",
            "partition_by": ["ds"], "merge_keys": ["id"], "description": "x",
            "columns": [{"name": "id", "type": "long", "required": True, "description": None}],
        }
    ],
}  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value inside of a document."""
    inner = list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    return [place for key, item in inner for place in ((*path, key), *places(item, (*path, key)))]


def changed(path: tuple[Any, ...], value: Any) -> Any:
    document = copy.deepcopy(WHOLE)
    target = document
    for key in path[:-1]:
        target = target[key]
    if value is DELETED:
        del target[path[-1]]
    else:
        target[path[-1]] = value
    return document


DELETED = object()
STRANGE = [None, True, False, 0, -1, 2**63, 10**400, 1.5, -0.0, float("nan"), float("inf"), "", "\ud800", "\0", "x" * 100_000, [], {}, [[]],
           [{}], {"a": {}}, [None], {"": 1}, [1, "a", {}], DELETED]  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


def check(text: str) -> bool:
    """Read a spec; return whether it could be used. Any other error than the driver's own fails the test."""
    failure: DriverError | None = None
    try:
        driver.parse_job(text)
    except DriverError as error:
        failure = error
    if failure is None:
        return True
    assert failure.code in {"DCP320", "DCP329"}
    assert failure.exit_code == 20
    assert len(json.dumps(failure.to_dict())) < 60_000
    return False


def test_the_whole_one_is_read() -> None:
    assert check(json.dumps(WHOLE))


@pytest.mark.parametrize("path", places(WHOLE), ids=lambda path: ".".join(map(str, path)))
def test_a_strange_value_anywhere(path: tuple[Any, ...]) -> None:
    sys.set_int_max_str_digits(0)
    try:
        for value in STRANGE:
            check(json.dumps(changed(path, value)))
    finally:
        sys.set_int_max_str_digits(4300)


@pytest.mark.parametrize(
    "path", [place for place in places(WHOLE) if isinstance(place[-1], str)], ids=lambda path: ".".join(map(str, path))
)
@pytest.mark.parametrize("value", [{}, {"a": 1}, [[]], 1.5, 7], ids=["map", "map of a number", "list", "float", "number"])
def test_a_value_of_another_type_is_refused(path: tuple[Any, ...], value: Any) -> None:
    fits = path[-1] in {"options", "header"} or (path[-1] in {"version", "attempt"} and value == 7)
    if not fits:
        assert not check(json.dumps(changed(path, value)))


@settings(max_examples=400, deadline=None)
@given(path=st.sampled_from(places(WHOLE)), value=ANYTHING)
def test_anything_anywhere(path: tuple[Any, ...], value: Any) -> None:
    check(json.dumps(changed(path, value)))


@settings(max_examples=200, deadline=None)
@given(ANYTHING)
def test_anything_at_all(value: Any) -> None:
    assert not check(json.dumps(value))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\ufeff{}",
        "[" * 200_000,
        '{"a":' * 50_000,
        '{"version": 1, "version": 1}',
        '{"version": NaN}',
        '{"version": 1e999}',
        '{"version": true}',
        '{"version": 1.0}',
        '{"version": "1"}',
        '{"version": 2}',
        '{"attempt": ' + "9" * 100_000 + "}",
        '{"version": 1, "execution_id": "' + "e" * 300 + '"}',
    ],
    ids=range(13),
)
def test_texts_that_are_no_spec(text: str) -> None:
    assert not check(text)


def test_every_field_has_a_reader() -> None:
    for kind in (driver.Source, driver.Transformation, driver.Column, driver.Sink):
        assert {str(field.type) for field in fields(kind)} <= set(READERS)


@pytest.mark.parametrize("content", [b'{"version": 1, "execution_id": {}}', b"\xff\xfe", b"[" * 100_000, b""])
def test_the_driver_itself_shows_no_stack(tmp_path: Path, content: bytes) -> None:
    lay_driver(tmp_path)
    (tmp_path / "spec.json").write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-I", str(tmp_path / "main.py"), "--job-spec", str(tmp_path / "spec.json")],
        env={"DCP_TERMINATION_LOG": str(tmp_path / "result")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (20, "")
    assert "Traceback" not in done.stdout
    assert json.loads((tmp_path / "result").read_text().removeprefix("DCP_RESULT "))["error"]["code"] == "DCP320"
