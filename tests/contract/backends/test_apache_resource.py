"""The API server takes the Apache operator's resource with everything that an environment can ask for, strictly validated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from airflow_dcp_provider.model.images import Images
from airflow_dcp_provider.model.job import CoreEtlSpec
from airflow_dcp_provider.runner.backends.kubernetes.access import ClusterAccess
from airflow_dcp_provider.runner.backends.kubernetes.apache import ApacheBackend
from airflow_dcp_provider.runner.backends.kubernetes.api import KubernetesApi
from airflow_dcp_provider.runner.backends.kubernetes.problems import KubernetesProblem
from tests.support.executions import job, request
from tests.support.kubernetes.api_server import CRDS
from tests.unit.runner.kubernetes.test_apache import WHOLE

pytestmark = pytest.mark.kubernetes


@pytest.fixture
def api(api_server: Any) -> Iterator[KubernetesApi]:
    api_server.install(CRDS["apache-sparkapplications-v1"])
    with KubernetesApi(ClusterAccess("tests", kube_config=json.dumps(api_server.kube_config()))) as made:
        yield made


@pytest.mark.parametrize("etl", [CoreEtlSpec(), CoreEtlSpec(main_class="com.acme.Main", arguments=("--all",))])
def test_the_whole_resource_is_taken_as_it_is(api, kube_namespace, etl):
    asked = request(spec=replace(job(), core_etl=etl))
    asked = replace(asked, ref=replace(asked.ref, cluster="tests", namespace=kube_namespace))
    backend = ApacheBackend(replace(WHOLE, images=Images(rules={"default": "spark:3.5.5"})), lambda _: api)
    kept = backend.dry_run(asked)
    # What the schema does not know would be missing, what it has a default for is added.
    wanted = backend.render(asked)["spec"]
    assert {key: kept["spec"][key] for key in wanted if key != "applicationTolerations"} == {
        key: value for key, value in wanted.items() if key != "applicationTolerations"
    }
    assert (
        kept["spec"]["applicationTolerations"].items() >= {"resourceRetainPolicy": "Always", "ttlAfterStopMillis": 600_000}.items()
    )
    assert backend.get(asked.ref) is None


def test_a_field_that_the_operator_does_not_know_is_refused(api, kube_namespace):
    asked = request()
    asked = replace(asked, ref=replace(asked.ref, cluster="tests", namespace=kube_namespace))
    backend = ApacheBackend(replace(WHOLE, images=Images(rules={"default": "spark:3.5.5"})), lambda _: api)
    wrong = backend.render(asked)
    wrong["spec"]["restartPolicy"] = {"type": "Never"}
    with pytest.raises(KubernetesProblem, match="restartPolicy"):
        api.request("POST", backend.applications_path(kube_namespace), params={"dryRun": "All"}, body=wrong)
