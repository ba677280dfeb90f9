from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_dcp_provider.model.errors import ManifestError, UsageError
from dag_factory.compiled import CompiledManifest, CompileSettings, clashes, compile_folder, compile_manifest
from tests.unit.manifest.conftest import ENVIRONMENTS, SPARK_JOB, Compile

EXAMPLES = Path(__file__).parents[3] / "examples" / "manifests"


def test_every_example_compiles_and_none_clashes() -> None:
    folder = compile_folder(EXAMPLES, ENVIRONMENTS, CompileSettings())
    assert folder.errors == {}
    assert [manifest.path for manifest in folder.manifests] == [
        "derived_dataset/daily_orders.yaml",
        "flights/daily_delays.yaml",
        "flights/delay_report.yaml",
        "flights/plane_totals.yaml",
        "user_features_daily/user-features-daily.yaml",
    ]
    # The examples' schedules lie in the past, so that no scheduler starts a run of them unasked.
    assert all(
        manifest.dag.end_date and manifest.dag.end_date < "2025"
        for manifest in folder.manifests
        if isinstance(manifest.dag.schedule, str)
    )


@pytest.mark.parametrize("index", range(5))
def test_a_compiled_manifest_survives_json(index: int) -> None:
    manifest = compile_folder(EXAMPLES, ENVIRONMENTS, CompileSettings()).manifests[index]
    assert CompiledManifest.from_dict(json.loads(json.dumps(manifest.to_dict()))) == manifest


def test_compiling_twice_and_with_other_hash_seeds_gives_the_same_text() -> None:
    program = (
        "import json, sys; from pathlib import Path; from dag_factory.compiled import *\n"
        "folder = compile_folder(Path(sys.argv[1]), ('local', 'test', 'prod'), CompileSettings())\n"
        "print(json.dumps([manifest.to_dict() for manifest in folder.manifests]))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", program, str(EXAMPLES)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(texts) == 1
    assert len(json.loads(texts.pop())) == 5


def test_reading_from_a_cache_imports_neither_parsers_nor_schemas_nor_airflow() -> None:
    program = (
        "import sys; import dag_factory.compiled\n"
        "heavy = {'yaml', 'jsonschema', 'sqlglot', 'jinja2', 'airflow', 'pyiceberg', 'pyspark', 'kubernetes', 'pandas', 'pyarrow'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout
    assert shown.strip() == "[]"


def test_compiling_imports_no_airflow_and_no_engine() -> None:
    program = (
        "import sys; from pathlib import Path; from dag_factory.compiled import *\n"
        "assert len(compile_folder(Path(sys.argv[1]), ('local',), CompileSettings()).manifests) == 5\n"
        "heavy = {'airflow', 'pyiceberg', 'pyspark', 'kubernetes', 'pandas', 'pyarrow'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", program, str(EXAMPLES)], capture_output=True, check=True, text=True).stdout
    assert shown.strip() == "[]"


def test_what_clashes_names_the_other_files(compile_files: Compile) -> None:
    first = compile_files({"a.yaml": SPARK_JOB})
    second = compile_files({"b.yaml": SPARK_JOB})
    other = compile_files({"c.yaml": SPARK_JOB.replace("daily-events", "other")})
    assert first is not None
    assert second is not None
    assert other is not None
    found = clashes([first, second, other])
    assert set(found) == {"a.yaml", "b.yaml"}
    assert "`b.yaml`" in found["a.yaml"].message
    assert "`a.yaml`" in found["b.yaml"].message
    # One id makes one DAG id as well; it is said once.
    assert [problem.code for problem in found["a.yaml"].problems] == ["DCP180"]


def test_paths_may_be_relative_and_must_be_below_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dags" / "a").mkdir(parents=True)
    (tmp_path / "dags" / "a" / "job.yaml").write_text(SPARK_JOB)
    monkeypatch.chdir(tmp_path)
    compiled = compile_manifest(Path("dags/a/job.yaml"), Path("dags"), ENVIRONMENTS, CompileSettings())
    assert compiled is not None
    assert compiled.path == "a/job.yaml"
    with pytest.raises(UsageError, match="is not below the folder"):
        compile_manifest(Path("dags/a/job.yaml"), Path("elsewhere"), ENVIRONMENTS, CompileSettings())


def test_one_broken_manifest_leaves_the_others_alone(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(SPARK_JOB)
    (tmp_path / "broken.yaml").write_text(SPARK_JOB.replace("memory: 2g", "memory: [").replace("daily-events", "other"))
    folder = compile_folder(tmp_path, ENVIRONMENTS, CompileSettings())
    assert [manifest.path for manifest in folder.manifests] == ["good.yaml"]
    assert list(folder.errors) == ["broken.yaml"]


def test_problems_are_sorted_by_place_and_carry_their_line(compile_files: Compile) -> None:
    text = (
        SPARK_JOB.replace("team: testing", "team: Testing Team").replace("memory: 2g", "memory: 2x").replace("0 6 * * *", "0 6 * *")
    )
    with pytest.raises(ManifestError) as caught:
        compile_files({"job.yaml": text})
    problems = caught.value.problems
    assert [problem.code for problem in problems] == ["DCP136", "DCP130", "DCP132"]
    for problem in problems:
        assert problem.position is not None
        assert problem.line_text == text.splitlines()[problem.position.line - 1]
        assert problem.hint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "a: 1\n",
        "- 1\n",
        "just text\n",
        "kind: Deployment\nspec: {}\n",
        '{"a": [1, 2}\n',
        "kind: Service\n---\nkind: Pod\n",
        "a: *b\n",
        "x: {{ y }}\n",
    ],
)
def test_foreign_yaml_is_left_alone(compile_files: Compile, text: str) -> None:
    assert compile_files({"foreign.yaml": text}) is None


def test_a_manifest_in_the_style_of_json_is_one(compile_files: Compile) -> None:
    import yaml

    compiled = compile_files({"job.yaml": json.dumps(yaml.safe_load(SPARK_JOB), indent=1)})
    assert compiled is not None
    assert compiled.manifest_id == "tests/daily-events"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("kind: SparkJob\nspec: [\n", "DCP104"),
        ("dataset:\n\tname: x\nworkflow: {}\n", "DCP104"),
        ("apiVersion: dcp.example.com/v1\nkind: SparkJo\n", "DCP114"),
    ],
)
def test_what_looks_like_a_manifest_is_not_silently_foreign(compile_files: Compile, text: str, code: str) -> None:
    with pytest.raises(ManifestError) as caught:
        compile_files({"job.yaml": text})
    assert caught.value.code == code
