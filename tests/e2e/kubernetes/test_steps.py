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
from dev.e2e.steps import RETRIES_KILLED, STEPS, NotRunError, Run

from airflow_dcp_provider.runner.backends.kubernetes.names import applications_path, core_path
from airflow_dcp_provider.triggers.kill import NATIVE_ON_KILL
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
    # A triggerer that is silent for so long is taken for dead.
    made.airflow.settings["AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD"] = "10"
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
    not_run = {"a_table_is_written": "CATALOG"}
    if not RETRIES_KILLED:
        not_run["a_killed_worker_submits_once"] = "this Airflow"
    if step.__name__ in not_run:
        with pytest.raises(NotRunError, match=not_run[step.__name__]):
            step(run)
    else:
        step(run)


def test_a_triggerer_that_dies_or_stalls_loses_and_cancels_nothing(run: Run, simulator: OperatorSimulator) -> None:
    runs = [run.trigger("endless", 20)]

    def waiting() -> dict[str, int]:
        """Which triggerer waits for each run: run -> job."""
        tasks = [(run_id, run.airflow.tasks(dag_id, run_id).get("wait", {})) for dag_id, run_id in runs]
        jobs = {run_id: (task.get("triggerer_job") or {}).get("id") for run_id, task in tasks if task.get("state") == "deferred"}
        return {run_id: job for run_id, job in jobs.items() if job}

    def another(*jobs: int) -> int | None:
        """The one triggerer that waits for all runs and is none of those, or nothing."""
        found = waiting()
        (job, *others) = {*found.values()} or {0}
        return job if len(found) == len(runs) and not others and job not in jobs else None

    first = wait_until(another, "a triggerer to wait for the run", 120)
    # Its machine goes down, and another one takes its part.
    run.airflow.kill("triggerer")
    run.airflow.start_component("triggerer")
    second = wait_until(lambda: another(first), "a second triggerer to wait for the run", 120)
    # That one stalls for so long that a third one takes its part, and then goes on.
    run.airflow.start_component("triggerer")
    with run.airflow.suspended("triggerer"):
        runs.append(run.trigger("endless", 21))
        wait_until(lambda: another(first, second), "a third triggerer to wait for both", 120)
    let_go = "another triggerer waits for attempt" if NATIVE_ON_KILL else "trigger completed"
    wait_until(lambda: let_go in run.log(*runs[0]), "the stalled triggerer to let go", 60)
    # Both of them live now. On a busy machine the third one may seem to stall in its turn.
    wait_until(another, "one triggerer to wait for both", 60)

    executions = [run.execution(*each) for each in runs]
    simulator.release()
    for dag_id, run_id in runs:
        run.ended(dag_id, run_id, "success")
    assert [len(run.cluster.applications(each)) for each in executions] == [1] * len(executions)
