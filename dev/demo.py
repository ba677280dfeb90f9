"""``make demo``: a real Airflow on this machine runs the example manifests on real Spark and real Iceberg."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev import data
from dev.airflow_api import wait_until
from dev.standalone import TABLES_IMPORTED, StandaloneAirflow

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".dcp" / "demo"
LOADER = "from dag_factory import load_dags  # airflow\nglobals().update(load_dags())\n"

#: DAG id, first and last day of its three data intervals, and how the runs are asked for.
BACKFILLS = (
    ("user-features-daily", "2024-01-01T06:00:00Z", "2024-01-03T06:00:00Z"),
    ("flights-daily-delays", "2013-01-04T00:00:00Z", "2013-01-06T00:00:00Z"),
)
TRIGGERS = (("daily_orders_dag", tuple(f"2024-01-01T0{hour}:00:00Z" for hour in range(3))),)
#: This one is started by the asset of that one.
FROM_ASSET, SOURCE = "flights-delay-report", "flights-daily-delays"
TABLES = (
    ("feature_store.user_features_daily", "ds"),
    ("flights.daily_delays", "flight_day"),
    ("flights.delay_report", None),
    ("derived_datasets.daily_orders", None),
)


@dataclass
class Progress:
    """Prints what happens, with the seconds since the start."""

    started: float

    def say(self, text: str) -> None:
        """Print one line."""
        print(f"[{time.monotonic() - self.started:5.0f} s] {text}", flush=True)


def lay_out(home: Path) -> Path:
    """Make the DAGs folder: the two-line loader and the example manifests. Returns the folder."""
    dags = home / "dags"
    shutil.rmtree(dags, ignore_errors=True)
    shutil.copytree(ROOT / "examples" / "manifests", dags)
    (dags / "load_manifests.py").write_text(LOADER)
    return dags


def new_airflow(home: Path, dags: Path) -> StandaloneAirflow:
    """Return an Airflow that keeps nothing of an earlier demo but the loaded data and the migrated, empty database."""
    airflow_home = home / "airflow"
    shutil.rmtree(airflow_home, ignore_errors=True)
    settings = {
        "DCP_HOME": str(home / "dcp"),
        "AIRFLOW__DCP__ENVIRONMENT": "local",
        "AIRFLOW__DCP__ENVIRONMENTS": "local",
        # The first run ever makes the JVM's class archive, which halves the start of all later ones.
        "DCP_LOCAL_CLASS_ARCHIVE": "make",
        # A manifest's import error says all in its text; where Python was meanwhile tells nobody anything.
        "AIRFLOW__CORE__DAGBAG_IMPORT_ERROR_TRACEBACK_DEPTH": "0",
    }
    return StandaloneAirflow(airflow_home, dags, settings, home / "cache" / _template_name(), TABLES_IMPORTED)


def _template_name() -> str:
    from importlib.metadata import version

    return f"airflow-{version('apache-airflow')}.db"


def ask_for_runs(airflow: StandaloneAirflow, progress: Progress) -> None:
    """Ask for every run of the demo through the REST API."""
    dag_ids = [*(dag_id for dag_id, *_ in BACKFILLS), *(dag_id for dag_id, _ in TRIGGERS), FROM_ASSET]
    wait_until(lambda: airflow.dag_ids() >= set(dag_ids), "the example DAGs to appear", 90)
    for error in airflow.import_errors():
        raise RuntimeError(f"{error['filename']}: {error['stack_trace']}")
    progress.say(f"DAGs are there: {', '.join(sorted(airflow.dag_ids()))}")
    for dag_id in dag_ids:
        airflow.unpause(dag_id)
    for dag_id, first, last in BACKFILLS:
        airflow.backfill(dag_id, first, last)
        progress.say(f"backfill of {dag_id} from {first[:10]} to {last[:10]} asked for")
    for dag_id, dates in TRIGGERS:
        for date in dates:
            airflow.trigger(dag_id, date)
        progress.say(f"{len(dates)} runs of {dag_id} triggered")


def watch(airflow: StandaloneAirflow, progress: Progress, seconds: float = 600) -> list[dict[str, Any]]:
    """Print each change of a run's tasks until all runs have ended, the asset's among them. Returns the runs."""
    expected = {dag_id: 3 for dag_id, *_ in (*BACKFILLS, *TRIGGERS)}
    seen: dict[tuple[str, str], str] = {}

    def all_ended() -> list[dict[str, Any]] | None:
        # Two requests for everything: the server that answers them also serves the tasks.
        states = airflow.every_state()
        runs = airflow.every_run()
        for run in runs:
            key = (run["dag_id"], run["dag_run_id"])
            line = _describe(run, states.get(key, {}))
            if run["state"] != "queued" and seen.get(key) != line:
                seen[key] = line
                progress.say(line)
        finished = [run for run in runs if run["state"] in {"success", "failed"}]
        if any(run["state"] == "failed" for run in finished):
            return runs
        counts = {dag_id: sum(run["dag_id"] == dag_id for run in finished) for dag_id in expected}
        complete = counts == expected and len(finished) == len(runs)
        return runs if complete and airflow.follows(FROM_ASSET, SOURCE, expected[SOURCE]) else None

    return wait_until(all_ended, "the runs to end", seconds, every=1.0)


def _describe(run: dict[str, Any], states: dict[str, str | None]) -> str:
    marks = {"success": "+", "failed": "x", "upstream_failed": "x", "running": ">", "deferred": "~", None: "."}
    order = ("ensure_tables", "submit", "wait", "publish")
    chain = " ".join(f"{marks.get(states.get(task), '.')}{task}" for task in order)
    when = (run["logical_date"] or run["run_after"])[:16]
    return f"{run['dag_id']:<22} {when:<17} {chain}   {run['state']}"


def show_results(airflow: StandaloneAirflow, home: Path, runs: list[dict[str, Any]]) -> None:
    """Print the tables and each run's snapshot proof."""
    from airflow_dcp_provider.embedded_catalog.catalog import EmbeddedCatalog

    catalog = EmbeddedCatalog(home).catalog()
    for name, order in TABLES:
        rows = catalog.load_table(name).scan().to_pandas()
        shown = rows.sort_values([order, *[c for c in rows.columns if c != order]] if order else list(rows.columns)).head(5)
        print(f"\n{name}: {len(rows)} rows\n{shown.to_string(index=False)}")
    print(f"\n{'run':<48} {'table':<42} {'snapshot':<20} {'partition':<14} rows")
    for run in runs:
        for proof in airflow.xcom(run["dag_id"], run["dag_run_id"], "publish"):
            what = proof["snapshot_id"] or proof["result"]
            label = f"{run['dag_id']} {(run['logical_date'] or run['run_after'])[:16]}"
            print(f"{label:<48} {proof['table']:<42} {what!s:<20} {proof['partition'] or '-':<14} {proof['rows']}")


def main() -> int:
    """Run the demo; in a terminal stay up until Ctrl-C, with ``CI=true`` end after printing."""
    progress = Progress(time.monotonic())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    dags = lay_out(HOME)
    airflow = new_airflow(HOME, dags)
    try:
        progress.say(f"Airflow starts, its home is {airflow.home.relative_to(ROOT)}")
        loading = threading.Thread(target=lambda: _load(progress), daemon=True)
        loading.start()
        airflow.start()
        airflow.wait_healthy()
        progress.say(f"Airflow is up: {airflow.url}")
        loading.join()
        ask_for_runs(airflow, progress)
        runs = watch(airflow, progress)
        failed = [run for run in runs if run["state"] == "failed"]
        for run in failed:
            _explain(airflow, run)
        if failed:
            return 3
        show_results(airflow, HOME / "dcp", runs)
        progress.say(f"done: {len(runs)} runs, all proved")
        print(f"\nAirflow: {airflow.url}   login: {airflow.user}   password: {airflow.password}")
        if os.environ.get("CI", "").lower() != "true" and sys.stdout.isatty():
            print("Ctrl-C ends it and leaves no process behind.", flush=True)
            signal.pause()
        return 0
    except KeyboardInterrupt:
        return 0
    finally:
        airflow.stop()
        progress.say("Airflow is stopped")


def _load(progress: Progress) -> None:
    for table, rows in data.load(HOME / "dcp").items():
        progress.say(f"{table}: {rows:,} rows")


def _explain(airflow: StandaloneAirflow, run: dict[str, Any]) -> None:
    for task in airflow.tasks(run["dag_id"], run["dag_run_id"]).values():
        if task["state"] == "failed":
            print(f"\n{run['dag_id']} {run['dag_run_id']} {task['task_id']} failed:")
            print(airflow.task_log(run["dag_id"], run["dag_run_id"], task["task_id"], task["try_number"])[-6000:])


if __name__ == "__main__":
    sys.exit(main())
