"""A hand-written DAG's job that is no job is the user's error, whatever is wrong with it."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_dcp_provider.model.errors import UsageError
from airflow_dcp_provider.operators.jobs import resolve_job

MOMENT = dt.datetime(2013, 1, 5, tzinfo=dt.UTC)


@pytest.fixture
def context() -> Any:
    run = SimpleNamespace(logical_date=MOMENT, run_after=MOMENT, data_interval_start=MOMENT, data_interval_end=MOMENT, conf={})
    ti = SimpleNamespace(dag_id="whole", run_id="manual__1", task_id="submit", map_index=-1)
    return {"dag_run": run, "run_id": "manual__1", "ti": ti, "params": {}, "dag": SimpleNamespace(params=None)}


def test_a_job_is_rendered_for_its_run(context: Any) -> None:
    found = resolve_job(context, {"manifest_id": "m", "name": "of-{{ ds }}"}, None)
    assert (found.job.name, found.date.ds) == ("of-2013-01-05", "2013-01-05")


@pytest.mark.parametrize(
    "fields",
    [
        {"core_etl": "text"},
        {"core_etl": {"job": "text"}},
        {"core_etl": {"job": {"sinks": ["text"]}}},
        {"core_etl": {"job": {"sources": ["text"]}}},
        {"resources": [1]},
        {"engine": "text"},
        {"colour": "red"},
    ],
    ids=str,
)
def test_a_field_of_the_wrong_kind_is_our_error(context: Any, fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"DCP200 the job is not complete, or a field of it is unknown or of the wrong kind: "):
        resolve_job(context, {"manifest_id": "m", "name": "n", **fields}, None)
