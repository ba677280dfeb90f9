"""The Apache Spark operator's part: states, history and driver pods as its sources describe them; the rest is the other simulator's."""

from __future__ import annotations

import uuid
from typing import Any

import httpx

from tests.support.kubernetes import statuses
from tests.support.kubernetes.client import checked
from tests.support.kubernetes.kubelet import DRIVER_CONTAINER
from tests.support.kubernetes.operator import OperatorSimulator
from tests.support.kubernetes.pods import Run, pod_path
from tests.support.kubernetes.reconciler import ApplicationGoneError, Reconciler

API_VERSION = "spark.apache.org/v1"

REQUESTED = "Requested driver from resource scheduler."
COMPLETED = "Spark application completed successfully."
FAILED = "Driver has one or more failed critical container(s), refer last observed status for details."
REMOVED = (
    "Driver removed. This could caused by 'exit' called in driver process with non-zero code, involuntary disruptions or "
    "unintentional destroy behavior, check Kubernetes events for more details."
)


class ApacheReconciler(Reconciler):
    """One application from ``Submitted`` to its end; restarts are never asked for."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._path = f"/apis/{API_VERSION}/namespaces/{self._meta['namespace']}/sparkapplications/{self._meta['name']}"
        self._history: dict[str, dict[str, Any]] = {}

    async def run(self) -> None:
        """Request the driver, follow it to its end, and give back what is not to be kept."""
        try:
            await self._enter("Submitted", "Spark application has been created on Kubernetes Cluster.")
            await self._operator.turn()
            await self._attempt({})
        except ApplicationGoneError:
            return

    async def _attempt(self, retries: dict[str, Any]) -> bool:
        pod, refusal = await self._request_driver()
        if pod is None:
            await self._enter("SchedulingFailure", refusal)
            await self._enter("ResourceReleased", "Released")
            return False
        await self._enter("DriverRequested", REQUESTED)
        run = self._pods.run_of(pod["metadata"]["uid"])
        await run.started.wait()
        if run.code is not None or not run.ended.is_set():
            for state in ("DriverStarted", "DriverReady", "RunningHealthy"):
                await self._operator.turn()
                await self._enter(state, state)
        await run.ended.wait()
        await self._operator.turn()
        await self._end(run, pod)
        return False

    async def _request_driver(self) -> tuple[dict[str, Any] | None, str]:
        path = f"/api/v1/namespaces/{self._meta['namespace']}/pods"
        answer = await self._client.ask("POST", path, self._driver_pod())
        if answer.is_error:
            return None, f"Failed to request driver: {answer.json()['message']}"
        made: dict[str, Any] = answer.json()
        return made, ""

    def _driver_pod(self) -> dict[str, Any]:
        spec, name = self._application["spec"], self._meta["name"]
        template, conf = spec["driverSpec"]["podTemplateSpec"], spec["sparkConf"]
        labels = {
            **template["metadata"]["labels"],
            "spark-role": "driver",
            "spark-app-selector": f"spark-{uuid.uuid4().hex}",
            statuses.APACHE_APP_NAME: name,
        }
        own, *sidecars = template["spec"]["containers"]
        # Spark names its own container whatever the template says; a template without an image gets the application's.
        container = {"name": own.get("name", DRIVER_CONTAINER), "image": conf["spark.kubernetes.container.image"]}
        return {
            "metadata": {
                "name": conf.get("spark.kubernetes.driver.pod.name", f"{name}-0-driver"),
                "labels": labels,
                "ownerReferences": [statuses.owner("SparkApplication", API_VERSION, name, self._meta["uid"])],
            },
            "spec": {
                "nodeName": self._node,
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "containers": [container, *sidecars],
                "volumes": template["spec"].get("volumes", []),
            },
        }

    async def _end(self, run: Run, pod: dict[str, Any]) -> None:
        seen = await self._client.get(pod_path(pod)) or {}
        if run.code == 0:
            await self._enter("Succeeded", COMPLETED)
        else:
            message = REMOVED if run.code is None else FAILED
            await self._enter("Failed", message, lastObservedDriverStatus=seen.get("status"))
        await self._operator.turn()
        policy = self._application["spec"].get("applicationTolerations", {}).get("resourceRetainPolicy", "Never")
        if policy == "Always" or (policy == "OnFailure" and run.code != 0):
            await self._enter("TerminatedWithoutReleaseResources", "Application is terminated without releasing resources.")
            return
        await self._client.ask("DELETE", pod_path(pod))
        while await self._client.get(pod_path(pod)):
            await self._operator.turn()
        await self._enter("ResourceReleased", "Application resources are released.")

    async def _enter(self, state: str, message: str, **seen: Any) -> None:
        """Write a state and add it to the history.

        :raises ApplicationGoneError: when the application is no more, or another one has its name.
        """
        entry = {"currentStateSummary": state, "lastTransitionTime": statuses.now(), "message": message, **seen}
        self._history[str(len(self._history))] = entry
        summary = {"attemptInfo": {"id": 0, "restartCounter": 0}}
        status = {"currentState": entry, "stateTransitionHistory": self._history, "currentAttemptSummary": summary}
        answer = await self._client.ask("PATCH", f"{self._path}/status", {"metadata": {"uid": self._meta["uid"]}, "status": status})
        if answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.CONFLICT):
            raise ApplicationGoneError
        checked(answer)


class ApacheOperatorSimulator(OperatorSimulator):
    """Drives the applications of ``spark.apache.org/v1``. Recorded traces are the other operator's and are not replayed."""

    applications = f"/apis/{API_VERSION}"
    reconciler = ApacheReconciler

    async def _ordered_trace(self, application: dict[str, Any]) -> str:
        return ""
