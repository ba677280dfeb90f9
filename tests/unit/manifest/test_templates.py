from __future__ import annotations

import pytest

from airflow_dcp_provider.model.templates import ALLOWED_NAMES, template_environment
from dag_factory.manifest.problems import Problems
from dag_factory.manifest.settings import CompileSettings
from dag_factory.manifest.sql_templates import neutral_sql, sample_values
from dag_factory.manifest.templates import check_templates
from dag_factory.manifest.yaml_reader import read_yaml


def faults(text: str, parameters: tuple[str, ...] = ()) -> list[str]:
    node = read_yaml(text, "f.yaml", CompileSettings())
    assert node is not None
    problems = Problems({"f.yaml": text})
    check_templates(node, parameters, problems, {"f.yaml": text})
    return [f"{problem.position} {problem.code}" for problem in problems.sorted()]


@pytest.mark.parametrize(
    "template",
    [
        "{{ ds }}",
        "{{ ds_nodash | int }}",
        "{{ macros.ds_add(ds, -7) }}",
        "{{ logical_date | ds }}",
        "{{ data_interval_end.isoformat() }}",
        "{{ params.environment }} {{ environment }}",
        "{{ params.parameters.known }}",
        "{{ params.parameters.get('other', 1) }}",
        "{{ params.parameters.other | default(3) }}",
        "{% set x = ds %}{{ x }}",
        "{% for c in ['a', 'b'] %}{{ c }}{{ ', ' if not loop.last }}{% endfor %}",
        "{% if ds is string %}x{% endif %}",
        "{% raw %}{{ anything }}{% endraw %}",
        "no template: { a }",
        "{# {{ nothing }} #}",
    ],
)
def test_what_templates_may_say(template: str) -> None:
    assert faults(f'a: "{template}"\n', ("known",)) == []


def test_sample_values_define_every_name_that_is_allowed() -> None:
    assert set(sample_values({})) == set(ALLOWED_NAMES)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('a: "x {{ dss }}"\n', "f.yaml:1:10 DCP166"),
        ("a: x {{ dss }}\n", "f.yaml:1:9 DCP166"),
        ("a: |\n  dss\n    and {{\n  dss }}\n", "f.yaml:4:3 DCP166"),
        ("a: |-\n\n    {{ ti.xcom_pull('x') }}\n", "f.yaml:3:8 DCP166"),
        ("a: >\n  folded\n  {{ dss }}\n", "f.yaml:1:4 DCP166"),
        ('a: "{{ var.value.password }}"\n', "f.yaml:1:8 DCP166"),
        ('a: "{{ macros.random() }}"\n', "f.yaml:1:8 DCP166"),
        ('a: "{{ ds | nothing }}"\n', "f.yaml:1:11 DCP166"),
        ('a: "{% if ds is nothing %}{% endif %}"\n', "f.yaml:1:14 DCP166"),
        ('a: "{{ params.day }}"\n', "f.yaml:1:8 DCP166"),
        ('a: "{{ params.parameters.day }}"\n', "f.yaml:1:15 DCP166"),
        ('a: "{{ ds }"\n', "f.yaml:1:5 DCP165"),
        ("a: |\n  fine {{ ds }}\n  {% if %}\n", "f.yaml:3:3 DCP165"),
    ],
)
def test_what_is_wrong_is_shown_at_its_place(text: str, where: str) -> None:
    assert faults(text) == [where]


def test_what_passes_the_check_renders() -> None:
    text = "{{ ds }} {{ macros.ds_add(ds, 1) }} {{ logical_date | ts_nodash }} {{ params.parameters.limit }}"
    assert faults(f'a: "{text}"\n', ("limit",)) == []
    assert template_environment().from_string(text).render(sample_values({"limit": 3})) == "2013-01-05 2013-01-06 20130105T000000 3"


@pytest.mark.parametrize(
    ("sql", "neutral"),
    [
        ("SELECT 1", "SELECT 1"),
        ("ds = '{{ ds }}'", "ds = 'j_______'"),
        ("a {{ x\n }} b", "a j___\n    b"),
        ("a {# note #} b", "a            b"),
        ("{% raw %}{{ a }}{% endraw %}", "         {{ a }}            "),
    ],
)
def test_templates_become_words_of_the_same_length(sql: str, neutral: str) -> None:
    found = neutral_sql(sql, {})
    assert found is not None
    assert found.text == neutral
    assert len(found.text) == len(sql)
    assert found.exact


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("a {% if x %}b{% else %}c{% endif %} d", "a b d"),
        ("a {%- if x -%} b {%- elif y -%} c {%- else -%} d {%- endif %} e", "a b e"),
        ("{% if x %}{% if y %}a{% else %}b{% endif %}{% else %}{% if z %}c{% endif %}{% endif %} d", "a d"),
        ("{% set x = 1 %}a", "a"),
        ("{% if x %}{% set y = 1 %}a{% else %}b{% endif %}c", "a c"),
    ],
)
def test_of_branches_the_first_one_stays_where_it_is(sql: str, words: str) -> None:
    found = neutral_sql(sql, {})
    assert found is not None
    assert found.text.split() == words.split()
    assert len(found.text) == len(sql)
    assert all(found.text[place] == " " or found.text[place] == sql[place] for place in range(len(sql)))


def test_loops_are_rendered_with_sample_values() -> None:
    found = neutral_sql("SELECT {% for n in params.parameters.names %}{{ n }}, {% endfor %}1", {"names": ["a", "b"]})
    assert found is not None
    assert (found.text, found.exact) == ("SELECT a, b, 1", False)


def test_a_template_with_a_mistake_has_no_neutral_text() -> None:
    assert neutral_sql("SELECT {{ ds", {}) is None
    assert neutral_sql("SELECT {% for x in nothing_known.y %}{% endfor %}1", {}) is None
