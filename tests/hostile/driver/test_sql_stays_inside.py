"""SQL computes with its sources: it calls no Java, starts no program, and sees neither the environment nor the settings of its driver."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_dcp_provider.core_etl.functions import ALLOWED, ALLOWED_TABLES
from airflow_dcp_provider.core_etl.session import SUBSTITUTE, insist
from tests.contract.core_etl.conftest import SPARK, Lake

pytestmark = SPARK

#: Sets a property of the JVM, where it is run; nothing but the property shows whether it was.
MARK = "'java.lang.System', 'setProperty', 'dcp.hostile', 'here'"

#: Calls of Java, as SQL can write them.
CALLS = {
    "reflect": f"reflect({MARK})",
    "java_method": f"java_method({MARK})",
    "try_reflect": f"try_reflect({MARK})",
    "capitals": f"Java_METHOD({MARK})",
    "quoted": f"`reflect`({MARK})",
    "qualified": f"builtin.reflect({MARK})",
    "fully qualified": f"system.builtin.reflect({MARK})",
    "of the session": f"session.java_method({MARK})",
    "named by an expression": f"IDENTIFIER('ref' || 'lect')({MARK})",
    "in a lambda": f"transform(array(1), x -> java_method({MARK}))",
    "in a subquery": f"(SELECT max(reflect({MARK})))",
    "folded": f"CASE WHEN true THEN java_method({MARK}) END",
    "as a generator": f"explode(array(reflect({MARK})))",
}

#: The SQL is refused as it is analysed; DCP337 is Spark's word on a function in a catalog of its own.
REFUSED = {"DCP321", "DCP322", "DCP332", "DCP337", "DCP344"}


@pytest.fixture
def lines(tmp_path: Path) -> dict[str, Any]:
    """A source that there is."""
    file = tmp_path / "lines.csv"
    file.write_text("a\n1\n")
    return {"name": "src", "type": "csv", "path": str(file), "options": {"header": "true"}}


def was_run(lake: Lake) -> bool:
    return lake.spark._jvm.java.lang.System.clearProperty("dcp.hostile") is not None


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_query_calls_no_java(lake: Lake, call: str) -> None:
    error = lake.fail(f"SELECT {call} AS a")
    assert error.code in REFUSED, error
    assert not was_run(lake)
    assert not lake.exists()


@pytest.mark.parametrize("call", [call for name, call in CALLS.items() if "generator" not in name])
def test_a_filter_calls_no_java(lake: Lake, lines: dict[str, Any], call: str) -> None:
    error = lake.fail("SELECT a FROM src", sources=[{**lines, "filter": f"CAST({call} AS STRING) IS NULL"}])
    assert error.code in REFUSED, error
    assert not was_run(lake)


def test_what_is_missing_is_said(lake: Lake) -> None:
    error = lake.fail(f"SELECT reflect({MARK}) AS a")
    assert error.code == "DCP344"
    assert "not offered" in error.hint


def test_the_session_has_what_is_allowed_and_no_more(lake: Lake) -> None:
    insist(lake.spark)
    state = lake.spark._jsparkSession.sessionState()
    catalyst = lake.spark._jvm.org.apache.spark.sql.catalyst.analysis
    for session, known, allowed in (
        (state.functionRegistry(), catalyst.FunctionRegistry, ALLOWED),
        (state.tableFunctionRegistry(), catalyst.TableFunctionRegistry, ALLOWED_TABLES),
    ):
        names = set(session.listFunction().mkString("\n").split("\n"))
        assert names == allowed & set(known.builtin().listFunction().mkString("\n").split("\n"))
    assert len(ALLOWED) > 500


def test_a_session_that_spark_clones_has_no_more(lake: Lake) -> None:
    """As Spark does for the queries of a stream."""
    insist(lake.spark)
    cloned = lake.spark._jsparkSession.cloneSession()
    names = set(cloned.sessionState().functionRegistry().listFunction().mkString("\n").split("\n"))
    assert not {"reflect", "java_method"} & names
    assert cloned.conf().get(SUBSTITUTE) == "false"


@pytest.mark.parametrize("variable", ["${env:PATH}", "${system:user.home}", "${spark.app.name}", "${hiveconf:spark.app.id}"])
def test_no_text_is_replaced_by_a_variable(lake: Lake, lines: dict[str, Any], variable: str) -> None:
    lake.run(
        f"SELECT '{variable}' AS a FROM src",
        sources=[{**lines, "filter": f"'{variable}' = concat('$', '{variable[1:]}')"}],
        description=f"made by {variable}",
    )
    assert lake.rows() == [(variable,)]
    assert f"made by {variable}" in str(lake.spark.sql(f"DESCRIBE TABLE EXTENDED {lake.name}").collect())


@pytest.mark.parametrize(
    "statement",
    [
        "SET",
        "SET -v",
        "SET spark.sql.variable.substitute=true",
        "RESET",
        "ADD JAR '/tmp/a.jar'",
        "ADD FILE '/etc/passwd'",
        "LIST FILES",
        "CREATE TEMPORARY FUNCTION f AS 'org.example.F' USING JAR '/tmp/a.jar'",
        "CREATE FUNCTION f AS 'org.example.F'",
        "SHOW TBLPROPERTIES pedregal.raw.t",
        "DESCRIBE FUNCTION EXTENDED reflect",
        "INSERT OVERWRITE LOCAL DIRECTORY '/tmp/a' SELECT 1",
        "CACHE TABLE a AS SELECT 1",
        "BEGIN SELECT 1; END",
    ],
)
def test_what_is_no_query_is_not_run(lake: Lake, statement: str) -> None:
    error = lake.fail(statement)
    assert (error.exit_code, error.code) in {(20, "DCP321"), (20, "DCP322")}, error
    assert lake.spark.conf.get(SUBSTITUTE) == "false"
