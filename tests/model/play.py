"""Plays a sequence on real tables and compares each step with the model. Rows and snapshots are read by pyiceberg, never by Spark."""

from __future__ import annotations

import datetime as dt
import json
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.expressions import EqualTo
from pyspark.sql import SparkSession

from airflow_dcp_provider.core_etl import driver
from airflow_dcp_provider.core_etl import write as writing
from airflow_dcp_provider.core_etl.faults import DriverError
from airflow_dcp_provider.core_etl.report import Report
from airflow_dcp_provider.core_etl.spec import parse_job
from airflow_dcp_provider.model.job import Column
from airflow_dcp_provider.tables.schema import iceberg_schema, partition_spec

from . import reference
from .actions import LAYOUTS, Row, Run, Sequence, Write, spelled
from .compare import MismatchError, compare_report, compare_table, expect
from .faults import FaultyCommit, time_zone
from .job_spec import DATABASE, Identity, document

ARROW = {
    "int": pa.int32(),
    "string": pa.string(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
    "double": pa.float64(),
}


class Player:
    """Plays sequences, each on tables of its own."""

    def __init__(self, spark: SparkSession, catalog: Catalog) -> None:
        self.spark = spark
        self.catalog = catalog
        self.runs = 0
        self._played = 0

    def play(self, sequence: Sequence) -> None:
        """Play ``sequence``.

        :raises MismatchError: at the first step after which the tables or the reports are not the model's.
        """
        self._played += 1
        game = _Game(self, sequence, f"t{os.getpid()}_{self._played}")
        for number, step in enumerate(sequence.steps):
            try:
                if isinstance(step, Write):
                    game.write(step)
                else:
                    game.run(step)
                game.compare()
            except MismatchError as error:
                raise MismatchError(f"step {number}, {spelled(step)}: {error}") from error


class _Game:
    """One sequence being played."""

    def __init__(self, player: Player, sequence: Sequence, name: str) -> None:
        self.player, self.sequence = player, sequence
        self.catalog = player.catalog
        self.layout = sequence.layout
        self.names = {table: f"{name}_{table}" for table in ("main", "second", "source")}
        self.tables = {table: reference.Table() for table in self.names}
        self.identity = Identity()
        #: The faults of the present run's commits, and whether another writer has come between.
        self.commits: list[FaultyCommit] = []
        self.other_wrote = False
        #: Rows of a day that a driver emptied before it died, by execution.
        self.emptied: Counter[str] = Counter()
        if any(_needs_source(step) for step in sequence.steps):
            self._make_source()

    # Other writers.

    def _make_source(self) -> None:
        schema = iceberg_schema([Column(name, kind) for name, kind in self.sequence.columns])
        spec = partition_spec(schema, [name for name, _ in LAYOUTS[self.layout]], "source")
        self.catalog.create_namespace_if_not_exists(DATABASE)
        self.catalog.create_table((DATABASE, self.names["source"]), schema=schema, partition_spec=spec)
        self.tables["source"].rows = []
        if self.sequence.source:
            self.write(Write("source", "append", self.sequence.source))

    def write(self, write: Write) -> None:
        """Commit as another writer; while there is no such table, there is nothing to write to."""
        if self.tables[write.table].rows is None:
            return
        self.tables[write.table].write(write)
        table = self.catalog.load_table((DATABASE, self.names[write.table]))
        names = [field.name for field in table.schema().fields]
        data = self._arrow(names, write.rows)
        number = next(name for name in names if name.lower() == "id")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Delete operation did not match any records")
            if write.kind == "append":
                table.append(data)
            elif write.kind == "delete":
                table.delete(EqualTo(number, write.number))
            else:
                table.overwrite(data, overwrite_filter=EqualTo(number, write.number))

    def _arrow(self, names: list[str], rows: tuple[Row, ...]) -> pa.Table:
        """Return rows as pyarrow has them, with the columns spelt and ordered as the table's."""
        columns = [name for name, _ in self.sequence.columns]
        kinds = dict(self.sequence.columns)
        arrays = []
        for name in names:
            kind, place = kinds[name.lower()], columns.index(name.lower())
            arrays.append(pa.array([_aware(row[place], kind) for row in rows], ARROW[kind]))
        return pa.table(arrays, names=names)

    # The driver.

    def run(self, run: Run) -> None:
        """Run the driver and compare what it reports with what the model says."""
        main = self.tables["main"]
        if (run.reads == "self" or run.second == "echo") and main.rows is None:
            return
        self.identity = self.identity.of(run)
        before = list(main.rows or [])
        rows = reference.result_rows(run, self.layout, list(self.tables["source"].rows or []), before)
        sinks = [("main", run, rows)]
        if run.second == "same":
            sinks.append(("second", run, rows))
        elif run.second == "echo":
            sinks.append(("second", Run(day=run.day), before))
        try:
            reference.check(run, self.layout, rows)
        except reference.RefusalError as refusal:
            report, error = self._drive(run)
            code = getattr(error, "code", error)
            expect(code == refusal.code, f"the run is refused with {refusal.code}, and not with {error}")
            expect(all("appended already" in sink.reason for sink in report.sinks), f"nothing is written: {report.sinks}")
            return
        report, error = self._drive(run)
        self._follow(sinks, report, error)

    def _drive(self, run: Run) -> tuple[Report, DriverError | None]:
        report = Report()
        # As in its own process: a session whose catalogs nobody has used.
        spark = SparkSession(self.player.spark.sparkContext, self.player.spark._jsparkSession.cloneSession())
        spark.conf.set("spark.sql.session.timeZone", run.zone)
        self.commits, self.other_wrote = [], False
        self.player.runs += 1
        job = parse_job(json.dumps(document(self.sequence, run, self.identity, self.names)))
        with time_zone(spark, run.zone), self._seams(run):
            try:
                driver.run_job(spark, job, report)
            except DriverError as error:
                return report, error
        return report, None

    @contextmanager
    def _seams(self, run: Run) -> Iterator[None]:
        """Let other writers commit, and commits fail, where the run says so."""
        real_measure, real_commit = driver.measure, writing.commit_with_retries

        def measure(*args: Any, **kwargs: Any) -> Any:
            self._let_other_write(run, "count")
            return real_measure(*args, **kwargs)

        def commit_with_retries(commit: Callable[[], None], find_own: Any, where: str, **_: Any) -> None:
            self._let_other_write(run, "write")
            fault = run.fault[0] if run.fault and run.fault[1] == len(self.commits) else ""
            self.commits.append(FaultyCommit(commit, fault))
            real_commit(self.commits[-1], find_own, where, sleep=lambda _: None)

        with mock.patch.object(driver, "measure", measure), mock.patch.object(writing, "commit_with_retries", commit_with_retries):
            yield

    def _let_other_write(self, run: Run, point: str) -> None:
        if run.during and run.during[0] == point and not self.other_wrote:
            self.other_wrote = True
            self.write(run.during[1])

    # What the model says of it.

    def _follow(self, sinks: list[tuple[str, Run, list[Row]]], report: Report, error: DriverError | None) -> None:
        """Do in the model what the run did, sink by sink, and compare the reports."""
        died = any(commit.happened for commit in self.commits)
        expect(died or error is None, f"the run succeeds: {error}")
        expect(not died or (error is not None and "Crash" in error.message), f"the run dies of its fault: {error}")
        reported = {sink.name: sink for sink in report.sinks}
        commits = iter(self.commits)
        for name, run, rows in sinks:
            table = self.tables[name]
            change = reference.change(run, self.layout, table, rows, self.identity.run_name(name))
            if change.after is not None:
                commit = next(commits, None)
                expect(died or commit is not None, f"{name} is committed")
                if commit is None:
                    # The driver died at an earlier sink.
                    continue
                if commit.happened:
                    self._died(commit.happened, name, run, change)
                    continue
                self._took_place(name, run, change)
            elif change.made_by is None and died and name not in reported:
                continue
            expect(name in reported, f"{name} is reported: {report.sinks}")
            compare_report(
                self.catalog, (DATABASE, self.names[name]), self.layout, self.identity, change, reported[name],
                self.emptied[self.identity.execution],
            )  # fmt: skip

    def _took_place(self, name: str, run: Run, change: reference.Change) -> None:
        table = self.tables[name]
        table.rows = list(change.after or ())
        if run.mode == "append":
            made_by = (self.identity.execution, self.identity.attempt)
            table.appended[self.identity.run_name(name)] = (*made_by, change.rows, change.partitions)

    def _died(self, fault: str, name: str, run: Run, change: reference.Change) -> None:
        """The driver died before, in the middle of, or after a commit."""
        table = self.tables[name]
        if fault == "after":
            self._took_place(name, run, change)
        elif fault == "between":
            kept = reference.without_day(table.rows or [], self.layout, run.day)
            self.emptied[self.identity.execution] += len(table.rows or []) - len(kept)
            table.rows = kept
        elif table.rows is None and self._load(name) is not None:
            # The table itself is made before its first commit.
            table.rows = []

    def _load(self, name: str) -> Any:
        try:
            return self.catalog.load_table((DATABASE, self.names[name]))
        except NoSuchTableError:
            return None

    def compare(self) -> None:
        """Compare every table with the model's."""
        columns = [name for name, _ in self.sequence.columns]
        for name, model in self.tables.items():
            table = self._load(name)
            if model.rows is None:
                written = table is not None and table.current_snapshot() is not None
                expect(not written, f"nothing has written {name}")
                continue
            expect(table is not None, f"table {name} is there")
            compare_table(self.catalog, table, (DATABASE, self.names[name]), self.layout, columns, model.rows)


def _needs_source(step: Run | Write) -> bool:
    if isinstance(step, Write):
        return step.table == "source"
    return step.reads in ("source", "distinct") or (step.during is not None and step.during[1].table == "source")


def _aware(value: Any, kind: str) -> Any:
    return value.replace(tzinfo=dt.UTC) if kind == "timestamptz" and value is not None else value
