"""The files with which templates and SQL were attacked: each is an error of its own, at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_dcp_provider.model.errors import ManifestError
from dag_factory.compiled import CompileSettings, compile_folder

CASES = Path(__file__).parent / "cases"


@pytest.mark.parametrize(
    ("name", "code", "line"),
    [
        ("loop-in-sql", "DCP156", 11),
        ("huge-text-in-filter", "DCP156", 8),
        ("power-in-sql", "DCP156", 11),
        ("template-names-a-table", "DCP146", 11),
        ("read-environment", "DCP162", 11),
    ],
)
def test_the_file_is_refused_and_its_neighbour_is_not(tmp_path: Path, name: str, code: str, line: int) -> None:
    text = (CASES / f"{name}.yaml").read_text()
    (tmp_path / f"{name}.yaml").write_text(text)
    (tmp_path / "good.sql").write_text("SELECT a FROM raw.events WHERE ds = {{ ds | sql }}\r\n;\r\n-- end\r\n")
    (tmp_path / "good.yaml").write_text(
        "metadata: {technical_owner: team-a}\ndataset: {name: good, fields: [{name: a, type: long}]}\n"
        'workflow: {sql: good.sql, schedule: "@daily", startDate: "2013-01-01"}\n'
    )
    compiled = compile_folder(tmp_path, ("local", "prod"), CompileSettings())
    assert [manifest.path for manifest in compiled.manifests] == ["good.yaml"]
    assert list(compiled.errors) == [f"{name}.yaml"]
    error = compiled.errors[f"{name}.yaml"]
    assert isinstance(error, ManifestError)
    places = [(problem.code, problem.position.line if problem.position else 0) for problem in error.problems]
    assert (code, line) in places
