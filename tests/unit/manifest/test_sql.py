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


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT /*+ BROADCAST(v) */ * FROM d.a JOIN d.b v", ["d.a", "d.b"]),
        ("SELECT /*+ BROADCASTJOIN(x), MAPJOIN(y), MERGE(z), SHUFFLE_MERGE(q) */ * FROM d.a", ["d.a"]),
        ("SELECT /*+ SHUFFLE_HASH(a), SHUFFLE_REPLICATE_NL(b), MERGEJOIN(c) */ * FROM d.a", ["d.a"]),
        ("SELECT /*+ REPARTITION(3, c), COALESCE(1), REBALANCE(c), REPARTITION_BY_RANGE(c) */ * FROM d.a", ["d.a"]),
        ("SELECT * FROM (SELECT /*+ BROADCAST(z) */ * FROM d.a) x", ["d.a"]),
        ("SELECT * FROM d.t.snapshots", ["d.t.snapshots"]),
        ("SELECT * FROM c.d.t.files JOIN d.t.history", ["c.d.t.files", "d.t.history"]),
        ("SELECT * FROM d.t TABLESAMPLE (10 PERCENT) s", ["d.t"]),
        ("SELECT * FROM d.t TABLESAMPLE (5 ROWS) JOIN d.u", ["d.t", "d.u"]),
        ("SELECT * FROM d.t PIVOT (sum(a) FOR b IN ('x', 'y'))", ["d.t"]),
        ("SELECT * FROM d.t UNPIVOT (x FOR y IN (b, c))", ["d.t"]),
        ("SELECT c FROM d.t LATERAL VIEW OUTER explode(a.b.c) x AS c LATERAL VIEW posexplode(d) y", ["d.t"]),
        ("SELECT * FROM d.t, LATERAL (SELECT * FROM d.u)", ["d.t", "d.u"]),
        ("SELECT * FROM range(1, 2) r, explode(array(1)) x, stack(2, 1, 2), d.t", ["d.t"]),
        ("VALUES (1), (2)", []),
        ("SELECT a.b.c.d.e, d.t.x FROM d.t", ["d.t"]),
        ("WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT * FROM r", []),
        ("SELECT id FROM d.t;", ["d.t"]),
        ("SELECT id FROM d.t;\n-- end of file", ["d.t"]),
        ("SELECT id FROM d.t; /* a */ ; -- b\n", ["d.t"]),
        ("-- first\nSELECT id FROM d.t", ["d.t"]),
        ("SELECT id\r\nFROM d.t\r\n", ["d.t"]),
    ],
)
def test_forms_that_name_no_further_table(sql: str, expected: list[str]) -> None:
    assert tables(sql) == expected


def test_a_metadata_table_belongs_to_its_table() -> None:
    first, second = reading("SELECT * FROM raw.events.snapshots JOIN lake.raw.events.partitions").tables
    assert (first.catalog, first.database, first.table, first.metadata) == ("", "raw", "events", "snapshots")
    assert (second.catalog, second.database, second.table, second.metadata) == ("lake", "raw", "events", "partitions")


def test_behind_a_known_catalog_a_table_may_be_called_files() -> None:
    neutral = neutral_sql("SELECT * FROM lake.raw.files JOIN other.raw.files", {})
    assert neutral is not None
    first, second = read_query(neutral, frozenset({"lake"})).tables
    assert (first.catalog, first.database, first.table, first.metadata) == ("lake", "raw", "files", "")
    assert (second.database, second.table, second.metadata) == ("other", "raw", "files")


def test_tables_of_every_branch_are_read_each_once() -> None:
    sql = "SELECT id FROM {% if ds > '2024' %}raw.a{% elif ds > '2023' %}raw.b{% else %}raw.c{% endif %} JOIN raw.d"
    assert [table.full_name for table in reading(sql).tables] == ["raw.a", "raw.b", "raw.c", "raw.d"]
    assert not any(table.dynamic for table in reading(sql).tables)
    assert reading(sql).columns == ("id",)


def test_a_mistake_in_one_branch_is_shown_at_its_place() -> None:
    sql = "SELECT id FROM {% if ds > '2024' %}raw.a{% else %}raw.b WHERE{% endif %}"
    (problem,) = reading(sql).problems
    assert problem.code == "DCP144"
    assert problem.offset is not None
    assert sql[problem.offset :].startswith("WHERE")


def test_columns_that_branches_do_not_share_are_not_known() -> None:
    assert reading("SELECT a{% if ds %}, b{% endif %} FROM t").columns is None
    assert reading("SELECT {% for c in ['a', 'b'] %}{{ c }}{{ ', ' if not loop.last }}{% endfor %} FROM t").columns == ("a", "b")
