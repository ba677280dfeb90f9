"""Submits a Spark execution exactly once and returns; the sensor in :mod:`airflow_dcp_provider.sensors.spark_execution` waits."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, BaseOperator

from airflow_dcp_provider.hooks.dcp import environment_for
from airflow_dcp_provider.hooks.lineage import execution_lineage, with_lineage
from airflow_dcp_provider.hooks.placements import place
from airflow_dcp_provider.hooks.runners import runner_for
from airflow_dcp_provider.links.execution import ExecutionLink, SparkHistoryLink, SparkUiLink, TableLink, addresses
from airflow_dcp_provider.model.errors import DcpError, ExecutionError, UsageError
from airflow_dcp_provider.model.execution import Actor, AttemptRef, Cancellation
from airflow_dcp_provider.model.job import JobSpec
from airflow_dcp_provider.model.names import resource_name
from airflow_dcp_provider.operators.faults import faults
from airflow_dcp_provider.operators.jobs import RunJob, check_job, resolve_job, summary
from airflow_dcp_provider.operators.run_context import end_round, map_index, run_key, run_nonce, submitter_of, triggered_by
from airflow_dcp_provider.runner.identity import execution_id, idempotency_key
from airflow_dcp_provider.runner.runner import SparkRunner
from airflow_dcp_provider.runner.values import SubmitRequest
from airflow_dcp_provider.triggers.kill import KillWatch

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_dcp_provider.model.environment import Environment


class SparkRunnerSubmitOperator(BaseOperator):
    """Submits one Spark execution and returns its handle, an :class:`Execution` as a mapping.

    However often the task is tried, one execution has one attempt: what exists already is handed on.

    :param job: the job, in a hand-written DAG: a :class:`JobSpec` or a mapping with its fields. Texts may hold the templates that
        :mod:`airflow_dcp_provider.model.templates` allows.
    :param jobs: in a generated DAG, environment -> ``{"job": ..., "fingerprint": ...}``. It is not part of the serialized DAG.
    :param environment: the environment to run in; the run's parameter ``environment`` is above it, ``[dcp] environment`` below.
    """

    template_fields: Sequence[str] = ("run", "job")
    template_fields_renderers = {"run": "json", "job": "json"}  # noqa: RUF012 - as BaseOperator declares it
    operator_extra_links = (SparkUiLink(), SparkHistoryLink(), ExecutionLink(), TableLink())
    ui_color = "#e8f1fb"

    def __init__(
        self,
        *,
        job: Mapping[str, Any] | JobSpec | None = None,
        jobs: Mapping[str, Mapping[str, Any]] | None = None,
        environment: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (job is None) == (jobs is None):
            raise UsageError(f"task {self.task_id} needs either `job` or `jobs`", hint="a hand-written DAG gives one `job`")
        self.job = job.to_dict() if isinstance(job, JobSpec) else job
        self.jobs = jobs
        self.environment = environment
        #: What the Rendered Template tab shows first; filled when the task runs.
        self.run: dict[str, Any] = {}
        self.link_addresses: dict[str, str] = {}
        self._found: RunJob | None = None
        self._environment: Environment | None = None
        self._runner: SparkRunner | None = None
        self._submitting: AttemptRef | None = None
        self._actor = Actor()
        self._killed = False

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:  # noqa: ARG002 - ours is sandboxed
        """Choose the run's environment and render its job with the names that manifests may use, in a sandbox."""
        with faults():
            given: Any = self.job
            job = given.resolve(context) if hasattr(given, "resolve") else given
            found = resolve_job(context, job, self.jobs, self.environment)
            environment = environment_for(found.environment)
        self._found, self._environment = found, environment
        self.run = summary(found, environment.backend, self.retries or 0)
        self.job = found.job.to_dict()

    def execute(self, context: Context) -> dict[str, Any]:
        """Submit, or find what was submitted before, and return the execution's handle."""
        with faults():
            if self._found is None:
                self.render_template_fields(context)
            found, environment = self._found, self._environment
            if found is None or environment is None:
                raise AssertionError
            check_job(found.job, environment, found.places)
            found = replace(found, job=with_lineage(found.job, context))
            self._runner = runner_for(environment)
            self._actor = submitter_of(context)
            watch = KillWatch(context["ti"])
            request = self._request(context, found, environment)
            identity = execution_id(request.idempotency_key)
            name = resource_name(found.job.name, identity, 1)
            self._submitting = AttemptRef(identity, 1, found.environment, request.cluster, request.namespace, name)
            try:
                execution = self._runner.submit(request)
            except ExecutionError as error:
                if error.code == "DCP301":
                    # A user has ended this execution, and nobody was handed it to wait for: only clearing this task leads on.
                    end_round(context, self._actor)
                raise
            self._submitting = execution.ref
        if self._killed or watch.killed():
            # The kill came before there was an attempt to cancel, or Airflow has not yet told this process of it.
            self._cancel()
            raise AirflowFailException("the task was killed while it submitted; what it had started was cancelled")
        for warning in execution.warnings:
            self.log.warning(warning)
        self.log.info("Execution %s, attempt %d (%s)", execution.execution_id, execution.ref.attempt, execution.ref.name)
        attempt = self._runner.check(execution.ref)
        self.link_addresses = addresses(context, found.job, environment, attempt, self._waiting_task())
        end_round(context, self._actor)
        return execution.to_dict()

    def on_kill(self) -> None:
        """Cancel the attempt that is being submitted; the next try of this task starts the next one."""
        self._killed = True
        self._cancel()

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ARG002 - the openlineage provider's signature
        """Return what the submitted execution reads; what it writes is the waiting task's to say, once it is written."""
        if self._found is None or self._submitting is None:
            return None
        return execution_lineage(self._found.job, self._submitting.execution_id, written=False)

    def _request(self, context: Context, found: RunJob, environment: Environment) -> SubmitRequest:
        ti = context["ti"]
        key = idempotency_key(
            found.job.manifest_id,
            found.environment,
            ti.dag_id,
            ti.run_id,
            map_index(context),
            self._actor.round_try,
            run_nonce(context),
        )
        first_try = self._actor.try_number == self._actor.round_try
        placement = place(
            environment,
            found.job,
            execution_id(key),
            first_try=first_try,
            triggered_by=triggered_by(context),
            places=found.places,
        )
        return SubmitRequest(
            idempotency_key=key,
            job=found.job,
            fingerprint=found.fingerprint,
            actor=self._actor,
            cluster=placement.cluster.name,
            namespace=placement.namespace,
            first_try=first_try,
            run_key=run_key(context),
            ds=found.date.ds,
        )

    def _cancel(self) -> None:
        if self._runner is None or self._submitting is None:
            return
        try:
            self._runner.cancel_latest(self._submitting, Cancellation(self._actor, "kill", time.time()))
        except DcpError as error:
            self.log.warning("The attempt could not be cancelled: %s", error)

    def _waiting_task(self) -> str:
        """Return the one task that follows, whose log is the driver's; this task where there is not exactly one."""
        following = sorted(self.downstream_task_ids)
        return following[0] if len(following) == 1 else self.task_id
