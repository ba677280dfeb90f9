"""SQL that leads past the sources, runs code on the driver, or takes an age to be read: refused by lint, soon and at its place."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from airflow_dcp_provider.model.errors import ManifestError
from dag_factory.compiled import CompileSettings, compile_manifest
from dag_factory.manifest.sql import read_condition, read_query
from dag_factory.manifest.sql_templates import neutral_sql

#: No single text may take longer, in CPU time: other tests run beside this one.
SECONDS = 2.0

RUNS_CODE = (
    "SELECT reflect('java.lang.System', 'getenv', 'PATH') AS a FROM d.t",
    "SELECT JAVA_METHOD('java.lang.System', 'getenv', 'PATH') AS a FROM d.t",
    "SELECT try_reflect ('a', 'b') AS a FROM d.t",
    "SELECT `reflect`('a', 'b') AS a FROM d.t",
    "SELECT builtin.reflect('a', 'b') AS a FROM d.t",
    "SELECT system.builtin.java_method('a', 'b') AS a FROM d.t",
    "SELECT a FROM d.t WHERE b = (SELECT max(reflect('a', 'b')) FROM d.u)",
    "SELECT a FROM d.t ORDER BY reflect('a', 'b')",
    "SELECT {{ 'ref' ~ 'lect' }}('a', 'b') AS a FROM d.t",
    "{% if ds > '2020' %}SELECT a FROM d.t{% else %}SELECT reflect('a', 'b') AS a FROM d.t{% endif %}",
    "SELECT TRANSFORM(a) USING 'cat /etc/passwd' AS (a) FROM d.t",
    "FROM d.t SELECT TRANSFORM(a) USING 'sh x' AS (a)",
    "SELECT MAP a USING 'cat' AS a FROM d.t",
    "SELECT a FROM IDENTIFIER('other.db.t')",
    "SELECT IDENTIFIER('reflect')('a', 'b') AS a FROM d.t",
    "SELECT a FROM identifier('other' || '.t') AS t",
    "SELECT a FROM TABLE(other.t)",
    "SELECT a FROM explode(TABLE(other.t))",
    "SELECT a FROM read_files('/etc/passwd')",
    "SELECT a FROM STREAM(other.t)",
)
READS_FILES = (
    "SELECT a FROM csv.`/etc/passwd`",
    "SELECT a FROM `CSV`.`/etc/passwd`",
    "SELECT a FROM parquet.`s3://bucket/x` AS p",
    "SELECT a FROM json.events",
    "SELECT a FROM `org.apache.spark.sql.parquet`.`x`",
    "SELECT a FROM anything.`/x/y`",
    "SELECT a FROM d.t JOIN text.`/etc/passwd` USING (a)",
    "WITH w AS (SELECT value AS a FROM text.`/etc/passwd`) SELECT a FROM w",
    "SELECT a FROM {{ 'csv' }}.`/x`",
    "SELECT a FROM delta.`/x`",
)
VARIABLES = (
    "SELECT '${env:PATH}' AS a FROM d.t",
    "SELECT a FROM d.${x}",
    "SELECT a FROM d.t -- ${system:user.home}",
    "SELECT a AS `${spark.app.name}` FROM d.t",
    "SELECT '{{ '$' ~ '{env:PATH}' }}' AS a FROM d.t",
    "SELECT '{{ '$' }}{env:PATH}' AS a FROM d.t",
)
NAMED_BY_A_TEMPLATE = (
    "SELECT a FROM {{ params.parameters.t }}",
    "SELECT a FROM d.{{ params.parameters.t }}",
    "SELECT a FROM {{ params.parameters.t }}.t",
    "SELECT a FROM d.t_{{ ds_nodash }}",
    "SELECT a FROM {{ ds ~ '.t' }}",
    "{% set t = params.parameters.t %}SELECT a FROM {{ t }}",
    "SELECT a FROM d.t JOIN {{ params.parameters.t | upper }} USING (a)",
    "SELECT a FROM {% for t in params.parameters.l %}{{ t }}{{ ', ' if not loop.last }}{% endfor %}",
    "SELECT a FROM `{{ params.parameters.t }}`",
    "{% if ds %}SELECT a FROM d.t{% else %}SELECT a FROM {{ run_id }}{% endif %}",
    "SELECT a FROM d.t UNION ALL SELECT a FROM {{ params.parameters.t | sql }}",
)
CASES = (
    *((sql, "DCP159") for sql in RUNS_CODE),
    *((sql, "DCP158") for sql in READS_FILES),
    *((sql, "DCP162") for sql in VARIABLES),
    *((sql, "DCP154") for sql in NAMED_BY_A_TEMPLATE),
)


def lint(folder: Path, kind: str, sql: str) -> set[str]:
    """Return the codes of what lint says about a manifest of a kind with this SQL."""
    (folder / "attack.sql").write_text(sql)
    path = folder / "attack.yaml"
    if kind == "SparkJob":
        path.write_text(
            "apiVersion: dcp.example.com/v1\nkind: SparkJob\nmetadata: {name: attack, namespace: flights, team: team-a}\n"
            "spec:\n  coreEtl:\n    jobSpec:\n      sources: [{name: src, database: d, table: t}]\n"
            "      transformations: [{name: out, file: attack.sql}]\n      sinks: [{name: out, database: d, table: o}]\n"
            '  orchestration: {schedule: "@daily", startDate: "2013-01-01", parameters: {t: other.t, l: [a.b, c.d]}}\n'
        )
    else:
        path.write_text(
            "metadata: {technical_owner: team-a}\ndataset: {name: attack, fields: [{name: a, type: string}]}\n"
            'workflow: {sql: attack.sql, schedule: "@daily", startDate: "2013-01-01", parameters: {t: other.t, l: [a.b, c.d]}}\n'
        )
    try:
        compile_manifest(path, folder, ("local",), CompileSettings("local"))
    except ManifestError as error:
        return {problem.code for problem in error.problems}
    return set()


@pytest.mark.parametrize("kind", ["SparkJob", "DerivedDataset"])
@pytest.mark.parametrize(("sql", "code"), CASES)
def test_lint_refuses_it(tmp_path: Path, kind: str, sql: str, code: str) -> None:
    expected = {code}
    if "TRANSFORM" in sql or "MAP" in sql:
        expected = {"DCP159", "DCP144"}
    assert lint(tmp_path, kind, sql) & expected


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a FROM {{ 'other' }}.db.t",
        "SELECT a FROM src, {{ 'other.t' }}",
        "SELECT a FROM {{ 'src JOIN other.t USING (a)' }}",
        "SELECT a FROM src {{ 'UNION ALL SELECT a FROM other.t' }}",
        "SELECT a FROM src WHERE a = '{{ \"' OR a IN (SELECT a FROM other.t) OR '\" }}'",
        "SELECT a FROM src {{ '/*' }} WHERE 1 = 1 {{ '*/' }}, other.t",
        "SELECT a {{ '--' }} FROM src\n FROM other.t",
        "{% set x = 'other' %}{% set y %}{{ x }}.t{% endset %}SELECT a FROM {{ y }}",
        "SELECT a FROM {% for t in ['src', 'other.t'] %}{{ t }}{{ ', ' if not loop.last }}{% endfor %}",
        "SELECT a FROM src {% if ds > '2024' %}JOIN other.t USING (a){% endif %}",
        "SELECT a FROM src {% if not ds %}{% if ts %}{% else %}JOIN other.t USING (a){% endif %}{% endif %}",
        "SELECT a FROM src {% for p in params.parameters.l %}{% if not loop.first %}JOIN other.t USING (a){% endif %}{% endfor %}",
        "SELECT a FROM {{ 'src' if ds else 'other.t' }}",
        "SELECT a FROM src {% for p in params.parameters.l %}{% if loop.index == 3 %}JOIN other.t{% endif %}{% endfor %}",
        "SELECT a FROM src {% for p in params.parameters.l %}{% if loop.index % 7 == 0 %}JOIN other.t{% endif %}{% endfor %}",
        "SELECT a FROM src {% for p in params.parameters.l %}{% if loop.length > 5 %}JOIN other.t USING (a) {% endif %}{% endfor %}",
        "SELECT a FROM src {% for p in params.parameters.l if p %}{% if loop.revindex == 4 %}JOIN other.t USING (a) {% endif %}{% endfor %}",
        "SELECT a FROM src {% for p in params.parameters %}{{ 'JOIN other.t USING (a) ' if loop.index0 is divisibleby 9 }}{% endfor %}",
        "SELECT a FROM src {% raw %}JOIN other.t USING (a){% endraw %}",
        "SELECT /*+ BROADCAST(other) */ a FROM src JOIN other.t USING (a)",
    ],
)
def test_a_table_past_the_sources_is_found_wherever_a_template_hides_it(tmp_path: Path, sql: str) -> None:
    assert lint(tmp_path, "SparkJob", sql) == {"DCP146"}


@pytest.mark.parametrize(
    "condition",
    [
        "a IN (SELECT a FROM other.t)",
        "EXISTS (SELECT 1 FROM other.t)",
        "a = reflect('a', 'b')",
        "a = '${env:PATH}'",
        "a = 1 {{ 'UNION SELECT 1' }}",
        "a = 1; DROP TABLE x",
    ],
)
def test_a_filter_reads_nothing_but_its_source(condition: str) -> None:
    neutral = neutral_sql(condition, {})
    assert neutral is not None
    assert read_condition(neutral)


def repeated(unit: str, count: int, before: str, after: str) -> str:
    return before + unit * min(count, 150_000 // len(unit)) + after


LARGE = {
    "CTEs": "WITH " + ", ".join(f"c{n} AS (SELECT a FROM src)" for n in range(10000)) + " SELECT a FROM c0",
    "chained CTEs": "WITH c0 AS (SELECT 1 AS a), "
    + ", ".join(f"c{n} AS (SELECT a FROM c{n - 1})" for n in range(1, 2400))
    + " SELECT a FROM c0",
    "UNIONs": " UNION ALL ".join(["SELECT a FROM src"] * 4000),
    "UNIONs over a CTE": "WITH x AS (SELECT 1 AS a) " + " UNION ALL ".join(["SELECT a FROM x"] * 4000),
    "tables": "SELECT 1 AS a FROM " + ", ".join(f"nothing{n}" for n in range(12000)),
    "too many tables": "SELECT 1 AS a FROM " + ", ".join(f"nothing{n}" for n in range(30000)),
    "templates": "SELECT " + ", ".join(["{{ ds }}"] * 50000) + " FROM src",
    "a long list": "SELECT a FROM src WHERE a IN (" + ", ".join(map(str, range(12000))) + ")",
    "a longer list": "SELECT a FROM src WHERE a IN (" + ", ".join(map(str, range(130000))) + ")",
    "commas": "SELECT f(" + ", ".join(f"a{n}" for n in range(12000)) + ") FROM src",
    "nested structs": "SELECT " + "STRUCT(" * 40 + "1" + ")" * 40 + " AS a FROM src",
    "nested ifs": "{% if 1 %}" * 3000 + "SELECT 1 AS a FROM src" + "{% endif %}" * 3000,
    **{
        f"{depth} nested {before}": f"SELECT {before * depth}1{after * depth} AS a FROM src"
        for depth in (30, 99, 3000)
        for before, after in (
            *(("(", ")"), ("f(", ")"), ("CASE WHEN ", " THEN 1 END"), ("ARRAY(", ")"), ("(SELECT ", ")"), ("f(x -> ", ")")),
            *(("NAMED_STRUCT('a', ", ")"), ("MAP(1, ", ")"), ("CAST(", " AS INT)"), ("1 IN (", ")"), ("f((x, y) -> ", ")")),
        )
    },
    **{
        f"many {unit}": repeated(unit, 12000, before, after)
        for unit, before, after in (
            *(
                ("NOT ", "SELECT ", "1"),
                ("- ", "SELECT ", "1"),
                ("a + ", "SELECT ", "1"),
                ("a AND ", "SELECT 1 FROM t WHERE ", "b"),
            ),
            *(
                ("::int", "SELECT a", ""),
                ("[1]", "SELECT a", ""),
                (".a", "SELECT a", ""),
                ("(", "SELECT ", ""),
                ("; ", "SELECT 1", ""),
            ),
            *(("/* ", "SELECT ", "1"), ("x -> ", "SELECT f(", "1)"), ("CASE ", "SELECT ", ""), ("JOIN b ", "SELECT 1 FROM a ", "")),
            *(
                ("ARRAY<", "SELECT CAST(a AS ", "INT"),
                ("INTERVAL ", "SELECT ", "1 DAY"),
                ("'' ", "SELECT ", ""),
                ("SELECT ", "", "1"),
            ),
            ("LATERAL VIEW explode(a) b AS c ", "SELECT 1 FROM t ", ""),
        )
    },
}


@pytest.mark.parametrize("name", LARGE)
def test_large_sql_is_read_or_refused_soon(name: str) -> None:
    start = time.thread_time()
    neutral = neutral_sql(LARGE[name], {})
    if neutral is not None:
        read_query(neutral)
    assert time.thread_time() - start < SECONDS


@pytest.mark.parametrize("kind", ["SparkJob", "DerivedDataset"])
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("CTEs", "DCP163"),
        ("too many tables", "DCP163"),
        ("a longer list", "DCP163"),
        ("templates", "DCP156"),
        ("nested ifs", "DCP156"),
        ("3000 nested (", "DCP144"),
        ("nested structs", "DCP144"),
    ],
)
def test_what_is_too_large_has_a_code_of_its_own(tmp_path: Path, kind: str, name: str, code: str) -> None:
    assert lint(tmp_path, kind, LARGE[name]) == {code}
