"""Sweeps environments from a DAG, where Airflow can be asked which tasks still wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_dcp_provider.hooks.dcp import environment_for
from airflow_dcp_provider.hooks.settings import read_settings
from airflow_dcp_provider.hooks.sweeping import Sweep, history, rules_for, sweep_environment
from airflow_dcp_provider.hooks.waiting import GENERATED_WAITS, RunState, Submitted, execution_of, waits_of
from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.operators.faults import faults
from airflow_dcp_provider.runner.sweeper import Rules

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_dcp_provider.model.environment import Environment


class SweepOperator(BaseOperator):
    """Finds what executions have left over, mends it or says it, and cancels what no task of this Airflow waits for any more.

    :param environments: which environments, whatever their connections say; None for those of ``[dcp] environments`` whose
        connection has ``sweep`` set.
    :param cancel_orphans: cancel executions whose waiting task has ended; False only names them.
    :param waiting_tasks: submit task's id -> id of the task that waits for its execution; the default is right for generated DAGs.
        Where it has no entry, an execution counts as waited for as long as its DAG run is active.
    :param orphan_grace: seconds after its submit from which an execution that no task waits for is an orphan.
    :param dry_run: change nothing.
    """

    template_fields: Sequence[str] = ("environments",)
    ui_color = "#eeeeee"

    def __init__(
        self,
        *,
        environments: Sequence[str] | None = None,
        cancel_orphans: bool = True,
        waiting_tasks: Mapping[str, str] = GENERATED_WAITS,
        orphan_grace: float = Rules.orphan_grace,
        dry_run: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.environments = environments
        self.cancel_orphans = cancel_orphans
        self.waiting_tasks = dict(waiting_tasks)
        self.orphan_grace = orphan_grace
        self.only_look = dry_run

    def execute(self, context: Context) -> list[dict[str, Any]]:  # noqa: ARG002 - Airflow's signature
        """Sweep, and return what was found in each environment.

        :raises DcpEnvironmentError: DCP490 when something could not be looked at or mended; everything else was.
        """
        with faults():
            chosen = [environment_for(name) for name in self.environments or read_settings().environments]
        store = history()
        waits = waits_of(_run_state, _handed_on, lambda execution: bool(store.attempts(execution)), self.waiting_tasks)
        swept = [
            sweep_environment(environment, waits, rules=self._rules(environment), dry_run=self.only_look)
            for environment in chosen
            if self.environments is not None or environment.sweep
        ]
        for one in swept:
            self._log(one)
        if not swept:
            self.log.info("No environment's connection has `sweep` set: nothing was looked at")
        if incomplete := [one.environment for one in swept if not one.complete]:
            raise DcpEnvironmentError(
                f"the sweep of {', '.join(incomplete)} is not complete; the log names each place and thing",
                code="DCP490",
                hint="the next sweep tries again; a place that is refused needs the rights of docs/operating.md",
            )
        return [one.to_dict() for one in swept]

    def _rules(self, environment: Environment) -> Rules:
        return replace(rules_for(environment), cancel_orphans=self.cancel_orphans, orphan_grace=self.orphan_grace)

    def _log(self, one: Sweep) -> None:
        self.log.info("Environment %s: %d left over", one.environment, len(one.swept))
        for swept in one.swept:
            finding = swept.finding
            done = "done" if swept.done else swept.error or "not done"
            self.log.info("%s %s in %s: %s, %s", finding.action, finding.ref.name, finding.ref.namespace, finding.why, done)
        for place, why in one.unseen.items():
            self.log.warning("%s could not be looked at: %s", place, why)


def _run_state(dag_id: str, run_id: str) -> RunState:
    """Return a run's state, asked through the task's own channel to Airflow."""
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    states = RuntimeTaskInstance.get_task_states(dag_id=dag_id, run_ids=[run_id]).get(run_id) or {}
    active = RuntimeTaskInstance.get_dr_count(dag_id=dag_id, run_ids=[run_id], states=["queued", "running"])
    return RunState(bool(active), {task: str(state) if state else None for task, state in states.items()})


def _handed_on(submitted: Submitted) -> str | None:
    """Return the execution that a submit task left in XCom."""
    from airflow.sdk.execution_time.xcom import XCom

    handle = XCom.get_one(
        key="return_value",
        dag_id=submitted.dag_id,
        run_id=submitted.run_id,
        task_id=submitted.task_id,
        map_index=submitted.map_index if submitted.map_index >= 0 else None,
    )
    return execution_of(handle)
