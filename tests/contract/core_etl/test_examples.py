"""Every example manifest, resolved for a day, runs on real Spark and Iceberg, and its rows equal an independent computation with pandas.

``make demo`` runs them through Airflow; here one Spark runs all, as the driver of a cluster would.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from dev import data
from pyspark.sql import SparkSession

from airflow_dcp_provider.core_etl.driver import run_job
from airflow_dcp_provider.core_etl.report import Report
from airflow_dcp_provider.core_etl.spec import parse_job
from airflow_dcp_provider.embedded_catalog.catalog import EmbeddedCatalog
from airflow_dcp_provider.model.job import JobSpec
from airflow_dcp_provider.model.templates import render_job
from airflow_dcp_provider.runner.backends.spark_command import driver_job_spec
from dag_factory.cli.days import interval_of, moment_of
from dag_factory.cli.render import template_values
from dag_factory.compiled import CompileSettings, compile_manifest
from tests.support.executions import request

from .conftest import SPARK, fresh

pytestmark = SPARK

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "manifests"
DAYS = ("2013-01-05", "2013-01-06")
#: In the order of their tables: the report reads what another one writes.
RUNS: Mapping[str, tuple[str, ...]] = {
    "flights/daily_delays.yaml": DAYS,
    "flights/plane_totals.yaml": DAYS,
    "flights/delay_report.yaml": DAYS[-1:],
    "user_features_daily/user-features-daily.yaml": ("2024-01-02T06:00",),
    "derived_dataset/daily_orders.yaml": ("2024-01-01T01:00",),
}


@pytest.fixture(scope="module")
def results(spark: SparkSession, home: Path) -> dict[str, pd.DataFrame]:
    """Run all examples and return their tables."""
    assert {str(path.relative_to(EXAMPLES)) for path in EXAMPLES.rglob("*.yaml")} == {*RUNS, "defaults.yaml"}
    data.load(home)
    written = {table for name, moments in RUNS.items() for moment in moments for table in run(spark, EXAMPLES / name, moment)}
    catalog = EmbeddedCatalog(home).catalog()
    names = {table.removeprefix("pedregal.") for table in written}
    found = {name: catalog.load_table(name).scan().to_pandas() for name in names}
    catalog.close()
    return found


def run(spark: SparkSession, manifest: Path, moment: str) -> list[str]:
    """Run a manifest's job for the data interval that begins at ``moment``; returns the tables that were written."""
    compiled = compile_manifest(manifest, EXAMPLES, ("local",), CompileSettings("local"))
    assert compiled is not None
    values = template_values(compiled, "local", interval_of(compiled.dag.schedule, moment_of(moment)), {})
    job = JobSpec.from_dict(render_job(compiled.jobs["local"].job.to_dict(), values))
    asked = request(f"{manifest.name} {moment}", spec=job, ds=values["ds"])
    report = Report()
    run_job(fresh(spark), parse_job(json.dumps(driver_job_spec(asked))), report)
    assert {sink.result for sink in report.sinks} == {"written"}
    return [sink.table for sink in report.sinks]


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    frame = data.flights()
    return frame[frame["ds"].isin(DAYS)]


def same(found: pd.DataFrame, expected: pd.DataFrame, *keys: str) -> None:
    """Compare two frames by value, whatever the order of rows and the width of types."""
    columns = list(expected.columns)
    assert sorted(found.columns) == sorted(columns)
    left = found[columns].sort_values(list(keys)).reset_index(drop=True)
    right = expected.sort_values(list(keys)).reset_index(drop=True)
    for frame in (left, right):
        for column in columns:
            if pd.api.types.is_numeric_dtype(frame[column]):
                frame[column] = frame[column].astype("float64")
            else:
                frame[column] = frame[column].astype("object")
    pd.testing.assert_frame_equal(left, right, check_dtype=False, rtol=1e-9)


def test_daily_delays(results: dict[str, pd.DataFrame], flights: pd.DataFrame) -> None:
    groups = flights.assign(cancelled=flights["dep_time"].isna()).groupby(["ds", "carrier", "origin"])
    expected = groups.agg(
        flights=("flight", "size"),
        cancelled=("cancelled", "sum"),
        mean_dep_delay=("dep_delay", "mean"),
        mean_arr_delay=("arr_delay", "mean"),
        max_dep_delay=("dep_delay", "max"),
    )
    same(
        results["flights.daily_delays"],
        expected.reset_index().rename(columns={"ds": "flight_day"}),
        "flight_day",
        "carrier",
        "origin",
    )


def test_delay_report(results: dict[str, pd.DataFrame], flights: pd.DataFrame) -> None:
    flown = flights[flights["dep_time"].notna()]
    groups = flights.groupby("carrier")
    expected = pd.DataFrame(
        {
            "days": groups["ds"].nunique(),
            "flights": groups.size(),
            "cancelled": groups["dep_time"].apply(lambda times: times.isna().sum()),
            "mean_dep_delay": flown.groupby("carrier")["dep_delay"].mean(),
        }
    )
    same(results["flights.delay_report"], expected.reset_index(), "carrier")


def test_plane_totals(results: dict[str, pd.DataFrame]) -> None:
    frame = data.flights()
    frame = frame[(frame["ds"] <= DAYS[-1]) & frame["tailnum"].notna() & frame["dep_time"].notna()]
    totals = frame.groupby("tailnum").agg(
        flights=("flight", "size"), miles=("distance", "sum"), first_day=("ds", "min"), last_day=("ds", "max")
    )
    # A run merges the planes that flew on its day.
    same(results["flights.plane_totals"], totals[totals["last_day"].isin(DAYS)].reset_index(), "tailnum")


def test_user_features(results: dict[str, pd.DataFrame]) -> None:
    events = data.events()
    # The environment `local` reads a sample, as the manifest's override says.
    events = events[(events["ds"] == "2024-01-01") & (events["user_id"] < 1000)]
    groups = events.assign(day=events["event_timestamp"].dt.date).groupby("user_id")
    expected = pd.DataFrame({"total_events": groups.size(), "active_days": groups["day"].nunique()})
    for name, kind in (("views", "view"), ("clicks", "click"), ("purchases", "purchase")):
        expected[name] = groups["event_type"].apply(lambda types, kind=kind: (types == kind).sum())
    same(results["feature_store.user_features_daily"], expected.reset_index().assign(ds="2024-01-02"), "user_id")


def test_daily_orders(results: dict[str, pd.DataFrame]) -> None:
    orders = data.raw_orders()
    expected = {order: sum(amounts, Decimal(0)) for order, amounts in orders.groupby("order_id")["amount"]}
    found = results["derived_datasets.daily_orders"]
    assert dict(zip(found["order_id"], found["total_amount"], strict=True)) == expected
