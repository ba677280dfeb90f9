"""Random templates: only results and coded errors, soon, and lint knows every table that the rendered SQL reads."""

from __future__ import annotations

import random
import time

import pytest

from airflow_dcp_provider.model.errors import ExecutionError
from airflow_dcp_provider.model.templates import render_job
from dag_factory.manifest.node import Node
from dag_factory.manifest.problems import Problems
from dag_factory.manifest.sql import read_condition, read_query
from dag_factory.manifest.sql_templates import NeutralSql, SqlText, neutral_sql, unquoted_dates
from dag_factory.manifest.templates import check_templates
from tests.hostile.test_templates import PARAMETERS, VALUES

ATOMS = (
    *(
        "ds",
        "ts",
        "logical_date",
        "params.parameters.text",
        "params.parameters.numbers",
        "params['parameters']",
        "params",
        "macros",
    ),
    *(
        "macros.ds_add(ds, -1)",
        "macros.datetime",
        "macros.timedelta(days=1)",
        "loop",
        "loop.last",
        "range(3)",
        "1",
        "0",
        "-1",
        "2.5",
    ),
    *(
        "'a'",
        "''",
        "none",
        "true",
        "[]",
        "[1, 2]",
        "{'a': 1}",
        "(1, 2)",
        "environment",
        "x",
        "i",
        "nothing",
        "'d.t'",
        '"\'"',
        "'--'",
    ),
)
OPERATORS = ("+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", ">=", "in", "not in", "and", "or")
FILTERS = (
    *("upper", "int", "float", "string", "list", "length", "first", "last", "join", "sort", "sql", "tojson", "default('z')", "sum"),
    *(
        "map('upper')",
        "select('odd')",
        "batch(2)",
        "round",
        "replace('a', 'b')",
        "unique",
        "ds",
        "ts",
        "items",
        "reverse",
        "random",
    ),
)
ENDINGS = (
    ".upper()",
    ".items()",
    ".year",
    ".date()",
    ".get(1)",
    ".x",
    ".now()",
    ".split()",
    ".__class__",
    "[0]",
    "['a']",
    "[1:]",
    "()",
)
TESTS = ("defined", "none", "string", "odd", "even", "mapping", "divisibleby(0)", "nosuch")
TEXTS = ("a, ", "1 ", " FROM src", " JOIN d.u ", "'", "x ", "(", ")", "\n", "\r\n", " -- c\n", "/* ", " */", ";", ", d.v")


class Writer:
    """Writes templates, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def expression(self, depth: int = 0) -> str:
        choose, inner = self.chance.choice, depth + 1
        if depth > 3 or self.chance.random() < 0.35:
            return choose(ATOMS)
        form = self.chance.randrange(7)
        first = self.expression(inner)
        return (
            f"({first} {choose(OPERATORS)} {self.expression(inner)})",
            f"{first} | {choose(FILTERS)}",
            f"({first}){choose(ENDINGS)}",
            f"({first} if {self.expression(inner)} else {self.expression(inner)})",
            f"[{first}, {self.expression(inner)}]",
            f"{first} is {choose(('', 'not '))}{choose(TESTS)}",
            f"not {first}",
        )[form]

    def statement(self, depth: int = 0) -> str:
        choice = self.chance.random()
        if depth > 2 or choice < 0.3:
            return self.chance.choice(TEXTS)
        if choice < 0.65:
            return f"{{{{ {self.expression()} }}}}"
        body, other = self.body(depth), self.body(depth)
        return self.chance.choice(
            (
                f"{{% if {self.expression()} %}}{body}{{% else %}}{other}{{% endif %}}",
                f"{{%- if {self.expression()} -%}} {body} {{%- elif {self.expression()} %}}{other}{{% endif %}}",
                f"{{% for i in {self.expression()} %}}{body}{{% endfor %}}",
                f"{{% for i, x in {self.expression()} %}}{body}{{% else %}}{other}{{% endfor %}}",
                f"{{% set x = {self.expression()} %}}",
                f"{{% set x %}}{body}{{% endset %}}",
            )
        )

    def body(self, depth: int) -> str:
        return "".join(self.statement(depth + 1) for _ in range(self.chance.randrange(1, 4)))

    def sql(self) -> str:
        text = "SELECT a " + "".join(self.statement() for _ in range(self.chance.randrange(1, 5))) + " FROM d.t"
        if self.chance.random() < 0.2:
            cut = self.chance.randrange(len(text))
            text = text[:cut] + text[cut + self.chance.randrange(4) :]
        return text


def rendered(sql: str) -> str | None:
    try:
        return str(render_job({"query": sql}, VALUES)["query"])
    except ExecutionError:
        return None


@pytest.mark.parametrize("seed", range(20))
def test_random_templates_end_well(seed: int) -> None:
    writer = Writer(seed)
    for _ in range(25):
        sql = writer.sql()
        start = time.thread_time()
        problems = Problems()
        check_templates(Node({"a": Node(sql, "f.yaml", 1, 4)}, "f.yaml", 1, 1), PARAMETERS, problems, {})
        neutral = neutral_sql(sql, PARAMETERS)
        unquoted_dates(sql, PARAMETERS)
        result = rendered(sql)
        assert time.thread_time() - start < 1, sql
        if neutral is None:
            continue
        reading = read_query(neutral)
        read_condition(neutral)
        places = [place for table in reading.tables for place in (table.start, table.end)]
        assert all(0 <= place <= len(sql) for place in (*places, *(each.offset or 0 for each in reading.problems))), sql
        if result is None or problems.errors or reading.problems or any(table.dynamic for table in reading.tables):
            continue
        read_in_run = read_query(NeutralSql((SqlText(result),)))
        if not read_in_run.problems:
            known = {table.full_name for table in reading.tables}
            assert {table.full_name for table in read_in_run.tables} <= known, sql
