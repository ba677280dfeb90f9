"""The day that a command asks for, and the data interval of the scheduled run for it."""

from __future__ import annotations

import datetime as dt

from airflow_dcp_provider.model.errors import UsageError
from dag_factory.manifest.moments import utc_moment

#: The one preset of Airflow that the cron library does not know.
_PRESETS = {"@quarterly": "0 0 1 */3 *"}


def moment_of(text: str | None) -> dt.datetime:
    """Return the beginning of a day, or a time of it, in UTC; yesterday for None.

    :raises UsageError: DCP214 when the text is neither.
    """
    if text is None:
        return dt.datetime.combine(dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1), dt.time(), dt.UTC)
    try:
        return utc_moment(text)
    except ValueError as error:
        raise UsageError(f"`{text}` is not a day", code="DCP214", hint="write YYYY-MM-DD, for example 2013-01-05") from error


def interval_of(schedule: str | tuple[str, ...] | None, moment: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    """Return the first data interval that begins at ``moment`` or later on its day.

    Without a cron schedule, or when none begins on that day, it begins and ends at ``moment``.

    :param schedule: as in :class:`~dag_factory.primitives.model.AirflowDag`.
    """
    from croniter import CroniterError, croniter  # type: ignore[import-untyped]

    if not isinstance(schedule, str):
        return moment, moment
    try:
        # The library looks strictly after a time.
        ticks = croniter(_PRESETS.get(schedule, schedule), moment - dt.timedelta(seconds=1))
        start: dt.datetime = ticks.get_next(dt.datetime)
        end: dt.datetime = ticks.get_next(dt.datetime)
    except CroniterError:
        # @once and @continuous are Airflow's own words.
        return moment, moment
    return (start, end) if start.date() == moment.date() else (moment, moment)
