"""What clusters show when an application fails, in the words of Kubernetes, Spark, Hadoop and the operators."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airflow_dcp_provider.runner.diagnosis_kubernetes import Evidence

TRACES = Path(__file__).parents[2] / "support" / "kubernetes" / "traces"
LOGS = Path(__file__).parent / "diagnosis_logs"

NAME = "orders-0a1b2c3d4e5f-1"
DRIVER = f"{NAME}-driver"


def application(state: str = "FAILED", error: str = "driver container failed with ExitCode: 1, Reason: Error") -> dict[str, Any]:
    """Return a SparkApplication of the Kubeflow operator in a state."""
    status = {"applicationState": {"state": state, "errorMessage": error}, "driverInfo": {"podName": DRIVER}}
    return {"metadata": {"name": NAME, "uid": "app-uid"}, "status": status}


def submission(stderr: str) -> Evidence:
    """Return an application that the operator's spark-submit could not start."""
    start = (
        "failed to submit spark application: failed to run spark-submit: failed to run spark-submit: 26/11/22 05:29:04 WARN Native"
    )
    return Evidence(application(error=f"{start}CodeLoader: Unable to load\n{stderr}\n\tat org.apache.spark.X.run(X.scala:1)\n"))


def forbidden(message: str) -> Evidence:
    """Return an application whose driver pod the API server refused with a 403."""
    return submission(
        'Exception in thread "main" io.fabric8.kubernetes.client.KubernetesClientException: Failure executing: POST at: '
        f"https://10.96.0.1:443/api/v1/namespaces/team-a/pods. Message: {message}. Received status: Status(apiVersion=v1, code=403)."
    )


def pod(
    role: str = "driver", *, state: dict[str, Any] | None = None, limit: str = "", deleted: bool = False, **status: Any
) -> dict:
    """Return a pod of the application; ``state`` is that of Spark's own container."""
    meta: dict[str, Any] = {
        "name": DRIVER if role == "driver" else f"{NAME}-exec-1",
        "uid": f"{role}-uid",
        "labels": {"spark-role": role},
    }
    if deleted:
        meta["deletionTimestamp"] = "2026-11-22T05:37:07+00:00"
    if state is not None:
        own = {"name": f"spark-kubernetes-{role}", "state": state, "resources": {"limits": {"memory": limit}} if limit else {}}
        sidecar = {"name": "fluent-bit", "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}
        status["containerStatuses"] = [sidecar, own]
    return {"metadata": meta, "status": {"phase": "Failed", **status}}


def ended(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    """Return the state of a container that ended."""
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


def waiting(reason: str, message: str = "") -> Evidence:
    """Return an application whose driver's container waits for something."""
    return Evidence(
        application("SUBMITTED", ""), (pod(state={"waiting": {"reason": reason, "message": message}}, phase="Pending"),)
    )


def unschedulable(message: str, role: str = "driver", log: str = "") -> Evidence:
    """Return an application with a pod that the scheduler cannot place."""
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    stuck = pod(role, phase="Pending", conditions=[condition])
    if role == "driver":
        return Evidence(application("SUBMITTED", ""), (stuck,))
    return Evidence(application(), (pod(state=ended(1)), stuck), log=log)


def driver(code: int = 1, log: str = "", why: str = "Error", *others: dict[str, Any], **status: Any) -> Evidence:
    """Return an application whose driver's container ended; ``status`` is added to the pod's."""
    error = f"driver container failed with ExitCode: {code}, Reason: {why}"
    return Evidence(application(error=error), (pod(state=ended(code, why), **status), *others), log=log)


def event(reason: str, message: str, uid: str = "driver-uid", kind: str = "Warning") -> dict[str, Any]:
    """Return an event about the driver's pod."""
    return {"type": kind, "reason": reason, "message": message, "involvedObject": {"kind": "Pod", "name": DRIVER, "uid": uid}}


def pending(*events: dict[str, Any]) -> Evidence:
    """Return an application whose driver pod is there and does not start."""
    return Evidence(
        application("SUBMITTED", ""), (pod(state={"waiting": {"reason": "ContainerCreating"}}, phase="Pending"),), events
    )


def disrupted(reason: str, message: str) -> Evidence:
    """Return an application whose driver pod was taken off its node."""
    condition = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}
    return driver(143, conditions=[condition])


def result(code: str, message: str, hint: str = "") -> str:
    """Return the driver's last line."""
    return (
        f"DCP_RESULT {json.dumps({'version': 1, 'status': 'failed', 'error': {'code': code, 'message': message, 'hint': hint}})}\n"
    )


def thrown(text: str) -> str:
    """Return a log that ends with a failed call into Java."""
    return (
        "26/11/22 05:36:14 INFO SparkContext: Running Spark version 3.5.9\nTraceback (most recent call last):\n"
        '  File "/opt/dcp/main.py", line 3, in <module>\n'
        f"py4j.protocol.Py4JJavaError: An error occurred while calling o67.save.\n: {text}\n"
        "\tat org.apache.spark.X.run(X.scala:1)\n26/11/22 05:36:15 INFO ShutdownHookManager: Shutdown hook called\n"
    )


def lost(reason: str) -> str:
    """Return a log of a job that gave up because it kept losing executors."""
    return thrown(
        "org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage 0.0 failed 4 times, most recent failure: "
        f"Lost task 0.3 in stage 0.0 (TID 3) (10.0.0.9 executor 3): ExecutorLostFailure (executor 3 exited caused by one of the "
        f"running tasks) Reason: {reason}"
    )


def traced(name: str) -> Evidence:
    """Return what a recorded trace shows at its end."""
    found: dict[str, Any] = {"application": None, "pods": {}, "events": [], "log": ""}
    for line in (TRACES / f"{name}.jsonl").read_text("utf-8").splitlines():
        entry = json.loads(line)
        kind, value = entry["kind"], entry.get("object")
        if kind == "SparkApplication":
            found["application"] = None if entry["type"] == "DELETED" else value
        elif kind == "Pod":
            found["pods"][value["metadata"]["name"]] = value
        elif kind == "Event":
            found["events"].append(value)
        elif kind == "driver log tail":
            found["log"] = value or ""
    pods = tuple(found["pods"].values()) if found["application"] else ()
    return Evidence(found["application"], pods, tuple(found["events"]), found["log"])


def logged(name: str, code: int = 1) -> Evidence:
    """Return a driver that ended with a log that Spark really wrote."""
    return driver(code, (LOGS / f"{name}.log").read_text("utf-8"))


PULL = 'Back-off pulling image "reg.io/team/spark:9": ErrImagePull: failed to pull and unpack image "reg.io/team/spark:9": '
QUOTA = 'pods "x-driver" is forbidden: exceeded quota: team-a, requested: limits.memory=8Gi, used: limits.memory=60Gi, limited: limits.memory=64Gi'
ROLE = 'pods is forbidden: User "system:serviceaccount:team-a:spark" cannot create resource "pods" in API group "" in the namespace "team-a"'
EVICTED_BY_NODE = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 80Mi."
EVICTED_FOR_DISK = "Pod ephemeral local storage usage exceeds the total limit of containers 10Gi."
S3_DENIED = (
    "software.amazon.awssdk.services.s3.model.S3Exception: Access Denied (Service: S3, Status Code: 403, Request ID: 4Q2, "
    "Extended Request ID: x)"
)
S3_OLD = (
    "com.amazonaws.services.s3.model.AmazonS3Exception: Forbidden (Service: Amazon S3; Status Code: 403; Error Code: 403 Forbidden)"
)
HEAP_OF_EXECUTOR = (
    "org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage 1.0 failed 4 times, most recent failure: "
    "Lost task 0.3 in stage 1.0 (TID 9) (10.0.0.9 executor 2): java.lang.OutOfMemoryError: Java heap space"
)

#: name -> (evidence, kind, code, words of the sentence)
SAMPLES: dict[str, tuple[Evidence, str, str, str]] = {
    # What spark-submit met, on behalf of the operator.
    "quota": (forbidden(f"Forbidden! {QUOTA}"), "resources", "DCP372", "quota does not allow the driver's pod: team-a, requested"),
    "quota-unstated": (
        forbidden('pods "x" is forbidden: failed quota: team-a: must specify limits.cpu for: spark-kubernetes-driver'),
        "resources",
        "DCP372",
        "must specify limits.cpu",
    ),
    "quota-unknown": (
        forbidden('pods "x" is forbidden: status unknown for quota: team-a, resources: limits.memory'),
        "resources",
        "DCP372",
        "has not yet computed the namespace's quota",
    ),
    "rights": (
        forbidden(f"Forbidden! {ROLE}"),
        "platform",
        "DCP373",
        "system:serviceaccount:team-a:spark has no right to create pods",
    ),
    "forbidden": (forbidden('pods "x" is forbidden: not today'), "platform", "DCP373", "not today"),
    "webhook-denies": (
        forbidden('admission webhook "policy.acme.io" denied the request: label `cost` is missing'),
        "platform",
        "DCP375",
        '"policy.acme.io" denied the driver\'s pod: label `cost` is missing',
    ),
    "pod-security": (
        forbidden('pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'),
        "platform",
        "DCP375",
        "runAsNonRoot",
    ),
    "webhook-down": (
        forbidden('Internal error occurred: failed calling webhook "mutate.acme.io": connection refused'),
        "platform",
        "DCP376",
        '"mutate.acme.io"',
    ),
    "pod-exists": (
        Evidence(application(error="failed to submit spark application: driver pod already exist")),
        "platform",
        "DCP383",
        "does not prove that no driver runs",
    ),
    "submit-fails": (
        submission('Exception in thread "main" org.apache.spark.SparkException: Please specify spark.kubernetes.file.upload.path'),
        "platform",
        "DCP389",
        "org.apache.spark.SparkException: Please specify spark.kubernetes.file.upload.path",
    ),
    "submit-silent": (
        Evidence(application(error="failed to submit spark application: signal: killed")),
        "platform",
        "DCP389",
        "signal: killed",
    ),
    # What ended the driver's pod.
    "killed-by-message-only": (
        Evidence(application(error="driver container failed with ExitCode: 137, Reason: OOMKilled")),
        "resources",
        "DCP360",
        "driver's container was killed",
    ),
    "evicted": (driver(137, reason="Evicted", message=EVICTED_BY_NODE), "platform", "DCP377", "low on resource: memory"),
    "evicted-for-disk": (driver(137, reason="Evicted", message=EVICTED_FOR_DISK), "resources", "DCP378", "filling its local disk"),
    "deadline": (
        driver(143, reason="DeadlineExceeded", message="Pod was active on the node longer than the specified deadline"),
        "resources",
        "DCP381",
        "deadline that the cluster sets",
    ),
    "preempted": (
        disrupted("PreemptionByScheduler", "default-scheduler: preempting to accommodate a higher priority pod"),
        "platform",
        "DCP379",
        "preempted by a pod of higher priority",
    ),
    "node-shutdown": (
        driver(143, reason="Terminated", message="Pod was terminated in response to imminent node shutdown."),
        "platform",
        "DCP379",
        "imminent node shutdown",
    ),
    "drained": (
        disrupted("DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint"),
        "platform",
        "DCP379",
        "drained, shut down or lost (DeletionByTaintManager)",
    ),
    "node-lost-by-event": (
        Evidence(application(), (pod(),), (event("TaintManagerEviction", "Marking for deletion Pod team-a/x", kind="Normal"),)),
        "platform",
        "DCP379",
        "taken off its node",
    ),
    "evicted-by-event": (
        Evidence(application(), (pod(),), (event("Evicted", EVICTED_BY_NODE),)),
        "platform",
        "DCP377",
        "low on resource",
    ),
    "node-full": (
        Evidence(application(), (pod(reason="OutOfcpu", message="Node didn't have enough resource: cpu"),)),
        "platform",
        "DCP369",
        "OutOfcpu",
    ),
    "pod-deleted": (driver(143), "platform", "DCP380", "deleted or ended from outside"),
    "pod-deleted-by-message": (
        Evidence(application(error="driver container failed with ExitCode: 143, Reason: Error")),
        "platform",
        "DCP380",
        "deleted or ended from outside",
    ),
    "pod-gone": (Evidence(application(error="driver pod not found")), "platform", "DCP380", "deleted or ended from outside"),
    # Why the driver's pod never ran.
    "image-name": (
        waiting("InvalidImageName", "Failed to apply default image tag: couldn't parse image name"),
        "user",
        "DCP367",
        "couldn't parse image name",
    ),
    "image-denied": (
        waiting(
            "ImagePullBackOff", f"{PULL}failed to authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized"
        ),
        "platform",
        "DCP366",
        "may not pull the image `reg.io/team/spark:9`: 401 Unauthorized",
    ),
    "image-unknown": (
        waiting("ErrImagePull", f'{PULL}failed to resolve reference "reg.io/team/spark:9": reg.io/team/spark:9: not found'),
        "user",
        "DCP367",
        "`reg.io/team/spark:9` does not exist",
    ),
    "image-unnamed": (waiting("ErrImagePull", "rpc error: code = Unavailable"), "platform", "DCP366", "rpc error"),
    "secret-missing": (
        waiting("CreateContainerConfigError", 'secret "catalog-credentials" not found'),
        "platform",
        "DCP384",
        'secret "catalog-credentials" not found',
    ),
    "container-start": (
        waiting("CreateContainerError", "failed to generate container spec: no command specified"),
        "platform",
        "DCP388",
        "no command specified",
    ),
    "init-container": (
        Evidence(
            application("SUBMITTED", ""),
            (
                pod(
                    phase="Pending",
                    initContainerStatuses=[
                        {"name": "istio-init", "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "x"}}}
                    ],
                ),
            ),
        ),
        "platform",
        "DCP388",
        "x",
    ),
    "init-container-ended": (
        Evidence(
            application("SUBMITTED", ""),
            (pod(phase="Failed", initContainerStatuses=[{"name": "fetch", "state": ended(3)}]),),
        ),
        "platform",
        "DCP388",
        "init container fetch of the driver's pod failed",
    ),
    "taints": (
        unschedulable("0/3 nodes are available: 3 node(s) had untolerated taint {dedicated: gpu}."),
        "platform",
        "DCP369",
        "untolerated taint",
    ),
    "node-selector": (
        unschedulable("0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector."),
        "platform",
        "DCP369",
        "didn't match Pod's node affinity/selector",
    ),
    "node-selector-and-preemption": (
        unschedulable(
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, preemption: "
            "0/1 nodes are available: 1 Preemption is not helpful for scheduling."
        ),
        "platform",
        "DCP369",
        "no node of the cluster takes the driver: 0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector",
    ),
    "claim-missing": (unschedulable('persistentvolumeclaim "scratch" not found'), "platform", "DCP384", '"scratch" not found'),
    "claim-missing-and-preemption": (
        unschedulable('0/1 nodes are available: persistentvolumeclaim "nothing" not found. not found'),
        "platform",
        "DCP384",
        'the driver cannot be placed because of its volumes: 0/1 nodes are available: persistentvolumeclaim "nothing" not found',
    ),
    "mount-fails": (
        pending(event("FailedMount", 'MountVolume.SetUp failed for volume "files" : configmap "x-files" not found')),
        "platform",
        "DCP384",
        'configmap "x-files" not found',
    ),
    "slow-pull-after-early-mounts": (
        # As a real cluster tells it: spark-submit makes the pod before the ConfigMaps that it mounts.
        pending(
            event("FailedMount", 'MountVolume.SetUp failed for volume "pod-template-volume" : configmap "x-conf-map" not found'),
            event("Pulling", 'Pulling image "registry.example.com/spark:3.5.7"', kind="Normal"),
        ),
        "platform",
        "DCP366",
        "the image `registry.example.com/spark:3.5.7` was still being pulled",
    ),
    "no-room-by-event": (
        pending(event("FailedScheduling", "0/9 nodes are available: 9 Insufficient memory.")),
        "resources",
        "DCP368",
        "memory",
    ),
    "no-node-by-event": (
        pending(event("FailedScheduling", "0/9 nodes are available: 9 node(s) were cordoned.")),
        "platform",
        "DCP369",
        "cordoned",
    ),
    "sandbox": (
        pending(event("FailedCreatePodSandBox", "plugin type=calico failed: no IP addresses available")),
        "platform",
        "DCP386",
        "no IP addresses available",
    ),
    "slow-start": (pending(), "platform", "DCP386", "had not started in time"),
    "operator-down": (Evidence(application("", "")), "platform", "DCP385", "has not taken up the application"),
    "operator-slow": (Evidence(application("SUBMITTED", "")), "platform", "DCP385", "made no driver pod"),
    "vanished": (Evidence(None), "platform", "DCP387", "vanished"),
    # What the log says.
    "class-missing": (
        driver(101, "Error: Failed to load class com.acme.Orders.\n26/11/22 INFO ShutdownHookManager: Shutdown hook called\n"),
        "user",
        "DCP365",
        "main class com.acme.Orders",
    ),
    "result-too-large": (
        driver(
            1,
            thrown(
                "org.apache.spark.SparkException: Job aborted due to stage failure: Total size of serialized results of 12 tasks "
                "(1061.3 MiB) is bigger than spark.driver.maxResultSize (1024.0 MiB)"
            ),
        ),
        "user",
        "DCP392",
        "collects 1061.3 MiB to the driver",
    ),
    "disk-full": (
        driver(1, thrown("java.io.IOException: No space left on device")),
        "resources",
        "DCP378",
        "No space left on device",
    ),
    "s3-denied": (driver(1, thrown(S3_DENIED)), "user", "DCP331", "Access Denied (Service: S3, Status Code: 403"),
    "s3-forbidden": (driver(1, thrown(S3_OLD)), "user", "DCP331", "Forbidden (Service: Amazon S3"),
    "catalog-unauthorized": (
        driver(1, thrown("org.apache.iceberg.exceptions.NotAuthorizedException: Not authorized: invalid_token: expired")),
        "user",
        "DCP331",
        "Not authorized",
    ),
    "catalog-forbidden": (
        driver(1, thrown("org.apache.iceberg.exceptions.ForbiddenException: Forbidden: no right to db.orders")),
        "user",
        "DCP331",
        "no right to db.orders",
    ),
    "catalog-down": (
        driver(
            1,
            thrown(
                "org.apache.iceberg.exceptions.RESTException: Error occurred\nCaused by: java.net.UnknownHostException: catalog"
            ),
        ),
        "platform",
        "DCP336",
        "catalog",
    ),
    "conflict": (
        driver(1, thrown("org.apache.iceberg.exceptions.CommitFailedException: Requirement failed: branch main has changed")),
        "platform",
        "DCP335",
        "branch main has changed",
    ),
    "crash": (
        driver(1, thrown("java.lang.NullPointerException: x")),
        "platform",
        "DCP350",
        "(exit code 1): NullPointerException: x",
    ),
    "crash-without-traceback": (driver(1, "Traceback\nValueError: odd\n"), "platform", "DCP350", "(exit code 1): ValueError: odd"),
    "silent-crash": (driver(134, "no useful word\n"), "platform", "DCP353", "SIGABRT"),
    "heap-exit": (driver(52), "resources", "DCP340", "heap memory (exit code 52)"),
    "killed": (driver(137), "resources", "DCP360", "signal 9"),
    "no-result": (driver(0), "platform", "DCP358", "without a result line"),
    "unexplained": (Evidence(application("FAILED", "the moon was full")), "platform", "DCP350", "the moon was full"),
    # What the driver reports of itself.
    "reported": (
        driver(20, result("DCP321", "transformation `daily`: no column x")),
        "user",
        "DCP321",
        "transformation `daily`: no column x",
    ),
    "reported-by-termination-message": (
        Evidence(application(), (pod(state=ended(20, "Error", result("DCP327", "keys are not unique").strip())),)),
        "user",
        "DCP327",
        "keys are not unique",
    ),
    "reported-vaguely": (driver(1, result("DCP349", "sink `out`: NullPointerException: x")), "platform", "DCP349", "sink `out`"),
    "reported-consequence": (
        driver(
            1,
            result("DCP342", "Answer from Java side is empty"),
            "Error",
            pod("executor", state=ended(143, "OOMKilled"), limit="2Gi"),
        ),
        "resources",
        "DCP362",
        "limit of 2Gi",
    ),
    # What happened to executors.
    "executor-heap": (
        driver(1, thrown(HEAP_OF_EXECUTOR)),
        "resources",
        "DCP361",
        "executor 2 ran out of heap memory: Java heap space",
    ),
    "executor-heap-exit": (
        driver(1, lost("Command exited with code 52")),
        "resources",
        "DCP361",
        "executor 3 ran out of heap memory",
    ),
    "executor-heap-by-pod": (driver(1, "", "Error", pod("executor", state=ended(52))), "resources", "DCP361", "exit code 52"),
    "executor-disk": (
        driver(1, "", "Error", pod("executor", reason="Evicted", message=EVICTED_FOR_DISK)),
        "resources",
        "DCP378",
        "an executor was evicted for filling its local disk",
    ),
    "executor-spot": (
        driver(
            1,
            "",
            "Error",
            pod("executor", reason="Terminated", message="Pod was terminated in response to imminent node shutdown."),
        ),
        "platform",
        "DCP363",
        "imminent node shutdown",
    ),
    "executor-no-room": (
        unschedulable("0/3 nodes are available: 3 Insufficient cpu.", "executor"),
        "resources",
        "DCP368",
        "an executor",
    ),
    "executor-image": (
        driver(1, "", "Error", pod("executor", state={"waiting": {"reason": "ErrImagePull", "message": "429 Too Many Requests"}})),
        "platform",
        "DCP366",
        "429 Too Many Requests",
    ),
    "executor-quota": (
        driver(1, f"26/11/22 WARN X: Message: {QUOTA}\n"),
        "resources",
        "DCP372",
        "quota does not allow the executors",
    ),
    "executor-rights": (driver(1, f"26/11/22 WARN X: Message: {ROLE}\n"), "platform", "DCP373", "the driver gets no executors"),
    "executors-lost": (driver(1, lost("Container from a bad node")), "platform", "DCP363", "Container from a bad node"),
    "executors-failing": (
        driver(11, "26/11/22 ERROR ExecutorPodsAllocator: Max number of executor failures (6) reached\n"),
        "platform",
        "DCP363",
        "until the job gave up",
    ),
}
