"""The objects that the stand-ins write, in the shape of the recorded traces. Pure functions."""

from __future__ import annotations

import datetime as dt
from typing import Any

from tests.support.kubernetes.driver import files_volumes
from tests.support.kubernetes.kubelet import DRIVER_CONTAINER, EXECUTOR_CONTAINER

APP_NAME = "sparkoperator.k8s.io/app-name"
APACHE_APP_NAME = "spark.operator/spark-app-name"
SUBMISSION_ID = "sparkoperator.k8s.io/submission-id"
API_VERSION = "sparkoperator.k8s.io/v1beta2"
POD_EXISTS = "failed to submit spark application: failed to run spark-submit: driver pod already exist"


def now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def owner(kind: str, api_version: str, name: str, uid: str, *, controller: bool = True) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "controller": controller, "blockOwnerDeletion": True}


def driver_pod(application: dict[str, Any], submission: str, spark_id: str, node: str) -> dict[str, Any]:
    """The pod that spark-submit creates for ``application``."""
    meta, spec = application["metadata"], application["spec"]
    name = meta["name"]
    driver = spec.get("driver", {})
    labels = {
        **driver.get("labels", {}),
        "spark-app-name": name,
        "spark-app-selector": spark_id,
        "spark-role": "driver",
        "spark-version": spec.get("sparkVersion", ""),
        APP_NAME: name,
        "sparkoperator.k8s.io/launched-by-spark-operator": "true",
        "sparkoperator.k8s.io/mutated-by-spark-operator": "true",
        SUBMISSION_ID: submission,
    }
    return {
        "metadata": {
            "name": driver_name(application),
            "labels": labels,
            "annotations": dict(driver.get("annotations", {})),
            "ownerReferences": [owner("SparkApplication", API_VERSION, name, meta["uid"])],
        },
        "spec": {**_pod_spec(spec, DRIVER_CONTAINER, node), "volumes": files_volumes(application)},
    }


def executor_pod(driver: dict[str, Any], number: int) -> dict[str, Any]:
    """An executor's pod, which its driver's pod owns."""
    meta = driver["metadata"]
    labels = {**meta["labels"], "spark-role": "executor", "spark-exec-id": str(number)}
    image = driver["spec"]["containers"][0]["image"]
    return {
        "metadata": {
            "name": f"{meta['name'].removesuffix('-driver')}-{meta['uid'][:8]}-exec-{number}",
            "labels": labels,
            "ownerReferences": [owner("Pod", "v1", meta["name"], meta["uid"])],
        },
        "spec": _pod_spec({"image": image}, EXECUTOR_CONTAINER, driver["spec"]["nodeName"]),
    }


def driver_name(application: dict[str, Any]) -> str:
    name: str = application["spec"].get("driver", {}).get("podName") or f"{application['metadata']['name']}-driver"
    return name


def _pod_spec(spec: dict[str, Any], container: str, node: str) -> dict[str, Any]:
    return {
        "nodeName": node,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 30,
        "automountServiceAccountToken": False,
        "containers": [
            {"name": container, "image": spec.get("image") or "spark", "terminationMessagePath": "/dev/termination-log"}
        ],
    }


def pod_status(pod: dict[str, Any], phase: str, state: dict[str, Any]) -> dict[str, Any]:
    """A pod's status with its one container in ``state`` (``waiting``, ``running`` or ``terminated``)."""
    container = pod["spec"]["containers"][0]
    ready = "running" in state
    conditions = [
        {"type": kind, "status": "True" if kind in ("Initialized", "PodScheduled") or ready else "False"}
        for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    ]
    return {
        "phase": phase,
        "conditions": conditions,
        "startTime": pod["metadata"]["creationTimestamp"],
        "hostIP": "127.0.0.1",
        "hostIPs": [{"ip": "127.0.0.1"}],
        "containerStatuses": [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": ready,
                "started": ready,
                "restartCount": 0,
                "state": state,
            }
        ],
    }


def terminated(code: int, reason: str, started: str, message: str = "") -> dict[str, Any]:
    """The state of a container that has ended; ``message`` is what it left in the termination log."""
    ended = {"exitCode": code, "reason": reason, "startedAt": started, "finishedAt": now()}
    return {"terminated": {**ended, "message": message} if message else ended}


def failure_message(code: int | None, reason: str) -> str:
    """The operator's ``errorMessage`` for a driver that ended with ``code``, or whose pod is not there (None)."""
    if code is None:
        return "driver pod not found"
    return f"driver container failed with ExitCode: {code}, Reason: {reason}"
