"""``make pictures``: the README's pictures, taken by headless Chromium from a real Airflow after real runs."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from dev import data, demo
from dev.airflow_api import wait_until
from dev.browser import Page, browser
from dev.standalone import StandaloneAirflow

HOME = demo.ROOT / ".dcp" / "pictures"
PICTURES = demo.ROOT / "docs" / "pictures"
DAG_ID = "flights-daily-delays"
#: The design document's manifest, in which one field is misspelled.
BROKEN = Path("user_features_daily", "user-features-daily.yaml")


def main() -> int:
    """Run one example for three days beside a broken manifest, and take the pictures."""
    # So that no process stays behind, whoever ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    PICTURES.mkdir(parents=True, exist_ok=True)
    dags = demo.lay_out(HOME)
    break_manifest(dags / BROKEN)
    data.load(HOME / "dcp")
    with demo.new_airflow(HOME, dags).running() as airflow:
        wait_until(lambda: DAG_ID in airflow.dag_ids() and airflow.import_errors(), "the example and the import error")
        with browser(airflow.url, airflow.user, airflow.password, width=1400, height=800) as page:
            import_error(page, PICTURES / "import-error.png")
        airflow.unpause(DAG_ID)
        backfill = airflow.backfill(DAG_ID, "2013-01-04T00:00:00Z", "2013-01-06T00:00:00Z")
        # Until then the UI shows a banner over the page.
        wait_until(lambda: airflow.request("GET", f"backfills/{backfill}")["completed_at"], "the backfill", 600, 1)
        run_id = three_good_runs(airflow)
        with browser(airflow.url, airflow.user, airflow.password, width=1400, height=800) as page:
            grid(page, PICTURES / "grid.png")
        with browser(airflow.url, airflow.user, airflow.password, width=1200, height=620) as page:
            graph(page, run_id, PICTURES / "graph.png")
    return 0


def break_manifest(manifest: Path) -> None:
    """Misspell ``executor`` in a manifest."""
    good = manifest.read_text()
    broken = good.replace("executor:", "excutor:", 1)
    if broken == good:
        raise SystemExit(f"{manifest} has no field `executor` to misspell")
    manifest.write_text(broken)


def three_good_runs(airflow: StandaloneAirflow) -> str:
    """Insist that the pictures will show three good runs, and return the last one's id."""
    runs = airflow.runs(DAG_ID)
    if [run["state"] for run in runs] != ["success"] * 3:
        raise SystemExit(f"not three good runs: {[(run['dag_run_id'], run['state']) for run in runs]}")
    run_id: str = runs[-1]["dag_run_id"]
    return run_id


def grid(page: Page, target: Path) -> None:
    """The DAG's page: the grid of its runs, their durations and the events of its table."""
    page.open(f"/dags/{DAG_ID}")
    page.text("Last 3 Dag Runs")
    page.text("3 Asset Events")
    saved(page, target)


def graph(page: Page, run_id: str, target: Path) -> None:
    """The graph of one run, over the whole page."""
    page.open(f"/dags/{DAG_ID}/runs/{run_id}")
    page.click("//button[contains(@title, 'Show Graph')]")
    page.find("//*[contains(@class, 'react-flow__node')]")
    page.click("//button[@aria-label='Collapse Details Panel']")
    page.click("//button[@title='Fit View']")
    saved(page, target)


def import_error(page: Page, target: Path) -> None:
    """The dialog that the home page opens for a manifest that cannot be used."""
    page.open("/")
    page.click("//button[contains(., 'Import Error')]")
    page.click_text(BROKEN.name)
    page.text("hint")
    saved(page, target, "//*[@role='dialog']")


def saved(page: Page, target: Path, part: str = "") -> None:
    """Save the page, or the part of it that an XPath names, and say so."""
    page.save(target, page.find(part) if part else None)
    print(f"{target.relative_to(demo.ROOT)}  {target.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    sys.exit(main())
