"""``make pictures``: the README's pictures, taken by headless Chromium from a real Airflow after real runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from dev import data, demo
from dev.standalone import StandaloneAirflow, wait_until

PICTURES = demo.ROOT / "docs" / "pictures"
DAG_ID = "flights-daily-delays"


def shoot(url: str, target: Path, *, width: int = 1400, height: int = 800) -> None:
    """Save what a browser shows of ``url`` after its requests have been answered."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        raise SystemExit("Chromium is needed for the pictures and was not found; install the package chromium")
    with tempfile.TemporaryDirectory() as profile:
        command = [
            chromium,
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            f"--user-data-dir={profile}",
            f"--window-size={width},{height}",
            "--virtual-time-budget=20000",
            f"--screenshot={target}",
            url,
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    print(target.relative_to(demo.ROOT))


def main() -> int:
    """Run one example for three days and take the pictures."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    home = demo.HOME
    dags = demo.lay_out(home)
    airflow = demo.new_airflow(home, dags)
    # Without a login page between the browser and the UI.
    airflow.settings = {**airflow.settings, "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True"}
    data.load(home / "dcp")
    with airflow.running():
        wait_until(lambda: DAG_ID in airflow.dag_ids(), "the example")
        airflow.unpause(DAG_ID)
        airflow.backfill(DAG_ID, "2013-01-04T00:00:00Z", "2013-01-06T00:00:00Z")
        wait_until(lambda: _all_done(airflow), "the backfill", 300, 1)
        run_id = airflow.runs(DAG_ID)[-1]["dag_run_id"]
        shoot(f"{airflow.url}/dags/{DAG_ID}/runs/{run_id}", PICTURES / "run.png")
        shoot(f"{airflow.url}/dags/{DAG_ID}", PICTURES / "grid.png")
    return 0


def _all_done(airflow: StandaloneAirflow) -> bool:
    runs = airflow.runs(DAG_ID)
    return len(runs) == 3 and all(run["state"] == "success" for run in runs)


if __name__ == "__main__":
    sys.exit(main())
