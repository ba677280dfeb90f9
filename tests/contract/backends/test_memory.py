"""An attempt that ran out of memory on a cluster is followed by one that has more of what was short, and only of that."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from airflow_dcp_provider.model.execution import Execution, FailureKind
from airflow_dcp_provider.model.job import DriverResources, ExecutorResources, ResourceSpec
from airflow_dcp_provider.runner.runner import SparkRunner
from airflow_dcp_provider.runner.values import Outcome, SubmitRequest
from tests.support.executions import job, submitter, wait_for, waiter

pytestmark = pytest.mark.kubernetes

GIB = 2**30
SIZES = ResourceSpec(DriverResources(1, "1g"), ExecutorResources(1, "2g"))


def followed_to(runner: SparkRunner, execution: Execution, attempt: int, ends: str) -> Outcome:
    """Advance again and again, as a sensor does, until this attempt is there and the outcome is ``ends``."""

    def reached() -> Outcome | None:
        job_now = execution.request.job
        outcome = runner.advance(execution, waiter(), lambda: (type(job()).from_dict(job_now), "0" * 64))
        return outcome if outcome.execution.ref.attempt == attempt and outcome.action == ends else None

    found = wait_for(reached, f"attempt {attempt} to be {ends}")
    assert found is not None
    return found


@pytest.mark.parametrize("rig", ["kubeflow", "apache"], indirect=True)
@pytest.mark.parametrize(
    ("exit_code", "code", "resources", "setting"),
    [
        (137, "DCP360", SIZES, "1024m"),
        (52, "DCP340", replace(SIZES, driver=DriverResources(1, "1536m")), None),
    ],
)
def test_what_was_short_grows(rig: Any, caplog: pytest.LogCaptureFixture, exit_code: int, code: str, resources: Any, setting: Any):
    spec = replace(job(retries=1, interval=0.0, exit=exit_code, no_result=True), resources=SIZES)
    place = rig.request().ref
    runner = SparkRunner(rig.backend(), memory_limit=8 * GIB, executor_memory_limit=8 * GIB)
    asked = SubmitRequest("key", spec, "f" * 64, submitter(), cluster=place.cluster, namespace=place.namespace, run_key="d/r/-1")
    execution = runner.submit(asked)
    with caplog.at_level(logging.INFO):
        failed = followed_to(runner, execution, 2, "failed")
    second = failed.execution.request
    assert type(spec).from_dict(second.job).resources == resources
    assert second.job["spark_conf"].get("spark.driver.memoryOverhead") == setting
    assert second.remediation.startswith("driver memory")
    assert second.remediation in caplog.text
    assert second.fingerprint == execution.request.fingerprint
    assert failed.attempt.failure.kind is FailureKind.RESOURCES
    assert failed.error.code == code
    assert "(a matter of resources)" in failed.error.message
