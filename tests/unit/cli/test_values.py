"""Days, intervals, parameters and kinds, as they stand on the command line."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from airflow_dcp_provider.model.errors import UsageError
from dag_factory.cli.days import interval_of, moment_of
from dag_factory.cli.kinds import check_kind, plugin_words
from dag_factory.cli.manifests import parameters_of, root_of


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2013-01-05", utc("2013-01-05")),
        ("2013-01-05T06:00", utc("2013-01-05T06:00")),
        ("2013-01-05T06:00+02:00", utc("2013-01-05T04:00")),
    ],
)
def test_a_day_or_a_time_of_it(text: str, moment: dt.datetime):
    assert moment_of(text) == moment


def test_without_a_date_it_is_yesterday():
    before = dt.datetime.now(dt.UTC).date()
    found = moment_of(None)
    assert found.date() + dt.timedelta(days=1) in {before, dt.datetime.now(dt.UTC).date()}
    assert found.time() == dt.time()


@pytest.mark.parametrize("text", ["yesterday", "2013-02-30", ""])
def test_what_is_no_day(text: str):
    with pytest.raises(UsageError, match="DCP214"):
        moment_of(text)


@pytest.mark.parametrize(
    ("schedule", "day", "interval"),
    [
        ("@daily", "2013-01-05", ("2013-01-05", "2013-01-06")),
        ("0 6 * * *", "2013-01-05", ("2013-01-05T06:00", "2013-01-06T06:00")),
        ("@hourly", "2013-01-05T07:00", ("2013-01-05T07:00", "2013-01-05T08:00")),
        ("@quarterly", "2013-01-01", ("2013-01-01", "2013-04-01")),
        # No interval begins on this day: a Saturday.
        ("0 0 * * 1", "2013-01-05", ("2013-01-05", "2013-01-05")),
        ("@once", "2013-01-05", ("2013-01-05", "2013-01-05")),
        (None, "2013-01-05", ("2013-01-05", "2013-01-05")),
        (("iceberg://a/b/c",), "2013-01-05", ("2013-01-05", "2013-01-05")),
    ],
)
def test_the_interval_of_the_scheduled_run(schedule: str | tuple[str, ...] | None, day: str, interval: tuple[str, str]):
    assert interval_of(schedule, utc(day)) == (utc(interval[0]), utc(interval[1]))


def test_parameters_are_json_where_they_can_be():
    texts = ["limit=3", "name=Jane Doe", 'list=["a"]', "flag=true", "empty=", "sum=1=1"]
    assert parameters_of(texts) == {"limit": 3, "name": "Jane Doe", "list": ["a"], "flag": True, "empty": "", "sum": "1=1"}


@pytest.mark.parametrize("text", ["limit", "=3", "a b=3", "1a=2"])
def test_what_is_no_parameter(text: str):
    with pytest.raises(UsageError, match="DCP215"):
        parameters_of([text])


def test_kinds_are_the_plugins_with_hyphens():
    assert plugin_words() == {"derived-dataset": "derived_dataset", "spark-job": "spark_job"}


def test_another_kind_than_asked_for_is_an_error():
    check_kind(None, "spark_job", "x.yaml")
    check_kind("spark_job", "spark_job", "x.yaml")
    with pytest.raises(UsageError, match=r"DCP204 x\.yaml is not a derived-dataset manifest, it is a spark-job one"):
        check_kind("derived_dataset", "spark_job", "x.yaml")


def test_the_root_of_a_path_is_the_current_folder_where_the_path_is_below_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "here" / "team").mkdir(parents=True)
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert root_of(Path("team/x.yaml")) == tmp_path / "here"
    assert root_of(Path("team")) == tmp_path / "here"
    assert root_of(Path()) == tmp_path / "here"
    assert root_of(tmp_path / "there") == tmp_path / "there"
    assert root_of(tmp_path / "there" / "x.yaml") == tmp_path / "there"
