"""The Role that the documents give is applied as it stands, and suffices for everything that the backend does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from dev.e2e.cluster import DRIVER_RULES

from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.images import Images
from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.runner.backends.kubernetes.access import ClusterAccess
from airflow_dcp_provider.runner.backends.kubernetes.api import MERGE_PATCH, KubernetesApi
from airflow_dcp_provider.runner.backends.kubernetes.driver_files import files_config_map, kept_request
from airflow_dcp_provider.runner.backends.kubernetes.kubeflow import KubeflowBackend
from airflow_dcp_provider.runner.backends.kubernetes.names import WAITED_BY, core_path, files_name
from airflow_dcp_provider.runner.backends.kubernetes.problems import KubernetesProblem
from airflow_dcp_provider.runner.backends.kubernetes.rights import Right, missing_rights, rights
from tests.contract.backends.conftest import KubeflowRig
from tests.support.executions import cancellation, job, request, wait_for, waiter
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


@pytest.fixture
def driver(api: KubernetesApi, api_server: ApiServer, kube_namespace: str) -> Iterator[KubernetesApi]:
    """A client of the service account that drivers run as."""
    path = f"{COLLECTIONS['ServiceAccount'].format(kube_namespace)}/spark/token"
    token = api_server.request("POST", path, {"spec": {"expirationSeconds": 3600}})["status"]["token"]
    with KubernetesApi(ClusterAccess("driver", kube_config=json.dumps(api_server.kube_config(token, kube_namespace)))) as made:
        yield made


EVERYTHING = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
NOT_THE_DRIVERS = (
    Right("", "pods", ("update", "patch")),
    Right("", "pods/exec", ("create", "get")),
    Right("", "pods/log", ("get",)),
    Right("", "pods/ephemeralcontainers", ("update", "patch")),
    Right("", "serviceaccounts/token", ("create",)),
    *(
        Right("", name, EVERYTHING)
        for name in ("configmaps", "secrets", "services", "persistentvolumeclaims", "serviceaccounts", "events", "endpoints")
    ),
    Right("sparkoperator.k8s.io", "sparkapplications", EVERYTHING),
    Right("spark.apache.org", "sparkapplications", EVERYTHING),
    Right("apps", "deployments", EVERYTHING),
    Right("batch", "jobs", EVERYTHING),
    Right("rbac.authorization.k8s.io", "rolebindings", EVERYTHING),
)


def test_the_drivers_account_may_do_what_sparks_driver_does_and_nothing_else(driver: KubernetesApi, kube_namespace: str) -> None:
    needed = Right("", "pods", ("create", "get", "list", "watch", "delete", "deletecollection"))
    assert missing_rights(driver, kube_namespace, [needed]) == ()
    assert missing_rights(driver, kube_namespace, NOT_THE_DRIVERS) == NOT_THE_DRIVERS


def test_no_job_can_change_what_another_ones_driver_runs(api: KubernetesApi, driver: KubernetesApi, kube_namespace: str) -> None:
    backend = KubeflowBackend(Environment("local", "kubeflow", images=Images(rules={"default": "spark:3.5.9"})), lambda _: api)
    victim = request("victim")
    victim = replace(victim, ref=replace(victim.ref, namespace=kube_namespace, cluster="tests"))
    backend.create(victim)
    path = core_path(kube_namespace, "configmaps", files_name(victim.ref))
    before = api.request("GET", path)
    body = {"data": {"main.py": "print('mine')"}}
    with pytest.raises(KubernetesProblem) as refused:
        driver.request("PATCH", path, body=body, content_type=MERGE_PATCH)
    assert refused.value.status == 403
    # Nor can whoever has Airflow's rights: the files do not change, while a claim on them does.
    with pytest.raises(KubernetesProblem, match="immutable") as refused:
        api.request("PATCH", path, body=body, content_type=MERGE_PATCH)
    assert refused.value.status == 422
    assert backend.claim(victim.ref, 1).waited_by == 1
    after = api.request("GET", path)
    assert (after["data"], after["binaryData"]) == (before["data"], before["binaryData"])


def test_files_of_another_request_are_replaced_with_their_claim(api: KubernetesApi, kube_namespace: str) -> None:
    backend = KubeflowBackend(Environment("local", "kubeflow", images=Images(rules={"default": "spark:3.5.9"})), lambda _: api)
    asked = request("replaced")
    asked = replace(asked, ref=replace(asked.ref, namespace=kube_namespace, cluster="tests"))
    backend.create(asked)
    path = core_path(kube_namespace, "configmaps", files_name(asked.ref))
    api.request("DELETE", path)
    stray = replace(asked, ds="1999-12-31")
    api.request("POST", core_path(kube_namespace, "configmaps"), body=files_config_map(stray, {WAITED_BY: "1"}))
    backend.create(asked)
    found = api.request("GET", path)
    assert kept_request(found) == asked
    assert found["metadata"]["annotations"] == {WAITED_BY: "1"}
    assert found["metadata"]["ownerReferences"][0]["name"] == asked.ref.name


def test_the_role_is_what_the_check_asks_for() -> None:
    assert find("Role", "spark-runner")["rules"] == [right.rule() for right in rights()]


def test_the_drivers_role_is_the_one_that_the_end_to_end_run_makes() -> None:
    assert find("Role", "spark-driver")["rules"] == DRIVER_RULES
