"""The comment of a table is public: no variable of the driver's environment gets into it, by whatever way a description arrives."""

from __future__ import annotations

import json

import pytest

from airflow_dcp_provider.model.errors import ManifestError
from tests.unit.manifest.conftest import SPARK_JOB, Compile, compile_files

__all__ = ["compile_files"]

VARIABLES = ["made by ${env:PATH}", "${system:user.home}", "${spark.app.name}", "a ${", "$${x}"]

DATASET = """\
metadata: {technical_owner: data}
dataset: {name: daily, fields: [{name: a, type: string}]}
workflow: {schedule: "@daily", sql: daily.sql}
"""
SINK = """    partitionBy: [ds]\n""".replace("    ", "          ")


def spark_job(way: str, text: str) -> dict[str, str]:
    sink = f"{{name: totals, description: {json.dumps(text)}}}"
    if way == "manifest":
        return {"m.yaml": SPARK_JOB.replace(SINK, f"{SINK}          description: {json.dumps(text)}\n")}
    if way == "override":
        override = f"  environments:\n    prod: {{coreEtl: {{jobSpec: {{sinks: [{sink}]}}}}}}\n"
        return {"m.yaml": SPARK_JOB + override}
    defaults = f"SparkJob:\n  spec: {{coreEtl: {{jobSpec: {{sinks: [{{name: totals, database: d, description: {json.dumps(text)}}}]}}}}}}\n"
    return {"m.yaml": SPARK_JOB, "defaults.yaml": defaults}


def derived_dataset(way: str, text: str) -> dict[str, str]:
    sql = {"daily.sql": "SELECT a FROM raw.t"}
    described = f"dataset: {{description: {json.dumps(text)}}}"
    if way == "manifest":
        return {"m.yaml": DATASET.replace("name: daily,", f"name: daily, description: {json.dumps(text)},"), **sql}
    return {"m.yaml": DATASET, "defaults.yaml": f"DerivedDataset:\n  {described}\n", **sql}


@pytest.mark.parametrize("text", VARIABLES)
@pytest.mark.parametrize(
    ("kind", "way"),
    [
        *((spark_job, way) for way in ("manifest", "defaults", "override")),
        # An environment overrides nothing of a dataset but its workflow.
        *((derived_dataset, way) for way in ("manifest", "defaults")),
    ],
)
def test_a_table_with_a_variable_in_its_description_is_refused(compile_files: Compile, kind, way: str, text: str) -> None:
    with pytest.raises(ManifestError) as caught:
        compile_files(kind(way, text))
    assert [(problem.code, "${" in problem.message) for problem in caught.value.problems] == [("DCP113", True)]


def test_so_is_a_field(compile_files: Compile) -> None:
    field = DATASET.replace("type: string}", 'type: string, description: "${env:HOME}"}')
    with pytest.raises(ManifestError) as caught:
        compile_files({"m.yaml": field, "daily.sql": "SELECT a FROM raw.t"})
    assert [problem.code for problem in caught.value.problems] == ["DCP113"]


@pytest.mark.parametrize("text", ["costs 5 $", "{a: 1}", "$ {x}", "{{ ds }}"])
@pytest.mark.parametrize("kind", [spark_job, derived_dataset])
def test_other_descriptions_are_not(compile_files: Compile, kind, text: str) -> None:
    assert compile_files(kind("manifest", text)) is not None
