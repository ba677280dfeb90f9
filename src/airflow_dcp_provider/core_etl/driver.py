"""Running a job on a Spark session: views, then every check, then every write."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import Iterator, List

from pyspark.sql import SparkSession

from .catalogs import pin_tables, prepare_catalogs
from .diagnosis import explained
from .keeping import is_kept
from .measure import Measured, measure
from .moment import at_one_moment
from .plan import plan_sink
from .reads import Reads
from .report import Report, SinkResult
from .session import check_case, insist
from .spec import Job, identifier
from .views import register_views
from .write import already_done, write

LOG = logging.getLogger("core_etl")


def run_job(spark: SparkSession, job: Job, report: Report) -> None:
    """Run ``job``, and note in ``report`` what becomes of each sink as soon as it is known.

    Nothing is written before every sink has passed every check.

    :raises DriverError: when the job cannot be run; sinks that were written before that are in the report.
    """
    insist(spark)
    with _timed(report, "analyse"):
        check_case(spark)
        prepare_catalogs(spark, job)
        pins = pin_tables(spark, job)
        report.reads = {".".join(name): pin.snapshot_id for name, pin in pins.items()}
        register_views(spark, job, Reads(spark, pins))
        with explained("the results"):
            results = at_one_moment(spark, {sink.input: spark.table(identifier(sink.input)) for sink in job.sinks})
        plans = [plan_sink(spark, job, sink, results[sink.input]) for sink in job.sinks]
    todo = []
    for plan in plans:
        done = already_done(plan, job)
        if done:
            _note(report, done)
        else:
            todo.append(plan)
    kept: List[Measured] = []
    try:
        with _timed(report, "compute"):
            for plan in todo:
                # Spark computes what is constant as soon as it optimises a query.
                with explained(f"sink `{plan.sink.name}`"):
                    keep = is_kept(plan, job)
                kept.append(measure(plan, keep))
                LOG.info("sink %s: %s has %s rows", plan.sink.name, plan.sink.input, kept[-1].count)
        with _timed(report, "write"):
            for measured in kept:
                _note(report, write(spark, job, measured))
    finally:
        for measured in kept:
            measured.release()


def _note(report: Report, result: SinkResult) -> None:
    report.sinks.append(result)
    if result.snapshot_id is None:
        LOG.info("sink %s: no change, %s", result.name, result.reason)
    else:
        LOG.info(
            "sink %s: snapshot %s of %s, %s rows added, %s deleted",
            result.name,
            result.snapshot_id,
            result.table,
            result.added_rows,
            result.deleted_rows,
        )


@contextmanager
def _timed(report: Report, name: str) -> Iterator[None]:
    started = time.monotonic()
    try:
        yield
    finally:
        report.seconds[name] = time.monotonic() - started
        LOG.info("%s took %.1f s", name, report.seconds[name])
