"""The Role that the documents give is applied as it stands, and suffices for everything that the backend does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dev.e2e.cluster import DRIVER_RULES

from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.images import Images
from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.runner.backends.kubernetes.access import ClusterAccess
from airflow_dcp_provider.runner.backends.kubernetes.api import KubernetesApi
from airflow_dcp_provider.runner.backends.kubernetes.kubeflow import KubeflowBackend
from airflow_dcp_provider.runner.backends.kubernetes.rights import missing_rights, rights
from tests.contract.backends.conftest import KubeflowRig
from tests.support.executions import cancellation, job, wait_for, waiter
from tests.support.kubernetes.api_server import ApiServer
from tests.support.kubernetes.operator import OperatorSimulator

pytestmark = pytest.mark.kubernetes

FILE = Path(__file__).resolve().parents[3] / "deploy" / "kubernetes" / "role.yaml"
DOCUMENTS = list(yaml.safe_load_all(FILE.read_text()))
COLLECTIONS = {
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
}


def find(kind: str, name: str) -> dict[str, Any]:
    (found,) = [each for each in DOCUMENTS if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


@pytest.fixture
def api(api_server: ApiServer, kube_namespace: str) -> Iterator[KubernetesApi]:
    """A client whose user has what the file gives to Airflow's service account, and nothing else."""
    airflow = api_server.namespace()
    for document in DOCUMENTS:
        for subject in document.get("subjects", ()):
            if subject["name"] == "airflow":
                subject["namespace"] = airflow
        api_server.request("POST", COLLECTIONS[document["kind"]].format(kube_namespace), document)
    token = api_server.service_account(airflow, "airflow")
    config = json.dumps(api_server.kube_config(token, kube_namespace))
    with KubernetesApi(ClusterAccess("tests", kube_config=config)) as made:
        yield made


def test_the_role_suffices_for_a_whole_life(
    api: KubernetesApi, operator_simulator: OperatorSimulator, api_server: ApiServer, kube_namespace: str
) -> None:
    backend = KubeflowBackend(Environment("local", "kubeflow", images=Images(rules={"default": "spark:3.5.9"})), lambda _: api)
    rig = KubeflowRig(api_server, operator_simulator, kube_namespace)
    assert missing_rights(api, kube_namespace, rights()) == ()

    failing = rig.request("failing", spec=job(exit=1, no_result=True, lines=["the end is near"]))
    assert backend.dry_run(failing)["kind"] == "SparkApplication"
    backend.create(failing)
    assert backend.claim(failing.ref, 1).waited_by == 1
    wait_for(lambda: backend.get(failing.ref).state is ExecutionState.FAILED, "the failure")  # type: ignore[union-attr]
    attempt = backend.latest(failing.ref)
    assert attempt is not None
    assert attempt.failure is not None
    assert "the end is near" in backend.read_log(failing.ref)[0]

    held = rig.request("held", spec=job(hold=True))
    backend.create(held)
    wait_for(lambda: backend.get(held.ref).state is ExecutionState.RUNNING, "the driver to run")  # type: ignore[union-attr]
    backend.cancel(held.ref, cancellation(waiter()))
    wait_for(lambda: backend.is_gone(held.ref), "the end")
    assert backend.get(held.ref).state is ExecutionState.CANCELLED  # type: ignore[union-attr]


def test_the_role_is_what_the_check_asks_for() -> None:
    assert find("Role", "spark-runner")["rules"] == [right.rule() for right in rights()]


def test_the_drivers_role_is_the_one_that_the_end_to_end_run_makes() -> None:
    assert find("Role", "spark-driver")["rules"] == DRIVER_RULES
