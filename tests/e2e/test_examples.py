"""Every example manifest runs for real, and its rows equal an independent computation with pandas."""

from __future__ import annotations

import shutil
from decimal import Decimal

import pandas as pd
import pytest
from dev import data
from dev.airflow_api import wait_until

from airflow_dcp_provider.embedded_catalog.catalog import EmbeddedCatalog
from tests.e2e.conftest import ROOT, Deployment

pytestmark = [pytest.mark.airflow, pytest.mark.spark]

DAYS = ("2013-01-05", "2013-01-06")
REPORT = "flights-delay-report"


@pytest.fixture(scope="module")
def results(deployment: Deployment) -> dict[str, pd.DataFrame]:
    """Run all examples in one Airflow and return their tables."""
    airflow = deployment.airflow
    data.load(deployment.home)
    shutil.copytree(ROOT / "examples" / "manifests", deployment.dags / "examples")
    dags = ("flights-daily-delays", "flights-plane-totals", REPORT, "user-features-daily", "daily_orders_dag")
    wait_until(lambda: airflow.dag_ids() >= set(dags), "the examples", 90)
    for dag_id in dags:
        airflow.unpause(dag_id)
    asked = [(dag_id, airflow.trigger(dag_id, f"{day}T00:00:00Z")) for dag_id in dags[:2] for day in DAYS]
    asked += [("user-features-daily", airflow.trigger("user-features-daily", "2024-01-02T06:00:00Z"))]
    asked += [("daily_orders_dag", airflow.trigger("daily_orders_dag", "2024-01-01T01:00:00Z"))]
    for dag_id, run_id in asked:
        assert airflow.wait_run(dag_id, run_id, 300) == "success", (dag_id, airflow.states(dag_id, run_id))

    wait_until(lambda: airflow.follows(REPORT, "flights-daily-delays", len(DAYS)), "the report that its asset starts", 240, 1)
    assert len(airflow.runs("user-features-daily")) == 1, "no run was started unasked"
    catalog = EmbeddedCatalog(deployment.home).catalog()
    names = ("flights.daily_delays", "flights.plane_totals", "flights.delay_report", "feature_store.user_features_daily")
    return {name: catalog.load_table(name).scan().to_pandas() for name in (*names, "derived_datasets.daily_orders")}


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
