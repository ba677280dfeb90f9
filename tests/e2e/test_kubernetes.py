"""`make e2e` itself, and with it the way from Airflow to a cluster: a real Airflow and a real API server, the operator simulated."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from dev.airflow_api import wait_until
from dev.e2e import deployment
from dev.e2e.__main__ import name_of, prepared, wait_for_dags
from dev.e2e.dags import Queries
from dev.e2e.options import Options
from dev.e2e.steps import STEPS, NotRunError, Run

from airflow_dcp_provider.runner.backends.kubernetes.names import applications_path, core_path
from tests.support.kubernetes.api_server import ApiServer
from tests.support.kubernetes.kubelet import FakeKubelet

pytestmark = [pytest.mark.airflow, pytest.mark.kubernetes]

#: Orders for the simulated drivers in the place of real SQL.
QUERIES = Queries(
    good=json.dumps({"lines": ["the driver works"]}),
    # Manifests are checked when they are read: theirs are real SQL with orders in a comment.
    wrong=f"SELECT 1 AS id /* {json.dumps({'exit': 20, 'message': 'there is no_such_column'})} */",
    hungry=json.dumps({"exit": 137, "no_result": True}),
    endless=json.dumps({"hold": True}),
)


@pytest.fixture(scope="module")
def run(api_server: ApiServer, fake_kubelet: FakeKubelet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    from tests.support.kubernetes.operator import OperatorSimulator

    home = tmp_path_factory.mktemp("e2e-kubernetes")
    kubeconfig = home / "kubeconfig"
    kubeconfig.write_text(json.dumps(api_server.kube_config()))
    options = Options.read(
        {"KUBECONFIG": str(kubeconfig), "NAMESPACE": "e2e-one", "NAMESPACE_2": "e2e-two", "IMAGE": "spark:3.5.9"}
    )
    simulator = OperatorSimulator(api_server, fake_kubelet)
    simulator.start()
    made = prepared(options, home / "run", QUERIES)
    try:
        assert deployment.check(made.airflow, options) == []
        made.airflow.start()
        made.airflow.wait_healthy()
        wait_for_dags(made)
        yield made
    finally:
        made.airflow.stop()
        assert made.cluster.clean() == []
        # Nothing of the run is left, and nothing is under way when the operator ends.
        wait_until(lambda: not left_over(api_server, made.options), "everything to be gone", 60)
        made.cluster.close()
        simulator.stop()
    assert simulator.overlaps() == []


def left_over(api_server: ApiServer, options: Options) -> list[str]:
    """What is still in the run's namespaces, which the run has made and has deleted; no controller empties them here."""
    found = []
    for namespace in options.namespaces:
        for collection in (applications_path(namespace), *(core_path(namespace, each) for each in ("pods", "configmaps"))):
            found += [each["metadata"]["name"] for each in api_server.request("GET", collection)["items"]]
    return found


@pytest.mark.parametrize("step", STEPS, ids=name_of)
def test_the_step_passes(run: Run, step: Callable[[Run], None]) -> None:
    if step.__name__ == "a_table_is_written":
        with pytest.raises(NotRunError, match="CATALOG"):
            step(run)
    else:
        step(run)
