"""Templates that run without bound, lead to Python's objects, or write something else in every run: refused by lint and by a run."""

from __future__ import annotations

import datetime as dt
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_dcp_provider.model.errors import ExecutionError, ManifestError
from airflow_dcp_provider.model.templates import date_names, macros, render_job
from dag_factory.compiled import CompileSettings, compile_manifest
from dag_factory.manifest.node import Node
from dag_factory.manifest.problems import Problems
from dag_factory.manifest.templates import check_templates

#: No single text may take longer, in CPU time: other tests run beside this one.
SECONDS = 2.0
DAY = dt.datetime(2013, 1, 5, tzinfo=dt.UTC)
PARAMETERS: dict[str, Any] = {"text": "abc", "numbers": [1, 2, 3], "size": 5}
VALUES = {
    **date_names(DAY, DAY, DAY + dt.timedelta(days=1)),
    "run_id": "r",
    "dag_id": "d",
    "environment": "local",
    "params": {"environment": "local", "parameters": PARAMETERS},
    "macros": macros(),
}

#: More branches than lint reads; a run takes one way through them.
MANY_BRANCHES = "".join(f"{{% if ds == '{n}' %}}a{{% endif %}}" for n in range(300))

#: What runs or grows without bound.
WITHOUT_BOUND = (
    "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
    "{% for i in range(9999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}",
    "{% for i in range(10) %}" * 9 + "x" + "{% endfor %}" * 9,
    "{% for i in 'a' * 900000 %}{% endfor %}",
    "{% set l = range(9000) %}{% for i in l %}{% if -1 in l %}{% endif %}{% endfor %}",
    "{% set l = range(9000) %}{% for i in l %}{{ l | sort | length }}{% endfor %}",
    "{% set t = 'ab' * 400000 %}{% for i in range(9000) %}{% if t == t ~ '' %}{% endif %}{% endfor %}",
    "{% for i in params.parameters.numbers %}{% for j in range(9000) %}{% for k in range(9) %}{% endfor %}{% endfor %}{% endfor %}",
    "{{ 'x' * 3000000000 }}",
    "{{ 3000000000 * 'x' }}",
    "{{ [1] * 3000000000 }}",
    "{{ [[1] * 9999] * 9999 }}",
    "{{ 9 ** 9 ** 9 }}",
    "{{ (10 ** 30) * (10 ** 30) }}",
    "{% set x = 9 %}" + "{% set x = x * x %}" * 100,
    "{% set x = 'a' %}" + "{% set x = x ~ x %}" * 100,
    "{% set x = 'a' %}" + "{% set x = x + x %}" * 100,
    "{% set x = [1] %}" + "{% set x = x + x %}" * 100,
    "{% set x = [1] %}" + "{% set x = [x, x] %}" * 100,
    "{% set x = {'a': 1} %}" + "{% set x = {'a': x, 'b': x} %}" * 100,
    "{% set x %}{{ 'a' * 900000 }}{{ 'b' * 900000 }}{% endset %}{{ x }}",
    "{{ 'a' * 900000 }}{{ 'a' * 900000 }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%.1000000000f' | format(1.0) }}",
    "{{ 'x' | center(1000000000) }}",
    "{{ 'x'.center(1000000000) }}",
    "{{ 'x'.ljust(10 ** 9) }}",
    "{{ 'x'.rjust(10 ** 9, 'y') }}",
    "{{ 'x'.zfill(1000000000) }}",
    "{{ ('a' * 1000000).replace('', 'b' * 10) }}",
    "{{ ('a' * 900000) | replace('a', 'bbbb') }}",
    "{{ ('b' * 900000).join(['a'] * 1000) }}",
    "{{ ([1] * 9000) | join('x' * 9000) }}",
    "{{ range(1000000000) | batch(2) | list }}",
    "{{ [1] | batch(1000000000, 'x') | list }}",
    "{{ ([1] * 9999) | map('string') | map('center', 900) | list }}",
    "{{ ('a,' * 400000).split(',') | length }}",
    "{{ range(1, 10 ** 38, 1) | length }}",
    "{{ 1.5 | round(10 ** 9) }}",
    "{{ ('9' * 5000) | int }}",
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "{{ " + "[" * 500 + "]" * 500 + " }}",
    "{{ " + "not " * 5000 + "1 }}",
    "{{ " + "-" * 5000 + "1 }}",
    "{{ " + "1+" * 5000 + "1 }}",
    "{{ params" + ".a" * 5000 + " }}",
    "{{ ds" + "|upper" * 5000 + " }}",
    "{{ 1" + " if 1 else 1" * 5000 + " }}",
    "{{ " + "1" * 5000 + " }}",
    "{% if 1 %}" * 900 + "{% endif %}" * 900,
    "{{ ds }}" * 50000,
    "{{ [" + "1," * 20000 + "] }}",
    "{% for i in range(30) %}{{ range(9000) | select('in', range(9000)) | list | length }}{% endfor %}",
    "{{ (['a' * 40 ~ 'b'] * 9000) | reject('in', 'a' * 400000) | list | length }}",
    "{{ ('b' * 9000) | map('trim', 'a' * 400000) | list | length }}",
    "{% set l = [" + ", ".join(str(i * (2**61 - 1)) for i in range(1, 5000)) + "] %}{{ l | unique | list | length }}",
    "{{ {" + ", ".join(f"{i * (2**61 - 1)}: 1" for i in range(1, 3000)) + "} | length }}",
    MANY_BRANCHES,
)

#: What Jinja has and templates have not.
NOT_OFFERED = (
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "{% import 'x' as y %}",
    "{% include 'x' %}",
    "{% extends 'x' %}",
    "{% from 'x' import y %}",
    "{% block a %}{% endblock %}",
    "{% call f() %}{% endcall %}",
    "{% filter upper %}a{% endfilter %}",
    "{% set x | upper %}a{% endset %}",
    "{{ lipsum(1000000) }}",
    "{{ cycler(1) }}",
    "{{ joiner(1) }}",
    "{{ dict(a=1) }}",
    "{% set ns = namespace(x=1) %}",
    "{{ 'x' | indent(1000000000) }}",
    "{{ 'x' | wordwrap(1) }}",
    "{{ 'www.a.com ' | urlize }}",
    "{{ '<a>' | striptags }}",
    "{{ [1] | slice(1000000000) }}",
    "{{ 1 | filesizeformat }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ '{0.__class__}'.format(1) }}",
    "{{ '{x}'.format_map({}) }}",
    "{{ ds.__class__.__mro__ }}",
    "{{ ds['__class__'] }}",
    "{{ ''['__class__'] }}",
    "{{ params['parameters']['__class__'] }}",
    "{{ params.parameters.__class__ }}",
    "{{ macros.__dict__ }}",
    "{{ macros['__init__'] }}",
    "{{ macros.datetime.__init__.__globals__ }}",
    "{{ macros['datetime']['max'] }}",
    "{{ logical_date | attr('year') }}",
    "{{ [logical_date] | map(attribute='__class__') | list }}",
    "{{ [logical_date] | map('attr', 'now') | list }}",
    "{{ [ds] | selectattr('__class__') | list }}",
    "{{ [ds] | sort(attribute='__class__') }}",
    "{% for i in [1] %}{{ loop.__class__ }}{% endfor %}",
    "{{ ds.upper }}",
    "{{ ds['upper'] }}",
    "{{ logical_date.timestamp }}",
    "{{ logical_date.tzinfo }}",
    "{{ ds.encode('utf-8') }}",
    "{{ ds.upper(*[]) }}",
    "{{ ds.upper(**{}) }}",
    "{{ ds | replace(*['1', '2']) }}",
    "{{ (ds ~ ts)() }}",
    "{{ '\\x00' }}",
    "{{ '\\x1b[31m' }}",
    "{{ '\\ud800' }}",
    "{% autoescape true %}x{% endautoescape %}",
)

#: What is another thing in every run, or has no text that is the same everywhere.
NOT_DETERMINISTIC = (
    "{{ now() }}",
    "{{ random() }}",
    "{{ [1, 2] | random }}",
    "{{ macros.datetime.now() }}",
    "{{ macros.datetime.utcnow() }}",
    "{{ macros.datetime.today() }}",
    "{{ macros.datetime.fromtimestamp(0) }}",
    "{{ macros['datetime']['now']() }}",
    "{{ macros['datetime'].utcnow() }}",
    "{% set d = macros.datetime %}{{ d.now() }}",
    "{% set m = macros %}{{ m.datetime.now() }}",
    "{% with d = macros.datetime %}{{ d.today() }}{% endwith %}",
    "{{ logical_date.now() }}",
    "{{ logical_date.today() }}",
    "{{ macros }}",
    "{{ macros.ds_add }}",
    "{{ macros['ds_add'] }}",
    "{{ macros.datetime }}",
    "{{ range }}",
    "{{ range(3) }}",
    "{{ params }}",
    "{{ params.parameters }}",
    "{{ params.items() }}",
    "{{ [1, 2] }}",
    "{{ {'a': 1} }}",
    "{{ params | pprint }}",
    "{{ params | xmlattr }}",
    "{{ [ds] | groupby('year') }}",
    "{{ 1e999 }}",
    "{{ 1e308 * 10 }}",
    "{{ logical_date.strftime('%s') }}",
    "{{ logical_date.strftime('%c') }}",
    "{{ logical_date.strftime('%1000000000Y') }}",
)

SAMPLES = (
    *((text, "DCP156") for text in WITHOUT_BOUND),
    *((text, "DCP155") for text in NOT_OFFERED),
    *((text, "DCP157") for text in NOT_DETERMINISTIC),
)


def names(value: object) -> str:
    text = str(value)
    return text if len(text) < 60 else f"{text[:57]}..."


def lint_codes(template: str) -> set[str]:
    problems = Problems()
    check_templates(Node({"a": Node(template, "f.yaml", 1, 4)}, "f.yaml", 1, 1), PARAMETERS, problems, {})
    return {problem.code for problem in problems.sorted()}


def render(template: str) -> tuple[Any, float]:
    """Render in a thread of its own, where no signal could end it."""
    outcome: list[Any] = []

    def go() -> None:
        start = time.thread_time()
        try:
            outcome.append(render_job({"sources": [{"name": "src", "filter": template}]}, VALUES)["sources"][0]["filter"])
        except Exception as error:  # noqa: BLE001 - the test looks at what came
            outcome.append(error)
        outcome.append(time.thread_time() - start)

    thread = threading.Thread(target=go)
    thread.start()
    thread.join()
    return outcome[0], outcome[1]


@pytest.mark.parametrize(
    "template",
    [
        "".join(f"{{{{ params.parameters.nothing{n} }}}}" for n in range(1900)),
        "".join(f"{{{{ nothing{n} }}}}" for n in range(1900)),
        "".join(f"{{{{ ds | nothing{n} }}}}" for n in range(1900)),
        "".join(f"{{{{ params.parameters.text }}}}{' ' * 400}" for _ in range(950)) + "{{ params.parameters.nothing }}" * 950,
        "".join(f"{{{{ ds._{n} }}}}\n" for n in range(1900)),
        "{% set x = 1 %}" * 1900,
        "{# {{ #}" * 1900,
        "{% raw %}{{{% endraw %}" * 900,
        "{" * 100_000 + "{{ ds }}",
        "{%" + " " * 100_000 + "{%",
        "{{ '" + "\\'" * 100_000,
    ],
    ids=names,
)
def test_many_mistakes_are_reported_soon_and_not_all(template: str) -> None:
    problems = Problems()
    start = time.thread_time()
    check_templates(Node({"a": Node(template, "f.yaml", 1, 4)}, "f.yaml", 1, 1), PARAMETERS, problems, {})
    assert time.thread_time() - start < SECONDS
    assert len(problems.sorted()) <= 20


@pytest.mark.parametrize(("template", "code"), SAMPLES, ids=names)
def test_lint_refuses_it_soon(template: str, code: str) -> None:
    start = time.thread_time()
    codes = lint_codes(template)
    assert time.thread_time() - start < SECONDS
    assert code in codes


@pytest.mark.parametrize("template", [template for template, _ in SAMPLES if template != MANY_BRANCHES], ids=names)
def test_a_run_refuses_it_soon_and_names_the_field(template: str) -> None:
    outcome, seconds = render(template)
    assert isinstance(outcome, ExecutionError)
    assert outcome.code == "DCP312"
    assert "the template in sources[src].filter cannot be rendered" in outcome.message
    assert seconds < SECONDS


def test_all_templates_of_a_job_share_one_budget() -> None:
    text = "{% for i in range(3000) %}{% endfor %}"
    assert render_job({"texts": [text] * 3}, VALUES)["texts"] == ["", "", ""]
    with pytest.raises(ExecutionError, match="loops turn more than 10000 times"):
        render_job({"texts": [text] * 4}, VALUES)


def test_values_of_a_run_are_measured_too() -> None:
    for value in ("x" * 2_000_000, list(range(20_000)), {"a": object()}, 10**60):
        with pytest.raises(ExecutionError) as caught:
            render_job({"a": "{{ params.parameters.x | string | length }}"}, {**VALUES, "params": {"parameters": {"x": value}}})
        assert caught.value.code == "DCP312"
        assert "`params` of the run cannot be used" in caught.value.message


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ("{{ logical_date }} {{ logical_date.date() }}", "2013-01-05 00:00:00+00:00 2013-01-05"),
        ("{{ data_interval_end - data_interval_start }}", "1 day, 0:00:00"),
        ("{{ none }} {{ true }} {{ 0.1 }} {{ 7 }}", "None True 0.1 7"),
        ("{{ logical_date.strftime('%d.%m.%Y %H:%M') }} {{ '%02d' % logical_date.month }}", "05.01.2013 00:00 01"),
        (
            "{{ macros.datetime.strptime(ds, '%Y-%m-%d').year }} {{ macros.datetime(2024, 2, 29).isoformat() }}",
            "2013 2024-02-29T00:00:00",
        ),
        (
            "{{ (logical_date - macros.timedelta(days=1)) | ds }} {{ logical_date.subtract(weeks=1) | ds_nodash }}",
            "2013-01-04 20121229",
        ),
        ("{{ params.parameters.numbers | map('string') | join(', ') }} {{ params['parameters']['text'] | upper }}", "1, 2, 3 ABC"),
        ("{{ params.parameters.get('other', 9) }} {{ params.parameters.nothing | default('x') }}", "9 x"),
        ("{% if params.parameters.nothing is defined %}a{% else %}b{% endif %}", "b"),
        ("{% for k, v in params.parameters.items() %}{{ k }}{{ ' ' if not loop.last }}{% endfor %}", "text numbers size"),
        ("{% for n in params.parameters.numbers if n is odd %}{{ loop.index }}={{ n }};{% else %}none{% endfor %}", "1=1;2=3;"),
        ("{% for n in [] %}{{ n }}{% else %}none{% endfor %}", "none"),
        ("{% set x = 1 %}{% for n in [1, 2] %}{% set x = 2 %}{% endfor %}{{ x }}", "1"),
        ("{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}", "2"),
        ("{% set x %}a{{ 1 + 1 }}{% endset %}{{ x ~ '!' }}", "a2!"),
        ("{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}", "3"),
        (
            "{{ 'a' if false }}|{{ [1, 2, 3][1:] | join('-') }}|{{ 7 // 2 }}|{{ 7 % 4 }}|{{ -3 | abs }}|{{ 2 ** 10 }}",
            "|2-3|3|3|3|1024",
        ),
        ("{{ 1 < 2 < 3 }} {{ 1 < 2 > 3 }} {{ 'a' in 'abc' and not false }} {{ none or 'x' }}", "True False True x"),
        (
            "{{ [3, 1, 2] | sort | first }} {{ ['b', 'A'] | max }} {{ [1, 1, 2] | unique | list | length }} {{ [1, 2] | sum }}",
            "1 b 2 3",
        ),
        (
            "{{ ds.replace('-', '/') }} {{ ds[:4] }} {{ ds.split('-')[1] }} {{ ts | truncate(7, true, '') }}",
            "2013/01/05 2013 01 2013-01",
        ),
        ("a\n{%- if true %} b{% endif -%}\n c", "a bc"),
    ],
)
def test_what_templates_are_for_renders_as_before(template: str, rendered: str) -> None:
    import jinja2

    assert lint_codes(template) == set()
    assert render(template)[0] == rendered
    if "subtract" not in template:
        jinja = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
        jinja.filters.update(ds=lambda value: value.strftime("%Y-%m-%d"), ds_nodash=lambda value: value.strftime("%Y%m%d"))
        assert jinja.from_string(template).render(VALUES) == rendered


@pytest.mark.parametrize("way", ["manifest", "defaults", "override"])
@pytest.mark.parametrize("kind", ["SparkJob", "DerivedDataset"])
@pytest.mark.parametrize(
    ("template", "code"),
    [
        ("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}", "DCP156"),
        ("{{ 'x' * 3000000000 }}", "DCP156"),
        ("{{ 9 ** 9 ** 9 }}", "DCP156"),
        ("{{ " + "(" * 100 + "1" + ")" * 100 + " }}", "DCP156"),
        ("{{ params['x']['__class__'] }}", "DCP155"),
        ("{{ macros['datetime']['now']() }}", "DCP157"),
        ("{{ macros['json'] }}", "DCP166"),
    ],
    ids=names,
)
def test_it_is_refused_by_whichever_way_it_comes(tmp_path: Path, kind: str, way: str, template: str, code: str) -> None:
    conf = {"sparkConf": {"spark.app.name": template}}
    if kind == "SparkJob":
        job = {
            "sources": [{"name": "src", "database": "d", "table": "t"}],
            "transformations": [{"name": "out", "query": "SELECT a FROM src"}],
            "sinks": [{"name": "out", "database": "d", "table": "o"}],
        }
        body = {"coreEtl": {"jobSpec": job}, "orchestration": {"schedule": "@daily", "startDate": "2013-01-01"}}
        manifest: dict[str, Any] = {"apiVersion": "dcp.example.com/v1", "kind": kind, "spec": body}
        manifest["metadata"] = {"name": "attack", "namespace": "flights", "team": "team-a"}
    else:
        body = {"sql": "attack.sql", "schedule": "@daily", "startDate": "2013-01-01"}
        manifest = {"metadata": {"technical_owner": "team-a"}, "workflow": body}
        manifest["dataset"] = {"name": "attack", "fields": [{"name": "a", "type": "long"}]}
        (tmp_path / "attack.sql").write_text("SELECT a FROM d.t")
    section = "spec" if kind == "SparkJob" else "workflow"
    if way == "manifest":
        body.update(conf)
    elif way == "defaults":
        (tmp_path / "defaults.yaml").write_text(yaml.safe_dump({kind: {section: conf}}))
    elif kind == "SparkJob":
        body["environments"] = {"local": conf}
    else:
        manifest["environments"] = {"local": {section: conf}}
    path = tmp_path / "attack.yaml"
    path.write_text(yaml.safe_dump(manifest))
    with pytest.raises(ManifestError) as caught:
        compile_manifest(path, tmp_path, ("local",), CompileSettings("local"))
    assert code in {problem.code for problem in caught.value.problems}
