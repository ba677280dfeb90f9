"""The resource, field by field; that a real API server takes it is in the backends' contract."""

from __future__ import annotations

import base64
import io
import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_dcp_provider.core_etl import SECRET_SETTINGS
from airflow_dcp_provider.core_etl.session import secret_settings
from airflow_dcp_provider.model.environment import Environment, SecretKey
from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.execution import AttemptRequest
from airflow_dcp_provider.model.images import Images
from airflow_dcp_provider.model.job import CoreEtlSpec, DriverResources, EngineSpec, ExecutorResources, JobSpec, ResourceSpec
from airflow_dcp_provider.model.names import is_own_mark
from airflow_dcp_provider.runner.backends.kubernetes.driver_files import files_config_map, kept_request
from airflow_dcp_provider.runner.backends.kubernetes.spark_application import spark_application
from airflow_dcp_provider.runner.backends.kubernetes.spark_settings import is_secret
from tests.support.executions import job, request

PLAIN = Environment("test", "kubeflow")
REST = {"pedregal": {"type": "rest", "uri": "https://catalog.example", "warehouse": "s3://lake"}}

SECRETS = {
    "pedregal": {"credential": SecretKey("iceberg", "oauth"), "s3.secret-access-key": SecretKey("iceberg", "key")},
}
CATALOG = {"pedregal": {**REST["pedregal"], "credential": "me:hush", "s3.secret-access-key": "hush-hush"}}


def asked(**changes: Any) -> AttemptRequest:
    return request(spec=replace(job(), **changes))


def rendered(environment: Environment = PLAIN, catalogs: dict | None = None, image: str = "spark:1", **changes: Any) -> dict:
    return spark_application(asked(**changes), environment, image=image, catalogs=catalogs)


def spec(environment: Environment = PLAIN, **changes: Any) -> dict:
    return rendered(environment, **changes)["spec"]


def test_the_version_is_the_jobs_or_the_environments():
    assert spec()["sparkVersion"] == "3.5"
    assert spec(replace(PLAIN, spark_version="4.0"))["sparkVersion"] == "4.0"
    assert spec(replace(PLAIN, spark_version="4.0"), engine=EngineSpec(version="4.1"))["sparkVersion"] == "4.1"


class TestProgram:
    def test_core_etl_comes_with_the_application(self):
        found = spec()
        assert (found["type"], found["mainApplicationFile"]) == ("Python", "local:///etc/dcp/main.py")
        assert found["arguments"] == ["--job-spec", "/etc/dcp/job-spec.json"]
        (volume,) = found["volumes"]
        assert volume["configMap"]["name"] == files_config_map(asked())["metadata"]["name"]
        assert {"name": volume["name"], "mountPath": "/etc/dcp", "readOnly": True} in found["driver"]["volumeMounts"]

    def test_or_with_the_image(self):
        found = spec(Environment("test", "kubeflow", images=Images(core_etl=True)))
        assert found["mainApplicationFile"] == "local:///opt/dcp/main.py"
        assert found["arguments"] == ["--job-spec", "/etc/dcp/job-spec.json"]

    @pytest.mark.parametrize(("version", "jar"), [("2.7.0", "-2.7.0"), (None, "")])
    def test_or_a_class_of_the_manifests_own(self, version, jar):
        etl = CoreEtlSpec(version=version, main_class="com.example.Main", arguments=("--verbose",))
        found = spec(core_etl=etl)
        assert (found["type"], found["mainClass"]) == ("Scala", "com.example.Main")
        assert found["mainApplicationFile"] == f"local:///opt/spark/jars/core-etl-driver-bundle{jar}.jar"
        assert found["arguments"] == ["--verbose", "--job-spec", "/etc/dcp/job-spec.json"]
        assert "pythonVersion" not in found

    def test_the_files_hold_driver_job_spec_and_request(self):
        files = files_config_map(asked())
        packed = zipfile.ZipFile(io.BytesIO(base64.b64decode(files["binaryData"]["core_etl.zip"])))
        assert "core_etl/__main__.py" in packed.namelist()
        assert "core_etl.zip" in files["data"]["main.py"]
        assert json.loads(files["data"]["job-spec.json"])["execution_id"] == asked().ref.execution_id
        assert kept_request(files) == asked()
        assert len(json.dumps(files)) < 2**20, "the API server takes no larger ConfigMap"

    def test_a_config_map_of_somebody_else_keeps_no_request(self):
        for other in ({}, {"data": None}, {"data": {"request.json": "x"}}, {"data": {"request.json": "{}"}}):
            assert kept_request(other) is None


class TestSizes:
    SIZES = ResourceSpec(DriverResources(4, "16g"), ExecutorResources(8, "32g", 5))

    def test_sizes_and_memory_beside_the_heap(self):
        found = spec(resources=self.SIZES)
        assert {key: found["driver"][key] for key in ("cores", "memory", "memoryOverhead")} == {
            "cores": 4,
            "memory": "16g",
            "memoryOverhead": "3276m",
        }
        assert {key: found["executor"][key] for key in ("cores", "memory", "memoryOverhead", "instances")} == {
            "cores": 8,
            "memory": "32g",
            "memoryOverhead": "3276m",
            "instances": 5,
        }
        assert "dynamicAllocation" not in found

    def test_small_drivers_have_room_for_python(self):
        assert spec()["driver"]["memoryOverhead"] == "512m"
        assert spec()["executor"]["memoryOverhead"] == "384m"

    @pytest.mark.parametrize("setting", ["spark.driver.memoryOverhead", "spark.driver.memoryOverheadFactor"])
    def test_whoever_sets_it_has_the_last_word(self, setting):
        found = spec(spark_conf={setting: "1"})
        assert "memoryOverhead" not in found["driver"]
        assert found["sparkConf"][setting] == "1"
        assert "memoryOverhead" in found["executor"]

    @pytest.mark.parametrize(
        ("sizes", "expected"),
        [
            ((5, 1, 20), (5, 1, 20)),
            ((5, None, 20), (5, 1, 20)),
            ((5, 2, None), (5, 2, 5)),
            ((1, 3, None), (3, 3, 3)),
            ((9, None, 2), (2, 1, 2)),
            ((1, 0, 4), (1, 0, 4)),
        ],
    )
    def test_dynamic_allocation(self, sizes, expected):
        instances, least, most = sizes
        found = spec(resources=ResourceSpec(executor=ExecutorResources(1, "1g", instances, least, most)))
        assert found["dynamicAllocation"] == {
            "enabled": True,
            "initialExecutors": expected[0],
            "minExecutors": expected[1],
            "maxExecutors": expected[2],
            "shuffleTrackingEnabled": True,
        }

    def test_dynamic_allocation_by_the_environments_defaults_is_bounded_by_the_manifest(self):
        environment = Environment("test", "kubeflow", spark_defaults={"spark.dynamicAllocation.enabled": "true"})
        found = spec(environment, resources=self.SIZES)
        assert (found["dynamicAllocation"]["minExecutors"], found["dynamicAllocation"]["maxExecutors"]) == (1, 5)
        assert not [key for key in found["sparkConf"] if key.startswith("spark.dynamicAllocation.")]

    @pytest.mark.parametrize(
        ("settings", "sizes", "expected"),
        [
            ({"maxExecutors": "20"}, (1, None, None), (1, 1, 20)),
            ({"maxExecutors": "20", "minExecutors": "3"}, (1, None, None), (3, 3, 20)),
            ({"maxExecutors": "20", "initialExecutors": "7", "minExecutors": "0"}, (1, None, None), (7, 0, 20)),
            ({"initialExecutors": "7"}, (1, None, None), (7, 1, 7)),
            ({"minExecutors": "4"}, (1, None, None), (4, 4, 4)),
            # What resources say goes before a setting.
            ({"maxExecutors": "20", "minExecutors": "3"}, (2, 1, 9), (2, 1, 9)),
            ({"maxExecutors": "20", "initialExecutors": "7"}, (2, None, 5), (5, 1, 5)),
            ({"maxExecutors": "2"}, (5, None, None), (5, 1, 5)),
        ],
    )
    @pytest.mark.parametrize("where", ["environment", "manifest"])
    def test_the_numbers_of_settings_count(self, where, settings, sizes, expected):
        conf = {f"spark.dynamicAllocation.{name}": number for name, number in {"enabled": "true", **settings}.items()}
        found = spec(
            Environment("test", "kubeflow", spark_defaults=conf if where == "environment" else {}),
            spark_conf=conf if where == "manifest" else {},
            resources=ResourceSpec(executor=ExecutorResources(1, "1g", *sizes)),
        )
        numbers = found["dynamicAllocation"]
        assert (numbers["initialExecutors"], numbers["minExecutors"], numbers["maxExecutors"]) == expected
        assert not set(conf) & set(found["sparkConf"])

    def test_what_the_operator_has_no_field_for_stays_a_setting(self):
        asked = {"spark.dynamicAllocation.executorIdleTimeout": "30s", "spark.dynamicAllocation.shuffleTracking.timeout": "5m"}
        on = {"spark.dynamicAllocation.enabled": "true", "spark.dynamicAllocation.shuffleTracking.enabled": "false"}
        found = spec(spark_conf={**asked, **on})
        assert found["sparkConf"].items() >= asked.items()
        assert found["dynamicAllocation"]["shuffleTrackingEnabled"] is False

    def test_a_number_of_executors_that_is_none_is_an_error(self):
        conf = {"spark.dynamicAllocation.enabled": "true", "spark.dynamicAllocation.maxExecutors": "many"}
        with pytest.raises(DcpEnvironmentError, match=r"maxExecutors of .* is `many`") as caught:
            spec(Environment("test", "kubeflow", spark_defaults=conf))
        assert caught.value.code == "DCP173"


class TestSettings:
    def test_whose_word_counts(self):
        environment = Environment(
            "test",
            "kubeflow",
            spark_defaults={"spark.a": "environment", "spark.task.maxFailures": "5", "spark.sql.session.timeZone": "CET"},
            event_log_dir="s3a://logs",
        )
        found = spec(environment, spark_conf={"spark.task.maxFailures": "7"})["sparkConf"]
        assert (found["spark.a"], found["spark.task.maxFailures"]) == ("environment", "7")
        assert found["spark.sql.session.timeZone"] == "UTC"
        assert (found["spark.eventLog.enabled"], found["spark.eventLog.dir"]) == ("true", "s3a://logs")
        assert "spark.eventLog.enabled" not in spec()["sparkConf"]

    def test_catalogs(self):
        found = rendered(catalogs=REST)["spec"]["sparkConf"]
        assert found["spark.sql.catalog.pedregal"] == "org.apache.iceberg.spark.SparkCatalog"
        assert found["spark.sql.catalog.pedregal.uri"] == "https://catalog.example"
        assert found["spark.sql.catalog.pedregal.cache-enabled"] == "false"
        assert found["spark.sql.defaultCatalog"] == "pedregal"
        assert "spark.sql.defaultCatalog" not in spec()["sparkConf"]

    def test_extensions_of_the_environment_stay_beside_icebergs(self):
        environment = Environment("test", "kubeflow", spark_defaults={"spark.sql.extensions": "com.example.More"})
        assert spec(environment)["sparkConf"]["spark.sql.extensions"].split(",")[1:] == ["com.example.More"]


def mounted(found: dict[str, Any], folder: Path, secret: dict[str, str]) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Return the driver's environment with its files below ``folder``, as the node makes them, and what they come from."""
    (mount,) = [mount for mount in found["driver"]["volumeMounts"] if mount["name"] == "dcp-secrets"]
    assert (mount["mountPath"], mount["readOnly"]) == ("/etc/dcp-secrets", True)
    (volume,) = [volume for volume in found["volumes"] if volume["name"] == "dcp-secrets"]
    sources = volume["projected"]["sources"]
    for source in sources:
        for item in source["secret"]["items"]:
            (folder / item["path"]).write_text(secret[item["key"]])
    variables = {variable["name"]: variable["value"] for variable in found["driver"]["env"]}
    assert SECRET_SETTINGS in variables
    return {name: value.replace("/etc/dcp-secrets", str(folder)) for name, value in variables.items()}, sources


class TestSecrets:
    def test_no_credential_stands_in_the_resource(self):
        environment = Environment("test", "kubeflow", catalog_secrets=SECRETS)
        assert "hush" not in json.dumps(rendered(environment, CATALOG))

    def test_the_driver_finds_them_in_files(self, tmp_path):
        environment = Environment("test", "kubeflow", catalog_secrets=SECRETS)
        process, files = mounted(rendered(environment, CATALOG)["spec"], tmp_path, {"oauth": "me:hush", "key": "hush-hush"})
        assert secret_settings(process) == {
            "spark.sql.catalog.pedregal.credential": "me:hush",
            "spark.sql.catalog.pedregal.s3.secret-access-key": "hush-hush",
        }
        assert {source["secret"]["name"] for source in files} == {"iceberg"}

    def test_the_drivers_environment_has_none(self):
        """Whatever runs in its JVM could read that."""
        found = spec(Environment("test", "kubeflow", catalog_secrets=SECRETS))
        assert all("valueFrom" not in variable for variable in found["driver"]["env"])
        mounts = {mount["name"] for mount in found["executor"].get("volumeMounts", [])}
        assert "dcp-secrets" not in mounts

    def test_a_jvm_driver_finds_them_in_variables(self):
        environment = Environment("test", "kubeflow", catalog_secrets=SECRETS)
        found = spec(environment, core_etl=CoreEtlSpec(main_class="com.example.Main"))
        secret = {"oauth": "me:hush", "key": "hush-hush"}
        process = {
            variable["name"]: variable.get("value") or secret[variable["valueFrom"]["secretKeyRef"]["key"]]
            for variable in found["driver"]["env"]
        }
        assert secret_settings(process) == {
            "spark.sql.catalog.pedregal.credential": "me:hush",
            "spark.sql.catalog.pedregal.s3.secret-access-key": "hush-hush",
        }
        assert [volume["name"] for volume in found["volumes"]] == ["dcp-files"]

    def test_no_two_of_them_share_a_file(self, tmp_path):
        secrets = {
            "lake": {"s3.token": SecretKey("a", "1"), "s3-token": SecretKey("a", "2")},
            "lake_s3": {"token": SecretKey("b", "3")},
        }
        found = spec(Environment("test", "kubeflow", catalog_secrets=secrets))
        process, _ = mounted(found, tmp_path, {key: key for key in "123"})
        assert secret_settings(process) == {
            "spark.sql.catalog.lake.s3.token": "1",
            "spark.sql.catalog.lake.s3-token": "2",
            "spark.sql.catalog.lake_s3.token": "3",
        }

    def test_a_credential_without_a_secret_is_an_error_that_says_what_to_write(self):
        with pytest.raises(DcpEnvironmentError, match="names no Secret for credential") as caught:
            rendered(PLAIN, CATALOG)
        assert caught.value.code == "DCP412"
        assert '{"pedregal": {"credential": "<Secret>/<key>"}}' in caught.value.hint
        assert "hush" not in str(caught.value)

    @pytest.mark.parametrize("where", ["environment", "manifest"])
    def test_no_other_setting_carries_one(self, where):
        setting = {"spark.hadoop.fs.s3a.secret.key": "hush"}
        environment = Environment("test", "kubeflow", spark_defaults=setting if where == "environment" else {})
        with pytest.raises(DcpEnvironmentError, match="stand in clear") as caught:
            spec(environment, spark_conf=setting if where == "manifest" else {})
        assert "hush" not in str(caught.value)

    def test_what_a_secret_gives_stands_nowhere_else_whatever_its_name(self):
        secrets = {"pedregal": {"header.X-Tenant": SecretKey("iceberg", "tenant")}}
        environment = Environment("test", "kubeflow", catalog_secrets=secrets)
        assert "hush" not in json.dumps(rendered(environment, {"pedregal": {**REST["pedregal"], "header.X-Tenant": "hush"}}))
        with pytest.raises(DcpEnvironmentError, match="stand in clear"):
            spec(environment, spark_conf={"spark.sql.catalog.pedregal.header.X-Tenant": "hush"})

    def test_the_name_of_a_key_at_aws_is_no_secret(self):
        key = {"spark.hadoop.fs.s3a.encryption.key": "arn:aws:kms:eu-west-1:1:key/2"}
        assert spec(Environment("test", "kubeflow", spark_defaults=key))["sparkConf"].items() >= key.items()

    @pytest.mark.parametrize(
        "name",
        [
            *("credential", "token", "s3.access-key-id", "s3.secret-access-key", "s3.session-token", "header.Authorization"),
            *("spark.hadoop.fs.s3a.secret.key", "spark.hadoop.fs.s3a.access.key", "spark.ssl.keyPassword", "adls.account-key"),
            *("adls.sas-token.lake", "adls.connection-string.lake", "fs.s3a.encryption.key", "gcs.decryption-key", "credentials"),
            "spark.hadoop.fs.azure.account.key.lake.dfs.core.windows.net",
            "spark.hadoop.fs.azure.account.oauth2.client.secret.lake.dfs.core.windows.net",
            "spark.hadoop.fs.azure.sas.box.lake.blob.core.windows.net",
            "spark.hadoop.fs.azure.sas.fixed.token.lake.dfs.core.windows.net",
            *("header.X-Api-Key", "google.cloud.auth.service.account.private.key"),
        ],
    )
    def test_secret_by_name(self, name):
        assert is_secret(name)
        # Spark hides it too.
        assert re.search(spec()["sparkConf"]["spark.redaction.regex"], name)

    @pytest.mark.parametrize(
        "name",
        [
            *("uri", "warehouse", "oauth2-server-uri", "scope", "token-refresh-enabled", "s3.endpoint", "io-impl"),
            *("spark.sql.shuffle.partitions", "spark.kubernetes.driver.secretKeyRef.X", "spark.redaction.regex"),
            *("key.serializer", "spark.sql.redaction.string.regex", "spark.hadoop.fs.s3a.aws.credentials.provider"),
            *("spark.security.credentials.hive.enabled", "spark.kerberos.renewal.credentials", "spark.authenticate.secret.file"),
            *("spark.hadoop.hadoop.security.authorization", "spark.hadoop.hadoop.security.credential.provider.path"),
            *("spark.kubernetes.kerberos.tokenSecret.name", "spark.ssl.privateKey", "spark.kafka.clusters.a.sasl.token.mechanism"),
            *("adls.sas-token-expires-at-ms.lake", "spark.hadoop.fs.azure.account.auth.type.lake.dfs.core.windows.net"),
            "spark.hadoop.fs.azure.account.oauth2.client.endpoint.lake.dfs.core.windows.net",
            "spark.hadoop.fs.azure.account.oauth2.token.file.lake.dfs.core.windows.net",
            "spark.hadoop.fs.azure.sas.token.provider.type.lake.dfs.core.windows.net",
            *(
                "spark.hadoop.fs.azure.sas.expiry.period",
                "spark.io.encryption.keySizeBits",
                "spark.hadoop.fs.s3a.bucket.disaster.path",
            ),
        ],
    )
    def test_not_secret_by_name(self, name):
        assert not is_secret(name)


class TestPods:
    def test_labels_lead_back_to_the_attempt_and_none_of_sparks_own_is_set(self):
        environment = Environment("test", "kubeflow", labels={"cost": "platform", "spark-role": "driver"})
        found = rendered(environment, labels={"cost": "ml", "spark-app-selector": "x", "odd": "a value with spaces"})
        for labels in (found["metadata"]["labels"], found["spec"]["driver"]["labels"], found["spec"]["executor"]["labels"]):
            assert labels["spark-runner/execution-id"] == asked().ref.execution_id
            assert labels["spark-runner/attempt"] == "1"
            assert labels["cost"] == "ml"
            assert [name for name in labels if is_own_mark(name) and not name.startswith("spark-runner/")] == []
            assert all(len(value) <= 63 and " " not in value for value in labels.values())

    def test_a_label_of_ours_cannot_be_taken(self):
        found = rendered(labels={"spark-runner/execution-id": "mine"})
        assert found["metadata"]["labels"]["spark-runner/execution-id"] == asked().ref.execution_id

    def test_what_the_environment_asks_for(self):
        environment = Environment(
            "prod",
            "kubeflow",
            service_account="spark",
            node_selector={"pool": "spark"},
            tolerations=({"key": "spark", "operator": "Exists"},),
            priority_class="batch",
            volumes=({"name": "lake", "persistentVolumeClaim": {"claimName": "lake"}},),
            volume_mounts=({"name": "lake", "mountPath": "/lake"},),
            opentelemetry_agent="/opt/spark/jars/opentelemetry-javaagent.jar",
            fluent_bit="fluent/fluent-bit:3",
            ttl_seconds=3600,
        )
        found = spec(environment)
        assert found["timeToLiveSeconds"] == 3600
        assert found["volumes"][1] == {"name": "lake", "persistentVolumeClaim": {"claimName": "lake"}}
        for pod in (found["driver"], found["executor"]):
            assert pod["serviceAccount"] == "spark"
            assert pod["nodeSelector"] == {"pool": "spark"}
            assert pod["tolerations"] == [{"key": "spark", "operator": "Exists"}]
            assert pod["priorityClassName"] == "batch"
            assert {"name": "lake", "mountPath": "/lake"} in pod["volumeMounts"]
            assert pod["javaOptions"].startswith("-javaagent:/opt/spark/jars/opentelemetry-javaagent.jar ")
        assert found["driver"]["sidecars"][0]["image"] == "fluent/fluent-bit:3"
        assert "sidecars" not in found["executor"]
        assert found["restartPolicy"] == {"type": "Never"}

    def test_the_agent_comes_beside_the_java_options_that_were_asked_for(self):
        environment = Environment(
            "prod", "kubeflow", opentelemetry_agent="/otel.jar", spark_defaults={"spark.executor.extraJavaOptions": "-Xss4m"}
        )
        found = spec(environment)
        assert found["driver"]["javaOptions"].startswith("-javaagent:/otel.jar ")
        assert found["executor"]["javaOptions"].startswith("-Xss4m -javaagent:/otel.jar ")

    def test_a_batch_scheduler_gets_the_class(self):
        found = spec(Environment("prod", "kubeflow", batch_scheduler="volcano", priority_class="batch"))
        assert (found["batchScheduler"], found["batchSchedulerOptions"]) == ("volcano", {"priorityClassName": "batch"})
        assert "priorityClassName" not in found["driver"]

    def test_nothing_is_said_that_nobody_asked_for(self):
        found = spec()
        for absent in ("timeToLiveSeconds", "batchScheduler", "dynamicAllocation"):
            assert absent not in found
        assert set(found["driver"]) == {"cores", "memory", "memoryOverhead", "env", "volumeMounts", "labels"}
        assert set(found["executor"]) == {"cores", "memory", "memoryOverhead", "instances", "labels"}

    @pytest.mark.parametrize(
        ("image", "policy"),
        [
            ("spark", "Always"),
            ("host:5000/spark", "Always"),
            ("spark:latest", "Always"),
            ("host:5000/spark:3.5.5", "IfNotPresent"),
            (f"spark@sha256:{'0' * 64}", "IfNotPresent"),
        ],
    )
    def test_when_an_image_is_pulled(self, image, policy):
        assert rendered(image=image)["spec"]["imagePullPolicy"] == policy
        never = Environment("test", "kubeflow", spark_defaults={"spark.kubernetes.container.image.pullPolicy": "Never"})
        assert rendered(never, image=image)["spec"]["imagePullPolicy"] == "Never"


def test_rendering_is_pure():
    assert rendered() == rendered()
    kept = json.loads(rendered()["metadata"]["annotations"]["spark-runner/request"])
    assert AttemptRequest.from_dict(kept) == asked()
    assert JobSpec.from_dict(kept["job"]) == job()
