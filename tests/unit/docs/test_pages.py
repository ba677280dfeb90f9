"""The generated pages are complete. Whether those in ``docs/`` are up to date is checked by ``make lint``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_dcp_provider.model.error_codes import all_codes
from dag_factory.docs import pages
from dag_factory.docs.__main__ import main
from dag_factory.docs.markdown import table
from dag_factory.manifest.schema_check import load_schema


def test_check_writes_nothing_and_names_what_is_stale(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(tmp_path)]) == 0
    (tmp_path / "errors.md").write_text("old")
    assert main(["--check", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"{tmp_path / 'errors.md'} is not up to date; run `make docs`\n"
    assert (tmp_path / "errors.md").read_text() == "old"


def test_every_error_code_is_on_the_page():
    page = pages()["errors.md"]
    assert [code for code in all_codes() if f"| {code} |" not in page] == []


def descriptions(schema: Any) -> set[str]:
    """The description of every field that a manifest may have."""
    if isinstance(schema, dict):
        below = {text for value in schema.values() for text in descriptions(value)}
        own = {
            value["description"]
            for name, value in schema.get("properties", {}).items()
            if name[0] != "$" and "description" in value
        }
        return below | own
    return {text for value in schema for text in descriptions(value)} if isinstance(schema, list) else set()


@pytest.mark.parametrize("name", ["spark_job", "derived_dataset"])
def test_every_field_of_a_schema_is_on_the_page(name: str):
    page = pages()["manifest-reference.md"]
    found = descriptions(load_schema(name))
    assert len(found) > 15
    assert [text for text in found if text.replace("<", "&lt;").split("`")[0] not in page.replace("\\|", "|")] == []


def test_every_command_has_a_section():
    page = pages()["cli.md"]
    for command in ("lint", "schema", "render", "run", "data load", "data show", "executions cancel"):
        assert f"### pretzel {command}\n" in page


def test_a_synopsis_says_what_may_be_left_out_or_repeated():
    page = pages()["cli.md"]
    for synopsis in ("lint PATH... [OPTIONS]", "schema [KIND]", "environments check [NAME...] [OPTIONS]"):
        assert f"```\npretzel {synopsis}\n```" in page


def test_cells_cannot_break_a_table():
    assert table(("a",), [("x | y\nz <b> `<c>`",)]).splitlines()[2] == "| x \\| y z &lt;b> `<c>` |"
