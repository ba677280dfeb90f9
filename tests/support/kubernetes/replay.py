"""Replays a recorded trace for an application: its statuses, its pods with their statuses, its events and its driver's log."""

from __future__ import annotations

import datetime as dt
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from tests.support.kubernetes import statuses
from tests.support.kubernetes.client import RigClient, checked
from tests.support.kubernetes.kubelet import DRIVER_CONTAINER, EXECUTOR_CONTAINER, FakeKubelet
from tests.support.kubernetes.pods import REPLAYED
from tests.support.kubernetes.reconciler import Operator

TRACES = Path(__file__).resolve().parent / "traces"
MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:Z|\+00:00)")
#: What the recorded objects have and only a real cluster may set.
FOREIGN_STATUS = ("allocatedResources", "resources", "observedGeneration", "qosClass")


@cache
def read_trace(name: str) -> list[dict[str, Any]]:
    """Return the records of a trace, in time order."""
    return [json.loads(line) for line in (TRACES / f"{name}.jsonl").read_text().splitlines()]


def states(name: str) -> list[str]:
    """Return the states that the application of a trace goes through, each once."""
    found: list[str] = []
    for record in read_trace(name):
        if record["kind"] == "SparkApplication":
            state = record["object"].get("status", {}).get("applicationState", {}).get("state", "")
            if not found or found[-1] != state:
                found.append(state)
    return found


def renamed(name: str, application: str) -> list[dict[str, Any]]:
    """Return a trace as if it had been recorded now, for an application of this name."""
    records = read_trace(name)
    recorded = next(record["object"]["metadata"]["name"] for record in records if record["kind"] == "SparkApplication")
    text = json.dumps(records).replace(recorded, application)
    moments = sorted(dt.datetime.fromisoformat(found[1]) for found in MOMENT.finditer(text))
    shift = dt.datetime.now(dt.UTC).replace(tzinfo=None, microsecond=0) - moments[0]

    def later(found: re.Match[str]) -> str:
        return f"{(dt.datetime.fromisoformat(found[1]) + shift).isoformat()}Z"

    moved: list[dict[str, Any]] = json.loads(MOMENT.sub(later, text))
    return moved


class Replay:
    """One application's replay; it ends where the trace ends, and its pods stay until somebody deletes them."""

    def __init__(
        self, client: RigClient, operator: Operator, kubelet: FakeKubelet, application: dict[str, Any], trace: str
    ) -> None:
        self._client = client
        self._operator = operator
        self._kubelet = kubelet
        self._application = application
        self._meta = application["metadata"]
        self._base = f"/api/v1/namespaces/{self._meta['namespace']}"
        self._records = renamed(trace, self._meta["name"])
        #: The pods as they were created, and when the recorded ones were, by name.
        self._made: dict[str, dict[str, Any]] = {}
        self._recorded: dict[str, str] = {}
        self._logged: set[str] = set()
        self._log = ""

    async def run(self) -> None:
        """Replay every record. What happens to the driver comes first to its log, which the recording has last."""
        for record in self._records:
            if record["kind"] == "driver log tail" and record["object"]:
                self._log = record["object"]
        for record in self._records:
            match record["kind"], record.get("type"):
                case "SparkApplication", "MODIFIED":
                    await self._operator.turn()
                    if not await self._write_status(record["object"]["status"]):
                        return
                case "SparkApplication", "DELETED":
                    await self._client.ask("DELETE", self._path())
                case "Pod", _:
                    await self._pod(record["object"])
                case "Event", _:
                    await self._event(record["object"])

    def _path(self) -> str:
        return f"/apis/{statuses.API_VERSION}/namespaces/{self._meta['namespace']}/sparkapplications/{self._meta['name']}"

    async def _write_status(self, status: dict[str, Any]) -> bool:
        """Write the whole status, as it was recorded; return whether there is still an application."""
        current = await self._client.get(self._path())
        # In a merge patch null removes what an earlier status had.
        before = (current or {}).get("status", {})
        state = {**dict.fromkeys(before.get("applicationState", {})), **status["applicationState"]}
        body = {"metadata": {"uid": self._meta["uid"]}, "status": {**dict.fromkeys(before), **status, "applicationState": state}}
        answer = await self._client.ask("PATCH", f"{self._path()}/status", body)
        if answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.CONFLICT):
            return False
        checked(answer)
        return True

    async def _pod(self, recorded: dict[str, Any]) -> None:
        """Create the pod the first time, write its status, and delete it where the recording says that it is being deleted."""
        name, created = recorded["metadata"]["name"], recorded["metadata"]["creationTimestamp"]
        pod = self._made.get(name)
        # A retry's driver has the name of the one before.
        if pod is None or self._recorded[name] != created:
            pod = await self._create(recorded)
            self._recorded[name] = created
        status = {key: value for key, value in recorded["status"].items() if key not in FOREIGN_STATUS}
        for container in status.get("containerStatuses", ()):
            for key in ("allocatedResources", "resources", "volumeMounts"):
                container.pop(key, None)
        answer = await self._client.ask("PATCH", f"{self._base}/pods/{name}/status", {"status": status})
        if answer.status_code == httpx.codes.NOT_FOUND:
            return
        checked(answer)
        self._made[name] = pod
        self._write_log(pod, status)
        if recorded["metadata"].get("deletionTimestamp"):
            body = {"gracePeriodSeconds": 0}
            await self._client.ask("DELETE", f"{self._base}/pods/{name}", body)

    def _write_log(self, pod: dict[str, Any], status: dict[str, Any]) -> None:
        """Have the driver's log by the time its container has ended."""
        meta = pod["metadata"]
        ended = any("terminated" in container.get("state", {}) for container in status.get("containerStatuses", ()))
        if ended and self._log and meta["labels"]["spark-role"] == "driver" and meta["uid"] not in self._logged:
            self._logged.add(meta["uid"])
            log = self._kubelet.log(meta["namespace"], meta["name"])
            for line in self._log.splitlines():
                log.write(line)
            log.end()

    async def _create(self, recorded: dict[str, Any]) -> dict[str, Any]:
        meta, status = recorded["metadata"], recorded["status"]
        await self._remove_former(meta["name"])
        driver = meta["labels"]["spark-role"] == "driver"
        image = next((each["image"] for each in status.get("containerStatuses", ())), "spark")
        spec: dict[str, Any] = {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "containers": [{"name": DRIVER_CONTAINER if driver else EXECUTOR_CONTAINER, "image": image}],
        }
        # A pod that no node takes stays without one.
        if status.get("startTime") or status.get("containerStatuses"):
            spec["nodeName"] = self._kubelet.node
        owner = statuses.owner("SparkApplication", statuses.API_VERSION, self._meta["name"], self._meta["uid"])
        body = {
            "metadata": {
                "name": meta["name"],
                "labels": meta["labels"],
                "annotations": {REPLAYED: "true"},
                "ownerReferences": [owner],
            },
            "spec": spec,
        }
        made: dict[str, Any] = checked(await self._client.ask("POST", f"{self._base}/pods", body)).json()
        return made

    async def _remove_former(self, name: str) -> None:
        if name in self._made:
            await self._client.ask("DELETE", f"{self._base}/pods/{name}", {"gracePeriodSeconds": 0})
            self._kubelet.forget(self._meta["namespace"], name)

    async def _event(self, recorded: dict[str, Any]) -> None:
        involved = dict(recorded["involvedObject"], namespace=self._meta["namespace"])
        if involved["kind"] == "SparkApplication":
            involved |= {"uid": self._meta["uid"], "apiVersion": statuses.API_VERSION}
        elif involved["name"] in self._made:
            involved |= {"uid": self._made[involved["name"]]["metadata"]["uid"], "apiVersion": "v1"}
        moment = statuses.now()
        body = {
            "metadata": {"generateName": f"{involved['name']}."},
            "involvedObject": involved,
            "reason": recorded["reason"],
            "message": recorded["message"],
            "type": recorded["type"],
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
        }
        checked(await self._client.ask("POST", f"{self._base}/events", body))
