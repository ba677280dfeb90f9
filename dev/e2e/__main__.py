"""``python -m dev.e2e``: run every step on the cluster that the environment variables name, and print a table of them.

The exit code is 0 when nothing failed, 3 when a step did, 4 when the cluster or what was given is at fault.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import requests

from airflow_dcp_provider.model.errors import DcpError
from dev.airflow_api import wait_until
from dev.e2e import catalog, deployment
from dev.e2e.cluster import Cluster
from dev.e2e.dags import Queries
from dev.e2e.options import HELP, Options, OptionsError
from dev.e2e.steps import STEPS, NotRunError, Run, StepError
from dev.standalone import AirflowDidNotStartError

HOME = deployment.ROOT / ".dcp" / "e2e"

#: The exit codes.
GOOD, FAILED, ENVIRONMENT, INTERRUPTED = 0, 3, 4, 130


@dataclass(frozen=True)
class Result:
    """How one step went: ``passed``, ``failed`` or ``not run``."""

    step: str
    verdict: str
    seconds: float
    why: str = ""

    def line(self, width: int) -> str:
        """Return the row of the table."""
        return f"{self.step:<{width}}  {self.verdict:<8}  {self.seconds:6.1f}{f'  {self.why}' if self.why else ''}"


def name_of(step: Callable[[Run], None]) -> str:
    """Return a step's name as people read it."""
    return step.__name__.replace("_", " ").replace("users", "user's")


def carry_out(step: Callable[[Run], None], run: Run) -> Result:
    """Run one step; nothing that goes wrong in it keeps the next ones from running."""
    started = time.monotonic()
    verdict, why = "passed", ""
    try:
        step(run)
    except NotRunError as reason:
        verdict, why = "not run", str(reason)
    except (StepError, TimeoutError, LookupError, DcpError, requests.RequestException) as error:
        verdict, why = "failed", str(error)
    return Result(name_of(step), verdict, time.monotonic() - started, " ".join(why.split()))


def table(results: Sequence[Result]) -> str:
    """Return all results as a text."""
    width = max(len(each.step) for each in results)
    return "\n".join([f"{'step':<{width}}  {'result':<8}  seconds", *(each.line(width) for each in results)])


def exit_code(results: Sequence[Result]) -> int:
    """Return the exit code for the results."""
    return FAILED if any(each.verdict == "failed" for each in results) else GOOD


def prepared(options: Options, home: Path, queries: Queries | None = None, proxy: str = "") -> Run:
    """Return a run whose cluster and DAGs folder are ready and whose Airflow is not started yet.

    :param proxy: the address of :func:`dev.e2e.catalog.forwarded`, where the embedded catalog is wanted.
    :raises DcpEnvironmentError: when the cluster does not answer or refuses what has to be made first.
    """
    cluster = Cluster(options)
    volumes, settings = {}, {}
    try:
        made = cluster.prepare()
        say(f"made: {', '.join(made)}" if made else "namespaces and service accounts are there")
        if options.claim:
            for document in catalog.documents(options):
                cluster.make(catalog.COLLECTIONS[document["kind"]].format(options.namespace), document)
            say(f"the embedded catalog starts as {catalog.service_of(options)}")
            cluster.wait_ready(catalog.service_of(options), options.start_timeout)
            volumes, settings = catalog.volumes(options), {"HTTP_PROXY": proxy, "http_proxy": proxy}
            options = replace(options, catalog=catalog.address_of(options))
        airflow = deployment.new_airflow(home, options, volumes, settings)
        run = Run(options, airflow, cluster, queries or Queries(), no_table=table_obstacle(options))
        deployment.lay_out(airflow.dags, options, run.queries)
    except BaseException:
        cluster.clean()
        cluster.close()
        raise
    return run


def table_obstacle(options: Options) -> str:
    """Return why no table can be written, or nothing."""
    if not options.catalog:
        return "needs CATALOG, or WAREHOUSE and CATALOG_IMAGE, and Iceberg's runtime in the image or by ICEBERG_JAR"
    return ""


def wait_for_dags(run: Run) -> None:
    """Wait until Airflow knows every DAG, and unpause those of manifests."""
    wanted = {run.dag(what) for what in ("good", "twice", "hungry", "endless", "wrong", "table")}

    def there() -> bool:
        for error in run.airflow.import_errors():
            raise StepError(f"{error['filename']}: {error['stack_trace']}")
        return run.airflow.dag_ids() >= wanted

    wait_until(there, "the DAGs to appear", 120)
    for dag_id in wanted:
        run.airflow.unpause(dag_id)


def say(text: str) -> None:
    """Print one line on what is going on."""
    print(text, flush=True)


def main(variables: dict[str, str] | None = None, home: Path = HOME, queries: Queries | None = None) -> int:
    """Run everything and return the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        options = Options.read(os.environ if variables is None else variables)
    except OptionsError as error:
        print(f"{error}\n\n{HELP}", file=sys.stderr)
        return ENVIRONMENT
    shutil.rmtree(home, ignore_errors=True)
    say(f"{options.name} on {options.kubeconfig}, Spark {options.spark_version} of {options.image}")
    with catalog.forwarded(options) if options.claim else nullcontext("") as proxy:
        try:
            run = prepared(options, home, queries, proxy)
        except (DcpError, TimeoutError) as error:
            print(error, file=sys.stderr)
            return ENVIRONMENT
        except KeyboardInterrupt:
            say("interrupted; what was made is removed")
            return INTERRUPTED
        return _guarded(run, proxy)


def _guarded(run: Run, proxy: str) -> int:
    """Run everything, and leave nothing behind whatever happens."""
    try:
        return _run_all(run)
    except (AirflowDidNotStartError, StepError, TimeoutError) as error:
        print(f"Airflow on this machine is not ready: {error}", file=sys.stderr)
        return ENVIRONMENT
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    finally:
        run.airflow.stop()
        left = catalog.drop_tables(run.options, proxy) if run.options.catalog else []
        left += run.cluster.clean()
        run.cluster.close()
        say("\n".join(["could not be removed:", *left]) if left else "everything that was made on the cluster is removed")


def _run_all(run: Run) -> int:
    bad = deployment.check(run.airflow, run.options)
    if bad:
        print("\n".join(["The cluster cannot run jobs yet (`pretzel environments check`):", *bad]), file=sys.stderr)
        return ENVIRONMENT
    say("`pretzel environments check` finds nothing bad; Airflow starts")
    run.airflow.start()
    run.airflow.wait_healthy()
    wait_for_dags(run)
    say(f"Airflow is up: {run.airflow.url}   login: {run.airflow.user}   password: {run.airflow.password}")
    results = []
    for step in STEPS:
        say(f"{name_of(step)} ...")
        results.append(carry_out(step, run))
        say(f"  {results[-1].verdict}{f': {results[-1].why}' if results[-1].why else ''}")
    say(f"\n{table(results)}\n")
    return exit_code(results)


if __name__ == "__main__":
    sys.exit(main())
