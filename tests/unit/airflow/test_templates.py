"""Rendering a job: what templates may see, and how an error names its place."""

from __future__ import annotations

import datetime as dt

import pytest

from airflow_dcp_provider.model.errors import ExecutionError
from airflow_dcp_provider.model.template_filters import FILTER_NAMES
from airflow_dcp_provider.model.templates import (
    AIRFLOW_FILTERS,
    ALLOWED_MACROS,
    ALLOWED_NAMES,
    date_names,
    macros,
    render_job,
)

DAY = dt.datetime(2013, 1, 5, tzinfo=dt.UTC)
VALUES = {
    **date_names(DAY, DAY, DAY + dt.timedelta(days=1)),
    "run_id": "r",
    "dag_id": "d",
    "environment": "local",
    "params": {"size": 7},
    "macros": macros(),
}


def test_the_names_that_lint_allows_are_those_that_a_run_defines() -> None:
    assert set(VALUES) == ALLOWED_NAMES
    assert set(vars(macros())) == ALLOWED_MACROS
    assert FILTER_NAMES >= AIRFLOW_FILTERS


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("ds = '{{ ds }}'", "ds = '2013-01-05'"),
        ("{{ ds_nodash }} {{ ts_nodash }}", "20130105 20130105T000000"),
        ("{{ macros.ds_add(ds, 7) }} {{ macros.ds_format(ds, '%Y-%m-%d', '%d.%m.%Y') }}", "2013-01-12 05.01.2013"),
        ("{{ data_interval_end | ds }} {{ logical_date | ts_nodash_with_tz }}", "2013-01-06 20130105T000000+0000"),
        ("{% for n in range(params.size) %}{{ n }}{% endfor %}\n", "0123456\n"),
        ("{% raw %}{{EXECUTOR_ID}}{% endraw %}", "{{EXECUTOR_ID}}"),
        ("no template", "no template"),
    ],
)
def test_renders_every_text_of_a_job(text: str, rendered: str) -> None:
    job = {"labels": {"a": text}, "sources": [{"name": "flights", "filter": text}], "timeout": 5.0, "filter": None}
    assert render_job(job, VALUES) == {
        "labels": {"a": rendered},
        "sources": [{"name": "flights", "filter": rendered}],
        "timeout": 5.0,
        "filter": None,
        "rendered": True,
    }


@pytest.mark.parametrize(
    "text",
    [
        "{{ nope }}",
        "{{ params.nope }}",
        "{{ var.value.secret }}",
        "{{ conn.dcp_store.password }}",
        "{{ ti.xcom_pull() }}",
        "{{ ds.__class__.__mro__ }}",
        "{{ macros.datetime.__init__.__globals__ }}",
        "{{ macros.os }}",
        "{% include '/etc/passwd' %}",
        "{% if %}",
        "{{ 1 / 0 }}",
    ],
)
def test_names_the_field_and_the_text_that_cannot_be_rendered(text: str) -> None:
    with pytest.raises(ExecutionError) as caught:
        render_job({"sources": [{"name": "flights", "filter": text}]}, VALUES)
    assert caught.value.code == "DCP312"
    assert "the template in sources[flights].filter cannot be rendered" in caught.value.message
    assert text in caught.value.message
    assert "ds_nodash" in caught.value.hint
