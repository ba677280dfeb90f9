"""What manifests cost when Airflow parses them, beside the same DAGs written by hand and beside dag-factory.

    python -m benchmarks.parse [--write] [--no-dag-factory] [--count 500] [--rounds 5]

``--write`` puts the tables into docs/benchmarks.md. dag-factory is installed into a throw-away environment, which needs a package
index.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from benchmarks import _parse_folders as folders
from benchmarks._side_by_side import Case, machine, measure, table, write_section

DAG_FACTORY = "dag-factory==1.1.0"

#: What the hand-written file and the loader both need, imported before the clock starts.
_OPERATORS = (
    "airflow_dcp_provider.operators.publish",
    "airflow_dcp_provider.operators.spark_runner",
    "airflow_dcp_provider.operators.tables",
    "airflow_dcp_provider.sensors.spark_execution",
)

_IMPORT = """
import airflow.dag_processing.processor, airflow.providers.common.compat.sdk, json, sys, time
from airflow.providers.common.compat.sdk import BaseOperator, BaseSensorOperator
from airflow.sdk import DAG, Asset, Param
before, start = len(sys.modules), time.process_time()
import dag_factory.loader
print(json.dumps({"cpu": time.process_time() - start, "modules": len(sys.modules) - before}))
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--write", action="store_true", help="write the table into docs/benchmarks.md")
    arguments.add_argument("--no-dag-factory", action="store_true", help="leave dag-factory out")
    arguments.add_argument("--count", type=int, default=500)
    arguments.add_argument("--many", type=int, default=5000)
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        text = _report(Path(temporary), given.count, given.many, given.rounds, dag_factory=not given.no_dag_factory)
    print(text)
    if given.write:
        write_section("parse", text)


def _report(base: Path, count: int, many: int, rounds: int, *, dag_factory: bool) -> str:
    sections = [f"## Parsing manifests\n\n{machine()} CPU seconds of one parse, in a process that has imported Airflow."]
    sections += [_against_hand_written(base, count, rounds), _many(base, count, many), _task_process(base, count, rounds)]
    if dag_factory:
        sections.append(_against_dag_factory(base, count, rounds))
    imported = measure({"import": Case([sys.executable, "-c", _IMPORT], _home(base))}, rounds)["import"]
    sections.append(
        f"Importing the provider and the factory in such a process takes {imported['cpu'] * 1000:.0f} ms "
        f"({imported['modules']:.0f} modules)."
    )
    return "\n\n".join(sections)


def _probe(base: Path, file: Path, *options: str, home: str = "", python: str = sys.executable, imports: bool = True) -> Case:
    preloaded = [f"--import={module}" for module in _OPERATORS] if imports else []
    return Case([python, "-m", "benchmarks._parse_probe", str(file), *preloaded, *options], _home(base, home))


def _home(base: Path, dcp_home: str = "") -> dict[str, str]:
    root = str(Path(__file__).parent.parent)
    return {
        "AIRFLOW_HOME": str(base / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # On a busy machine the first parse of thousands may need more than Airflow's 30 s; the measure here is CPU time.
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "300",
        "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "300",
        "DCP_HOME": str(base / (dcp_home or "dcp")),
        "PYTHONPATH": os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])]),
    }


def _against_hand_written(base: Path, count: int, rounds: int) -> str:
    loader = folders.write_manifests(base / "manifests", count)
    by_hand = folders.write_hand_written(base / "by_hand", loader.parent)
    cold = [_probe(base, loader, home=f"cold-{turn}").run()["cpu"] for turn in range(2)]
    cases = {"hand-written": _probe(base, by_hand), "manifests": _probe(base, loader)}
    # Once before the measurement: the hand-written file gets its byte code, the manifests their cache.
    for case in cases.values():
        case.run()
    taken = measure(cases, rounds)
    unit = taken["hand-written"]["cpu"]
    rows = [
        (f"{count} DAGs hand-written in one file", f"{unit:.3f}", "1.0"),
        (
            f"{count} manifests, unchanged since the last parse",
            f"{taken['manifests']['cpu']:.3f}",
            f"{taken['manifests']['cpu'] / unit:.2f}",
        ),
        (f"{count} manifests, parsed for the first time", f"{min(cold):.3f}", f"{min(cold) / unit:.1f}"),
    ]
    return table(("what", "CPU s", "ratio"), rows)


def _many(base: Path, count: int, many: int) -> str:
    loader = folders.write_manifests(base / "many", many)
    first = _probe(base, loader).run()["cpu"]
    again = _probe(base, loader).run()["cpu"]
    few = _probe(base, base / "manifests" / "loader.py").run()["cpu"]
    return (
        f"{many} manifests: {first:.1f} s the first time, {again:.2f} s unchanged: {again / many * 1000:.2f} ms a manifest, "
        f"against {few / count * 1000:.2f} ms with {count}."
    )


def _task_process(base: Path, count: int, rounds: int) -> str:
    one = folders.write_manifests(base / "one", 1)
    cases = {
        "one": _probe(base, one, "--dag-id=job-00000", "--repeat=21", "--import=dag_factory.loader"),
        "all": _probe(
            base, base / "manifests" / "loader.py", f"--dag-id=job-{count - 1:05d}", "--repeat=21", "--import=dag_factory.loader"
        ),
    }
    for case in cases.values():
        case.run()
    taken = {name: values["wall"] * 1000 for name, values in measure(cases, rounds).items()}
    return (
        f"In a task process, which builds its own DAG only: {taken['all']:.1f} ms with {count} manifests in the folder, "
        f"{taken['one']:.1f} ms with one, {taken['all'] - taken['one']:+.1f} ms (wall)."
    )


def _against_dag_factory(base: Path, count: int, rounds: int) -> str:
    python = _dag_factory_python(base / "dag-factory")
    by_hand = folders.write_empty(base / "empty", count)
    yaml = folders.write_dag_factory(base / "yaml", count)
    preloaded = "--import=airflow.providers.standard.operators.empty"
    cases = {
        "hand-written": _probe(base, by_hand, preloaded, python=python, imports=False),
        "dag-factory": _probe(base, yaml, preloaded, python=python, imports=False),
    }
    for case in cases.values():
        case.run()
    taken = measure(cases, rounds)
    unit, theirs = taken["hand-written"]["cpu"], taken["dag-factory"]["cpu"]
    rows = [
        (f"{count} DAGs of four empty tasks, hand-written", f"{unit:.3f}", "1.0"),
        (f"the same with {DAG_FACTORY.replace('==', ' ')}, one YAML file", f"{theirs:.3f}", f"{theirs / unit:.1f}"),
    ]
    return table(("what", "CPU s", "ratio"), rows)


def _dag_factory_python(folder: Path) -> str:
    """Make a throw-away environment with dag-factory and this environment's own packages, so that Airflow is the same."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True, check=True
    ).stdout.strip()
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", DAG_FACTORY], check=True)
    # As a site: this package is installed there by a path file, which a mere path would not read.
    ours = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    (Path(site) / "ours.pth").write_text(ours, encoding="utf-8")
    return python


if __name__ == "__main__":
    main()
