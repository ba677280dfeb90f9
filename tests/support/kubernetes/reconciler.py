"""Drives one SparkApplication as the Kubeflow operator 2.5.2 does, state by state, in the order that the traces show."""

from __future__ import annotations

import asyncio
import random
import uuid
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.support.kubernetes import statuses
from tests.support.kubernetes.client import RigClient, checked
from tests.support.kubernetes.pods import PodRunner, Run, pod_path

#: Seconds between the operator's last two writes, as the traces have them.
AT_ONCE = 0.014


class ApplicationGoneError(Exception):
    """The application was deleted while the operator worked on it."""


@dataclass
class Operator:
    """What every application's reconciler shares: whether the operator is up, and the mishaps that a test has ordered."""

    step: float
    running: asyncio.Event = field(default_factory=asyncio.Event)
    #: Names of applications whose next status write gets lost (all when it holds ``""``).
    losing: set[str] = field(default_factory=set)

    async def turn(self) -> None:
        """Take the time of one step; while the operator is down, wait until it is up again."""
        await asyncio.sleep(self.step)
        await self.running.wait()

    async def at_once(self) -> None:
        """Take the moment between two writes of one pass: on a real cluster COMPLETED follows SUCCEEDING after 14 ms."""
        await asyncio.sleep(min(self.step, AT_ONCE))
        await self.running.wait()

    def loses(self, name: str) -> bool:
        for order in (name, ""):
            if order in self.losing:
                self.losing.remove(order)
                return True
        return False


class Reconciler:
    """One application from ``""`` to its end.

    :param node: the Node that its pods are bound to.
    """

    def __init__(self, client: RigClient, operator: Operator, pods: PodRunner, node: str, application: dict[str, Any]) -> None:
        self._client = client
        self._operator = operator
        self._pods = pods
        self._node = node
        self._application = application
        self._meta = application["metadata"]
        self._path = f"/apis/{statuses.API_VERSION}/namespaces/{self._meta['namespace']}/sparkapplications/{self._meta['name']}"
        self._status: dict[str, Any] = {"submissionAttempts": 0, "driverInfo": {}}

    async def run(self) -> None:
        """Submit until nothing more is to be tried, then wait for the time to live and delete."""
        retries = self._application["spec"].get("restartPolicy", {})
        try:
            while await self._attempt(retries):
                pass
            if alive := self._application["spec"].get("timeToLiveSeconds"):
                await asyncio.sleep(float(alive))
                await self._operator.running.wait()
                await self._client.ask("DELETE", self._path, {"preconditions": {"uid": self._meta["uid"]}})
        except ApplicationGoneError:
            return

    async def _attempt(self, retries: dict[str, Any]) -> bool:
        """Submit once and follow the driver to its end; return whether to submit again."""
        await self._operator.turn()
        pod = await self._submit()
        if pod is None:
            return False
        run = self._pods.run_of(pod["metadata"]["uid"])
        await run.started.wait()
        # A driver that ends at once may never be seen running.
        if run.code is not None or not run.ended.is_set():
            await self._operator.turn()
            await self._write("RUNNING")
        await run.ended.wait()
        await self._operator.turn()
        return await self._finish(run, pod, retries)

    async def _submit(self) -> dict[str, Any] | None:
        """Run spark-submit: create the driver's pod. Return it, or None when that failed for good."""
        submission, spark_id = str(uuid.uuid4()), f"spark-{uuid.uuid4().hex}"
        attempts = self._status["submissionAttempts"] + 1
        self._status.update(submissionID=submission, submissionAttempts=attempts, lastSubmissionAttemptTime=statuses.now())
        seen = await self._seen()
        pod, refusal = await self._create_pod(submission, spark_id)
        # spark-submit takes its time: here two steps, on a cluster some seconds.
        await self._operator.turn()
        if pod is not None and (self._operator.loses(self._meta["name"]) or await self._seen() != seen):
            # Its write is lost, or refused because somebody has written to the application meanwhile: the operator sees "" again,
            # submits again, and meets its own driver (2.5.2: reconcileNewSparkApplication, within RetryOnConflict).
            pod, refusal = None, statuses.POD_EXISTS
        if pod is None:
            await self._write("SUBMISSION_FAILED", refusal)
            await self._operator.turn()
            await self._write("FAILED", refusal, terminationTime=statuses.now())
            return None
        name = pod["metadata"]["name"]
        executions = self._status.get("executionAttempts", 0) + 1
        await self._write("SUBMITTED", executionAttempts=executions, driverInfo={"podName": name})
        address = f"10.96.{random.randrange(256)}.{random.randrange(1, 255)}:4040"
        service = f"{self._meta['name']}-ui-svc"
        user_interface = {"podName": name, "webUIAddress": address, "webUIPort": 4040, "webUIServiceName": service}
        await self._write("SUBMITTED", sparkApplicationId=spark_id, driverInfo=user_interface)
        return pod

    async def _seen(self) -> str:
        """Return the application's version.

        :raises ApplicationGoneError: when it is no more, or another one has its name.
        """
        application = await self._client.get(self._path)
        if application is None or application["metadata"]["uid"] != self._meta["uid"]:
            raise ApplicationGoneError
        version: str = application["metadata"]["resourceVersion"]
        return version

    async def _create_pod(self, submission: str, spark_id: str) -> tuple[dict[str, Any] | None, str]:
        """Return the created pod, or what spark-submit says instead."""
        wanted = statuses.driver_pod(self._application, submission, spark_id, self._node)
        path = f"/api/v1/namespaces/{self._meta['namespace']}/pods"
        answer = await self._client.ask("POST", path, wanted)
        if answer.status_code == httpx.codes.CONFLICT:
            there = await self._client.get(f"{path}/{wanted['metadata']['name']}")
            # An answer that was lost on its way made the request come twice.
            if there and there["metadata"]["labels"].get(statuses.SUBMISSION_ID) == submission:
                return there, ""
            return None, statuses.POD_EXISTS
        if answer.is_error:
            return None, f"failed to submit spark application: failed to run spark-submit: {answer.json()['message']}"
        made: dict[str, Any] = answer.json()
        return made, ""

    async def _finish(self, run: Run, pod: dict[str, Any], retries: dict[str, Any]) -> bool:
        """Write how it ended; return whether to submit again."""
        ended = statuses.now()
        if run.code == 0:
            await self._write("SUCCEEDING", terminationTime=ended)
            await self._operator.at_once()
            await self._write("COMPLETED")
            return False
        message = statuses.failure_message(run.code, run.reason)
        await self._write("FAILING", message, terminationTime=ended)
        await self._operator.at_once()
        left = retries.get("onFailureRetries", 0) - self._status["executionAttempts"] + 1
        if retries.get("type") != "OnFailure" or left <= 0:
            await self._write("FAILED", message)
            return False
        await self._write("PENDING_RERUN", terminationTime=None)
        await self._client.ask("DELETE", pod_path(pod))
        while await self._client.get(pod_path(pod)):
            await self._operator.turn()
        await asyncio.sleep(float(retries.get("onFailureRetryInterval", 0)) * self._status["executionAttempts"])
        return True

    async def _write(self, state: str, message: str = "", **changes: Any) -> None:
        """Write the status.

        :raises ApplicationGoneError: when the application is no more, or another one has its name.
        """
        self._status.update(changes)
        # In a merge patch null removes a field.
        status = {**self._status, "applicationState": {"state": state, "errorMessage": message or None}}
        answer = await self._client.ask("PATCH", f"{self._path}/status", {"metadata": {"uid": self._meta["uid"]}, "status": status})
        if answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.CONFLICT):
            raise ApplicationGoneError
        checked(answer)
