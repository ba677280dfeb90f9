"""What a job spec must have, at its limits, and the names that are made from it."""

from __future__ import annotations

import json

import pytest

from airflow_dcp_provider.core_etl.faults import DriverError
from airflow_dcp_provider.core_etl.spec import Column, Sink, Source, Transformation, identifier, parse_job

from .test_spec import SINK, document


def refusal(text: str) -> DriverError:
    with pytest.raises(DriverError) as caught:
        parse_job(text)
    return caught.value


def test_every_field_of_the_document_is_read() -> None:
    job = parse_job(document())
    assert (job.execution_id, job.attempt, job.fingerprint) == ("e", 2, "f")
    assert (job.manifest_id, job.run_key, job.ds) == ("m", "r", "2013-01-05")
    assert job.transformations == (Transformation("result", "SELECT 1"),)


def test_what_is_left_out_is_empty() -> None:
    text = json.dumps({"version": 1, "execution_id": "e"})
    job = parse_job(text)
    assert (job.attempt, job.fingerprint, job.manifest_id, job.run_key, job.ds) == (1, "", "", "", "")
    assert (job.sources, job.transformations, job.sinks) == ((), (), ())
    sink = parse_job(document()).sinks[0]
    assert (sink.type, sink.mode, sink.partition_by, sink.merge_keys, sink.columns) == ("iceberg", "overwrite", (), (), None)
    assert not Column("a", "int").required
    assert parse_job(document(sinks=[{**SINK, "columns": []}])).sinks[0].columns == ()


@pytest.mark.parametrize("kind", ["parquet", "csv", "json"])
def test_files_need_a_path_and_no_table(kind: str) -> None:
    assert parse_job(document(sources=[{"name": "a", "type": kind, "path": "/x"}])).sources == (Source("a", kind, path="/x"),)
    assert "source `a` has no path" in refusal(document(sources=[{"name": "a", "type": kind, "table": "t"}])).message


@pytest.mark.parametrize("place", [{}, {"database": "d"}, {"table": "t"}, {"catalog": "c", "table": "t"}])
def test_a_table_needs_its_database_and_its_name(place: dict[str, str]) -> None:
    assert "source `a` names no database and table" in refusal(document(sources=[{"name": "a", **place}])).message


def test_a_table_needs_no_path() -> None:
    assert parse_job(document(sources=[{"name": "a", "database": "d", "table": "t"}])).sources[0].path is None


@pytest.mark.parametrize("mode", ["overwrite", "append"])
def test_only_a_merge_needs_keys(mode: str) -> None:
    assert parse_job(document(sinks=[{**SINK, "mode": mode}])).sinks[0].mode == mode
    assert parse_job(document(sinks=[{**SINK, "mode": "merge", "merge_keys": ["id"]}])).sinks[0].merge_keys == ("id",)


def test_refusals_name_what_is_there_and_what_may_be() -> None:
    assert "not one of iceberg, parquet, csv, json" in refusal(document(sources=[{"name": "a", "type": "kafka"}])).message
    assert "not one of overwrite, append, merge" in refusal(document(sinks=[{**SINK, "mode": "replace"}])).message
    wrong = refusal(document(sinks=[{**SINK, "input": "other"}]))
    assert (wrong.code, wrong.hint) == ("DCP329", "the job has: `result`")
    alone = refusal(document(transformations=[], sinks=[SINK]))
    assert (alone.code, alone.hint) == ("DCP329", "give the job a source or a transformation")
    assert "source `a` has fields" in refusal(document(sources=[{"name": "a", "colour": 1}])).message
    assert "transformation `a`" in refusal(document(transformations=[{"name": "a"}])).message
    assert (
        "transformation `a` is of type `python`"
        in refusal(document(transformations=[{"name": "a", "query": "", "type": "python"}])).message
    )


def test_a_sink_may_write_a_source() -> None:
    text = document(sources=[{"name": "raw", "database": "d", "table": "t"}], sinks=[{**SINK, "input": "raw"}])
    assert parse_job(text).sinks[0].input == "raw"


@pytest.mark.parametrize("attempt", [1, 2, 10])
def test_attempts_begin_with_one(attempt: int) -> None:
    assert parse_job(document(attempt=attempt)).attempt == attempt


@pytest.mark.parametrize("attempt", [0, -1, 1.5, "1", None])
def test_other_attempts_are_refused(attempt: object) -> None:
    assert refusal(document(attempt=attempt)).code == "DCP320"


def test_names() -> None:
    sink = Sink("out", "c", "d", "t", "result")
    assert sink.full_name == "c.d.t"
    assert sink.identifier.endswith("`.`d`.`t`")
    assert identifier("a") == "`a`"


def test_the_version_of_spark_is_read() -> None:
    assert parse_job(document(spark_version="3.5")).spark_version == "3.5"
    assert parse_job(document()).spark_version == ""


@pytest.mark.parametrize(
    ("field", "limit"),
    [("execution_id", 200), ("fingerprint", 1000), ("manifest_id", 1000), ("run_key", 1000), ("ds", 1000), ("spark_version", 1000)],
)
def test_texts_have_a_longest_length(field: str, limit: int) -> None:
    parse_job(document(**{field: "x" * limit}))
    assert f"its {field} has {limit + 1} characters" in refusal(document(**{field: "x" * (limit + 1)})).message
