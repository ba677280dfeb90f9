"""What the processes do that are killed. This module starts no thread and keeps nothing open, so that it can be forked from."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.execution import AttemptRequest, Execution
from airflow_dcp_provider.model.images import Images
from airflow_dcp_provider.model.job import JobSpec
from airflow_dcp_provider.runner.backends.kubernetes.access import ClusterAccess
from airflow_dcp_provider.runner.backends.kubernetes.api import KubernetesApi
from airflow_dcp_provider.runner.backends.kubernetes.kubeflow import KubeflowBackend
from airflow_dcp_provider.runner.runner import SparkRunner
from tests.support.executions import cancellation, waiter

ENVIRONMENT = Environment("local", "kubeflow", images=Images(rules={"default": "spark:3.5.5"}))


class DyingApi(KubernetesApi):
    """Dies with its whole process before, or right after, a request is carried out."""

    def __init__(self, access: ClusterAccess, kill_at: int, when: str) -> None:
        super().__init__(access)
        self._left = kill_at
        self._when = when

    def _once(self, *arguments: Any) -> Any:
        self._left -= 1
        if self._left == 0 and self._when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return super()._once(*arguments)
        finally:
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def backend_on(kube_config: dict[str, Any], **options: Any) -> KubeflowBackend:
    """A backend that shares nothing with another one."""
    api = KubernetesApi(ClusterAccess("tests", kube_config=json.dumps(kube_config)), **options)
    return KubeflowBackend(ENVIRONMENT, lambda _: api)


def act(order: dict[str, Any]) -> None:
    """Create, cancel or advance as ordered."""
    access = ClusterAccess("tests", kube_config=json.dumps(order["kube_config"]))
    api = DyingApi(access, order["kill_at"], order["when"])
    backend = KubeflowBackend(ENVIRONMENT, lambda _: api)
    request = AttemptRequest.from_dict(order["request"])
    match order["what"]:
        case "create":
            backend.create(request)
        case "cancel":
            backend.cancel(request.ref, cancellation(waiter(1)))
        case "advance":
            runner = SparkRunner(backend, memory_limit=2**40)
            runner.advance(Execution(request), waiter(1), lambda: (JobSpec.from_dict(request.job), request.fingerprint))
