"""``load_dags()`` under Airflow's own parsing: what the DAG processor, a task process and anyone else get."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from airflow import settings
from airflow.exceptions import AirflowClusterPolicyViolation
from airflow.policies import hookimpl
from airflow.sdk import DAG

from airflow_dcp_provider.model.errors import ManifestError, UsageError
from dag_factory import load_dags
from tests.contract.loader.conftest import DagsFolder
from tests.support.manifests import broken, spark_job

HAND_WRITTEN = """\
from airflow.sdk import DAG
from airflow.providers.standard.operators.empty import EmptyOperator

from dag_factory import load_dags

globals().update(load_dags())
with DAG("by_hand", schedule=None) as by_hand:
    EmptyOperator(task_id="hello")
"""


def test_manifests_become_dags_that_airflow_imports_from_the_loader(dags_folder: DagsFolder) -> None:
    dags_folder.write({"daily.yaml": spark_job("daily"), "team/weekly.yml": spark_job("weekly", schedule="@weekly")})
    parsed = dags_folder.as_processor()
    assert sorted(parsed.serialized) == ["daily", "weekly"]
    assert parsed.errors == {}
    for name in ("daily", "weekly"):
        assert parsed.serialized[name]["relative_fileloc"] == "loader.py"
    assert [task["__var"]["task_id"] for task in parsed.serialized["daily"]["tasks"]] == [
        "ensure_tables",
        "submit",
        "wait",
        "publish",
    ]


def test_the_code_of_a_dag_is_its_manifest(dags_folder: DagsFolder) -> None:
    dags_folder.write({"team/weekly.yml": spark_job("weekly")})
    assert dags_folder.as_processor().serialized["weekly"]["fileloc"] == str(dags_folder.root / "team" / "weekly.yml")
    # Anyone else may import what it names.
    assert dags_folder.as_anyone().dags["weekly"].fileloc == str(dags_folder.root / "loader.py")


def test_a_broken_manifest_is_an_import_error_of_its_own(dags_folder: DagsFolder) -> None:
    dags_folder.write({"good.yaml": spark_job("good"), "team/bad.yaml": broken(spark_job("bad"))})
    parsed = dags_folder.as_processor()
    assert sorted(parsed.serialized) == ["good"]
    assert list(parsed.errors) == ["team/bad.yaml"]
    assert (
        "team/bad.yaml:6:3: DCP110 unknown field `tema` in `metadata`\n"
        "      tema: oops\n"
        "      ^\n"
        "    hint: did you mean `team`?" in parsed.errors["team/bad.yaml"]
    )


def test_every_problem_of_a_manifest_is_in_its_import_error(dags_folder: DagsFolder) -> None:
    dags_folder.write({"bad.yaml": broken(spark_job("bad", catchup="maybe", maxActiveRuns="many"))})
    error = dags_folder.as_processor().errors["bad.yaml"]
    for said in ("`tema`", "catchup: maybe", "maxActiveRuns: many"):
        assert said in error


def test_each_broken_manifest_has_its_own_error(dags_folder: DagsFolder) -> None:
    dags_folder.write({f"{name}.yaml": broken(spark_job(name)) for name in ("one", "two")} | {"good.yaml": spark_job("good")})
    parsed = dags_folder.as_processor()
    assert sorted(parsed.errors) == ["one.yaml", "two.yaml"]
    assert "two" not in parsed.errors["one.yaml"]
    assert sorted(parsed.serialized) == ["good"]


@pytest.mark.parametrize("name", [b"\xff\xfe.yaml", b"a\nb.yaml", b"\x1b[31m.yaml", b"/".join([b"x" * 200] * 5) + b"/long.yaml"])
def test_an_error_under_a_name_that_no_database_takes_is_kept(
    dags_folder: DagsFolder, caplog: pytest.LogCaptureFixture, name: bytes
) -> None:
    dags_folder.write({"good.yaml": spark_job("good"), os.fsdecode(name): spark_job("odd")})
    parsed = dags_folder.as_processor()
    assert sorted(parsed.serialized) == ["good"]
    ((path, text),) = parsed.errors.items()
    assert "DCP128" in text
    assert len(path.encode()) <= 1_024
    assert all(char.isprintable() or char == "\n" for char in path + text)
    assert list(dags_folder.as_anyone().dags) == ["good"]
    assert "\udcff" not in caplog.text


def test_when_it_is_mended_the_error_goes_and_the_dag_comes(dags_folder: DagsFolder) -> None:
    dags_folder.write({"bad.yaml": broken(spark_job("bad"))})
    assert list(dags_folder.as_processor().errors) == ["bad.yaml"]
    dags_folder.write({"bad.yaml": spark_job("bad")})
    parsed = dags_folder.as_processor()
    assert (sorted(parsed.serialized), parsed.errors) == (["bad"], {})


@pytest.mark.parametrize("second", [spark_job("daily"), spark_job("daily").replace("namespace: tests", "namespace: others")])
def test_manifests_with_one_id_are_errors_of_both_and_of_no_other(dags_folder: DagsFolder, second: str) -> None:
    dags_folder.write({"one.yaml": spark_job("daily"), "two.yaml": second, "good.yaml": spark_job("good")})
    parsed = dags_folder.as_processor()
    assert sorted(parsed.serialized) == ["good"]
    assert sorted(parsed.errors) == ["one.yaml", "two.yaml"]
    assert "`two.yaml`" in parsed.errors["one.yaml"]
    assert "`one.yaml`" in parsed.errors["two.yaml"]


def test_a_plugin_that_fails_is_the_error_of_one_manifest(dags_folder: DagsFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    import dag_factory.compiled

    compile_manifest = dag_factory.compiled.compile_manifest

    def failing(path: Path, *others: Any, **more: Any) -> Any:
        if path.name == "odd.yaml":
            raise KeyError("flavour")
        return compile_manifest(path, *others, **more)

    monkeypatch.setattr(dag_factory.compiled, "compile_manifest", failing)
    dags_folder.write({"odd.yaml": spark_job("odd"), "good.yaml": spark_job("good")})
    parsed = dags_folder.as_processor()
    assert sorted(parsed.serialized) == ["good"]
    assert "odd.yaml:1:1: DCP195 reading the manifest failed: KeyError: 'flavour'" in parsed.errors["odd.yaml"]


def test_a_dag_that_cannot_be_built_is_the_error_of_one_manifest(dags_folder: DagsFolder) -> None:
    notified = spark_job("odd", airflow={"notifications": {"onFailure": ["ops@example.com"]}})
    dags_folder.write({"odd.yaml": notified, "good.yaml": spark_job("good")})
    with dags_folder.monkeypatch.context() as patch:
        patch.setitem(sys.modules, "airflow.providers.smtp.notifications.smtp", None)
        patch.delitem(sys.modules, "dag_factory.notifications", raising=False)
        parsed = dags_folder.as_processor()
    assert sorted(parsed.serialized) == ["good"]
    assert "odd.yaml:1:1: DCP191" in parsed.errors["odd.yaml"]


@contextmanager
def deployment_policy(policy: object) -> Iterator[None]:
    """Register cluster policies as a plugin of Airflow does."""
    manager = (
        settings.get_policy_plugin_manager() if hasattr(settings, "get_policy_plugin_manager") else settings.POLICY_PLUGIN_MANAGER
    )
    manager.register(policy)
    try:
        yield
    finally:
        manager.unregister(policy)


class Policy:
    """A deployment's rules: no pool but two, and every DAG has a tag."""

    @hookimpl
    def task_policy(self, task: Any) -> None:
        if task.pool not in {"default_pool", "spark"}:
            raise AirflowClusterPolicyViolation(f"the pool {task.pool} is not for {task.dag_id}")

    @hookimpl
    def dag_policy(self, dag: Any) -> None:
        if not dag.tags:
            raise AirflowClusterPolicyViolation(f"{dag.dag_id} has no tag")


def test_a_cluster_policy_refuses_one_manifest_and_no_other(dags_folder: DagsFolder) -> None:
    dags_folder.write(
        {
            "good.yaml": spark_job("good", airflow={"pool": "spark"}),
            "greedy.yaml": spark_job("greedy", airflow={"pool": "theirs"}),
            "bad.yaml": broken(spark_job("bad")),
        }
    )
    with deployment_policy(Policy()):
        parsed = dags_folder.as_processor()
    assert sorted(parsed.serialized) == ["good"]
    assert sorted(parsed.errors) == ["bad.yaml", "greedy.yaml"]
    assert "greedy.yaml:1:1: DCP196" in parsed.errors["greedy.yaml"]
    assert "the pool theirs is not for greedy" in parsed.errors["greedy.yaml"]


def test_a_policy_that_refuses_everything_leaves_the_loader_file_without_error(
    dags_folder: DagsFolder, caplog: pytest.LogCaptureFixture
) -> None:
    class Nothing:
        @hookimpl
        def dag_policy(self, dag: Any) -> None:
            raise AirflowClusterPolicyViolation("not today")

    dags_folder.write({"good.yaml": spark_job("good")})
    with deployment_policy(Nothing()), caplog.at_level(logging.ERROR, logger="dag_factory.loader"):
        parsed = dags_folder.as_processor()
    assert (parsed.serialized, parsed.errors) == ({}, {})
    assert "not today" in caplog.text


# Airflow's own reading of .airflowignore.
@pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")
def test_foreign_and_ignored_files_are_left_alone(dags_folder: DagsFolder) -> None:
    dags_folder.write({"values.yaml": "replicas: 3\n", "old/daily.yaml": spark_job("old"), "good.yaml": spark_job("good")})
    (dags_folder.root / ".airflowignore").write_text("old/\n")
    parsed = dags_folder.as_processor()
    assert (sorted(parsed.serialized), parsed.errors) == (["good"], {})


def test_outside_the_processor_a_broken_manifest_is_logged(dags_folder: DagsFolder, caplog: pytest.LogCaptureFixture) -> None:
    dags_folder.write({"good.yaml": spark_job("good"), "bad.yaml": broken(spark_job("bad"))})
    with caplog.at_level(logging.ERROR, logger="dag_factory.loader"):
        parsed = dags_folder.as_anyone()
    # Not a DAG that cannot be serialized: `airflow dags test good` serializes the whole folder.
    assert (list(parsed.dags), parsed.errors) == (["good"], {})
    assert "bad.yaml:6:3: DCP110" in caplog.text


def test_a_task_process_builds_its_own_dag_only(dags_folder: DagsFolder) -> None:
    dags_folder.write({f"{name}.yaml": spark_job(name) for name in ("one", "two", "three")})
    dags_folder.as_processor()
    dag = dags_folder.as_task("two").dags
    assert list(dag) == ["two"]
    assert dag["two"].get_task("submit").jobs.keys() == {"local", "prod"}  # type: ignore[union-attr]


def test_a_task_process_sees_the_manifest_as_it_is_now(dags_folder: DagsFolder) -> None:
    dags_folder.write({"daily.yaml": spark_job("daily")})
    dags_folder.as_processor()
    dags_folder.write({"daily.yaml": spark_job("daily", query="SELECT dest AS origin, ds FROM flights")})
    job = dags_folder.as_task("daily").dags["daily"].get_task("submit").jobs["local"]["job"]  # type: ignore[union-attr]
    assert "dest" in job["core_etl"]["job"]["transformations"][0]["query"]


def assert_fallback(dag: DAG, run_task: Callable[[DAG, str], Any], said: str) -> None:
    assert [task.task_id for task in dag.topological_sort()] == ["ensure_tables", "submit", "wait", "publish"]
    for task_id in ("ensure_tables", "submit"):
        with pytest.raises(ManifestError, match=said):
            run_task(dag, task_id)
    assert type(dag.get_task("wait")).__name__ == "SparkExecutionSensor"
    assert type(dag.get_task("publish")).__name__ == "IcebergPublishOperator"
    assert dag.get_task("wait").execution.operator.task_id == "submit"  # type: ignore[union-attr]
    assert dag.get_task("publish").execution.operator.task_id == "wait"  # type: ignore[union-attr]
    assert dag.get_task("wait").jobs is None  # type: ignore[union-attr]


@pytest.mark.parametrize("seen_by_processor", [True, False])
def test_a_task_whose_manifest_broke_gets_the_fallback(
    dags_folder: DagsFolder, run_task: Callable[[DAG, str], Any], *, seen_by_processor: bool
) -> None:
    dags_folder.write({"daily.yaml": spark_job("daily", airflow={"pool": "spark"}), "other.yaml": spark_job("other")})
    dags_folder.as_processor()
    dags_folder.write({"daily.yaml": broken(spark_job("daily"))})
    if seen_by_processor:
        dags_folder.as_processor()
    dag = dags_folder.as_task("daily").dags["daily"]
    assert_fallback(dag, run_task, "DCP110 unknown field `tema`")
    assert [asset.uri for asset in dag.get_task("publish").outlets] == ["iceberg://pedregal/out/daily"]  # type: ignore[union-attr]
    assert (dag.get_task("wait").owner, dag.get_task("wait").pool) == ("data@example.com", "spark")
    assert dag.tags


def test_a_task_whose_manifest_broke_before_this_machine_saw_it_gets_the_fallback(
    dags_folder: DagsFolder, run_task: Callable[[DAG, str], Any]
) -> None:
    dags_folder.write({"daily.yaml": broken(spark_job("daily")), "other.yaml": spark_job("other")})
    assert_fallback(dags_folder.as_task("daily").dags["daily"], run_task, "DCP110 unknown field `tema`")


@pytest.mark.parametrize("seen_by_processor", [True, False])
def test_a_task_whose_manifest_is_gone_gets_the_fallback(
    dags_folder: DagsFolder, run_task: Callable[[DAG, str], Any], *, seen_by_processor: bool
) -> None:
    dags_folder.write({"daily.yaml": spark_job("daily"), "other.yaml": spark_job("other")})
    dags_folder.as_processor()
    (dags_folder.root / "daily.yaml").unlink()
    if seen_by_processor:
        dags_folder.as_processor()
    dag = dags_folder.as_task("daily").dags["daily"]
    assert_fallback(dag, run_task, "DCP193 no manifest in .* makes the DAG `daily` any more")


def test_a_task_whose_manifest_has_a_double_gets_the_fallback_once_the_double_is_known(
    dags_folder: DagsFolder, run_task: Callable[[DAG, str], Any]
) -> None:
    dags_folder.write({"daily.yaml": spark_job("daily")})
    dags_folder.as_processor()
    dags_folder.write({"copy.yaml": spark_job("daily")})
    assert dags_folder.as_task("daily").dags["daily"].get_task("submit").jobs  # type: ignore[union-attr]
    dags_folder.as_processor()
    assert_fallback(dags_folder.as_task("daily").dags["daily"], run_task, "DCP180")


def test_dags_beside_the_manifests_are_left_alone(dags_folder: DagsFolder) -> None:
    dags_folder.write({"daily.yaml": spark_job("daily")}, loader=HAND_WRITTEN)
    assert sorted(dags_folder.as_processor().serialized) == ["by_hand", "daily"]
    dag = dags_folder.as_task("by_hand", "hello").dags["by_hand"]
    assert [task.task_id for task in dag.tasks] == ["hello"]


def test_the_command_line_gets_the_error_of_the_dag_that_it_asks_for(dags_folder: DagsFolder) -> None:
    dags_folder.write({"daily.yaml": broken(spark_job("daily")), "other.yaml": spark_job("other")})
    assert list(dags_folder.as_anyone("other").dags) == ["other"]
    asked = dags_folder.as_anyone("daily")
    assert asked.dags == {}
    assert "DCP110" in asked.errors["loader.py"]
    assert dags_folder.as_anyone("of_another_file").dags == {}


def test_the_folder_is_relative_to_the_file_that_asks(dags_folder: DagsFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    loader = "from dag_factory import load_dags  # airflow\n\nglobals().update(load_dags('../manifests'))\n"
    (dags_folder.root / "loaders").mkdir(parents=True)
    (dags_folder.root / "loaders" / "main.py").write_text(loader)
    dags_folder.write(
        {"manifests/good.yaml": spark_job("good"), "manifests/bad.yaml": broken(spark_job("bad")), "else.yaml": spark_job("else")},
        loader="",
    )
    monkeypatch.chdir(dags_folder.root.parent)
    parsed = dags_folder.as_processor()
    assert sorted(parsed.serialized) == ["good"]
    assert list(parsed.errors) == ["manifests/bad.yaml"]
    assert parsed.serialized["good"]["relative_fileloc"] == "loaders/main.py"


def test_a_folder_that_is_not_there_is_an_error_of_the_loader(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"DCP194 load_dags\(\) was asked for the folder .*/nowhere, which is not there"):
        load_dags("nowhere")
    with pytest.raises(UsageError, match="DCP194"):
        load_dags(tmp_path / "nowhere")


def test_an_empty_folder_has_no_dags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCP_HOME", str(tmp_path / "home"))
    (tmp_path / "dags").mkdir()
    assert load_dags(tmp_path / "dags") == {}
