from __future__ import annotations

import pytest

from airflow_dcp_provider.model.templates import ALLOWED_NAMES
from dag_factory.manifest.sql_templates import unquoted_dates


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("ds = {{ ds }}", [(5, "{{ ds }}")]),
        ("ds={{ds}}", [(3, "{{ds}}")]),
        ("ds = {{- ds -}} ", [(5, "{{- ds -}}")]),
        ("ds = DATE {{ ds }}", [(10, "{{ ds }}")]),
        ("ds IN ('{{ ds }}', {{ macros.ds_add(ds, 1) }})", [(19, "{{ macros.ds_add(ds, 1) }}")]),
        ("a = 'it''s' AND ds = {{ ds }}", [(21, "{{ ds }}")]),
        (r"a = 'it\'s' AND ds = {{ ds }}", [(21, "{{ ds }}")]),
        (r"a = r'\' AND ds = {{ ds }}", [(18, "{{ ds }}")]),
        ("-- it's\nds = {{ ds }}", [(13, "{{ ds }}")]),
        ("/* it's */ ds = {{ ds }}", [(16, "{{ ds }}")]),
        ("{# it's #} ds = {{ ds }}", [(16, "{{ ds }}")]),
        ("{% if ds > 'x' %} ds = {{ ds }} {% else %} ds < {{ ts }} {% endif %}", [(23, "{{ ds }}"), (48, "{{ ts }}")]),
        ("{% set day = ds %}ds = {{ day }}", [(23, "{{ day }}")]),
        ("{{ params.parameters.since }} < ds", [(0, "{{ params.parameters.since }}")]),
    ],
)
def test_a_date_outside_of_quotes_is_found(sql: str, found: list[tuple[int, str]]) -> None:
    assert unquoted_dates(sql, {"since": "2024-01-31"}) == tuple(found)


@pytest.mark.parametrize(
    "sql",
    [
        "ds = '{{ ds }}'",
        'ds = "{{ ds }}"',
        "ds = DATE '{{ ds }}'",
        "ds = TIMESTAMP '{{ ds }} 00:00:00'",
        "SELECT 1 AS `{{ ds }}`",
        "-- of {{ ds }}\n1 = 1",
        "/* of\n{{ ds }} */ 1 = 1",
        "{# {{ ds }} #} 1 = 1",
        "{% raw %}{{ ds }}{% endraw %}",
        "'{% if ds > '2024' %}{{ ds }}{% else %}{{ ts }}{% endif %}'",
        "{% if ds > ts %}1 = 1{% endif %}",
        "day = {{ ds_nodash }}",
        "day = {{ ds | replace('-', '') }}",
        "year = {{ logical_date.year }}",
        'ds = {{ "\'" ~ ds ~ "\'" }}',
        "{% set days %}{{ ds }}{% endset %} ds = '{{ days }}'",
        "{% for d in [ds] %}'{{ d }}'{% endfor %}",
        "SELECT * FROM raw.events_{{ ds }}",
        "user_id < {{ params.parameters.limit }}",
        "user_id < {{ params.parameters.unknown }}",
        "ds = {{ nothing }}",
        "ds = {{ ds",
        "not closed ' {{ ds }}",
    ],
)
def test_what_is_no_date_or_is_in_quotes_is_not(sql: str) -> None:
    assert unquoted_dates(sql, {"limit": 10}) == ()


@pytest.mark.parametrize("name", sorted(ALLOWED_NAMES))
def test_names_that_write_a_date(name: str) -> None:
    dates = {"ds", "ts", "logical_date", "data_interval_start", "data_interval_end"}
    assert bool(unquoted_dates(f"day = {{{{ {name} }}}}", {})) == (name in dates)


@pytest.mark.parametrize("name", ["ds", "ds_nodash", "ts", "ts_nodash", "ts_nodash_with_tz"])
def test_filters_that_write_a_date(name: str) -> None:
    assert bool(unquoted_dates(f"day = {{{{ data_interval_end | {name} }}}}", {})) == (name in {"ds", "ts"})
