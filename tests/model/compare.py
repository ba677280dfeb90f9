"""Comparing what is in a table, and what a run reports of it, with the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from pyiceberg.catalog import Catalog

from airflow_dcp_provider.core_etl.report import SinkResult
from airflow_dcp_provider.tables.partitions import partitions
from airflow_dcp_provider.tables.verify import verify

from . import reference
from .actions import LAYOUTS, Row
from .job_spec import ALIAS, Identity


class MismatchError(AssertionError):
    """The tables are not what the model says."""


def expect(holds: bool, what: str) -> None:
    """Raise :class:`MismatchError` unless it holds that ``what``."""
    if not holds:
        raise MismatchError(f"it does not hold that {what}")


def compare_report(
    catalog: Catalog,
    identifier: tuple[str, str],
    layout: str,
    identity: Identity,
    change: reference.Change,
    sink: SinkResult,
    emptied: int,
) -> None:
    """Compare a sink's report, its snapshot and its proof with what the model says of the run.

    :param emptied: rows that earlier attempts removed before they died; they may be counted as this execution's.
    """
    if change.made_by is not None:
        own = change.made_by[0] == identity.execution
        expect(sink.result == ("written" if own else "no-change"), f"an append that was made before is recognised: {sink}")
        return
    expect(sink.result == change.result, f"{change} is reported: {sink}")
    if change.result == "no-change":
        expect(sink.snapshot_id is None and bool(sink.reason), f"no change is explained: {sink}")
        return
    table = catalog.load_table(identifier)
    current = table.current_snapshot()
    if current is None or current.summary is None or current.snapshot_id != sink.snapshot_id:
        raise MismatchError(f"the snapshot of the report is not the newest: {sink}, {current}")
    expect(current.parent_snapshot_id == sink.previous_snapshot_id, f"the snapshot before it: {sink}")
    expect(sink.rows == change.rows, f"{change.rows} rows are reported: {sink}")
    if change.added is not None and change.deleted is not None:
        expect(sink.added_rows == change.added, f"{change.added} rows are added: {sink}")
        expect(change.deleted <= sink.deleted_rows <= change.deleted + emptied, f"{change.deleted} rows are deleted: {sink}")
    summary = current.summary.additional_properties
    expected = {
        "dcp.execution-id": identity.execution,
        "dcp.attempt": str(identity.attempt),
        "dcp.rows": str(change.rows),
        "dcp.run": identity.run_name(sink.name),
        "dcp.partition": sink.partition,
    }
    expect({key: summary.get(key) for key in expected} == expected, f"the snapshot says {expected}: {summary}")
    if LAYOUTS[layout]:
        # Names are as the table spells them, whoever made it.
        named = Counter(sink.partition.lower().split(",") if sink.partition else [])
        expect(named == Counter(map(str.lower, change.partitions)), f"the partitions {sorted(change.partitions)} are named: {sink}")
    else:
        expect(sink.partition == "", f"no partition is named: {sink}")
    proof = verify(catalog, identifier, identity.execution, alias=ALIAS, sink=sink.name)
    expect(proof is not None, f"{identity.execution} is proved")
    if proof is not None:
        expect((proof.snapshot_id, proof.attempt) == (sink.snapshot_id, identity.attempt), f"the proof is the run's: {proof}")
        counts = (proof.rows, proof.added_rows, proof.deleted_rows)
        expect(counts == (sink.rows, sink.added_rows, sink.deleted_rows), f"the proof counts as the report does: {proof}, {sink}")


def compare_table(
    catalog: Catalog, table: Any, identifier: tuple[str, str], layout: str, columns: list[str], rows: list[Row]
) -> None:
    """Compare a table's rows, its count of rows and its partitions with the model's."""
    actual, expected = Counter(_rows(table, columns)), Counter(map(_comparable, rows))
    missing, additional = list((expected - actual).elements()), list((actual - expected).elements())
    expect(not missing and not additional, f"{identifier[1]} has its rows; missing {missing}, too many {additional}")
    snapshot = table.current_snapshot()
    if snapshot is not None and snapshot.summary is not None:
        total = snapshot.summary.additional_properties.get("total-records")
        expect(total is None or int(total) == len(rows), f"{identifier[1]} counts {len(rows)} rows: {total}")
    if LAYOUTS[layout] and layout != "day and share":
        _compare_partitions(catalog, identifier, layout, rows)


def _compare_partitions(catalog: Catalog, identifier: tuple[str, str], layout: str, rows: Iterable[Row]) -> None:
    names = [name for name, _ in LAYOUTS[layout]]
    counted: Counter[str] = Counter()
    for item in partitions(catalog, identifier):
        counted[item.partition.lower()] += item.rows
    expected = Counter(
        "/".join(f"{name}={reference.spelled(value)}" for name, value in zip(names, row[2:], strict=True)) for row in rows
    )
    expect(
        +counted == Counter({name.lower(): count for name, count in expected.items()}), f"its partitions are {expected}: {counted}"
    )


def _rows(table: Any, columns: list[str]) -> Iterator[Row]:
    for item in table.scan().to_arrow().to_pylist():
        lower = {name.lower(): value for name, value in item.items()}
        yield _comparable(tuple(lower[name] for name in columns))


def _comparable(row: Row) -> Row:
    return tuple(value.replace(tzinfo=None) if hasattr(value, "tzinfo") else value for value in row)
