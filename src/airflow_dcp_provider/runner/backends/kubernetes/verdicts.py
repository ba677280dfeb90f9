"""How an attempt ended, from what its cluster still shows, and that as an annotation which outlives pods and logs.

The first one that is written down is kept: whoever looks later is told the same, also when the driver's pod is gone by then.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from airflow_dcp_provider.model.execution import Failure
from airflow_dcp_provider.model.job import JobSpec
from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.runner.backends.kubernetes.api import KubernetesApi
from airflow_dcp_provider.runner.backends.kubernetes.names import VERDICT, core_path
from airflow_dcp_provider.runner.backends.kubernetes.pods import driver_end, events_of, is_live, log_end, pods_of
from airflow_dcp_provider.runner.backends.kubernetes.problems import readable
from airflow_dcp_provider.runner.backends.kubernetes.states import (
    driver_pod_name,
    ended_at,
    execution_state,
    submitted_twice,
)
from airflow_dcp_provider.runner.diagnosis import parse_result, unproved
from airflow_dcp_provider.runner.drivers import driver_of

#: Annotations of one resource hold at most 256 KiB in all, and the request is one of them.
_TAIL_LIMIT = 8_000


@dataclass(frozen=True)
class Verdict:
    """How an attempt ended.

    :param ended_at: epoch seconds.
    :param certain: everything that could be read was read; only then it is written down.
    """

    state: ExecutionState
    ended_at: float
    result: Mapping[str, Any] | None = None
    failure: Failure | None = None
    certain: bool = True


def written_verdict(application: Mapping[str, Any]) -> Verdict | None:
    """Return the verdict that the application carries, or None.

    :raises DcpEnvironmentError: DCP467 when somebody has changed it.
    """
    text = (application["metadata"].get("annotations") or {}).get(VERDICT)
    if not text:
        return None
    with readable(application):
        data = json.loads(text)
        failure = Failure.from_dict(data["failure"]) if data.get("failure") else None
        return Verdict(ExecutionState(data["state"]), data["ended_at"], data.get("result"), failure)


def verdict_text(verdict: Verdict) -> str:
    """Return the verdict as the annotation's value."""
    failure = None
    if verdict.failure is not None:
        shortened = replace(verdict.failure, log_tail=verdict.failure.log_tail[-_TAIL_LIMIT:])
        failure = {**vars(shortened), "kind": shortened.kind.value}
    return json.dumps(
        {"state": verdict.state.value, "ended_at": verdict.ended_at, "result": verdict.result, "failure": failure}, sort_keys=True
    )


def find_verdict(api: KubernetesApi, application: Mapping[str, Any], job: Mapping[str, Any]) -> Verdict | None:
    """Return how the attempt ended, from its driver's pod, events and log; None when its driver still runs after all.

    :param application: in a state that the operator ends with.
    :param job: of the attempt's request.
    :raises KubernetesProblem: when the API server cannot be asked.
    """
    namespace, name = application["metadata"]["namespace"], driver_pod_name(application)
    pod = api.get(core_path(namespace, "pods", name))
    again = submitted_twice(application)
    if again and pod is not None and is_live(pod):
        return None
    ended = ended_at(application) or time.time()
    report = str(driver_end(pod).get("message") or "")
    result = parse_result(f"{report}\n")
    log: str | None = ""
    if result is None and pod is not None:
        log = log_end(api, namespace, name)
        result = parse_result(log or "")
    succeeded = execution_state(application) is ExecutionState.SUCCEEDED or (again and driver_end(pod).get("exitCode") == 0)
    if succeeded:
        return _good_end(ended, result, job, report=report, pod=pod, log=log)
    if log == "" and pod is not None:
        log = log_end(api, namespace, name)
    failure = _failure(api, application, name, log or "")
    return Verdict(
        ExecutionState.FAILED, ended, result, replace(failure, log_tail=failure.log_tail[-_TAIL_LIMIT:]), log is not None
    )


def start_failure(api: KubernetesApi, application: Mapping[str, Any], seconds: float) -> Failure:
    """Return why a driver has not started within ``seconds``.

    :raises KubernetesProblem: when the API server cannot be asked.
    """
    found = _failure(api, application, driver_pod_name(application), "")
    return replace(found, message=f"the driver did not start within {seconds:.0f} s: {found.message}")


def _good_end(
    ended: float,
    result: Mapping[str, Any] | None,
    job: Mapping[str, Any],
    *,
    report: str,
    pod: Mapping[str, Any] | None,
    log: str | None,
) -> Verdict:
    """Return the verdict on a driver that ended with 0. Our own driver says what it wrote, and without that nothing proves it."""
    own = driver_of(JobSpec.from_dict(job).core_etl) == "core_etl"
    silent = own and result is None and pod is not None and log is not None
    if silent or (result is not None and result.get("status") != "succeeded"):
        failure = unproved(result, log or report)
        failure = replace(failure, log_tail=failure.log_tail[-_TAIL_LIMIT:])
        return Verdict(ExecutionState.FAILED, ended, result, failure)
    # Without the pod there is no result to be had: the end is good, and the tables alone can prove it.
    return Verdict(ExecutionState.SUCCEEDED, ended, result, certain=log is not None)


def _failure(api: KubernetesApi, application: Mapping[str, Any], pod: str, log: str) -> Failure:
    # Its rules are dozens of patterns to compile, and most tasks never see a failure.
    from airflow_dcp_provider.runner.diagnosis_kubernetes import Evidence, diagnose

    namespace, name = application["metadata"]["namespace"], application["metadata"]["name"]
    return diagnose(
        Evidence(
            application=application,
            pods=tuple(pods_of(api, namespace, name, application["apiVersion"])),
            events=tuple(events_of(api, namespace, [name, pod])),
            log=log,
        )
    )
