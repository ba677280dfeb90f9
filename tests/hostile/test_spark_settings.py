"""Spark settings: what is not on the list is refused by lint, where a job is submitted, and by each backend."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_dcp_provider.hooks.environment_fields import parse_environment
from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.errors import DcpEnvironmentError, DcpError, ExecutionError, ManifestError
from airflow_dcp_provider.model.job import JobSpec
from airflow_dcp_provider.runner.backends.kubernetes.spark_application import spark_application
from airflow_dcp_provider.runner.backends.spark_command import spark_command
from airflow_dcp_provider.runner.drivers import unsupported
from airflow_dcp_provider.runner.spark_allowed import ALLOWED, KINDS
from airflow_dcp_provider.runner.spark_conf import entry_fault, refusals, reserved_settings
from airflow_dcp_provider.runner.spark_options import option_refusals
from dag_factory.compiled import CompileSettings, compile_manifest
from tests.hostile.manifests import KINDS as MANIFESTS
from tests.hostile.manifests import WAYS, compile_with, problems_of
from tests.support.executions import job, request
from tests.unit.runner.test_spark_command import PLACES, SETTINGS

CASES = Path(__file__).with_name("cases")

DANGEROUS = [
    "spark.driver.extraJavaOptions",
    "spark.executor.extraJavaOptions",
    "spark.driver.defaultJavaOptions",
    "spark.executor.defaultJavaOptions",
    "spark.driver.extraClassPath",
    "spark.executor.extraClassPath",
    "spark.driver.extraLibraryPath",
    "spark.executor.extraLibraryPath",
    "spark.driver.userClassPathFirst",
    "spark.executor.userClassPathFirst",
    "spark.jars",
    "spark.jars.packages",
    "spark.jars.repositories",
    "spark.jars.ivy",
    "spark.jars.ivySettings",
    "spark.files",
    "spark.archives",
    "spark.submit.pyFiles",
    "spark.submit.deployMode",
    "spark.plugins",
    "spark.plugins.defaultList",
    "spark.extraListeners",
    "spark.sql.queryExecutionListeners",
    "spark.sql.streaming.streamingQueryListeners",
    "spark.sql.extensions",
    "spark.sql.catalog.pedregal",
    "spark.sql.catalog.x.uri",
    "spark.sql.catalog.spark_catalog",
    "spark.sql.defaultCatalog",
    "spark.sql.catalogImplementation",
    "spark.sql.warehouse.dir",
    "spark.sql.hive.metastore.jars",
    "spark.sql.hive.metastore.sharedPrefixes",
    "spark.sql.cache.serializer",
    "spark.sql.adaptive.customCostEvaluatorClass",
    "spark.sql.sources.outputCommitterClass",
    "spark.sql.sources.commitProtocolClass",
    "spark.sql.parquet.output.committer.class",
    "spark.sql.streaming.checkpointLocation",
    "spark.sql.streaming.stateStore.providerClass",
    "spark.sql.maven.additionalRemoteRepositories",
    "spark.sql.execution.pyspark.python",
    "spark.sql.extendedExplainProviders",
    "spark.sql.udt.allowedDynamicUDTClasses",
    "spark.sql.variable.substitute",
    "spark.sql.runSQLOnFiles",
    "spark.sql.session.timeZone",
    "spark.sql.caseSensitive",
    "spark.sql.storeAssignmentPolicy",
    "spark.sql.sources.partitionOverwriteMode",
    "spark.sql.sources.default",
    "spark.sql.codegen.comments",
    "spark.sql.parser.escapedStringLiterals",
    "spark.sql.parser.quotedRegexColumnNames",
    "spark.sql.ansi.doubleQuotedIdentifiers",
    "spark.sql.groupByOrdinal",
    "spark.sql.orderByOrdinal",
    "spark.sql.timestampType",
    "spark.sql.legacy.setCommandRejectsSparkCoreConfs",
    "spark.sql.legacy.allowNegativeScaleOfDecimal",
    "spark.sql.redaction.options.regex",
    "spark.sql.redaction.string.regex",
    "spark.sql.iceberg.snapshot-property.dcp.run",
    "spark.sql.iceberg.snapshot-property.x",
    "spark.sql.iceberg.check-nullability",
    "spark.sql.iceberg.merge-schema",
    "spark.wap.branch",
    "spark.wap.id",
    "spark.serializer",
    "spark.closure.serializer",
    "spark.kryo.registrator",
    "spark.kryo.classesToRegister",
    "spark.shuffle.manager",
    "spark.shuffle.sort.io.plugin.class",
    "spark.shuffle.service.enabled",
    "spark.storage.replication.policy",
    "spark.storage.replication.topologyMapper",
    "spark.storage.decommission.fallbackStorage.path",
    "spark.scheduler.allocation.file",
    "spark.resources.discoveryPlugin",
    "spark.driver.resource.gpu.discoveryScript",
    "spark.executor.resource.gpu.discoveryScript",
    "spark.worker.resource.gpu.discoveryScript",
    "spark.metrics.conf",
    "spark.metrics.conf.*.sink.csv.class",
    "spark.metrics.namespace",
    "spark.eventLog.dir",
    "spark.eventLog.enabled",
    "spark.driver.log.dfsDir",
    "spark.driver.log.localDir",
    "spark.log.level",
    "spark.redaction.regex",
    "spark.redaction.string.regex",
    "spark.ui.filters",
    "spark.ui.proxyRedirectUri",
    "spark.ui.view.acls",
    "spark.acls.enable",
    "spark.admin.acls",
    "spark.authenticate",
    "spark.authenticate.secret",
    "spark.network.crypto.enabled",
    "spark.io.encryption.enabled",
    "spark.ssl.enabled",
    "spark.kerberos.keytab",
    "spark.user.groups.mapping",
    "spark.hadoop.fs.file.impl",
    "spark.hadoop.fs.s3a.aws.credentials.provider",
    "spark.hadoop.fs.defaultFS",
    "spark.hadoop.hadoop.security.credential.provider.path",
    "spark.hadoop.mapreduce.outputcommitter.factory.scheme.s3a",
    "spark.executorEnv.LD_PRELOAD",
    "spark.executorEnv.PYTHONPATH",
    "spark.appMasterEnv.X",
    "spark.yarn.appMasterEnv.X",
    "spark.yarn.jars",
    "spark.mesos.executor.uri",
    "spark.kubernetes.namespace",
    "spark.kubernetes.driver.podTemplateFile",
    "spark.kubernetes.container.image",
    "spark.kubernetes.driver.pod.featureSteps",
    "spark.kubernetes.driver.secrets.x",
    "spark.kubernetes.driverEnv.X",
    "spark.kubernetes.driver.volumes.hostPath.x.mount.path",
    "spark.kubernetes.authenticate.driver.serviceAccountName",
    "spark.master",
    "spark.home",
    "spark.remote",
    "spark.api.mode",
    "spark.app.name",
    "spark.local.dir",
    "spark.checkpoint.dir",
    "spark.driver.memory",
    "spark.driver.host",
    "spark.driver.bindAddress",
    "spark.driver.port",
    "spark.blockManager.port",
    "spark.pyspark.python",
    "spark.pyspark.driver.python",
    "spark.python.daemon.module",
    "spark.python.worker.module",
    "spark.r.command",
    "spark.sparkr.r.command",
    "spark.connect.grpc.interceptor.classes",
    "spark.connect.extensions.relation.classes",
    "spark.openlineage.transport.auth.apiKey",
    "spark.openlineage.transport.headers.x",
    "spark.openlineage.disabled",
]

#: Names that only look like settings, or would become two of them.
MALFORMED = [
    "spark.plugins=com.example.Plugin,",
    " spark.jars",
    "spark.jars ",
    "SPARK.JARS",
    "Spark.task.cpus",
    "spark.task.CPUS",
    "spark.task.cpus\n",
    "spark.task.cpus\nspark.jars",
    "spark.task.cpus=1 --conf spark.jars",
    "spark.task.cpus,spark.jars",
    "spark..task.cpus",
    "spark.",
    "spark",
    "",
    "task.cpus",
    "spark.task.cpus\u200b",
    "ѕpark.task.cpus",  # noqa: RUF001 - a Cyrillic letter
    "spark.sql.shuffle.partitions\x00",
    "spark." + "a" * 300,
]

USEFUL = {
    "spark.sql.shuffle.partitions": "400",
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.adaptive.coalescePartitions.enabled": "false",
    "spark.sql.adaptive.coalescePartitions.minPartitionSize": "1MB",
    "spark.sql.adaptive.coalescePartitions.initialPartitionNum": "1000",
    "spark.sql.adaptive.advisoryPartitionSizeInBytes": "128m",
    "spark.sql.adaptive.skewJoin.enabled": "true",
    "spark.sql.adaptive.skewJoin.skewedPartitionFactor": "5.0",
    "spark.sql.adaptive.skewJoin.skewedPartitionThresholdInBytes": "256MB",
    "spark.sql.adaptive.localShuffleReader.enabled": "true",
    "spark.sql.adaptive.autoBroadcastJoinThreshold": "-1",
    "spark.sql.autoBroadcastJoinThreshold": "-1",
    "spark.sql.broadcastTimeout": "600",
    "spark.sql.join.preferSortMergeJoin": "false",
    "spark.sql.files.maxPartitionBytes": "134217728",
    "spark.sql.files.openCostInBytes": "4MB",
    "spark.sql.files.ignoreMissingFiles": "true",
    "spark.sql.files.minPartitionNum": "8",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.mapKeyDedupPolicy": "LAST_WIN",
    "spark.sql.legacy.timeParserPolicy": "LEGACY",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInRead": "LEGACY",
    "spark.sql.parquet.enableVectorizedReader": "false",
    "spark.sql.parquet.mergeSchema": "true",
    "spark.sql.parquet.filterPushdown": "true",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.codegen.maxFields": "200",
    "spark.sql.optimizer.dynamicPartitionPruning.enabled": "true",
    "spark.sql.optimizer.runtime.bloomFilter.enabled": "true",
    "spark.sql.cbo.enabled": "true",
    "spark.sql.crossJoin.enabled": "true",
    "spark.sql.pivotMaxValues": "20000",
    "spark.sql.sources.v2.bucketing.enabled": "true",
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",
    "spark.sql.jsonGenerator.ignoreNullFields": "false",
    "spark.sql.columnNameOfCorruptRecord": "_bad",
    "spark.sql.iceberg.distribution-mode": "hash",
    "spark.sql.iceberg.vectorization.enabled": "false",
    "spark.sql.iceberg.advisory-partition-size": "128mb",
    "spark.sql.iceberg.compression-codec": "zstd",
    "spark.sql.iceberg.planning.preserve-data-grouping": "true",
    "spark.driver.cores": "2",
    "spark.driver.maxResultSize": "2g",
    "spark.driver.memoryOverhead": "1g",
    "spark.driver.memoryOverheadFactor": "0.4",
    "spark.executor.cores": "4",
    "spark.executor.memory": "8g",
    "spark.executor.memoryOverhead": "2048",
    "spark.executor.instances": "10",
    "spark.executor.pyspark.memory": "1g",
    "spark.executor.heartbeatInterval": "20s",
    "spark.network.timeout": "600s",
    "spark.rpc.askTimeout": "300s",
    "spark.rpc.message.maxSize": "256",
    "spark.memory.fraction": "0.8",
    "spark.memory.storageFraction": "0.3",
    "spark.memory.offHeap.enabled": "true",
    "spark.memory.offHeap.size": "2g",
    "spark.default.parallelism": "200",
    "spark.dynamicAllocation.enabled": "true",
    "spark.dynamicAllocation.maxExecutors": "50",
    "spark.dynamicAllocation.executorIdleTimeout": "120s",
    "spark.dynamicAllocation.shuffleTracking.timeout": "5min",
    "spark.shuffle.io.maxRetries": "10",
    "spark.shuffle.io.retryWait": "30s",
    "spark.shuffle.compress": "true",
    "spark.io.compression.codec": "zstd",
    "spark.shuffle.file.buffer": "1m",
    "spark.reducer.maxSizeInFlight": "96m",
    "spark.speculation": "true",
    "spark.speculation.multiplier": "1.5",
    "spark.speculation.quantile": "0.75",
    "spark.task.cpus": "2",
    "spark.task.maxFailures": "8",
    "spark.stage.maxConsecutiveAttempts": "8",
    "spark.locality.wait": "0s",
    "spark.excludeOnFailure.enabled": "true",
    "spark.kryoserializer.buffer.max": "512m",
    "spark.decommission.enabled": "true",
    "spark.broadcast.blockSize": "8m",
}

SMUGGLED = [
    "1,spark.jars=/x.jar",
    "1\nspark.jars=/x.jar",
    "${env:PATH}",
    "${spark.x}",
    "1 --jars /x.jar",
    "",
    "true\n",
    "x" * 2000,
    "\N{FULLWIDTH DIGIT ONE}",
]


def test_the_lists_are_long_enough() -> None:
    assert len(DANGEROUS) >= 60
    assert len(USEFUL) >= 60


@pytest.mark.parametrize("name", [*DANGEROUS, *MALFORMED])
def test_what_is_not_listed_is_refused(name: str) -> None:
    assert reserved_settings({name: "1", "spark.task.cpus": "1"}) == [name]
    error = unsupported(replace(job(), spark_conf={name: "1"}), "local")
    assert isinstance(error, ExecutionError)
    assert error.code == "DCP311"
    assert "\n" not in error.message
    for start in (started_locally, started_on_a_cluster):
        with pytest.raises(DcpError) as refused:
            start({name: "1"})
        assert refused.value.code in {"DCP311", "DCP412"}


def started_locally(conf: dict[str, str], allowed: tuple[str, ...] = ()) -> dict[str, str]:
    asked = request(spec=replace(job(), spark_conf=conf))
    return dict(spark_command(asked, replace(SETTINGS, allowed_spark_conf=allowed), PLACES).properties)


def started_on_a_cluster(conf: dict[str, str], allowed: tuple[str, ...] = ()) -> dict[str, str]:
    asked = request(spec=replace(job(), spark_conf=conf))
    environment = Environment("test", "kubeflow", allowed_spark_conf=allowed)
    found: dict[str, str] = spark_application(asked, environment, image="spark:3.5.7")["spec"]["sparkConf"]
    return found


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", MANIFESTS)
def test_lint_refuses_them_by_whatever_way_they_arrive(tmp_path: Path, kind: str, way: str) -> None:
    # Some names cannot be keys of YAML, or are refused by its reader. Of a manifest with very many problems not all are shown.
    names = [name for name in [*DANGEROUS, *MALFORMED] if name.isprintable() and 0 < len(name) < 200]
    for some in (names[start : start + 40] for start in range(0, len(names), 40)):
        problems = problems_of(tmp_path, kind, way, {**dict.fromkeys(some, "1"), **USEFUL})
        assert {problem.code for problem in problems} == {"DCP139"}
        assert {name for name in some if not any(problem.message.startswith(f"`{name}`:") for problem in problems)} == set()
        assert len(problems) == len(set(some))
        expected = "defaults.yaml" if way == "defaults" else "attacked.yaml"
        assert {problem.position.file for problem in problems if problem.position} == {expected}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", MANIFESTS)
def test_what_tunes_a_job_is_taken(tmp_path: Path, kind: str, way: str) -> None:
    compiled = compile_with(tmp_path, kind, way, USEFUL)
    assert compiled is not None
    assert compiled.jobs["local"].job.spark_conf == USEFUL
    assert refusals(USEFUL) == []


@pytest.mark.parametrize("name", USEFUL)
def test_it_reaches_spark(name: str) -> None:
    assert started_locally({name: USEFUL[name]})[name] == USEFUL[name]
    on_a_cluster = started_on_a_cluster({name: USEFUL[name]})
    assert on_a_cluster.get(name) == USEFUL[name] or name.startswith("spark.dynamicAllocation.")


@pytest.mark.parametrize("value", SMUGGLED)
@pytest.mark.parametrize("name", sorted(USEFUL))
def test_no_value_holds_more_than_its_form(name: str, value: str) -> None:
    (refusal,) = refusals({name: value})
    assert refusal.of_value
    assert reserved_settings({name: value}) == []
    with pytest.raises(ExecutionError) as refused:
        started_locally({name: value})
    assert refused.value.code == "DCP311"


@pytest.mark.parametrize("kind", MANIFESTS)
def test_a_value_with_a_template_is_checked_once_it_is_rendered(tmp_path: Path, kind: str) -> None:
    assert problems_of(tmp_path, kind, "manifest", {"spark.task.cpus": "{{ ds }}"}) == ()
    with pytest.raises(ExecutionError):
        started_locally({"spark.task.cpus": "2013-01-01"})


@pytest.mark.parametrize("case", ["java-options", "conf-loads-code", "conf-name-injection", "snapshot-property"])
def test_the_samples_are_refused(case: str) -> None:
    with pytest.raises(ManifestError) as error:
        compile_manifest(CASES / f"{case}.yaml", CASES, ("local",), CompileSettings("local"))
    assert {problem.code for problem in error.value.problems} == {"DCP139"}


def test_every_listed_name_and_form_is_closed() -> None:
    assert [name for name in ALLOWED if reserved_settings({name: "1"})] == []
    # No form lets a separator, a quote, a path or a class name through.
    for form in {*KINDS.values(), *ALLOWED.values()}:
        for value in ("1,1", "1=1", "1 1", "$1", "${x}", "/1", "a/b", "'1'", '"1"', "a.b", "a.B.c", "*", "1;1", "1\n"):
            assert not re.fullmatch(form, value, re.IGNORECASE | re.ASCII), (form, value)


class TestWhatAnEnvironmentAllowsBesides:
    ALLOWED = ("spark.hadoop.fs.s3a.connection.maximum", "spark.acme.*")

    @pytest.mark.parametrize("name", ["spark.hadoop.fs.s3a.connection.maximum", "spark.acme.mode", "spark.acme.a.b"])
    def test_it_is_taken_there_and_nowhere_else(self, name: str) -> None:
        assert started_locally({name: "96"}, self.ALLOWED)[name] == "96"
        assert started_on_a_cluster({name: "96"}, self.ALLOWED)[name] == "96"
        assert unsupported(replace(job(), spark_conf={name: "96"}), "local", allowed_spark_conf=self.ALLOWED) is None
        assert unsupported(replace(job(), spark_conf={name: "96"}), "local") is not None

    @pytest.mark.parametrize("name", ["spark.acme", "spark.acmes.mode", "spark.hadoop.fs.s3a.connection.maximum.x"])
    def test_a_prefix_ends_at_a_dot(self, name: str) -> None:
        assert reserved_settings({name: "1"}, self.ALLOWED) == [name]

    @pytest.mark.parametrize("value", ["${env:PATH}", "a\nb", "a\x00b", "a\u2028b", "x" * 2000])
    def test_its_value_is_one_line_of_plain_text(self, value: str) -> None:
        (refusal,) = refusals({"spark.acme.mode": value}, self.ALLOWED)
        assert refusal.of_value

    @pytest.mark.parametrize(
        "name",
        [
            *("spark.driver.extraJavaOptions", "spark.jars", "spark.plugins", "spark.redaction.regex", "spark.sql.extensions"),
            *("spark.sql.catalog.x", "spark.kubernetes.namespace", "spark.executorEnv.LD_PRELOAD", "spark.eventLog.dir"),
            *("spark.sql.iceberg.snapshot-property.dcp.run", "spark.sql.variable.substitute", "spark.hadoop.fs.file.impl"),
            *("spark.executor.resource.gpu.discoveryScript", "spark.python.daemon.module", "spark.wap.branch"),
        ],
    )
    def test_some_are_left_to_no_manifest(self, name: str) -> None:
        everything = (name, f"{name.rpartition('.')[0]}.*", f"{name}.*")
        assert reserved_settings({name: "x"}, everything) == [name]
        assert entry_fault(name)
        with pytest.raises(DcpEnvironmentError, match="can never be left to a manifest") as error:
            parse_environment("test", "dcp_test", {"allowed_spark_conf": [name]})
        assert error.value.code == "DCP412"

    @pytest.mark.parametrize("entry", ["spark.*", "*", "spark", "spark.sql.*", "spark.a*", " spark.a,b", "spark.a.*.b", "x.y"])
    def test_an_entry_is_a_name_or_all_below_one(self, entry: str) -> None:
        with pytest.raises(DcpEnvironmentError):
            parse_environment("test", "dcp_test", {"allowed_spark_conf": [entry]})

    def test_the_connections_field(self) -> None:
        assert parse_environment("test", "dcp_test", {"allowed_spark_conf": list(self.ALLOWED)}).allowed_spark_conf == self.ALLOWED
        assert parse_environment("test", "dcp_test", {}).allowed_spark_conf == ()

    @pytest.mark.parametrize("kind", MANIFESTS)
    def test_lint_takes_it_where_the_deployment_says_so(self, tmp_path: Path, kind: str) -> None:
        settings = {"spark.acme.mode": "x"}
        (problem,) = problems_of(tmp_path, kind, "manifest", settings)
        assert "allowed_spark_conf" in problem.hint
        assert problems_of(tmp_path, kind, "manifest", settings, allowed_spark_conf=("spark.acme.*",)) == ()


def test_what_airflows_lineage_adds_is_taken_of_a_job_and_never_of_a_manifest(tmp_path: Path) -> None:
    added = {
        "spark.openlineage.parentRunId": "0190",
        "spark.openlineage.rootParentJobName": "lineage",
        "spark.openlineage.transport.url": "http://127.0.0.1:5000",
        "spark.openlineage.transport.transports.a.type": "http",
    }
    assert started_locally(added).items() >= added.items()
    assert len(problems_of(tmp_path, "SparkJob", "manifest", added)) == len(added)
    for name in ("auth.apiKey", "headers.X", "properties.sasl.login.callback.handler.class", "a.b.c.url"):
        with pytest.raises(ExecutionError):
            started_locally({f"spark.openlineage.transport.{name}": "x"})


@pytest.mark.parametrize("kind", MANIFESTS)
def test_an_applications_own_names_are_plain_texts(tmp_path: Path, kind: str) -> None:
    own = {"spark.myapp.version": "3.10", "spark.myapp.a.b-c": "any text, with = and blanks"}
    assert problems_of(tmp_path, kind, "manifest", own) == ()
    assert started_locally(own).items() >= own.items()
    assert started_on_a_cluster(own).items() >= own.items()
    for value in ("${env:PATH}", "a\nspark.jars=/x.jar", "x" * 2000):
        assert refusals({"spark.myapp.x": value})
    for name in ("spark.myapp", "spark.myapp.", "spark.myapps.x", "spark.MyApp.x", "spark.myapp.extraJavaOptions "):
        assert reserved_settings({name: "x"}) == [name]


def test_a_job_with_many_refused_settings_is_one_short_error() -> None:
    error = unsupported(JobSpec("a/b", "b", "local", rendered=True, spark_conf={f"spark.x{n}": "1" for n in range(5000)}), "local")
    assert error is not None
    assert len(error.message) < 2000
    assert "and 4990 more" in error.message


def test_very_many_misspelt_names_are_judged_quickly() -> None:
    names = {f"spark.sql.shuffle.partition{number}": "1" for number in range(20_000)}
    began = time.process_time()
    assert len(refusals(names)) == len(names)
    assert len(option_refusals("csv", names)) == len(names)
    # Looking for the nearest known name of each would take a minute.
    assert time.process_time() - began < 5


def test_ansi_mode_is_the_same_for_every_version_and_a_manifest_may_choose() -> None:
    assert started_locally({})["spark.sql.ansi.enabled"] == started_on_a_cluster({})["spark.sql.ansi.enabled"] == "false"
    chosen = {"spark.sql.ansi.enabled": "true"}
    assert started_locally(chosen)["spark.sql.ansi.enabled"] == started_on_a_cluster(chosen)["spark.sql.ansi.enabled"] == "true"
