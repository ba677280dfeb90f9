"""The steps of the end-to-end run. Each takes the run and raises :class:`StepError` or a time-out when something is amiss."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psutil
from airflow.sdk.execution_time.supervisor import ActivitySubprocess

from airflow_dcp_provider.model.quantities import memory_bytes
from airflow_dcp_provider.runner.backends.kubernetes.names import ATTEMPT, applications_path, core_path
from airflow_dcp_provider.runner.overhead import overhead_setting
from dev.airflow_api import wait_until
from dev.e2e.cluster import Cluster, state_of
from dev.e2e.dags import Queries
from dev.e2e.options import Options
from dev.standalone import StandaloneAirflow

#: Seconds from a run's start to its end, beside the time that a driver may take to start.
PATIENCE = 300

DAY = "2024-01-{:02d}T00:00:00Z"

#: Whether this Airflow tries a task again whose process was killed; 3.0 takes that for the task's failure.
RETRIES_KILLED = hasattr(ActivitySubprocess, "_should_retry")


class StepError(AssertionError):
    """Something is not as it must be; says what."""


class NotRunError(Exception):
    """The step cannot be run here; says why."""


@dataclass
class Run:
    """Everything that steps use."""

    options: Options
    airflow: StandaloneAirflow
    cluster: Cluster
    queries: Queries = field(default_factory=Queries)
    #: Why the table step cannot run; empty when it can.
    no_table: str = ""

    @property
    def patience(self) -> float:
        """Seconds that a run of one attempt may take."""
        return self.options.start_timeout + PATIENCE

    def dag(self, what: str) -> str:
        """Return the id of one of the run's DAGs."""
        return f"{self.options.name}-{what}"

    def trigger(self, what: str, day: int = 1, **conf: Any) -> tuple[str, str]:
        """Trigger a DAG for a day of January 2024; returns DAG id and run id."""
        dag_id = self.dag(what)
        return dag_id, self.airflow.trigger(dag_id, DAY.format(day), conf=conf)

    def execution(self, dag_id: str, run_id: str) -> str:
        """Wait until `submit` has handed its execution on and return the execution's id."""

        def submitted() -> bool:
            state = self.airflow.task(dag_id, run_id, "submit")["state"]
            if state in {"failed", "upstream_failed"}:
                raise StepError(f"submit is {state}: {self.complaint(dag_id, run_id)}")
            return bool(state == "success")

        wait_until(submitted, f"{dag_id}.submit", 180)
        return str(self.airflow.xcom(dag_id, run_id, "submit")["request"]["ref"]["execution_id"])

    def ended(self, dag_id: str, run_id: str, wanted: str) -> None:
        """Wait for a run's end, which must be ``wanted``."""
        found = self.airflow.wait_run(dag_id, run_id, self.patience)
        expect(found == wanted, f"the run of {dag_id} is {found}, not {wanted}: {self.complaint(dag_id, run_id)}")

    def log(self, dag_id: str, run_id: str, task: str = "wait") -> str:
        """Return the log of a task's last try."""
        number = self.airflow.tasks(dag_id, run_id)[task]["try_number"]
        return self.airflow.task_log(dag_id, run_id, task, max(number, 1))

    def logs(self, dag_id: str, run_id: str, task: str = "wait") -> str:
        """Return the logs of all tries of a task: a worker may have been lost on the way."""
        tries = self.airflow.tasks(dag_id, run_id)[task]["try_number"]
        return "\n".join(self.airflow.task_log(dag_id, run_id, task, number) for number in range(1, max(tries, 1) + 1))

    def complaint(self, dag_id: str, run_id: str) -> str:
        """Return what the failed task of a run says of itself, in a line or two."""
        for task, state in self.airflow.states(dag_id, run_id).items():
            if state == "failed":
                said = [line for line in self.log(dag_id, run_id, task).splitlines() if "DCP" in line and "DCP_RESULT" not in line]
                return f"{task}: {' | '.join(said[-2:])[:600]}" if said else f"{task} has failed, see its log"
        return "no task has failed"

    def deferred(self, dag_id: str, run_id: str) -> str:
        """Wait until a triggerer waits for an execution whose driver runs; returns the application's name.

        Airflow tells a kill only to a trigger that runs.
        """
        execution_id = self.execution(dag_id, run_id)
        application = self.cluster.wait_state(execution_id, 1, "RUNNING", self.patience)
        wait_until(lambda: self.airflow.task(dag_id, run_id, "wait")["state"] == "deferred", "wait to be deferred", 60)
        wait_until(lambda: re.search(r"trigger .* starting", self.log(dag_id, run_id)), "the trigger to run", 60)
        return str(application["metadata"]["name"])


def expect(condition: object, message: str) -> None:
    """Check something.

    :raises StepError: with the message.
    """
    if not condition:
        raise StepError(message)


def a_job_runs(run: Run) -> None:
    """A job succeeds, and the driver's log is the waiting task's."""
    dag_id, run_id = run.trigger("good")
    run.ended(dag_id, run_id, "success")
    applications = run.cluster.applications(run.execution(dag_id, run_id))
    expect([state_of(each) for each in applications] == ["COMPLETED"], f"the states are {[*map(state_of, applications)]}")
    expect('"status": "succeeded"' in run.log(dag_id, run_id), "the driver's last line is not in the log of `wait`")


def a_table_is_written(run: Run) -> None:
    """A manifest writes its Iceberg table, and `publish` proves it."""
    if run.no_table:
        raise NotRunError(run.no_table)
    dag_id, run_id = run.trigger("table")
    run.ended(dag_id, run_id, "success")
    (proof,) = run.airflow.xcom(dag_id, run_id, "publish")
    expect(proof["rows"] == 10 and proof["snapshot_id"], f"the proof is {proof}")


def a_mistake_is_the_users(run: Run) -> None:
    """A mistake in a manifest's SQL is named in the task's error and is not tried again."""
    dag_id, run_id = run.trigger("wrong")
    run.ended(dag_id, run_id, "failed")
    said = run.complaint(dag_id, run_id)
    expect(run.queries.mistake in said, f"the error does not name {run.queries.mistake}: {said}")
    attempts = run.cluster.applications(run.execution(dag_id, run_id))
    expect(len(attempts) == 1, f"there were {len(attempts)} attempts")
    expect(run.airflow.tasks(dag_id, run_id)["wait"]["try_number"] == 1, "Airflow tried `wait` again")


def memory_grows(run: Run) -> None:
    """A driver that runs out of memory is tried again with more of it."""
    dag_id, run_id = run.trigger("hungry")
    execution_id = run.execution(dag_id, run_id)
    run.airflow.wait_run(dag_id, run_id, 3 * run.patience)
    attempts = run.cluster.applications(execution_id)
    expect(len(attempts) > 1, f"there was one attempt: {run.complaint(dag_id, run_id)}")
    sizes = [driver_memory(each) for each in attempts]
    expect(sizes[1] > sizes[0], f"the drivers had {sizes} bytes")
    expect("raised from" in run.logs(dag_id, run_id), "the log of `wait` does not say that memory was raised")


def a_kill_reaches_the_cluster(run: Run) -> None:
    """Marking a deferred `wait` failed removes the application and its pods."""
    dag_id, run_id = run.trigger("endless", 1)
    application = run.deferred(dag_id, run_id)
    run.airflow.mark(dag_id, run_id, "wait", "failed")
    run.cluster.wait_gone(run.execution(dag_id, run_id), application)
    run.ended(dag_id, run_id, "failed")
    expect(not run.cluster.applications(run.execution(dag_id, run_id)), "another attempt was started")


def a_lost_driver_is_tried_again(run: Run) -> None:
    """A driver pod that goes away is the platform's fault: the manifest's retry policy starts the next attempt."""
    dag_id, run_id = run.trigger("endless", 2)
    application = run.deferred(dag_id, run_id)
    execution_id = run.execution(dag_id, run_id)
    run.cluster.delete(core_path(run.options.namespace, "pods", f"{application}-driver"))
    # Airflow itself may lose a try of `wait` meanwhile, whose attempt is then cancelled: the next one may be the third.
    second = run.cluster.wait_next(execution_id, 1, "RUNNING", run.patience)
    states = [state_of(each) for each in run.cluster.applications(execution_id)]
    expect(states[0] == "FAILED" and states.count("RUNNING") == 1, f"the attempts are {states}")
    run.airflow.mark(dag_id, run_id, "wait", "failed")
    # Nothing more is to be shown here: whether or not a trigger hears of it, the cluster is free for the next step.
    run.cluster.delete(applications_path(run.options.namespace, second["metadata"]["name"]))
    run.cluster.wait_gone(execution_id, second["metadata"]["name"])


def what_a_user_deletes_stays_deleted(run: Run) -> None:
    """An application that somebody deletes makes the task fail and is not started again."""
    dag_id, run_id = run.trigger("endless", 3)
    application = run.deferred(dag_id, run_id)
    execution_id = run.execution(dag_id, run_id)
    run.cluster.delete(applications_path(run.options.namespace, application))
    run.ended(dag_id, run_id, "failed")
    run.cluster.wait_gone(execution_id, application)
    expect(not run.cluster.applications(execution_id), "it was started again")


def a_killed_worker_submits_once(run: Run) -> None:
    """The worker that submits is killed just when it creates; its task's next try ends up with the one application."""
    if not RETRIES_KILLED:
        raise NotRunError("this Airflow tries no task again whose process was killed")
    for day in range(1, 6):
        dag_id, run_id = run.trigger("twice", day)
        if _kill_while_it_submits(run, dag_id, run_id, known=day - 1):
            break
        run.ended(dag_id, run_id, "success")
    else:
        raise NotRunError("`submit` was each time done before it could be killed")
    run.ended(dag_id, run_id, "success")
    tries = run.airflow.tasks(dag_id, run_id)["submit"]["try_number"]
    expect(tries > 1, "Airflow did not try `submit` again")
    applications = run.cluster.applications(run.execution(dag_id, run_id))
    expect(len(applications) == 1, f"there are {len(applications)} applications")
    made = {each["metadata"]["labels"][ATTEMPT] for each in run.cluster.files_of_job(dag_id)}
    expect(made == {"1"}, f"there were the attempts {sorted(made)}")


def _kill_while_it_submits(run: Run, dag_id: str, run_id: str, known: int) -> bool:
    """Kill the process of `submit` as soon as the cluster holds something of it; False when it had ended by then."""

    def running() -> psutil.Process | bool:
        task = run.airflow.task(dag_id, run_id, "submit")
        if task["state"] == "running" and task["pid"]:
            with contextlib.suppress(psutil.NoSuchProcess):
                return psutil.Process(task["pid"])
        return bool(task["state"] == "success")

    process = wait_until(running, "`submit` to run", 180, 0.1)
    # Without a pause: what it creates one after the other is there within a tenth of a second.
    while isinstance(process, psutil.Process) and process.is_running():
        if len(run.cluster.files_of_job(dag_id)) > known:
            process.kill()
            return True
    return False


def the_trigger_form_chooses(run: Run) -> None:
    """The environment of the trigger form leads to another namespace."""
    if not run.options.namespace_2:
        raise NotRunError("NAMESPACE_2 was not given")
    runs = {name: run.trigger("good", day, environment=name) for day, name in enumerate(run.options.environments, 11)}
    for name, (dag_id, run_id) in runs.items():
        run.ended(dag_id, run_id, "success")
        execution_id = run.execution(dag_id, run_id)
        found = {each: len(run.cluster.applications(execution_id, each)) for each in run.options.namespaces}
        expected = {each: int(each == run.options.environments[name]) for each in run.options.namespaces}
        expect(found == expected, f"{name}: the applications are {found}")


def driver_memory(application: dict[str, Any]) -> int:
    """Return the bytes that a driver's container gets."""
    spec = application["spec"]
    overhead = spec["sparkConf"].get(overhead_setting("driver")) or spec["driver"]["memoryOverhead"]
    return memory_bytes(spec["driver"]["memory"]) + memory_bytes(overhead)


#: In the order in which they run.
STEPS: tuple[Callable[[Run], None], ...] = (
    a_job_runs,
    a_mistake_is_the_users,
    memory_grows,
    a_kill_reaches_the_cluster,
    a_lost_driver_is_tried_again,
    what_a_user_deletes_stays_deleted,
    a_killed_worker_submits_once,
    the_trigger_form_chooses,
    a_table_is_written,
)
