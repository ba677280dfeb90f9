"""The Apache operator's words, and the resource in its terms; that a real API server takes it is in the backends' contract."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_dcp_provider.model.environment import Environment, SecretKey
from airflow_dcp_provider.model.job import CoreEtlSpec, DriverResources, ExecutorResources, ResourceSpec
from airflow_dcp_provider.model.states import ExecutionState as State
from airflow_dcp_provider.runner.backends.kubernetes import apache_states, states
from airflow_dcp_provider.runner.backends.kubernetes.apache_application import apache_application
from airflow_dcp_provider.runner.backends.kubernetes.spark_application import spark_application
from airflow_dcp_provider.runner.backends.kubernetes.watched import apache_applications, applications_of
from tests.support.executions import job, request

#: Everything that an environment can ask for.
WHOLE = Environment(
    "test",
    "apache",
    spark_defaults={"spark.driver.extraJavaOptions": "-Da=b", "spark.sql.shuffle.partitions": "7"},
    service_account="spark",
    ttl_seconds=600,
    node_selector={"pool": "spark"},
    tolerations=({"key": "dedicated", "operator": "Exists"},),
    labels={"cost": "centre"},
    priority_class="high",
    batch_scheduler="volcano",
    volumes=({"name": "scratch", "emptyDir": {}}, {"name": "unused", "emptyDir": {}}),
    volume_mounts=({"name": "scratch", "mountPath": "/scratch"},),
    opentelemetry_agent="/opt/otel.jar",
    fluent_bit="fluent/fluent-bit:3",
    catalog_secrets={"pedregal": {"credential": SecretKey("iceberg", "oauth")}},
    start_timeout_seconds=60,
)


def rendered(environment: Environment = WHOLE, **changes):
    spec = replace(job(), resources=ResourceSpec(DriverResources(2, "4g"), ExecutorResources(3, "8g", 2, 1, 9)), **changes)
    return apache_application(spark_application(request(spec=spec), environment, image="reg.io/spark:3.5"), environment)


def status(*words: str, message: str = "why", **more: object) -> dict:
    """A status after these states; the history's keys are texts and not in order."""
    entries = [
        {"currentStateSummary": word, "message": message, "lastTransitionTime": f"2026-11-22T05:{number:02}:00Z"}
        for number, word in enumerate(words)
    ]
    history = {str(number): entries[number] for number in sorted(range(len(entries)), key=str)}
    return {"metadata": {"name": "x"}, "status": {"currentState": entries[-1], "stateTransitionHistory": history, **more}}


STARTED = ("Submitted", "DriverRequested", "DriverStarted", "DriverReady", "RunningHealthy")


class TestStates:
    @pytest.mark.parametrize(
        ("words", "state"),
        [
            (["Submitted"], State.SUBMITTED),
            (
                ["ScheduledToRestart", "DriverRequested", "DriverStarted", "DriverReady", "InitializedBelowThresholdExecutors"],
                State.PENDING,
            ),
            (["RunningHealthy", "RunningWithPartialCapacity", "RunningWithBelowThresholdExecutors"], State.RUNNING),
            (["Succeeded"], State.SUCCEEDED),
            (
                [
                    *("Failed", "SchedulingFailure", "DriverStartTimedOut", "DriverReadyTimedOut", "ExecutorsStartTimedOut"),
                    "DriverEvicted",
                ],
                State.FAILED,
            ),
            # Nothing says how it ended.
            (["ResourceReleased", "TerminatedWithoutReleaseResources", "AWordOfTheFuture"], State.UNKNOWN),
        ],
    )
    def test_the_words(self, words, state):
        assert {states.execution_state(status(word)) for word in words} == {state}

    @pytest.mark.parametrize("released", ["ResourceReleased", "TerminatedWithoutReleaseResources"])
    @pytest.mark.parametrize(
        ("end", "state"), [("Succeeded", State.SUCCEEDED), ("Failed", State.FAILED), ("DriverEvicted", State.FAILED)]
    )
    def test_the_end_is_the_last_word_before_the_resources_were_released(self, released, end, state):
        # More than ten states: read as texts, the tenth would come before the second.
        words = (
            *STARTED,
            "RunningWithPartialCapacity",
            "RunningHealthy",
            "RunningWithPartialCapacity",
            "RunningHealthy",
            end,
            released,
        )
        found = status(*words)
        assert len(found["status"]["stateTransitionHistory"]) > 10
        assert states.execution_state(found) is state
        assert states.error_message(found) == "why"
        assert states.ended_at(found) == states.epoch("2026-11-22T05:09:00Z")
        assert states.started_at(found) == states.epoch("2026-11-22T05:01:00Z")

    def test_one_that_nobody_has_looked_at(self):
        fresh = {"metadata": {"name": "x"}}
        assert states.execution_state(fresh) is State.SUBMITTED
        assert (states.started_at(fresh), states.ended_at(fresh)) == (None, None)

    def test_what_is_watched_ends_at_every_end_and_what_comes_after_one(self):
        watched = apache_applications("team-a")
        assert watched == applications_of("apache", "team-a") != applications_of("kubeflow", "team-a")
        assert watched.path == "/apis/spark.apache.org/v1/namespaces/team-a/sparkapplications"
        assert watched.ended >= {"Succeeded", "Failed", "DriverEvicted", *apache_states.RELEASED}
        assert watched.unstarted >= {"", "Submitted", "DriverRequested"}
        assert not watched.ended & watched.unstarted
        assert "RunningHealthy" not in watched.ended | watched.unstarted


class TestResource:
    def test_the_program(self):
        found = rendered()["spec"]
        assert found["pyFiles"] == "local:///etc/dcp/main.py"
        assert found["driverArgs"] == ["--job-spec", "/etc/dcp/job-spec.json"]
        found = rendered(core_etl=CoreEtlSpec(main_class="com.acme.Main"))["spec"]
        assert (found["mainClass"], "pyFiles" in found) == ("com.acme.Main", False)
        assert found["jars"].startswith("local://")

    def test_sizes_image_and_names_are_settings(self):
        found = rendered()
        conf = found["spec"]["sparkConf"]
        assert {key: conf[key] for key in conf if key.startswith(("spark.driver.", "spark.executor."))} == {
            "spark.driver.cores": "2",
            "spark.driver.memory": "4g",
            "spark.driver.memoryOverhead": "819m",
            "spark.driver.extraJavaOptions": conf["spark.driver.extraJavaOptions"],
            "spark.executor.cores": "3",
            "spark.executor.memory": "8g",
            "spark.executor.memoryOverhead": "819m",
            "spark.executor.instances": "2",
            "spark.executor.extraJavaOptions": conf["spark.executor.extraJavaOptions"],
        }
        assert conf["spark.driver.extraJavaOptions"].startswith("-Da=b -javaagent:/opt/otel.jar")
        assert conf["spark.driver.extraJavaOptions"].count("-Da=b") == 1
        plain = rendered(replace(WHOLE, opentelemetry_agent=""))["spec"]["sparkConf"]
        assert plain["spark.driver.extraJavaOptions"] == "-Da=b"
        assert "spark.executor.extraJavaOptions" not in plain
        assert conf["spark.kubernetes.container.image"] == "reg.io/spark:3.5"
        assert conf["spark.kubernetes.authenticate.driver.serviceAccountName"] == "spark"
        assert conf["spark.kubernetes.driver.pod.name"] == f"{found['metadata']['name']}-driver"
        assert conf["spark.kubernetes.scheduler.name"] == "volcano"
        assert (conf["spark.dynamicAllocation.minExecutors"], conf["spark.dynamicAllocation.maxExecutors"]) == ("1", "9")
        assert all(isinstance(value, str) for value in conf.values())

    def test_pods_are_templates(self):
        found = rendered()
        driver = found["spec"]["driverSpec"]["podTemplateSpec"]
        executor = found["spec"]["executorSpec"]["podTemplateSpec"]
        assert [container["name"] for container in driver["spec"]["containers"]] == ["spark-kubernetes-driver", "fluent-bit"]
        assert [volume["name"] for volume in driver["spec"]["volumes"]] == ["dcp-files", "dcp-secrets", "scratch"]
        assert [volume["name"] for volume in executor["spec"]["volumes"]] == ["scratch"]
        assert {variable["name"] for variable in driver["spec"]["containers"][0]["env"]} >= {"DCP_SECRET_SETTINGS"}
        assert {mount["name"] for mount in driver["spec"]["containers"][0]["volumeMounts"]} >= {"dcp-files", "dcp-secrets"}
        for template in (driver, executor):
            assert template["spec"]["priorityClassName"] == "high"
            assert template["spec"]["nodeSelector"] == {"pool": "spark"}
            assert template["spec"]["tolerations"] == [{"key": "dedicated", "operator": "Exists"}]
            assert template["metadata"]["labels"].items() >= {"cost": "centre", "spark-runner/attempt": "1"}.items()

    def test_pods_stay_as_long_as_the_application_and_nothing_is_retried(self):
        asked = rendered()["spec"]["applicationTolerations"]
        assert asked["resourceRetainPolicy"] == "Always"
        assert asked["restartConfig"] == {"restartPolicy": "Never"}
        assert asked["ttlAfterStopMillis"] == 600_000
        # Later than the execution's own start time-out, which diagnoses first.
        assert asked["applicationTimeoutConfig"]["driverStartTimeoutMillis"] == 120_000
        patient = rendered(replace(WHOLE, start_timeout_seconds=0, ttl_seconds=None))["spec"]["applicationTolerations"]
        assert patient["applicationTimeoutConfig"]["driverReadyTimeoutMillis"] > 10**10
        assert "ttlAfterStopMillis" not in patient
