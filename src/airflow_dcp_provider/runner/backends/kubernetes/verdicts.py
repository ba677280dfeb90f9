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
from airflow_dcp_provider.runner.backends.kubernetes.names import REPORTS, VERDICT, core_path
from airflow_dcp_provider.runner.backends.kubernetes.pods import driver_end, events_of, is_live, log_end, pods_of
from airflow_dcp_provider.runner.backends.kubernetes.problems import readable
from airflow_dcp_provider.runner.backends.kubernetes.states import (
    driver_pod_name,
    ended_at,
    execution_state,
    submitted_twice,
)
from airflow_dcp_provider.runner.diagnosis import authentic_result, parse_result, unproved
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


def reports_in_message(application: Mapping[str, Any]) -> bool:
    """Whether the driver is to deliver its result in its termination message; an earlier version's may be in the log alone."""
    return REPORTS in (application["metadata"].get("annotations") or {})


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
    result = authentic_result(report)
    log: str | None = ""
    if pod is not None and (result is None or "sha256" in result):
        # The log is for the diagnosis, and for a result that is too long for a termination message. Only for an attempt that an
        # earlier version has started it is believed.
        log = log_end(api, namespace, name)
        result = authentic_result(report, log or "") if reports_in_message(application) else parse_result(log or "")
    succeeded = execution_state(application) is ExecutionState.SUCCEEDED or (again and driver_end(pod).get("exitCode") == 0)
    if succeeded:
        # Whether all is known that the driver may have said; in its message a driver that has ended says it at once.
        known = bool(driver_end(pod)) if reports_in_message(application) else pod is not None and log is not None
        return _good_end(ended, result, job, known=known, log=log)
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


def _good_end(ended: float, result: Mapping[str, Any] | None, job: Mapping[str, Any], *, known: bool, log: str | None) -> Verdict:
    """Return the verdict on a driver that ended with 0. Our own driver says what it wrote, and without that nothing proves it.

    :param known: without a result there is none to be had any more; else its pod has gone, and the tables alone can prove it.
    """
    own = driver_of(JobSpec.from_dict(job).core_etl) == "core_etl"
    silent = own and result is None and known
    if silent or (result is not None and result.get("status") != "succeeded"):
        failure = unproved(result, log or "")
        failure = replace(failure, log_tail=failure.log_tail[-_TAIL_LIMIT:])
        return Verdict(ExecutionState.FAILED, ended, result, failure)
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
