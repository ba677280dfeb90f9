"""What Airflow or its database would refuse is one manifest's import error, whatever lint lets through."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_dcp_provider.model.errors import ManifestError
from dag_factory.compiled import CompileSettings, compile_manifest
from dag_factory.dag import build_dag_from_parts
from dag_factory.handover import DagSerialization, HandoverCheck
from dag_factory.parts import DagParts, dag_parts
from dag_factory.storable import asset_faults, dag_faults, faults
from tests.hostile.full_manifests import write_with


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> DagParts:
    path = write_with(tmp_path_factory.mktemp("dags"), "spark_job", "manifest", {})
    compiled = compile_manifest(path, path.parent, ("local",), CompileSettings())
    assert compiled is not None
    return dag_parts(compiled, "local")


def with_dag(parts: DagParts, **changes: Any) -> DagParts:
    return DagParts.from_dict({**parts.to_dict(), "dag": {**parts.dag, **changes}})


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"owner": "o" * 501}, "`owner` has 501 characters, and Airflow keeps 500"),
        ({"owner": "a\0b"}, "`owner` holds the character NUL"),
        ({"owner": "a\ud800"}, "`owner` holds half of a character"),
        ({"description": "x" * 10_001}, "`description` has 10001 characters"),
        ({"airflow": {"pool": "p" * 257}}, "`pool` has 257 characters"),
        ({"airflow": {"queue": "p" * 257}}, "`queue` has 257 characters"),
        ({"airflow": {"priority": 2**31}}, "`priority` is 2147483648"),
        ({"max_active_runs": 2**31}, "`max_active_runs` is 2147483648"),
        ({"max_active_runs": 10**5000}, "`max_active_runs` is a number of more than 64 bits"),
        ({"start_date": "0001-01-01"}, "`start_date` is in the year 1"),
        ({"end_date": "9999-12-31"}, "`end_date` is in the year 9999"),
        ({"start_date": "never"}, "`start_date` is not a date"),
        ({"tags": ["t" * 101]}, "`tags` has an entry of 101 characters"),
        ({"tags": [f"t{number}" for number in range(1001)]}, "`tags` has 1001 entries"),
        ({"schedule": ["iceberg://" + "a" * 1500]}, "`schedule` has an entry of 1510 characters"),
        ({"schedule": "*" * 251}, "`schedule` has 251 characters"),
        ({"params": {"a": 2**63}}, "`params.a` is a number of more than 64 bits"),
        ({"params": {"a": float("nan")}}, "`params.a` is nan"),
        ({"params": {"a": [float("inf")]}}, "`params.a` is inf"),
        ({"params": {"a\0": 1}}, "`params` holds the character NUL"),
        ({"params": {"a": {1, 2}}}, "`params.a` is a set"),
    ],
)
def test_what_a_column_cannot_hold_is_named(parts: DagParts, changes: dict[str, Any], fault: str) -> None:
    assert any(text.startswith(fault) for text in dag_faults({**parts.dag, **changes}))


def test_what_is_ordinary_has_no_fault(parts: DagParts) -> None:
    assert list(dag_faults(parts.dag)) == []
    assert list(faults(parts.to_dict())) == []
    assert list(asset_faults(parts.outlets)) == []


def test_deep_values_cost_no_recursion() -> None:
    value: Any = 1
    for _ in range(100_000):
        value = [value]
    assert list(faults(value)) == ["`` nests deeper than 60 levels"]


@pytest.mark.parametrize(
    "changes",
    [{"params": {"a": {1, 2}}}, {"tags": ["x" * 101]}, {"schedule": "every now and then"}, {"airflow": {"priority": "high"}}],
)
def test_what_airflow_refuses_is_the_manifests_error(parts: DagParts, changes: dict[str, Any]) -> None:
    with pytest.raises(ManifestError, match=r"DCP190|DCP185"):
        HandoverCheck(["local"], "local")(with_dag(parts, **changes))


def test_one_dag_of_a_shape_is_serialized_for_all(parts: DagParts, monkeypatch: pytest.MonkeyPatch) -> None:
    check = HandoverCheck(["local"], "local")
    check(parts)
    monkeypatch.setattr("dag_factory.handover.build_dag_from_parts", None)
    check(with_dag(parts, owner="another", description="other", tags=["x"]))
    with pytest.raises(TypeError):
        check(with_dag(parts, params={"a": 1}))


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=50)
SCALAR = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUE = st.recursive(SCALAR, lambda inner: st.lists(inner, max_size=3), max_leaves=10)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    owner=TEXT,
    description=TEXT,
    pool=TEXT,
    priority=st.integers(-(2**31), 2**31 - 1),
    tags=st.lists(TEXT, max_size=3),
    params=st.dictionaries(TEXT, VALUE, max_size=3),
    start=st.dates(min_value=dt.date(1900, 1, 1), max_value=dt.date(2999, 12, 31)),
)
def test_what_has_no_fault_is_taken_by_airflow_and_its_database(
    parts: DagParts, owner: str, description: str, pool: str, priority: int, tags: list[str], params: dict[str, Any], start: Any
) -> None:
    """The reason why one DAG of a shape stands for all of it: no text or number changes what the serializer does."""
    changed = with_dag(
        parts,
        owner=owner or "x",
        description=description,
        airflow={"pool": pool or "default_pool", "priority": priority},
        tags=tags,
        params=params,
        start_date=start.isoformat(),
    )
    assert list(dag_faults(changed.dag)) == []
    plain = DagSerialization.to_dict(build_dag_from_parts(changed, ["local"], "local"))
    assert list(faults(plain)) == []
    json.dumps(plain, allow_nan=False).encode()


def test_a_fault_of_the_dag_is_an_error_of_the_compilation(tmp_path: Path) -> None:
    path = write_with(tmp_path, "spark_job", "manifest", {"spec": {"orchestration": {"startDate": "0999-01-01"}}})
    with pytest.raises(ManifestError, match="DCP1"):
        compile_manifest(path, tmp_path, ("local",), CompileSettings())
