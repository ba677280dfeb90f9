"""What a cluster shows of a failed application, as short lines of text that rules can be written for.

Resources are read with suspicion: every field may be missing or of another type, because a later operator or an admission webhook
may have written it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_dcp_provider.runner.backends.kubernetes.names import REPORTS
from airflow_dcp_provider.runner.diagnosis_text import Thrown, last_chain

#: Names of Spark's own containers; others in the pod are sidecars, whose end says nothing about the job.
_SPARK_CONTAINERS = ("spark-kubernetes-driver", "spark-kubernetes-executor")

#: Longest text of a single field, and how much of the log's end is read, in characters.
_FIELD_LIMIT = 20_000
_LOG_LIMIT = 200_000

_BEFORE_RUNNING = frozenset(
    {
        *("", "SUBMITTED", "SUBMISSION_FAILED", "PENDING_RERUN", "INVALIDATING", "SUSPENDING", "SUSPENDED", "RESUMING"),
        *(
            "Submitted",
            "ScheduledToRestart",
            "DriverRequested",
            "DriverStarted",
            "DriverReady",
            "InitializedBelowThresholdExecutors",
        ),
    }
)


@dataclass(frozen=True)
class Evidence:
    """What was found of one attempt; plain values as the API server sent them.

    :param application: the SparkApplication, or None when it is gone.
    :param pods: its pods, driver and executors, those that are still there.
    :param events: Kubernetes events of the namespace about them (``v1`` Event objects).
    :param log: the end of the driver's log, or empty.
    """

    application: Mapping[str, Any] | None
    pods: tuple[Mapping[str, Any], ...] = ()
    events: tuple[Mapping[str, Any], ...] = ()
    log: str = ""


@dataclass(frozen=True)
class Clues:
    """The evidence as texts, one for each place that rules look at.

    :param state: the application's state as its operator writes it, ``gone`` when there is no application.
    :param submission: the stderr of the operator's ``spark-submit``, without its stack.
    :param operator: the application's error message otherwise.
    :param driver: lines about the driver's pod, for example ``terminated OOMKilled exit 137``.
    :param executors: such lines about executors that did not end well.
    :param events: ``Reason: message`` of warnings about the driver's pod, and of a pull of its image that had not ended.
    :param log: the whole log that is known.
    :param chain: exceptions of the last uncaught failure in the log, outermost first.
    :param exit_code: of the driver's container, or None when it is not known.
    :param report: what the driver wrote as its termination message.
    :param reports: whether the driver was told to report there, and nowhere else.
    :param started: whether the driver's container has run at all.
    """

    state: str
    submission: str = ""
    operator: str = ""
    driver: str = ""
    executors: str = ""
    events: str = ""
    log: str = ""
    chain: tuple[Thrown, ...] = ()
    exit_code: int | None = None
    report: str = ""
    reports: bool = False
    started: bool = False

    @property
    def is_waiting(self) -> bool:
        """Whether the application has not come as far as a running driver."""
        return self.state in _BEFORE_RUNNING


def read_clues(evidence: Evidence) -> Clues:
    """Return the evidence as clues."""
    application = _map(evidence.application)
    status = _map(application.get("status"))
    state, message = _state_and_message(status)
    if evidence.application is None:
        state = "gone"
    pods = [_map(pod) for pod in evidence.pods]
    driver = _driver(pods, _text(_map(status.get("driverInfo")).get("podName"))) or _last_seen_driver(status)
    ended = _map(_map(_container(driver).get("state")).get("terminated"))
    exit_code = _number(ended.get("exitCode"))
    if exit_code is None:
        exit_code = _exit_code_in(message)
    submitting = state == "SchedulingFailure" or "spark-submit" in message or "submit spark application" in message
    submission = _without_stack(message) if submitting else ""
    log = evidence.log[-_LOG_LIMIT:] if isinstance(evidence.log, str) else ""
    return Clues(
        state=state,
        submission=submission,
        operator="" if submission else message,
        driver="\n".join(_pod_lines(driver)) if driver else "",
        executors="\n".join(line for pod in pods if _role(pod) == "executor" for line in _pod_lines(pod)),
        events="\n".join(_event_lines(evidence.events, driver)),
        log=log,
        chain=last_chain(log),
        exit_code=exit_code,
        report=_text(ended.get("message")),
        reports=REPORTS in _map(_map(application.get("metadata")).get("annotations")),
        started=bool(ended) or bool(_map(_container(driver).get("state")).get("running")) or bool(log),
    )


def _state_and_message(status: Mapping[str, Any]) -> tuple[str, str]:
    """Return state and error message of either operator's status."""
    kubeflow, apache = _map(status.get("applicationState")), _map(status.get("currentState"))
    if apache:
        return _apache_outcome(status, apache)
    return _text(kubeflow.get("state")), _text(kubeflow.get("errorMessage"))


def _apache_outcome(status: Mapping[str, Any], current: Mapping[str, Any]) -> tuple[str, str]:
    """Return the last state that says something: the ones after it only tell that resources were released."""
    history = _map(status.get("stateTransitionHistory"))
    numbered = sorted((int(key), _map(value)) for key, value in history.items() if isinstance(key, str) and key.isdecimal())
    released = {"ResourceReleased", "TerminatedWithoutReleaseResources"}
    for entry in (current, *(value for _, value in reversed(numbered))):
        if _text(entry.get("currentStateSummary")) not in released:
            return _text(entry.get("currentStateSummary")), _text(entry.get("message"))
    return _text(current.get("currentStateSummary")), _text(current.get("message"))


def _last_seen_driver(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the driver's pod as Apache's operator last saw it, which it keeps where the pod itself is gone."""
    history = _map(status.get("stateTransitionHistory"))
    entries = (_map(status.get("currentState")), *(_map(history[key]) for key in sorted(history, key=str)))
    return next(({"status": entry["lastObservedDriverStatus"]} for entry in entries if entry.get("lastObservedDriverStatus")), {})


def _driver(pods: list[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    """Return the youngest driver pod, empty when there is none."""
    drivers = [pod for pod in pods if _role(pod) == "driver" or (name and _name(pod) == name)]
    return max(drivers, key=lambda pod: _text(_map(pod.get("metadata")).get("creationTimestamp")), default={})


def _pod_lines(pod: Mapping[str, Any]) -> Iterable[str]:
    """Yield what the pod says about itself; nothing for one that is well."""
    status = _map(pod.get("status"))
    if status.get("reason") or (status.get("message") and status.get("phase") == "Failed"):
        yield f"pod {_text(status.get('phase'))} {_text(status.get('reason'))}: {_text(status.get('message'))}"
    for condition in map(_map, _list(status.get("conditions"))):
        kind, value = _text(condition.get("type")), _text(condition.get("status"))
        if (kind == "DisruptionTarget" and value == "True") or (kind == "PodScheduled" and value == "False"):
            yield f"condition {kind} {_text(condition.get('reason'))}: {_text(condition.get('message'))}"
    for container in map(_map, _list(status.get("initContainerStatuses"))):
        yield from _container_lines(container, f"init container {_text(container.get('name'))} ")
    yield from _container_lines(_container(pod), "")
    if _map(pod.get("metadata")).get("deletionTimestamp"):
        yield "deleted"
    if _text(status.get("phase")) == "Pending" and not _list(status.get("containerStatuses")):
        yield "pending"


def _container_lines(container: Mapping[str, Any], prefix: str) -> Iterable[str]:
    state = _map(container.get("state"))
    waiting, ended = _map(state.get("waiting")), _map(state.get("terminated"))
    if waiting:
        yield f"{prefix}waiting {_text(waiting.get('reason'))}: {_text(waiting.get('message'))}"
    if ended and (_number(ended.get("exitCode")) != 0 or _text(ended.get("reason")) == "OOMKilled"):
        signal = f" signal {_number(ended.get('signal'))}" if _number(ended.get("signal")) else ""
        memory = _text(_map(_map(container.get("resources")).get("limits")).get("memory"))
        limit = f"limit of {memory}" if memory else "limit"
        yield f"{prefix}terminated {_text(ended.get('reason')) or 'Error'} exit {_number(ended.get('exitCode'))}{signal} {limit}:"


def _container(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the status of Spark's own container, or of the first one."""
    statuses = [_map(status) for status in _list(_map(pod.get("status")).get("containerStatuses"))]
    own = [status for status in statuses if status.get("name") in _SPARK_CONTAINERS]
    return (own or statuses or [{}])[0]


def _event_lines(events: Iterable[Any], pod: Mapping[str, Any]) -> Iterable[str]:
    """Yield warnings about the driver's pod, oldest first, and that its image was still being pulled.

    Events outlive what they are about by an hour, and names come again: an event of another UID is of another pod. Events about
    the application itself repeat its error message, if they are about this one at all.
    """
    told = [(_text(event.get("reason")), event) for event in map(_map, events) if _is_about(event, pod)]
    reasons = {reason for reason, _ in told}
    conditions = {
        _text(each.get("type")): each.get("status") for each in map(_map, _list(_map(pod.get("status")).get("conditions")))
    }
    # spark-submit makes the pod before the ConfigMaps that it mounts: nearly every healthy driver once lacked them.
    mounted = bool(reasons & _AFTER_MOUNTING) or conditions.get("PodReadyToStartContainers") == "True"
    for reason, event in told:
        pulling = reason == "Pulling" and not reasons & _AFTER_PULLING
        if (reason in _MOUNTING and mounted) or not (event.get("type") == "Warning" or reason in _KILLING or pulling):
            continue
        yield f"{reason}: {_text(event.get('message')) or _text(event.get('note'))}"


_MOUNTING = frozenset({"FailedMount", "FailedAttachVolume"})
_AFTER_PULLING = frozenset({"Pulled", "Created", "Started", "Failed", "BackOff"})
_AFTER_MOUNTING = _AFTER_PULLING | {"Pulling"}
_KILLING = frozenset({"Killing", "Preempted", "Evicted", "TaintManagerEviction", "DeletingPod"})


def _is_about(event: Mapping[str, Any], pod: Mapping[str, Any]) -> bool:
    about = _map(event.get("involvedObject")) or _map(event.get("regarding"))
    uid = _text(_map(pod.get("metadata")).get("uid"))
    other = bool(uid) and bool(about.get("uid")) and about.get("uid") != uid
    return about.get("kind") == "Pod" and about.get("name") == _name(pod) and not other


_STACK = re.compile(r"^\s+(?:at |\.\.\. \d+ more)")


def _without_stack(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not _STACK.match(line))


def _exit_code_in(message: str) -> int | None:
    match = re.search(r"ExitCode: (\d{1,5})\b", message)
    return int(match.group(1)) if match else None


def _role(pod: Mapping[str, Any]) -> str:
    return _text(_map(_map(pod.get("metadata")).get("labels")).get("spark-role"))


def _name(resource: Mapping[str, Any]) -> str:
    return _text(_map(resource.get("metadata")).get("name"))


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _text(value: Any) -> str:
    return value[:_FIELD_LIMIT] if isinstance(value, str) else ""


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
