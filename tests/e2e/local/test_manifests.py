"""What a data engineer does with manifests: drop, break, mend and delete them, use the form, and backfill."""

from __future__ import annotations

import pytest
from dev.airflow_api import wait_until

from tests.e2e.local.conftest import FIRST, Deployment

pytestmark = [pytest.mark.airflow, pytest.mark.spark]


def test_a_broken_manifest_shows_under_its_own_path_and_takes_no_other_dag_down(deployment: Deployment) -> None:
    other = FIRST
    dag_id = deployment.write("edited")
    run_id = deployment.run(dag_id, "2024-01-01", seconds=20)
    deployment.wait_task(dag_id, run_id, "wait", "deferred")
    handle = deployment.handle(dag_id, run_id)
    manifest = deployment.dags / "edited.yaml"
    good = manifest.read_text()
    manifest.write_text(good.replace("executor:", "exector:"))

    def shown() -> dict | None:
        return next((each for each in deployment.airflow.import_errors() if each["filename"].endswith("edited.yaml")), None)

    error = deployment.wait_read(shown, "the import error")
    assert "did you mean `executor`?" in error["stack_trace"]
    assert "^" in error["stack_trace"]
    assert {each["filename"].rsplit("/", 1)[-1] for each in deployment.airflow.import_errors()} == {"edited.yaml"}
    assert other in deployment.airflow.dag_ids()
    # The deferred run is neither killed nor re-pointed, although it resumes while the manifest is broken.
    deployment.wait_task(dag_id, run_id, "wait", "success", seconds=240)
    manifest.write_text(good)
    deployment.wait_read(lambda: not shown(), "the error to go")
    assert deployment.airflow.wait_run(dag_id, run_id) == "success"
    assert deployment.handle(dag_id, run_id) == handle
    assert deployment.starts(handle["ref"]["execution_id"]) == 1
    # Deleting the manifest is all that it takes to be rid of the DAG.
    manifest.unlink()
    deployment.wait_read(lambda: dag_id not in deployment.airflow.dag_ids(), "the DAG to go")


def test_the_trigger_form_chooses_environment_and_parameters(deployment: Deployment) -> None:
    dag_id = deployment.write("form")
    details = deployment.airflow.request("GET", f"dags/{dag_id}/details")
    assert details["params"]["environment"]["schema"]["enum"] == ["local", "test"]
    run_id = deployment.airflow.trigger(
        dag_id, "2024-01-02T00:00:00Z", conf={"environment": "test", "parameters": {"word": "from the form"}}
    )
    assert deployment.airflow.wait_run(dag_id, run_id) == "success"
    request = deployment.handle(dag_id, run_id)
    assert request["ref"]["environment"] == "test"
    assert "'from the form'" in request["job"]["core_etl"]["job"]["transformations"][0]["query"]
    events = deployment.airflow.request("GET", "assets/events", params={"source_dag_id": dag_id})["asset_events"]
    assert events == [], "another environment's run announces no asset of the deployment"


def test_a_run_that_an_asset_starts_has_no_logical_date_and_has_a_ds(deployment: Deployment) -> None:
    airflow = deployment.airflow
    asset = "iceberg://pedregal/elsewhere/written"
    dag_id = deployment.write("undated", schedule=f'{{assets: ["{asset}"]}}')
    (known,) = airflow.request("GET", "assets", params={"uri_pattern": asset})["assets"]
    airflow.request("POST", "assets/events", json={"asset_id": known["id"], "extra": {"snapshot_id": 1}})
    run = wait_until(lambda: next(iter(airflow.runs(dag_id)), None), "the run that the event starts")
    assert airflow.wait_run(dag_id, run["dag_run_id"]) == "success"
    assert run["logical_date"] is None
    (proof,) = airflow.xcom(dag_id, run["dag_run_id"], "publish")
    assert proof["partition"] == f"ds={run['run_after'][:10]}"


def test_a_backfill_of_ten_days_writes_each_day_once(deployment: Deployment) -> None:
    dag_id = deployment.write("backfilled", query="SELECT 1 AS id")
    deployment.airflow.backfill(dag_id, "2024-01-01T00:00:00Z", "2024-01-10T00:00:00Z", max_active_runs=3)

    def ended() -> list[dict] | None:
        runs = deployment.airflow.runs(dag_id)
        return runs if len(runs) == 10 and all(run["state"] in {"success", "failed"} for run in runs) else None

    runs = wait_until(ended, "ten runs", 420, 2)
    assert {run["state"] for run in runs} == {"success"}
    proofs = [proof for run in runs for proof in deployment.airflow.xcom(dag_id, run["dag_run_id"], "publish")]
    assert sorted(proof["partition"] for proof in proofs) == [f"ds=2024-01-{day:02d}" for day in range(1, 11)]
    assert all(deployment.starts(proof["execution_id"]) == 1 for proof in proofs)
