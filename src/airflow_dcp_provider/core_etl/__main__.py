"""The driver's command line: ``--job-spec FILE`` or ``--job-spec-json TEXT``.

The result goes to the file that the environment names and into the output's last line, ``DCP_RESULT {json}``, also when the job
fails, and the exit code says whose fault it is.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any, Optional, Sequence

from .faults import EXIT_CRASH, EXIT_OK, DriverError
from .report import TERMINATION_LOG, Report, deliver, log_to_stdout
from .spec import Job, parse_job

LOG = logging.getLogger("core_etl")


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the job that the arguments name and return the exit code."""
    parser = argparse.ArgumentParser(prog="core_etl", description="Runs one job: sources, SQL transformations, Iceberg sinks.")
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--job-spec", metavar="FILE", help="file that holds the job spec, one JSON document")
    given.add_argument("--job-spec-json", metavar="TEXT", help="the job spec itself")
    arguments = parser.parse_args(argv)

    log_to_stdout()
    started = time.monotonic()
    report = Report()
    try:
        job = report.job = parse_job(_spec_text(arguments.job_spec, arguments.job_spec_json))
        LOG.info("%s, execution %s, attempt %s, day %s", job.manifest_id, job.execution_id, job.attempt, job.ds or "none")
        _run(job, report)
    except DriverError as error:
        report.error = error
    except Exception as error:
        LOG.exception("the driver failed")
        report.error = DriverError("DCP349", f"the driver failed: {error!r}", "the driver's log has the whole stack", EXIT_CRASH)
    report.seconds["total"] = time.monotonic() - started
    line = report.line()
    deliver(line, os.environ.get(TERMINATION_LOG))
    sys.stderr.flush()
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
    return report.error.exit_code if report.error else EXIT_OK


def _spec_text(path: Optional[str], text: Optional[str]) -> str:
    if path is None:
        return text or ""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DriverError("DCP320", f"the job spec {path} cannot be read: {error}", "give --job-spec a readable file") from error


def _run(job: Job, report: Report) -> None:
    # pyspark is imported only now, so that a job spec that cannot be used is told at once.
    from .diagnosis import explained
    from .driver import run_job
    from .session import start_session
    from .spark_version import check_spark

    spark: Any = None
    started = time.monotonic()
    try:
        with explained("Spark"):
            spark = start_session(f"core_etl {job.manifest_id}")
        report.seconds["start"] = time.monotonic() - started
        LOG.info("Spark %s (%s) started in %.1f s", spark.version, spark.sparkContext.master, report.seconds["start"])
        check_spark(spark.version, job.spark_version)
        with explained("the driver"):
            run_job(spark, job, report)
    except DriverError as error:
        _log_failure(error)
        raise
    finally:
        if spark is not None:
            _stop(spark)


def _stop(spark: Any) -> None:
    """Stop Spark. When its JVM is gone already, that is no further failure: the tables are as they are."""
    try:
        spark.stop()
    except Exception as error:  # noqa: BLE001 -- py4j's and the socket's own errors
        LOG.warning("Spark could not be stopped: %r", error)


def _log_failure(error: DriverError) -> None:
    """Log the whole story, with Java's stack where there is one; the result line has only the sentence."""
    from .diagnosis import java_stack

    LOG.error("%s", error)
    if error.__cause__ is not None:
        LOG.error("%s", java_stack(error.__cause__) or repr(error.__cause__), exc_info=error.__cause__)


if __name__ == "__main__":
    sys.exit(main())
