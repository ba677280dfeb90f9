"""The job spec is what the runner writes, and what is wrong with one is told."""

import json
from dataclasses import asdict, fields
from typing import Any

import pytest

from airflow_dcp_provider.core_etl import proof as driver_proof
from airflow_dcp_provider.core_etl import spec as driver
from airflow_dcp_provider.core_etl.faults import DriverError
from airflow_dcp_provider.model import job as model
from airflow_dcp_provider.model import proof as model_proof

SINK = {"name": "out", "catalog": "c", "database": "d", "table": "t", "input": "result"}


def document(**changes: Any) -> str:
    base = {
        "version": 1, "execution_id": "e", "attempt": 2, "fingerprint": "f", "manifest_id": "m", "run_key": "r", "ds": "2013-01-05",
        "sources": [], "transformations": [{"name": "result", "query": "SELECT 1"}], "sinks": [SINK],
    }  # fmt: skip
    return json.dumps({**base, **changes})


@pytest.mark.parametrize("name", ["Source", "Transformation", "Column", "Sink"])
def test_the_driver_and_the_model_have_the_same_fields(name: str) -> None:
    def described(kind: Any) -> dict[str, Any]:
        return {item.name: item.default for item in fields(kind)}

    assert described(getattr(driver, name)) == described(getattr(model, name))


@pytest.mark.parametrize("name", ["EXECUTION_ID", "ATTEMPT", "FINGERPRINT", "PARTITION", "ROWS", "RUN"])
def test_the_driver_and_the_model_name_the_same_proof(name: str) -> None:
    assert getattr(driver_proof, name) == getattr(model_proof, name)


def test_what_the_model_writes_is_read_back() -> None:
    columns = (model.Column("id", "long", required=True),)
    etl = model.EtlJob(
        sources=(model.Source("raw", "csv", path="/a", filter="x", options={"header": "true"}),),
        transformations=(model.Transformation("result", "SELECT 1"),),
        sinks=(model.Sink("out", "c", "d", "t", "result", partition_by=("ds",), merge_keys=("id",), columns=columns),),
    )
    job = driver.parse_job(document(**json.loads(json.dumps(asdict(etl)))))
    assert [asdict(item) for item in job.sources + job.transformations + job.sinks] == [
        asdict(item) for item in etl.sources + etl.transformations + etl.sinks
    ]
    assert job.attempt == 2


def test_a_run_is_named_by_run_and_sink() -> None:
    job = driver.parse_job(document())
    assert job.run_of(job.sinks[0]) == "r:out"
    assert driver.parse_job(document(run_key="")).run_of(job.sinks[0]) == "e:out"


def test_names_are_quoted_for_sql() -> None:
    assert driver.identifier("a", "b`c") == "`a`.`b``c`"


@pytest.mark.parametrize(
    ("text", "code", "part"),
    [
        ("{", "DCP320", "not JSON"),
        ("[]", "DCP320", "not a JSON object"),
        (document(version=2), "DCP320", "version is 2"),
        (document(attempt="second"), "DCP320", "attempt is a text and not"),
        (document(attempt=0), "DCP320", "attempt is 0"),
        (document(execution_id=""), "DCP320", "no execution_id"),
        (document(sources=[3]), "DCP320", "item 1 of its sources is a number and not"),
        (document(sources=[{"name": "a", "colour": 1}]), "DCP320", "does not know: `colour`"),
        (document(sources=[{"type": "csv"}]), "DCP320", "has no name"),
        (document(sources=[{"name": "a"}]), "DCP320", "names no database and table"),
        (document(sources=[{"name": "a", "type": "csv"}]), "DCP320", "has no path"),
        (document(sources=[{"name": "a", "type": "kafka"}]), "DCP320", "type `kafka`"),
        (document(transformations=[{"name": "a", "query": "", "type": "python"}]), "DCP320", "not sql"),
        (document(sinks=["out"]), "DCP320", "item 1 of its sinks is a text and not"),
        (document(sinks=[{**SINK, "type": "csv"}]), "DCP320", "not iceberg"),
        (document(sinks=[{**SINK, "mode": "upsert"}]), "DCP320", "mode `upsert`"),
        (document(sinks=[{**SINK, "mode": "merge"}]), "DCP320", "no merge keys"),
        (document(sinks=[{**SINK, "input": "else"}]), "DCP329", "writes `else`"),
    ],
)
def test_what_is_wrong_is_told(text: str, code: str, part: str) -> None:
    with pytest.raises(DriverError) as caught:
        driver.parse_job(text)
    assert (caught.value.code, caught.value.exit_code) == (code, 20)
    assert part in caught.value.message


def test_targets_are_named_in_the_catalog_without_a_cache() -> None:
    assert driver.Sink("out", "lake", "d", "t", "x").identifier == "`dcp_write_lake`.`d`.`t`"
    assert driver.Sink("out", "lake", "d", "t", "x").full_name == "lake.d.t"


def test_the_default_catalog_is_read() -> None:
    assert driver.parse_job(json.dumps({"version": 1, "execution_id": "e", "default_catalog": "lake"})).default_catalog == "lake"
    assert driver.parse_job(json.dumps({"version": 1, "execution_id": "e"})).default_catalog is None
