from __future__ import annotations

import pytest

from dag_factory.manifest.sql import read_condition, read_query
from dag_factory.manifest.sql_templates import neutral_sql


def reading(sql: str):
    neutral = neutral_sql(sql, {})
    assert neutral is not None
    return read_query(neutral)


def tables(sql: str) -> list[str]:
    found = reading(sql)
    assert found.problems == ()
    assert all(sql[table.start : table.end].replace("`", "") == table.full_name for table in found.tables)
    return sorted(table.full_name for table in found.tables)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1", []),
        ("SELECT * FROM a", ["a"]),
        ("SELECT * FROM a, b.c JOIN d.e.f ON true", ["a", "b.c", "d.e.f"]),
        ("SELECT * FROM `raw`.`events`", ["raw.events"]),
        ("WITH x AS (SELECT * FROM a) SELECT * FROM x", ["a"]),
        ("WITH X AS (SELECT * FROM a) SELECT * FROM x", ["a"]),
        ("WITH a AS (SELECT * FROM a) SELECT * FROM a", ["a"]),
        ("WITH a AS (SELECT 1 AS i), b AS (SELECT * FROM a) SELECT * FROM b JOIN c", ["c"]),
        ("WITH b AS (SELECT * FROM a), a AS (SELECT 1 AS i) SELECT * FROM b", ["a"]),
        ("SELECT * FROM (WITH x AS (SELECT 1 AS i) SELECT * FROM x) y JOIN x", ["x"]),
        ("WITH x AS (SELECT 1 AS i) SELECT * FROM db.x", ["db.x"]),
        ("WITH x AS (SELECT 1 AS i) SELECT * FROM y WHERE EXISTS (SELECT 1 FROM x WHERE x.i = y.i)", ["y"]),
        ("SELECT (SELECT MAX(i) FROM a) FROM b WHERE i IN (SELECT i FROM c)", ["a", "b", "c"]),
        ("SELECT i FROM a UNION ALL SELECT i FROM b", ["a", "b"]),
        ("SELECT c FROM a LATERAL VIEW explode(b) t AS c", ["a"]),
        ("SELECT * FROM range(10)", []),
        ("SELECT * FROM VALUES (1), (2) AS t(i)", []),
        ("FROM a SELECT i", ["a"]),
    ],
)
def test_tables_that_a_query_reads(sql: str, expected: list[str]) -> None:
    assert tables(sql) == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT a, b.c, d AS e, count(*) n FROM t", ("a", "c", "e", "n")),
        ("WITH t AS (SELECT 1 AS x) SELECT x FROM t", ("x",)),
        ("SELECT a FROM t UNION ALL SELECT b FROM u", ("a",)),
        ("(SELECT a FROM t)", ("a",)),
        ("SELECT '{{ ds }}' AS ds, a FROM t", ("ds", "a")),
        ("SELECT * FROM t", None),
        ("SELECT t.*, 1 AS x FROM t", None),
        ("SELECT a, count(*) FROM t", None),
        ("SELECT a, {{ params.parameters.columns }} FROM t", None),
        ("SELECT a AS {{ params.parameters.name }} FROM t", None),
        ("SELECT stack(1, a, b) AS (x, y) FROM t", None),
    ],
)
def test_columns_that_a_query_gives(sql: str, expected: tuple[str, ...] | None) -> None:
    assert reading(sql).columns == expected


def test_a_table_that_a_template_names_is_dynamic() -> None:
    (table,) = reading("SELECT * FROM raw.events_{{ ds_nodash }}").tables
    assert table.dynamic


@pytest.mark.parametrize(
    ("sql", "code", "near"),
    [
        ("SELECT a FROM ( x WHERE", "DCP144", "WHERE"),
        ("SELECT a,\n  b c d\nFROM x", "DCP144", "d"),
        ("SELEC a FROM x", "DCP144", "FROM"),
        ("SELECT '{{ ds }}', 'a FROM x", "DCP144", None),
        ("SELECT 1; SELECT 2", "DCP145", None),
        ("DROP TABLE x", "DCP145", "DROP"),
        ("INSERT INTO a SELECT 1", "DCP145", "INSERT"),
        ("CREATE TABLE a AS SELECT 1 AS b", "DCP145", "CREATE"),
        ("SET x = 1", "DCP145", "SET"),
        ("  ", "DCP145", None),
        ("-- only a comment", "DCP145", None),
        ("SELECT " + "(" * 3000 + "1" + ")" * 3000, "DCP144", None),
    ],
)
def test_what_is_wrong_with_a_query(sql: str, code: str, near: str | None) -> None:
    (problem,) = reading(sql).problems
    assert problem.code == code
    assert problem.hint
    if near:
        assert problem.offset is not None
        assert sql[problem.offset :].startswith(near)


@pytest.mark.parametrize(
    "condition", ["a = 1", "ds = '{{ ds }}' AND b LIKE 'x%'", "a IN (1, 2) OR b IS NULL", "date(t) > current_date()"]
)
def test_conditions(condition: str) -> None:
    neutral = neutral_sql(condition, {})
    assert neutral is not None
    assert read_condition(neutral) == ()


@pytest.mark.parametrize(
    ("condition", "code"),
    [("a =", "DCP144"), ("a = 1 ORDER BY b", "DCP145"), ("1 = 1; DROP TABLE x", "DCP145"), ("a = 1 UNION SELECT 1", "DCP145")],
)
def test_what_is_no_condition(condition: str, code: str) -> None:
    neutral = neutral_sql(condition, {})
    assert neutral is not None
    assert [problem.code for problem in read_condition(neutral)] == [code]
