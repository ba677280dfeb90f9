"""Connection extras, handles in XCom and snapshot summaries of wrong types: values, or errors with a code."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_dcp_provider.hooks.environment_fields import FIELDS, parse_environment
from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.errors import DcpEnvironmentError, ExecutionError
from airflow_dcp_provider.operators.publish import _attempt
from airflow_dcp_provider.sensors.spark_execution import _handle
from airflow_dcp_provider.tables.snapshots import snapshots
from airflow_dcp_provider.tables.verify import verify

ODD: tuple[Any, ...] = (
    {},
    [],
    [{}],
    {"a": {}},
    {"a": {"connection": "c", "mode": {}}},
    {"a": {"connection": [], "mode": "read"}},
    [{"name": "a", "connection": "b", "weight": 10**400}],
    [{"name": "a", "connection": "b", "weight": float("nan")}],
    [{"name": "a", "connection": "b", "namespace": {}}],
    [{"name": {}, "connection": []}],
    "²",
    "\uff19",
    "1" * 5000,
    10**5000,
    float("nan"),
    float("inf"),
    -1,
    1.5,
    True,
    "[" * 100_000,
    '{"a":' * 100_000,
    "http://[",
    "http://a\0b",
    "a\nb",
    {"a": 10**5000},
    {"a": float("nan")},
    {"limits": None},
    {"driver_cores": "²", "driver_memory": "²g"},
    {"driver_memory": {}},
    [[[[[[[[[[[[[[1]]]]]]]]]]]]]],
    "\ud800",
)


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_of_a_connection_is_a_value_or_an_error_that_names_it(field: str) -> None:
    for odd in ODD:
        error = error_of({field: odd})
        assert error is None or (error.code == "DCP412" and "dcp_test" in error.message and len(str(error)) < 5000)


def error_of(extra: dict[str, Any]) -> DcpEnvironmentError | None:
    """What is wrong with a connection's extra, or None when it is an environment."""
    try:
        assert isinstance(parse_environment("test", "dcp_test", extra), Environment)
    except DcpEnvironmentError as error:
        return error
    return None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "connection", "mode", "weight", "a"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(extra=st.dictionaries(st.sampled_from(sorted(FIELDS)) | st.text(max_size=10), JSON, max_size=4))
def test_any_extra_is_an_environment_or_an_error(extra: dict[str, Any]) -> None:
    error = error_of(extra)
    assert error is None or error.code in {"DCP412", "DCP413"}


@settings(max_examples=200, deadline=None)
@given(value=JSON)
def test_any_handle_is_read_or_refused_with_a_code(value: Any) -> None:
    with pytest.raises(AirflowFailException, match="DCP221"):
        _handle({"request": value})
    with pytest.raises(ExecutionError) as caught:
        _attempt({"attempt": value})
    assert caught.value.code == "DCP371"


class Table:
    """A table whose only snapshot has a summary that somebody else wrote."""

    def __init__(self, summary: dict[str, Any], parent: int = 1) -> None:
        self._snapshot = SimpleNamespace(
            snapshot_id=1,
            parent_snapshot_id=parent,
            timestamp_ms=1,
            summary=SimpleNamespace(operation=SimpleNamespace(value="append"), additional_properties=summary),
        )

    def snapshots(self) -> list[Any]:
        return [self._snapshot]

    def current_snapshot(self) -> Any:
        return self._snapshot


@pytest.mark.parametrize("odd", ["²", "", "-1", "1e3", "1" * 5000, "a", None, 7, {}, " 1", "\uff11"])
def test_a_summary_of_another_writer_is_no_failure(odd: Any) -> None:
    summary = {"dcp.execution-id": "e", **dict.fromkeys(("dcp.attempt", "dcp.rows", "total-records", "added-records"), odd)}
    catalog: Any = SimpleNamespace(name="c", load_table=lambda _: Table(summary))
    proof = verify(catalog, ("d", "t"), "e")
    assert proof is not None
    assert isinstance(proof.rows, int)


def test_a_history_that_leads_in_a_circle_ends() -> None:
    catalog: Any = SimpleNamespace(name="c", load_table=lambda _: Table({}, parent=1))
    assert len(snapshots(catalog, ("d", "t"))) == 1
