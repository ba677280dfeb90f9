"""`make e2e` itself, and with it the way from Airflow to a cluster: a real Airflow and a real API server, the operator simulated."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from tests.support.kubernetes.operator import OperatorSimulator

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
def simulator(api_server: ApiServer, fake_kubelet: FakeKubelet) -> Iterator[OperatorSimulator]:
    from tests.support.kubernetes.operator import OperatorSimulator

    started = OperatorSimulator(api_server, fake_kubelet)
    started.start()
    yield started
    started.stop()
    assert started.overlaps() == []


@pytest.fixture(scope="module")
def run(api_server: ApiServer, simulator: OperatorSimulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    home = tmp_path_factory.mktemp("e2e-kubernetes")
    kubeconfig = home / "kubeconfig"
    kubeconfig.write_text(json.dumps(api_server.kube_config()))
    options = Options.read(
        {"KUBECONFIG": str(kubeconfig), "NAMESPACE": "e2e-one", "NAMESPACE_2": "e2e-two", "IMAGE": "spark:3.5.9"}
    )
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


def test_a_second_triggerer_shares_the_waiting_and_its_death_loses_nothing(run: Run, simulator: OperatorSimulator) -> None:
    run.airflow.start_component("triggerer")

    def waiting(runs: list[tuple[str, str]]) -> dict[int, str]:
        """Which triggerer waits for each run: job -> run."""
        found = {}
        for dag_id, run_id in runs:
            task = run.airflow.tasks(dag_id, run_id).get("wait", {})
            job = (task.get("triggerer_job") or {}).get("id")
            if task.get("state") == "deferred" and job:
                found[job] = run_id
        return found

    runs: list[tuple[str, str]] = []
    for day in range(20, 28):
        runs.append(run.trigger("endless", day))
        wait_until(lambda: run.airflow.states(*runs[-1]).get("wait") == "deferred", "wait to be deferred", 120)
        if len(waiting(runs)) == 2:
            break
    wait_until(lambda: len(waiting(runs)) == 2, "both triggerers to wait for something", 60)
    executions = [run.execution(*each) for each in runs]

    # A machine with a triggerer on it goes down; the other one waits for all.
    run.airflow.kill("triggerer")
    simulator.release()
    for dag_id, run_id in runs:
        run.ended(dag_id, run_id, "success")
    assert [len(run.cluster.applications(each)) for each in executions] == [1] * len(executions)
