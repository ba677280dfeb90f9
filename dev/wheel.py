"""``make test-wheel``: the wheel in clean environments, with the oldest Airflow it declares and with the newest.

Each environment is made from its lock file, gets the wheel alone, and then proves what a platform engineer checks first: the
provider loads and its metadata is valid, the connection form shows, the console script runs, and an example DAG runs with
``airflow dags test`` on real Spark and writes a proved table.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from dev import data

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".dcp" / "wheel"
#: What an earlier demo fetched (the Iceberg jar) is not fetched again.
DEMO = ROOT / ".dcp" / "demo" / "dcp"
UV = Path(sys.executable).parent / "uv"
DAG_ID, DAY, TABLE = "flights-daily-delays", "2013-01-05", "flights.daily_delays"

FORM = """
import json
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
form = {hook.connection_type: hook for hook in HookMetaService.hook_meta_data()}["dcp"]
print(json.dumps(sorted(form.extra_fields or {})))
"""
ROWS = """
import sys
from pathlib import Path
from airflow_dcp_provider.embedded_catalog.catalog import EmbeddedCatalog
table = EmbeddedCatalog(Path(sys.argv[1])).catalog().load_table(sys.argv[2])
summary = table.current_snapshot().summary
print(table.scan().to_arrow().num_rows, summary["dcp.execution-id"], summary["dcp.partition"])
"""


def main() -> int:
    """Build the wheel and prove it in both environments. Returns the number of failures."""
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    _run([UV, "build", "--quiet", "--wheel", "--out-dir", WORK, ROOT])
    (wheel,) = WORK.glob("*.whl")
    print(f"{wheel.name}: {wheel.stat().st_size / 1024:.0f} KiB")
    failures = 0
    for name in ("oldest", "newest"):
        started = time.monotonic()
        try:
            version = prove(name, wheel)
            print(f"{name}: Airflow {version}: provider, form, pretzel and a proved run, {time.monotonic() - started:.0f} s")
        except subprocess.CalledProcessError as error:
            failures += 1
            print(f"{name}: FAILED: {error}\n{(error.stdout or '')[-6000:]}\n{(error.stderr or '')[-6000:]}")
        except (AssertionError, ValueError) as error:
            failures += 1
            print(f"{name}: FAILED: {error}")
    print(f"{2 - failures} passed, {failures} failed")
    return failures


def prove(name: str, wheel: Path) -> str:
    """Install the wheel beside the Airflow of ``locks/<name>.txt`` and use it. Returns Airflow's version."""
    folder = WORK / name
    python = folder / "venv" / "bin" / "python"
    _run([UV, "venv", "--quiet", "--python", sys.executable, folder / "venv"])
    _run([UV, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", ROOT / "locks" / f"{name}.txt"])
    _run([UV, "pip", "install", "--quiet", "--python", python, "--no-deps", wheel])
    dags = folder / "dags"
    shutil.copytree(ROOT / "examples" / "manifests", dags)
    (dags / "load_manifests.py").write_text("from dag_factory import load_dags  # airflow\nglobals().update(load_dags())\n")
    home = folder / "dcp"
    data.load(home)
    for cached in ("jars", "cache"):
        if (DEMO / cached).exists():
            shutil.copytree(DEMO / cached, home / cached, dirs_exist_ok=True)
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "DCP_", "PYTHON", "VIRTUAL_ENV"))},
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "DCP_HOME": str(home),
    }
    airflow = python.parent / "airflow"
    version = _run([python, "-c", "import airflow; print(airflow.__version__)"], environment).strip().splitlines()[-1]
    _run([airflow, "db", "migrate"], environment)
    providers = json.loads(_json_of(_run([airflow, "providers", "list", "--output", "json"], environment)))
    _check(
        any(row["package_name"] == "airflow-dcp-provider" for row in providers), "the provider is not in `airflow providers list`"
    )
    fields = json.loads(_run([python, "-c", FORM], environment).strip().splitlines()[-1])
    _check({"backend", "clusters", "catalogs", "limits"} <= set(fields), f"the connection form has the fields {fields}")
    lint = _run([python.parent / "pretzel", "lint", dags, "--format", "json"], environment)
    _check(json.loads(lint) is not None, "pretzel lint printed no JSON")
    errors = _run([airflow, "dags", "list-import-errors", "--output", "json"], environment)
    _check(_json_of(errors) == "[]" or "No data found" in errors, f"import errors: {errors}")
    # Airflow before 3.3 runs no task whose assets no DAG processor has made known.
    _run([airflow, "dags", "reserialize"], environment)
    _run([airflow, "dags", "test", DAG_ID, DAY], environment, seconds=300)
    rows, execution_id, partition = _run([python, "-c", ROWS, home, TABLE], environment).split()[-3:]
    _check(
        int(rows) > 0 and len(execution_id) == 36 and partition == f"flight_day={DAY}",
        f"{TABLE}: {rows} rows, {execution_id}, {partition}",
    )
    return version


def _run(command: list[str | Path], environment: dict[str, str] | None = None, seconds: float = 600) -> str:
    done = subprocess.run(
        [str(part) for part in command], env=environment, capture_output=True, text=True, check=True, timeout=seconds
    )
    return done.stdout


def _json_of(text: str) -> str:
    """Return the last line of a command's output that is a JSON array, else the whole output; older Airflow logs above it."""
    for line in reversed(text.splitlines()):
        with contextlib.suppress(ValueError):
            if isinstance(json.loads(line), list):
                return line
    return text


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


if __name__ == "__main__":
    sys.exit(main())
