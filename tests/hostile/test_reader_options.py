"""Options of a source: only the readers' own, because Spark hands each of them on to Hadoop's configuration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_dcp_provider.model.errors import ExecutionError, ManifestError, Problem
from airflow_dcp_provider.model.job import CoreEtlSpec, EtlJob, Sink, Source
from airflow_dcp_provider.runner.drivers import unsupported
from airflow_dcp_provider.runner.spark_options import OPTIONS, option_refusals
from dag_factory.compiled import CompileSettings, compile_manifest
from tests.support.executions import job

DANGEROUS = [
    "path",
    "paths",
    "PATH",
    "fs.file.impl",
    "fs.s3a.impl",
    "fs.AbstractFileSystem.s3a.impl",
    "fs.s3a.aws.credentials.provider",
    "fs.s3a.access.key",
    "fs.s3a.secret.key",
    "fs.s3a.endpoint",
    "fs.defaultFS",
    "hadoop.security.credential.provider.path",
    "hadoop.tmp.dir",
    "spark.jars",
    "io.compression.codecs",
    "io.serializations",
    "parquet.read.support.class",
    "parquet.crypto.factory.class",
    "parquet.encryption.kms.client.class",
    "parquet.private.read.filter.predicate.class",
    "avroSchema",
    "driver",
    "url",
    "dbtable",
    "query",
    "user",
    "password",
    "scan-task-set-id",
    "snapshot-property.dcp.run",
    "dcp.run",
    "write-format",
    "target-file-size-bytes",
    "check-nullability",
    "mergeSchemas",
    "credential",
    "token",
    "format",
    "codec",
    "compression",
    "mapreduce.input.pathFilter.class",
    "mapred.input.pathFilter.class",
    "catalog",
]

USEFUL = {
    "csv": {
        "header": "true",
        "sep": "\t",
        "nullValue": "NA",
        "dateFormat": "yyyy-MM-dd",
        "mode": "FAILFAST",
        "encoding": "UTF-8",
        "Delimiter": "\x01",
        "quote": "",
        "escape": "\\",
        "multiLine": "true",
        "inferSchema": "true",
        "lineSep": "\r\n",
        "pathGlobFilter": "*.csv",
        "recursiveFileLookup": "true",
        "columnNameOfCorruptRecord": "_bad",
        "timeZone": "UTC",
    },
    "json": {"multiLine": "true", "primitivesAsString": "true", "allowComments": "true", "timestampFormat": "yyyy-MM-dd HH:mm"},
    "parquet": {"mergeSchema": "true", "datetimeRebaseMode": "CORRECTED", "pathGlobFilter": "part-*", "basePath": "/data/t"},
    "iceberg": {
        "branch": "audit",
        "snapshot-id": "123",
        "as-of-timestamp": "1700000000000",
        "tag": "eom",
        "split-size": "134217728",
    },
}


def problems_of(folder: Path, kind: str, options: dict[str, Any], way: str = "manifest") -> tuple[Problem, ...]:
    where = {"database": "d", "table": "t"} if kind == "iceberg" else {"path": "/data/t"}
    source: dict[str, Any] = {"name": "src", "type": kind, **where}
    manifest: dict[str, Any] = {
        "apiVersion": "dcp.example.com/v1",
        "kind": "SparkJob",
        "metadata": {"name": "attacked", "namespace": "tests", "team": "team-a"},
        "spec": {
            "coreEtl": {
                "jobSpec": {
                    "sources": [source],
                    "transformations": [{"name": "out", "query": "SELECT a FROM src"}],
                    "sinks": [{"name": "out", "database": "d", "table": "o"}],
                }
            },
            "orchestration": {"schedule": "@daily"},
        },
    }
    given = {"coreEtl": {"jobSpec": {"sources": [{"name": "src", "options": options}]}}}
    if way == "manifest":
        source["options"] = options
    elif way == "override":
        manifest["spec"]["environments"] = {"local": given}
    else:
        (folder / "defaults.yaml").write_text(yaml.safe_dump({"SparkJob": {"spec": given}}, allow_unicode=True))
    path = folder / "attacked.yaml"
    path.write_text(yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True))
    try:
        compile_manifest(path, folder, ("local",), CompileSettings("local"))
    except ManifestError as error:
        return error.problems
    return ()


def reading(kind: str, options: dict[str, str]) -> ExecutionError | None:
    source = Source("src", kind, path="/data/t", options=options)
    etl = EtlJob(sources=(source,), sinks=(Sink("s", "pedregal", "d", "t", input="src"),))
    return unsupported(replace(job(), core_etl=CoreEtlSpec(job=etl)), "local")


@pytest.mark.parametrize("way", ["manifest", "defaults", "override"])
@pytest.mark.parametrize("kind", OPTIONS)
def test_lint_refuses_what_is_no_readers_option(tmp_path: Path, kind: str, way: str) -> None:
    found = problems_of(tmp_path, kind, dict.fromkeys(DANGEROUS, "x"), way)
    assert {problem.code for problem in found} == {"DCP139"}
    assert len(found) == len(DANGEROUS)


@pytest.mark.parametrize("name", DANGEROUS)
@pytest.mark.parametrize("kind", OPTIONS)
def test_the_runner_refuses_it_again(kind: str, name: str) -> None:
    error = reading(kind, {name: "x"})
    assert error is not None
    assert error.code == "DCP311"
    assert "`src`" in error.message


@pytest.mark.parametrize("kind", OPTIONS)
def test_the_readers_own_are_taken(kind: str) -> None:
    assert option_refusals(kind, USEFUL[kind]) == []
    assert reading(kind, USEFUL[kind]) is None


@pytest.mark.parametrize("kind", OPTIONS)
def test_and_lint_takes_them(tmp_path: Path, kind: str) -> None:
    options = {name: value for name, value in USEFUL[kind].items() if value.isprintable()}
    assert problems_of(tmp_path, kind, options) == ()


@pytest.mark.parametrize("value", ["${env:PATH}", "${env.HOME}", "a\nb", "a\x1b[31m", "x" * 2000])
@pytest.mark.parametrize(
    ("kind", "name"), [("csv", "nullValue"), ("json", "dateFormat"), ("parquet", "basePath"), ("iceberg", "branch")]
)
def test_a_value_is_plain_text(kind: str, name: str, value: str) -> None:
    (refusal,) = option_refusals(kind, {name: value})
    assert refusal.of_value
    assert reading(kind, {name: value}) is not None


@pytest.mark.parametrize("value", ["${x}", "\x01" * 9])
def test_a_separator_is_short(value: str) -> None:
    assert option_refusals("csv", {"sep": value})


def test_nothing_of_a_type_that_is_unknown() -> None:
    assert [refusal.name for refusal in option_refusals("jdbc", {"header": "true"})] == ["header"]


def test_a_typing_error_is_explained(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, "csv", {"headr": "true"})
    assert problem.hint == "did you mean `header`?"
