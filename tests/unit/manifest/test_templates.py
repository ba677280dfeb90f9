from __future__ import annotations

import pytest

from airflow_dcp_provider.model.templates import ALLOWED_NAMES
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


def texts(sql: str, parameters: dict[str, object] | None = None, environment: str = "") -> list[str]:
    neutral = neutral_sql(sql, parameters or {}, environment)
    assert neutral is not None
    return [" ".join(text.text.split()) for text in neutral.texts]


@pytest.mark.parametrize(
    ("sql", "read"),
    [
        ("SELECT 1", "SELECT 1"),
        ("ds = '{{ ds }}'", "ds = 'j_'"),
        ("a {{ ds\n }} b", "a j_ b"),
        ("a {# note #} b", "a b"),
        ("{% raw %}{{ a }}{% endraw %}", "{{ a }}"),
        ("{% set x = 1 %}a {{ x }}", "a 1"),
        ("SELECT * FROM {{ 'other' }}.db.t", "SELECT * FROM other.db.t"),
        ("{% for n in ['a', 'b', 'c'] %}{{ n }}{{ ', ' if not loop.last }}{% endfor %}", "a, b, c"),
        ("{% for n in [ds, 'b'] %}{{ n }} {% endfor %}", "j_ b"),
        ("{% for a, b in [('x', 1), ('y', 2)] %}{{ a }}{{ b }} {% endfor %}", "x1 y2"),
        ('{{ "\'" ~ ds ~ "\'" }}', "'j_'"),
        ("{% set t %}raw.{{ 'a' }}{% endset %}{{ t }}", "raw.a"),
        ("{{ 'x' if true else 'y' }}", "x"),
        ("{{ macros.ds_add('2024-01-01', 1) }}", "2024-01-02"),
    ],
)
def test_what_is_known_of_a_template_is_read(sql: str, read: str) -> None:
    assert texts(sql) == [read]


@pytest.mark.parametrize(
    ("sql", "read"),
    [
        ("a {% if ds %}b{% else %}c{% endif %} d", ["a b d", "a c d"]),
        ("a {%- if ds -%} b {%- elif ts -%} c {%- else -%} d {%- endif %} e", ["ab e", "ac e", "ad e"]),
        ("{% if ds %}a{% else %}b{% endif %} {% if ts %}c{% else %}d{% endif %}", ["a c", "b d"]),
        ("{% if ds %}a{% else %}b{% endif %} {% if not ds %}c{% else %}d{% endif %}", ["a d", "b c"]),
        ("{% if ds == 'x' %}a{% endif %} {% if ds != 'x' %}b{% endif %}", ["a", "b"]),
        (
            "{% if ds %}{% if ts %}a{% else %}b{% endif %}{% else %}{% if run_id %}c{% else %}e{% endif %}{% endif %}",
            ["a", "c", "b", "e"],
        ),
        ("{{ 'a' if ds else 'b' }}", ["a", "b"]),
        ("{% for n in params.parameters.names %}{{ n }}{% if not loop.last %}, {% endif %}{% endfor %}", ["j_, j_"]),
        ("{% for n in params.parameters.names %}a{% else %}b{% endfor %}", ["aa", "b"]),
        ("{% if params.parameters.n > 3 and ds %}a{% else %}b{% endif %}", ["a", "b"]),
    ],
)
def test_every_branch_is_read(sql: str, read: list[str]) -> None:
    assert sorted(texts(sql, {"n": 4})) == sorted(read)


@pytest.mark.parametrize("environment", ["local", "prod"])
@pytest.mark.parametrize("name", ["environment", "params.environment", "params['environment']"])
def test_the_environment_decides_on_a_branch(environment: str, name: str) -> None:
    sql = f"{{% if {name} == 'prod' %}}full{{% elif {name} in ['test', 'staging'] %}}some{{% else %}}few{{% endif %}}"
    assert texts(sql, environment=environment) == ["full" if environment == "prod" else "few"]
    assert sorted(texts(sql)) == ["few", "full", "some"]


def test_places_are_those_of_the_text_with_templates() -> None:
    sql = "SELECT {{ ds }},\r\n a.b\nFROM {% if ds %}{# x #}raw.events{% else %}{{ 'raw.full' }}{% endif -%}  \n WHERE x"
    neutral = neutral_sql(sql, {})
    assert neutral is not None
    first, second = neutral.texts
    assert sql[first.origin(first.text.index("raw.events")) :].startswith("raw.events")
    assert sql[second.origin(second.text.index("raw.full")) :].startswith("{{ 'raw.full' }}")
    for text in neutral.texts:
        assert sql[text.origin(text.text.index("a.b")) : text.origin_end(text.text.index("a.b") + 3)] == "a.b"
        assert sql[text.origin(text.text.index("WHERE")) :] == "WHERE x"


def test_a_template_with_a_mistake_has_no_neutral_text() -> None:
    assert neutral_sql("SELECT {{ ds", {}) is None
