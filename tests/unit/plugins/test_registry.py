from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_dcp_provider.model.errors import CapabilityError, ManifestError, UsageError
from dag_factory.compiled import CompileSettings, compile_folder, compile_manifest
from dag_factory.plugins import base
from dag_factory.plugins.base import Applicable, Plannable, Plugin, Runnable, Sandboxed, capability
from dag_factory.plugins.registry import load_registry

#: A plugin as another package has it: its own schema, its own way of checking, our primitives.
GREETING = """
from airflow_dcp_provider.model.errors import Problem
from airflow_dcp_provider.model.job import CoreEtlSpec, EtlJob, JobSpec, Sink, Transformation
from dag_factory.plugins.plan import LogicalPlan
from dag_factory.primitives.model import AirflowDag, CoreEtlJob, IcebergTable


class GreetingPlugin:
    kind = "Greeting"

    def get_manifest_type(self):
        return "greeting"

    def matches(self, value):
        return "greeting" in value

    def schema(self):
        return {
            "type": "object",
            "additionalProperties": False,
            "required": ["greeting", "name"],
            "properties": {
                "greeting": {"type": "string"},
                "name": {"type": "string"},
                "environments": {"type": "object"},
            },
        }

    def lint(self, manifest):
        name = manifest.root.fields["name"]
        return [] if name.text.islower() else [Problem("ACME1", "shouts", name.position, "speak softly")]

    def parse_manifest(self, manifest):
        spec = {"greeting": manifest.text("greeting"), "name": manifest.text("name")}
        return LogicalPlan("GREETING", f"greeting/{spec['name']}", manifest.environment, spec)

    def primitives(self, plan):
        name = plan.plugin_spec["name"]
        query = f"SELECT '{plan.plugin_spec['greeting']}' AS text"
        job = JobSpec(
            plan.id,
            name,
            plan.environment,
            core_etl=CoreEtlSpec(
                job=EtlJob(
                    transformations=(Transformation("text", query),),
                    sinks=(Sink("text", "pedregal", "greetings", name, "text"),),
                )
            ),
        )
        return (IcebergTable("pedregal", "greetings", name), CoreEtlJob(job, "0" * 64), AirflowDag(f"{name}_dag", plan.id, "acme"))

    def run(self, plan):
        return {"said": plan.plugin_spec["greeting"]}
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Installs a distribution of one module with entry points, as an installer leaves it on the path."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    modules: list[str] = []

    def run(module: str, source: str, entry_points: str) -> None:
        modules.append(module)
        (site / f"{module}.py").write_text(source)
        info = site / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[dcp.plugins]\n{entry_points}\n")
        load_registry.cache_clear()

    load_registry.cache_clear()
    yield run
    for module in modules:
        sys.modules.pop(module, None)
    load_registry.cache_clear()


def write(root: Path, name: str, text: str) -> Path:
    root.mkdir(exist_ok=True)
    (root / name).write_text(text)
    return root / name


def test_the_plugins_of_this_package_are_found_by_entry_point() -> None:
    registry = load_registry()
    assert set(registry.plugins) >= {"derived_dataset", "spark_job"}
    assert registry.faults == ()
    assert registry.get("derived-dataset") is registry.get("derived_dataset")
    with pytest.raises(UsageError, match="there is no plugin"):
        registry.get("spark_jop")


def test_another_packages_manifests_compile(install, tmp_path: Path) -> None:
    install("acme_greeting", GREETING, "greeting = acme_greeting:GreetingPlugin")
    dags = tmp_path / "dags"
    path = write(dags, "hello.yaml", "greeting: hello\nname: world\nenvironments:\n  prod: {greeting: good day}\n")
    compiled = compile_manifest(path, dags, ("local", "prod"), CompileSettings())
    assert compiled is not None
    assert (compiled.manifest_id, compiled.kind, compiled.plugin, compiled.dag.dag_id) == (
        "greeting/world",
        "Greeting",
        "greeting",
        "world_dag",
    )
    assert compiled.plans["local"].to_dict() == {
        "plugin_type": "GREETING",
        "id": "greeting/world",
        "environment": "local",
        "plugin_spec": {"greeting": "hello", "name": "world"},
    }
    assert compiled.jobs["prod"].job.core_etl.job.transformations[0].query == "SELECT 'good day' AS text"
    assert [table.table for table in compiled.tables["local"]] == ["world"]


def test_another_packages_manifests_have_problems_at_their_places(install, tmp_path: Path) -> None:
    install("acme_greeting", GREETING, "greeting = acme_greeting:GreetingPlugin")
    dags = tmp_path / "dags"
    write(dags, "loud.yaml", "greeting: hello\nname: WORLD\n")
    write(dags, "odd.yaml", "greeting: hello\nnome: world\n")
    write(dags, "defaults.yaml", "Greeting: {}\nGreetings: {}\n")
    errors = compile_folder(dags, ("local",), CompileSettings()).errors
    assert {path: [f"{problem.position} {problem.code}" for problem in error.problems] for path, error in errors.items()} == {
        "loud.yaml": ["defaults.yaml:2:1 DCP116", "loud.yaml:2:7 ACME1"],
        "odd.yaml": ["defaults.yaml:2:1 DCP116"],
    }
    write(dags, "defaults.yaml", "Greeting: {}\n")
    errors = compile_folder(dags, ("local",), CompileSettings()).errors
    assert {path: [f"{problem.position} {problem.code}" for problem in error.problems] for path, error in errors.items()} == {
        "loud.yaml": ["loud.yaml:2:7 ACME1"],
        "odd.yaml": ["odd.yaml:1:1 DCP112", "odd.yaml:2:1 DCP110"],
    }


def test_a_plugin_that_cannot_be_loaded_is_left_out_and_said(install, tmp_path: Path) -> None:
    install("acme_broken", "raise RuntimeError('no licence')", "broken = acme_broken:Plugin")
    install("acme_thin", "class Thin:\n    kind = 'Thin'\n", "thin = acme_thin:Thin")
    registry = load_registry()
    assert set(registry.plugins) >= {"derived_dataset", "spark_job"}
    assert [problem.code for problem in registry.faults] == ["DCP182", "DCP182"]
    texts = " ".join(problem.message for problem in registry.faults)
    assert "no licence" in texts
    assert "lacks methods" in texts
    (tmp_path / "dags").mkdir()
    assert compile_folder(tmp_path / "dags", ("local",), CompileSettings()).warnings == registry.faults


def test_two_plugins_for_one_type_are_said(install) -> None:
    install("acme_greeting", GREETING, "greeting = acme_greeting:GreetingPlugin")
    install("other_greeting", GREETING, "greeting2 = other_greeting:GreetingPlugin")
    assert [problem.code for problem in load_registry().faults] == ["DCP182"]


def test_two_plugins_that_claim_a_manifest(install, tmp_path: Path) -> None:
    install("acme_greeting", GREETING, "greeting = acme_greeting:GreetingPlugin")
    other = GREETING.replace('return "greeting"\n', 'return "welcome"\n').replace('"Greeting"', '"Welcome"')
    install("acme_welcome", other, "welcome = acme_welcome:GreetingPlugin")
    path = write(tmp_path / "dags", "hello.yaml", "greeting: hello\nname: world\n")
    with pytest.raises(ManifestError) as caught:
        compile_manifest(path, tmp_path / "dags", ("local",), CompileSettings())
    assert caught.value.code == "DCP183"
    assert "greeting and welcome" in caught.value.message


def test_an_absent_capability_answers_with_one_stable_error(install) -> None:
    install("acme_greeting", GREETING, "greeting = acme_greeting:GreetingPlugin")
    plugin = load_registry().get("greeting")
    assert isinstance(plugin, Plugin)
    assert capability(plugin, Runnable) is plugin
    for wanted in (base.Testable, Plannable, Applicable, Sandboxed):
        with pytest.raises(CapabilityError, match="the plugin greeting is not") as caught:
            capability(plugin, wanted)
        assert caught.value.code == "DCP201"
