"""What an application's pods tell: which of them still run, how the driver ended, and its log."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

from airflow_dcp_provider.runner.backends.kubernetes.api import KubernetesApi
from airflow_dcp_provider.runner.backends.kubernetes.names import APP_NAMES, DRIVER_CONTAINER, GROUP_VERSION, core_path
from airflow_dcp_provider.runner.backends.kubernetes.problems import INVALID, NOT_FOUND, KubernetesProblem

#: How many lines of the log's end are read for the result and the diagnosis.
TAIL_LINES = 1000

#: Most bytes of the log's end that are read.
_MOST_OF_END = 2 * 1024 * 1024

#: Bytes that a piece of the log may have beside what was asked for: time stamps, and lines that were read before.
_SLACK = 64 * 1024

#: Most bytes that are read at once; kubelets keep 10 MiB of a log where nobody says otherwise.
_MOST = 16 * 1024 * 1024
_PASSED_OVER = "(here more of the log was written within a second than can be read)\n"

#: A kubelet stamps in the time zone of its node.
_STAMPED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) (.*)", re.DOTALL)
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_SECOND = 1_000_000_000


def is_live(pod: Mapping[str, Any]) -> bool:
    """Whether Spark may still run in the pod. A sidecar that goes on after Spark's own container has ended does not count."""
    status = pod.get("status") or {}
    if status.get("phase") in {"Succeeded", "Failed"}:
        return False
    spark = [item for item in status.get("containerStatuses") or [] if str(item.get("name")).startswith("spark-kubernetes-")]
    return not spark or any(not (item.get("state") or {}).get("terminated") for item in spark)


def driver_end(pod: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return how the driver's container ended (``exitCode``, ``reason``, ``message``), empty while it has not."""
    for item in ((pod or {}).get("status") or {}).get("containerStatuses") or []:
        if item.get("name") == DRIVER_CONTAINER:
            return (item.get("state") or {}).get("terminated") or {}
    return {}


def pods_of(api: KubernetesApi, namespace: str, name: str, group_version: str = GROUP_VERSION) -> list[dict[str, Any]]:
    """Return all pods of an application, whose group and version say how its operator marks them.

    :raises KubernetesProblem: when they cannot be listed.
    """
    answer = api.request("GET", core_path(namespace, "pods"), params={"labelSelector": f"{APP_NAMES[group_version]}={name}"})
    return list(answer.get("items") or [])


def events_of(api: KubernetesApi, namespace: str, names: list[str]) -> list[dict[str, Any]]:
    """Return what Kubernetes tells of these objects; nothing where that may not be read.

    :raises KubernetesProblem: when the server cannot be asked.
    """
    found: list[dict[str, Any]] = []
    for name in names:
        try:
            answer = api.request("GET", core_path(namespace, "events"), params={"fieldSelector": f"involvedObject.name={name}"})
        except KubernetesProblem as problem:
            if problem.status != 403:
                raise
            return found
        found += answer.get("items") or []
    return found


def log_end(api: KubernetesApi, namespace: str, pod: str) -> str | None:
    """Return the end of the driver's log, empty while there is none; None when it cannot be had now.

    It is at most about :data:`_MOST_OF_END` bytes: a line can be as long as its writer likes, and a server that is told of a limit
    sends the beginning of what was asked for. So fewer lines are asked for until their end is among what comes.
    """
    path = f"{core_path(namespace, 'pods', pod)}/log"
    lines = TAIL_LINES
    while True:
        params = {"container": DRIVER_CONTAINER, "tailLines": lines, "limitBytes": _MOST_OF_END}
        try:
            text = api.text(path, params=params)
        except KubernetesProblem as problem:
            # The container has not started, or the pod has gone.
            return "" if problem.cause in {INVALID, NOT_FOUND} else None
        if lines == 1 or len(text.encode()) < _MOST_OF_END:
            return text
        lines = max(1, lines // 10)


def log_piece(api: KubernetesApi, namespace: str, pod: str, offset: int, limit: int) -> tuple[str, int]:
    """Return whole lines of the driver's log after ``offset``, at most about ``limit`` bytes, and the offset to go on from.

    An offset is the time of the last line that was read, in nanoseconds: a node rotates logs, so that a count of bytes would soon
    lead elsewhere.

    :raises KubernetesProblem: when the log cannot be read; a pod that is gone or has not started has an empty one.
    """
    room = limit + _SLACK
    while True:
        params: dict[str, Any] = {"container": DRIVER_CONTAINER, "timestamps": "true", "limitBytes": room}
        if offset:
            # The server knows whole seconds only; what was read already is dropped below.
            params["sinceTime"] = dt.datetime.fromtimestamp(offset // _SECOND, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        try:
            text = api.text(f"{core_path(namespace, 'pods', pod)}/log", params=params)
        except KubernetesProblem as problem:
            if problem.cause in {INVALID, NOT_FOUND}:
                return "", offset
            raise
        cut = len(text.encode()) >= room
        piece, reached = _after(text, offset, limit, cut=cut)
        last = _last_time(text) if cut else None
        if piece or last is None:
            # Without a time on any line, more of them would say no more.
            return piece, reached
        if room >= _MOST:
            return _PASSED_OVER, (max(last, offset) // _SECOND + 1) * _SECOND
        room = min(room * 4, _MOST)


def _after(text: str, offset: int, limit: int, *, cut: bool) -> tuple[str, int]:
    """Return the lines of a log with time stamps that come after ``offset``.

    :param cut: the text ends where the server's limit was, perhaps inside a line.
    """
    found: list[str] = []
    size, reached = 0, offset
    # Not splitlines: it also splits at characters that may stand inside a line.
    for line in _LINE.findall(text[: text.rfind("\n") + 1] if cut else text):
        match = _STAMPED.fullmatch(line)
        if match is None or (at := _nanoseconds(match)) <= offset:
            continue
        size += len(match.group(4).encode())
        # Lines of the very same time stay together: an offset cannot lie between them.
        if found and size > limit and at > reached:
            break
        found.append(match.group(4))
        reached = at
    return "".join(found), reached


def _last_time(text: str) -> int | None:
    """Return the time of the last line that has one, whole or not."""
    return next((_nanoseconds(match) for line in reversed(_LINE.findall(text)) if (match := _STAMPED.match(line))), None)


def _nanoseconds(stamped: re.Match[str]) -> int:
    seconds, fraction, zone = stamped.group(1, 2, 3)
    return int(dt.datetime.fromisoformat(f"{seconds}{zone}").timestamp()) * _SECOND + int((fraction or "").ljust(9, "0"))
