"""Days and times of manifests and of the command line: ISO texts, in UTC unless they say otherwise."""

from __future__ import annotations

import datetime as dt

#: Airflow and the cron library count from a moment on; beyond these years they reach the end of what Python can hold.
FIRST_YEAR, LAST_YEAR = 1900, 2999


def utc_moment(text: str) -> dt.datetime:
    """Return a day's beginning, or a time, in UTC.

    :raises ValueError: when the text is neither, or is out of the years that can be scheduled.
    """
    try:
        moment = dt.datetime.fromisoformat(text)
        moment = moment.astimezone(dt.UTC) if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    except OverflowError as error:
        raise ValueError(f"`{text}` is out of range") from error
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"the year of `{text}` is not between {FIRST_YEAR} and {LAST_YEAR}")
    return moment


def last_moment(text: str) -> dt.datetime:
    """Return the last moment that an end lets in, in UTC: of a day its end, of a time itself.

    :raises ValueError: as :func:`utc_moment`.
    """
    moment = utc_moment(text)
    return moment + dt.timedelta(days=1, microseconds=-1) if _is_day(text) else moment


def _is_day(text: str) -> bool:
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True
