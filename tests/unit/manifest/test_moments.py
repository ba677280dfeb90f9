from __future__ import annotations

import datetime as dt

import pytest

from dag_factory.manifest.moments import last_moment, utc_moment


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-06-30", dt.datetime(2024, 6, 30, 23, 59, 59, 999999, dt.UTC)),
        ("20240630", dt.datetime(2024, 6, 30, 23, 59, 59, 999999, dt.UTC)),
        ("2024-W26-7", dt.datetime(2024, 6, 30, 23, 59, 59, 999999, dt.UTC)),
        ("2024-06-30T00:00:00", dt.datetime(2024, 6, 30, tzinfo=dt.UTC)),
        ("2024-06-30T06:00:00+02:00", dt.datetime(2024, 6, 30, 4, tzinfo=dt.UTC)),
        ("2999-12-31", dt.datetime(2999, 12, 31, 23, 59, 59, 999999, dt.UTC)),
    ],
)
def test_of_a_day_the_last_moment_is_its_end_and_of_a_time_itself(text: str, moment: dt.datetime) -> None:
    assert last_moment(text) == moment


@pytest.mark.parametrize(
    "text", ["", "now", "2024-02-30", "1899-12-31", "3000-01-01", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"]
)
def test_what_cannot_be_scheduled_is_refused(text: str) -> None:
    for read in (utc_moment, last_moment):
        with pytest.raises(ValueError, match=r"."):
            read(text)
