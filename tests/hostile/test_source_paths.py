"""A source of a job on a cluster reads no file of its pod, and nothing that only the cluster reaches."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.errors import ExecutionError
from airflow_dcp_provider.model.job import CoreEtlSpec, EtlJob, Sink, Source
from airflow_dcp_provider.runner.backends.kubernetes.spark_application import spark_application
from tests.support.executions import job, request

ENVIRONMENT = Environment(
    "test",
    "kubeflow",
    volumes=({"name": "data", "persistentVolumeClaim": {"claimName": "data"}},),
    volume_mounts=({"name": "data", "mountPath": "/mnt/data/"},),
)


def rendered(path: str, environment: Environment = ENVIRONMENT, kind: str = "csv", main_class: str | None = None) -> None:
    etl = EtlJob((Source("src", kind, path=path),), (), (Sink("out", "pedregal", "d", "t", input="src"),))
    asked = request(spec=replace(job(), core_etl=CoreEtlSpec(job=etl, main_class=main_class)))
    spark_application(asked, environment, image="spark:3.5")


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
@pytest.mark.parametrize(
    "path",
    [
        "/var/run/secrets/kubernetes.io/serviceaccount/token",
        "/run/secrets/kubernetes.io/serviceaccount/token",
        "/etc/dcp-secrets/DCP_CATALOG_PEDREGAL_CREDENTIAL",
        "/etc/dcp-secrets/*",
        "/etc/dcp/job-spec.json",
        "/proc/self/environ",
        "/proc/1/environ",
        "/{var,mnt}/run/secrets/*",
        "/*/*/*",
        "file:/etc/passwd",
        "file:///etc/passwd",
        "FILE:/etc/passwd",
        "file://localhost/mnt/data/x",
        "local:///etc/passwd",
        "//etc/passwd",
        "etc/passwd",
        "../../etc/passwd",
        "/mnt/data",
        "/mnt/database/x",
        "/mnt/data/../../etc/passwd",
        "/mnt/data/{..,x}/../etc/passwd",
        "/mnt/data/\\../x",
        "http://169.254.169.254/latest/meta-data/iam/",
        "https://kubernetes.default.svc/api",
        "ftp://host/x",
        "har://file-/etc/x.har",
        "webhdfs://host/x",
        "jar:file:/a!/b",
        "data:,x",
        " s3a://bucket/x",
        "s3a",
        "",
    ],
)
def test_what_is_not_for_jobs_is_refused(path: str, kind: str) -> None:
    with pytest.raises(ExecutionError) as caught:
        rendered(path, kind=kind)
    assert caught.value.code == "DCP345"
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    "path",
    [
        "s3a://bucket/a/*.csv",
        "S3://bucket/a",
        "gs://bucket/a",
        "abfss://container@account.dfs.core.windows.net/a",
        "hdfs://namenode/a/{b,c}",
        "/mnt/data/a.csv",
        "/mnt//data/a/*/b.csv",
        "file:/mnt/data/a.csv",
        "file:///mnt/data/a.csv",
    ],
)
def test_stores_and_mounted_volumes_are_read(path: str) -> None:
    rendered(path)


def test_without_mounts_there_is_no_local_path() -> None:
    with pytest.raises(ExecutionError):
        rendered("/mnt/data/a.csv", Environment("test", "kubeflow"))
    with pytest.raises(ExecutionError):
        rendered("/etc/passwd", replace(ENVIRONMENT, volume_mounts=({"name": "data", "mountPath": "/"},)))


@pytest.mark.parametrize(
    "volume", [{"secret": {}}, {"projected": {}}, {"configMap": {}}, {"csi": {"driver": "x"}}, {"downwardAPI": {}}]
)
def test_a_volume_that_may_hold_secrets_is_none_of_data(volume: dict[str, object]) -> None:
    with pytest.raises(ExecutionError):
        rendered("/mnt/data/a.csv", replace(ENVIRONMENT, volumes=({"name": "data", **volume},)))


def test_a_path_without_a_scheme_means_the_environments_own_file_system() -> None:
    hdfs = Environment("test", "kubeflow", spark_defaults={"spark.hadoop.fs.defaultFS": "hdfs://namenode"})
    rendered("/data/a", hdfs)
    with pytest.raises(ExecutionError):
        rendered("file:/etc/passwd", hdfs)
    with pytest.raises(ExecutionError):
        rendered("/data/a", replace(hdfs, spark_defaults={"spark.hadoop.fs.defaultFS": "file:///"}))


def test_a_driver_of_the_manifests_own_reads_as_it_likes() -> None:
    """What it makes of a job spec is not known here."""
    rendered("/opt/app/reference.csv", main_class="com.example.Main")
