"""What SQL gives to functions: no option loads a class or opens a file, and no text is fetched from an address."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.contract.core_etl.conftest import SPARK, Lake

pytestmark = SPARK

#: A class that is there, has nothing to do with compression, and would be loaded.
LOADS = "map('compression', 'org.apache.derby.jdbc.EmbeddedDriver')"

REFUSED = (
    f"from_json('1', 'a int', {LOADS}).a",
    f"from_csv('1', 'a int', {LOADS}).a",
    f"to_json(struct(1), {LOADS})",
    f"to_csv(struct(1), {LOADS})",
    f"schema_of_json('1', {LOADS})",
    # Spark computes these while it analyses the query, and nothing of them is left in the plan.
    f"from_json('1', schema_of_json('1', {LOADS}))",
    f"(SELECT max(x) FROM VALUES (schema_of_csv('1', {LOADS})) AS v(x))",
    "`to_json`(struct(1), `map`('CODEC', 'org.apache.derby.jdbc.EmbeddedDriver'))",
    "to_json(struct(1), map('comp' || 'ression', 'gzip'))",
    "to_json(struct(1), map_from_arrays(array('compression'), array('gzip')))",
    f"system.builtin.to_json(struct(1), {LOADS})",
    f"IDENTIFIER('to_' || 'json')(struct(1), {LOADS})",
    "from_xml('<r/>', 'a int', map('rowValidationXSDPath', '/etc/passwd'))",
    f"transform(array(1), x -> to_json(struct(x), {LOADS}))",
    f"row_number() OVER (ORDER BY to_json(struct(1), {LOADS}))",
)


@pytest.fixture
def requests() -> Iterator[tuple[str, list[str]]]:
    """An address, and what is asked of it."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


@pytest.mark.parametrize("call", REFUSED)
def test_an_option_that_is_not_about_the_text_is_refused(lake: Lake, call: str) -> None:
    assert lake.fail(f"SELECT {call} AS a").code == "DCP344"
    assert not lake.exists()


def test_so_it_is_in_a_named_window(lake: Lake) -> None:
    query = f"SELECT sum(a) OVER w AS a FROM VALUES (1) AS t(a) WINDOW w AS (PARTITION BY to_json(struct(a), {LOADS}))"
    assert lake.fail(query).code == "DCP344"


def test_so_it_is_in_a_filter(lake: Lake) -> None:
    file = lake.folder / "lines.csv"
    file.write_text("a\n1\n")
    source = {"name": "src", "type": "csv", "path": str(file), "filter": f"to_json(struct(1), {LOADS}) IS NULL"}
    assert lake.fail("SELECT * FROM src", sources=[source]).code == "DCP344"


def test_options_that_are_stay(lake: Lake) -> None:
    options = "map('timestampFormat', 'yyyy', 'ignoreNullFields', 'false')"
    lake.run(
        f"SELECT to_json(named_struct('x', CAST(NULL AS INT)), {options}) AS a, from_json('{{\"b\":1}}', 'b int', map('mode', 'FAILFAST')).b"
    )
    assert lake.rows() == [('{"x":null}', 1)]


def test_an_xml_text_fetches_no_dtd(lake: Lake, requests: tuple[str, list[str]]) -> None:
    address, asked = requests
    error = lake.fail(f"""SELECT xpath_string('<!DOCTYPE a SYSTEM "{address}/a.dtd"><a>b</a>', '/a') AS a""")
    assert error.code == "DCP344"
    assert asked == []
