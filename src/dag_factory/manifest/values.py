"""Checks of single values that more than one kind of manifest has: names, sizes, schedules and dates."""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Callable, Iterable

from airflow_dcp_provider.model.names import is_dag_id, is_dns_label, is_identifier, is_own_mark
from airflow_dcp_provider.model.quantities import memory_bytes
from dag_factory.manifest.moments import last_moment, utc_moment
from dag_factory.manifest.node import Node
from dag_factory.manifest.problems import Problems, did_you_mean

#: Schedules by name; the last two are Airflow's own and no cron expressions.
PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly", "@once", "@continuous")

_CRON = re.compile(r"[0-9A-Za-z*,/#?\s-]+", re.ASCII)
#: The library knows more: an `R` stands for a time by chance, another one whenever the manifest is read.
_CRON_WORDS = frozenset(
    [
        "JAN",
        "FEB",
        "MAR",
        "APR",
        "MAY",
        "JUN",
        "JUL",
        "AUG",
        "SEP",
        "OCT",
        "NOV",
        "DEC",
        "SUN",
        "MON",
        "TUE",
        "WED",
        "THU",
        "FRI",
        "SAT",
        "L",
    ]
)
_ASSET = re.compile(r"iceberg://([^/]+)/([^/]+)/([^/]+)")
_LABEL_KEY = re.compile(r"(?!.{254,}/)([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


def check_job_name(name: Node, problems: Problems) -> None:
    """Record DCP136 when ``name`` cannot be the name of Kubernetes resources and of a DAG."""
    if not is_dns_label(name.text) or not is_dag_id(name.text):
        proposal = re.sub(r"[^a-z0-9]+", "-", name.text.lower()).strip("-0123456789")[:63]
        hint = f"for example `{proposal}`" if is_dns_label(proposal) else "for example `user-features-daily`"
        text = f"`{name.text}` cannot name a DAG and Kubernetes resources: up to 63 small letters, digits and `-`, a letter first"
        problems.add("DCP136", text, name.position, hint)


def check_label_name(name: Node, what: str, problems: Problems) -> None:
    """Record DCP136 when ``name`` cannot be part of a Kubernetes name; ``what`` says whose it is."""
    if not is_dns_label(name.text):
        text = f"the {what} `{name.text}` cannot be part of a Kubernetes name: at most 63 lower-case letters, digits and `-`"
        proposal = re.sub(r"[^a-z0-9]+", "-", name.text.lower()).strip("-0123456789")[:63]
        problems.add("DCP136", text, name.position, f"for example `{proposal}`" if is_dns_label(proposal) else "")


def check_identifier(name: Node | None, what: str, problems: Problems) -> None:
    """Record DCP137 when ``name`` is given and cannot name a table, column or view; ``what`` says which."""
    if name is not None and not is_identifier(name.text):
        proposal = re.sub(r"[^A-Za-z0-9_]+", "_", name.text).strip("_")
        hint = f"for example `{proposal}`" if is_identifier(proposal) else "use letters, digits and `_`, no digit first"
        text = f"the {what} `{name.text}` is no SQL name: letters, digits and `_`, no digit first"
        problems.add("DCP137", text, name.position, hint)


def check_description(description: Node | None, problems: Problems) -> None:
    """Record DCP113 when the ``description`` of a table or column holds ``${``: it is public, and no variable is put into it."""
    if description is not None and "${" in description.text:
        text = "a description with `${`: no variable is put into it, and it is shown to everybody who reads the table"
        problems.add("DCP113", text, description.position, "write it without `${`")


def check_distinct(names: Iterable[Node], what: str, problems: Problems, remedy: str = "rename one of them") -> None:
    """Record DCP140 for each name that is given twice; capitals tell no names apart.

    :param what: what is named, for example ``sink``.
    :param remedy: what to do, for the hint.
    """
    firsts: dict[str, Node] = {}
    for name in names:
        first = firsts.setdefault(name.text.lower(), name)
        if first is not name:
            hint = f"the first one is at {first.position}; {remedy}"
            problems.add("DCP140", f"a {what} `{name.text}` is there already", name.position, hint)


def check_labels(labels: Node | None, problems: Problems) -> None:
    """Record DCP138 for labels that Kubernetes would refuse or that the Spark Runner keeps for itself."""
    for key, value in (labels.fields if labels else {}).items():
        if is_own_mark(key):
            text = f"the label `{key}` is for the Spark Runner, an operator, Spark or Kubernetes to set"
            problems.add("DCP138", text, value.key_position, "use another name or prefix")
        elif not _LABEL_KEY.fullmatch(key):
            hint = "use at most 63 letters, digits, `-`, `_` and `.`, with `prefix/` before them where needed"
            problems.add("DCP138", f"`{key}` cannot be a label's name", value.key_position, hint)
        elif not _LABEL_VALUE.fullmatch(value.text):
            hint = "use at most 63 letters, digits, `-`, `_` and `.`, a letter or digit first and last"
            problems.add("DCP138", f"`{value.text}` cannot be a label's value", value.position, hint)


def check_memory(memory: Node | None, problems: Problems) -> None:
    """Record DCP130 when ``memory`` is given and is no memory size."""
    if memory is not None:
        try:
            memory_bytes(memory.text)
        except ValueError as error:
            text, _, hint = str(error).partition("; ")
            problems.add("DCP130", text, memory.position, hint)


def check_executor_counts(executor: Node | None, problems: Problems) -> None:
    """Record DCP131 when the numbers of executors contradict each other."""
    if executor is None:
        return
    low, high = executor.get("minInstances"), executor.get("maxInstances")
    if low and not high:
        problems.add("DCP131", "`minInstances` without `maxInstances` bounds nothing", low.position, "give both, or neither")
    if low and high and _number(low) > _number(high):
        text = f"`minInstances` {low.value} is more than `maxInstances` {high.value}"
        problems.add("DCP131", text, low.position, "make it smaller, or `maxInstances` larger")
    start = executor.get("instances")
    if start and high and _number(start) > _number(high):
        text = f"`instances` {start.value} is more than `maxInstances` {high.value}"
        problems.add("DCP131", text, start.position, "make it smaller, or `maxInstances` larger")


def _number(node: Node) -> int:
    return node.value if isinstance(node.value, int) else 0


def check_schedule(schedule: Node | None, problems: Problems) -> None:
    """Record DCP132 for a cron expression that never fires or is none, DCP135 for a name that is no asset."""
    if schedule is None:
        return
    for asset in schedule_assets(schedule):
        match = _ASSET.fullmatch(asset.text)
        if not match or not all(is_identifier(part) for part in match.groups()):
            hint = "write iceberg://<catalog>/<database>/<table>, for example iceberg://pedregal/flights/daily_delays"
            problems.add("DCP135", f"`{asset.text}` is no asset", asset.position, hint)
    if isinstance(schedule.value, str) and (fault := _cron_fault(schedule.value)):
        hint = did_you_mean(schedule.value, PRESETS) or "write minute, hour, day, month, day of week, for example `0 6 * * *`"
        problems.add("DCP132", f"`{schedule.value}` is no schedule: {fault}", schedule.position, hint)


def schedule_assets(schedule: Node | None) -> tuple[Node, ...]:
    """Return the assets that a schedule names; empty when it is none of assets."""
    if schedule is None:
        return ()
    assets = schedule.get("assets")
    return schedule.items or (assets.items if assets else ())


@functools.lru_cache(maxsize=4096)
def _cron_fault(text: str) -> str:
    """Return what is wrong with a cron expression, or an empty text."""
    if text.startswith("@"):
        return "" if text in PRESETS else f"the presets are {', '.join(PRESETS)}"
    if len(text.split()) != 5:
        return f"it has {len(text.split())} fields and needs 5"
    if not _CRON.fullmatch(text) or not _CRON_WORDS.issuperset(re.findall("[A-Z]+", text.upper())):
        return "a field of it cannot be read"
    from croniter import croniter  # type: ignore[import-untyped]

    try:
        croniter(text, dt.datetime(2024, 1, 1, tzinfo=dt.UTC)).get_next()
    except Exception as error:  # noqa: BLE001 - whatever the library dislikes is the expression's fault
        if "failed to find next date" in str(error):
            return "it never fires"
        return "a number in it is out of range" if "out of range" in str(error) else "a field of it cannot be read"
    return ""


def check_dates(start: Node | None, end: Node | None, problems: Problems) -> None:
    """Record DCP133 for what is no date, and DCP134 when the end is before the start."""
    begins, ends = _date(start, utc_moment, problems), _date(end, last_moment, problems)
    if begins and ends and ends < begins and start and end:
        text = f"`endDate` {end.text} is before `startDate` {start.text}"
        problems.add("DCP134", text, end.position, f"`startDate` is given at {start.position}")


def _date(node: Node | None, read: Callable[[str], dt.datetime], problems: Problems) -> dt.datetime | None:
    if node is None or node.value is None:
        return None
    try:
        return read(node.text)
    except ValueError as error:
        # Python's own words say less than ours.
        text = str(error) if "`" in str(error) else f"`{node.text}` is no date"
        problems.add("DCP133", text, node.position, "write a day as 2024-01-31 or a time as 2024-01-31T06:00:00, in UTC")
        return None
