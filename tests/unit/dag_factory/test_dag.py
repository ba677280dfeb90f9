"""From a manifest to its DAG: shape, schedule, trigger form, settings, assets, documentation."""

from __future__ import annotations

import datetime as dt
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ParamValidationError
from airflow.sdk import DAG, Asset
from airflow.sdk.definitions.param import process_params
from airflow.timetables.base import TimeRestriction

from airflow_dcp_provider.model.errors import ManifestError
from dag_factory.compiled import CompiledManifest, CompileSettings, compile_manifest
from dag_factory.dag import TASK_IDS, build_dag
from tests.support.manifests import spark_job

try:
    from airflow.serialization.serialized_objects import DagSerialization
except ImportError:  # Airflow 3.0
    from airflow.serialization.serialized_objects import SerializedDAG as DagSerialization

ENVIRONMENTS = ("local", "staging", "prod")


def compiled(tmp_path: Path, text: str) -> CompiledManifest:
    path = tmp_path / "jobs" / "daily.yaml"
    path.parent.mkdir()
    path.write_text(text)
    manifest = compile_manifest(path, tmp_path, ENVIRONMENTS, CompileSettings())
    assert manifest is not None
    return manifest


def built(tmp_path: Path, **orchestration: Any) -> DAG:
    return build_dag(compiled(tmp_path, spark_job("daily", **orchestration)), ENVIRONMENTS, "local")


def scheduler_timetable(dag: DAG) -> Any:
    """The timetable as the scheduler sees it, after the way through the database."""
    return DagSerialization.from_dict(DagSerialization.to_dict(dag)).timetable


def test_four_tasks_in_a_line(tmp_path: Path) -> None:
    dag = built(tmp_path)
    assert dag.dag_id == "daily"
    assert [task.task_id for task in dag.topological_sort()] == list(TASK_IDS)
    assert {task.task_id: task.downstream_task_ids for task in dag.tasks} == {
        "ensure_tables": {"submit"},
        "submit": {"wait"},
        "wait": {"publish"},
        "publish": set(),
    }


def test_tasks_have_few_retries_and_no_time_out_of_their_own(tmp_path: Path) -> None:
    for task in built(tmp_path).tasks:
        assert (task.owner, task.retries, task.retry_delay) == ("data@example.com", 2, dt.timedelta(seconds=30))
        assert task.execution_timeout is None


@pytest.mark.parametrize(("schedule", "start"), [("0 12 * * *", (2024, 1, 1, 12)), ("@daily", (2024, 1, 1, 0))])
def test_the_run_for_a_day_starts_when_the_day_is_over(tmp_path: Path, schedule: str, start: tuple[int, ...]) -> None:
    interval = scheduler_timetable(built(tmp_path, schedule=schedule)).infer_manual_data_interval(run_after=_utc(2024, 1, 2, 12))
    assert (interval.start, interval.end) == (_utc(*start), _utc(*start).add(days=1))


def _utc(*parts: int) -> Any:
    import pendulum

    return pendulum.datetime(*parts, tz="UTC")


def test_without_a_schedule_nothing_is_scheduled(tmp_path: Path) -> None:
    assert scheduler_timetable(built(tmp_path, schedule=None)).can_be_scheduled is False


def test_scheduled_on_assets(tmp_path: Path) -> None:
    uris = ["iceberg://pedregal/flights/daily", "iceberg://pedregal/raw/flights"]
    timetable = scheduler_timetable(built(tmp_path, schedule={"assets": uris}))
    assert sorted(key.uri for key, _ in timetable.asset_condition.iter_assets()) == uris


def test_dates_and_run_limits_only_as_given(tmp_path: Path) -> None:
    plain = built(tmp_path)
    assert (plain.start_date, plain.end_date, plain.catchup) == (None, None, False)


def test_dates_and_run_limits_as_given(tmp_path: Path) -> None:
    dag = built(tmp_path, startDate="2024-01-01", endDate="2024-02-01T06:00:00", catchup=True, maxActiveRuns=3)
    assert (dag.start_date, dag.end_date) == (_utc(2024, 1, 1), _utc(2024, 2, 1, 6))
    assert (dag.catchup, dag.max_active_runs) == (True, 3)


@pytest.mark.parametrize(
    ("schedule", "last"),
    [
        ("@daily", (2024, 6, 30)),
        ("0 6 * * *", (2024, 6, 30, 6)),
        ("@hourly", (2024, 6, 30, 23)),
        ("*/10 * * * *", (2024, 6, 30, 23, 50)),
    ],
)
def test_an_end_that_is_a_day_lets_the_whole_day_in(tmp_path: Path, schedule: str, last: tuple[int, ...]) -> None:
    dag = built(tmp_path, schedule=schedule, startDate="2024-06-30", endDate="2024-06-30", catchup=True)
    timetable = scheduler_timetable(dag)
    restriction = TimeRestriction(dag.start_date, dag.end_date, catchup=True)
    interval, starts = None, []
    while info := timetable.next_dagrun_info(last_automated_data_interval=interval, restriction=restriction):
        interval = info.data_interval
        starts.append(interval.start)
    assert starts[-1] == _utc(*last)


def test_the_trigger_form_offers_the_allowed_environments(tmp_path: Path) -> None:
    dag = built(tmp_path)
    environment = dag.params.get_param("environment")
    assert (environment.value, environment.schema["enum"]) == ("local", ["local", "staging", "prod"])
    assert environment.schema["title"] == "Environment"
    assert environment.description
    with pytest.raises(ParamValidationError):
        environment.resolve("mars")


def test_the_trigger_form_has_a_map_of_the_manifests_parameters(tmp_path: Path) -> None:
    parameters = built(tmp_path, parameters={"minimum": 10}).params.get_param("parameters")
    assert parameters.value == {"minimum": 10}
    assert parameters.resolve({"minimum": [1, 2]}) == {"minimum": [1, 2]}
    for other in ("no map", {"anything": [1, 2]}):
        with pytest.raises(ParamValidationError):
            parameters.resolve(other)


@pytest.mark.parametrize("task_id", TASK_IDS)
def test_a_run_has_what_the_trigger_form_said(tmp_path: Path, task_id: str) -> None:
    dag = built(tmp_path, parameters={"minimum": 10})

    def params_of_run(conf: dict[str, Any]) -> dict[str, Any]:
        return process_params(dag, dag.get_task(task_id), conf, suppress_exception=False)

    assert params_of_run({}) == {"environment": "local", "parameters": {"minimum": 10}}
    chosen = {"environment": "prod", "parameters": {"minimum": 20}}
    assert params_of_run(chosen) == chosen
    with pytest.raises(ParamValidationError, match="mars"):
        params_of_run({"environment": "mars"})


def test_airflow_settings_reach_every_task(tmp_path: Path) -> None:
    for task in built(tmp_path, airflow={"pool": "spark", "queue": "big", "priority": 7}).tasks:
        assert (task.pool, task.queue, task.priority_weight) == ("spark", "big", 7)


def test_notifications_become_mail_of_the_dag(tmp_path: Path) -> None:
    dag = built(tmp_path, airflow={"notifications": {"onFailure": ["ops@example.com"], "onSuccess": ["team@example.com"]}})
    failed, succeeded = dag.on_failure_callback, dag.on_success_callback
    assert failed.to == ["ops@example.com"]  # type: ignore[union-attr]
    assert succeeded.to == ["team@example.com"]  # type: ignore[union-attr]
    assert (failed._word, succeeded._word) == ("failed", "succeeded")  # type: ignore[union-attr]


def test_notifications_without_the_smtp_provider_say_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "airflow.providers.smtp.notifications.smtp", None)
    monkeypatch.delitem(sys.modules, "dag_factory.notifications", raising=False)
    with pytest.raises(ManifestError) as caught:
        built(tmp_path, airflow={"notifications": {"onFailure": ["ops@example.com"]}})
    assert caught.value.code == "DCP191"
    assert "apache-airflow-providers-smtp" in caught.value.hint


def test_sources_are_inlets_and_sinks_are_outlets(tmp_path: Path) -> None:
    dag = built(tmp_path)
    assert dag.get_task("submit").inlets == [Asset(name="iceberg://pedregal/raw/flights", uri="iceberg://pedregal/raw/flights")]
    assert dag.get_task("publish").outlets == [Asset(name="iceberg://pedregal/out/daily", uri="iceberg://pedregal/out/daily")]


def test_the_documentation_is_the_manifest(tmp_path: Path) -> None:
    text = spark_job("daily")
    dag = build_dag(compiled(tmp_path, text), ENVIRONMENTS, "local")
    assert dag.doc_md is not None
    assert f"```yaml\n{text.rstrip()}\n```" in dag.doc_md
    assert "tests/daily" in dag.doc_md
    assert "jobs/daily.yaml" in dag.doc_md
    # Airflow draws inline code over the lines beside it.
    assert "`" not in dag.doc_md.split("```yaml")[0]


def test_names_in_the_documentation_are_no_markup(tmp_path: Path) -> None:
    dag = build_dag(compiled(tmp_path, spark_job("daily").replace("table: daily", "table: __daily__")), ENVIRONMENTS, "local")
    assert dag.doc_md is not None
    assert r"- writes iceberg://pedregal/out/\_\_daily\_\_" in dag.doc_md


def test_the_trigger_form_says_what_its_fields_mean_in_plain_text(tmp_path: Path) -> None:
    dag = build_dag(compiled(tmp_path, spark_job("daily")), ENVIRONMENTS, "local")
    for name in ("environment", "parameters"):
        description = dag.params.get_param(name).description
        assert description
        assert "`" not in description


def test_a_fence_in_the_manifest_does_not_end_the_documentation(tmp_path: Path) -> None:
    text = spark_job("daily") + "# ```` four\n"
    dag = build_dag(compiled(tmp_path, text), ENVIRONMENTS, "local")
    assert dag.doc_md is not None
    assert dag.doc_md.rstrip().endswith("\n`````")


def test_owner_tags_description(tmp_path: Path) -> None:
    manifest = compiled(tmp_path, spark_job("daily"))
    manifest = replace(manifest, dag=replace(manifest.dag, description="What a day was like"))
    dag = build_dag(manifest, ENVIRONMENTS, "local")
    assert (dag.owner, dag.description) == ("data@example.com", "What a day was like")
    assert set(manifest.dag.tags) == set(dag.tags)
    assert dag.tags


def test_what_airflow_refuses_is_the_manifests_error(tmp_path: Path) -> None:
    manifest = compiled(tmp_path, spark_job("daily"))
    refused = replace(manifest, dag=replace(manifest.dag, tags=("x" * 101,)))
    with pytest.raises(ManifestError, match=r"jobs/daily.yaml:1:1: DCP190 Airflow refuses the DAG `daily`: tag cannot be longer"):
        build_dag(refused, ENVIRONMENTS, "local")


def test_a_schedule_that_airflow_does_not_know_is_the_manifests_error(tmp_path: Path) -> None:
    manifest = compiled(tmp_path, spark_job("daily"))
    with pytest.raises(ManifestError, match="DCP190"):
        build_dag(replace(manifest, dag=replace(manifest.dag, schedule="every now and then")), ENVIRONMENTS, "local")


def test_a_dag_that_fails_half_way_leaves_nothing_behind(tmp_path: Path) -> None:
    from airflow.sdk.definitions._internal.contextmanager import DagContext

    manifest = compiled(tmp_path, spark_job("daily", airflow={"priority": 1}))
    refused = replace(manifest, dag=replace(manifest.dag, airflow={"priority": "high"}))
    before = set(DagContext.autoregistered_dags)
    with pytest.raises(ManifestError, match="DCP190"):
        build_dag(refused, ENVIRONMENTS, "local")
    assert set(DagContext.autoregistered_dags) == before


def test_the_job_of_every_environment_is_there(tmp_path: Path) -> None:
    dag = built(tmp_path)
    jobs = dag.get_task("submit").jobs  # type: ignore[union-attr]
    assert list(jobs) == ["local", "staging", "prod"]
    assert {name: entry["job"]["environment"] for name, entry in jobs.items()} == {name: name for name in ENVIRONMENTS}
    assert dag.get_task("wait").jobs == jobs  # type: ignore[union-attr]
    assert list(dag.get_task("ensure_tables").tables) == ["local", "staging", "prod"]  # type: ignore[union-attr]


def test_the_dag_survives_the_way_through_the_database(tmp_path: Path) -> None:
    dag = built(tmp_path)
    back = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    assert [task.task_id for task in back.tasks] == list(TASK_IDS)
    assert back.get_task("publish").outlets[0].uri == "iceberg://pedregal/out/daily"
