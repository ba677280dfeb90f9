"""One namespace of a real API server with a simulated operator, and processes that act in it and die when they are told."""

from __future__ import annotations

import multiprocessing
import signal
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_dcp_provider.model.execution import AttemptRef, AttemptRequest
from airflow_dcp_provider.runner.backends.kubernetes.kubeflow import KubeflowBackend
from tests.crash.kubernetes.actor import act, backend_on
from tests.support.executions import request, wait_for
from tests.support.kubernetes.api_server import ApiServer
from tests.support.kubernetes.operator import OperatorSimulator

#: Processes are forked from one that has imported everything: what is to be killed is real, its start costs nothing.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.crash.kubernetes.actor"])


@dataclass
class Scene:
    server: ApiServer
    simulator: OperatorSimulator
    namespace: str
    kube_config: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.kube_config = self.kube_config or self.server.kube_config()
        #: For looking again and again.
        self.observer = self.backend()

    def backend(self, **options: Any) -> KubeflowBackend:
        return backend_on(self.kube_config, **options)

    def request(self, key: str, *args: Any, **kwargs: Any) -> AttemptRequest:
        made = request(key, *args, **kwargs)
        return replace(made, ref=replace(made.ref, cluster="tests", namespace=self.namespace))

    def act(self, what: str, asked: AttemptRequest, kill_at: int = 0, when: str = "before") -> Any:
        """Start a process that does ``what``; it kills itself before or after its request number ``kill_at`` (0: never)."""
        order = {"what": what, "request": asked.to_dict(), "kill_at": kill_at, "when": when, "kube_config": self.kube_config}
        process = _PROCESSES.Process(target=act, args=(order,))
        process.start()
        return process

    def killed(self, what: str, asked: AttemptRequest, kill_at: int, when: str) -> bool:
        """Let a process die on its way; whether it did, and did not come to its end before."""
        process = self.act(what, asked, kill_at, when)
        process.join(120)
        assert process.exitcode in {0, -signal.SIGKILL}
        return process.exitcode != 0

    def starts(self, asked: AttemptRequest) -> list[int]:
        """The attempts of the execution whose drivers have started, one entry for each start."""
        return [start.attempt for start in self.simulator.starts if start.execution_id == asked.ref.execution_id]

    def ended(self, asked: AttemptRequest) -> Any:
        backend = self.observer
        return wait_for(lambda: (now := backend.get(asked.ref)) and now.state.is_terminal and now, f"the end of {asked.ref.name}")

    def gone(self, ref: AttemptRef) -> None:
        wait_for(lambda: self.observer.is_gone(ref), f"{ref.name} to be gone")

    def things(self, asked: AttemptRequest) -> dict[str, list[dict[str, Any]]]:
        """Everything that the namespace holds of the execution, by plural."""
        label = f"labelSelector=spark-runner/execution-id={asked.ref.execution_id}"
        operator = f"/apis/sparkoperator.k8s.io/v1beta2/namespaces/{self.namespace}/sparkapplications"
        core = f"/api/v1/namespaces/{self.namespace}"
        return {
            "sparkapplications": self.server.request("GET", f"{operator}?{label}")["items"],
            "configmaps": self.server.request("GET", f"{core}/configmaps?{label}")["items"],
            "pods": self.server.request("GET", f"{core}/pods?{label}")["items"],
        }

    def assert_nothing_is_orphaned(self, asked: AttemptRequest) -> None:
        """Whatever there is belongs to an application, or says that one was cancelled."""
        found = self.things(asked)
        uids = {each["metadata"]["uid"] for each in found["sparkapplications"]}
        for each in [
            *found["configmaps"],
            *(pod for pod in found["pods"] if pod["metadata"]["labels"].get("spark-role") == "driver"),
        ]:
            if each["metadata"]["labels"].get("spark-runner/kind") == "cancelled":
                continue
            owners = {owner["uid"] for owner in each["metadata"].get("ownerReferences", ())}
            assert owners & uids, f"{each['metadata']['name']} belongs to nobody"
