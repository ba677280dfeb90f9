"""From a compiled manifest to its DAG: ``ensure_tables -> submit -> wait -> publish``.

:func:`build_dag` is the whole way from manifest to DAG, so that a discovery mechanism other than :mod:`dag_factory.loader` needs
only an adapter. What a DAG is made of is a plain value, :class:`~dag_factory.parts.DagParts`, which :mod:`dag_factory.cache` keeps:
building from it costs little more than the Airflow objects themselves. Nothing here reads a file, a clock or a connection.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Asset, Param

from airflow_dcp_provider.model.errors import DcpError, ManifestError, Position, Problem
from airflow_dcp_provider.model.parameters import form_schema
from airflow_dcp_provider.operators.publish import IcebergPublishOperator
from airflow_dcp_provider.operators.spark_runner import SparkRunnerSubmitOperator
from airflow_dcp_provider.operators.tables import EnsureTablesOperator
from airflow_dcp_provider.sensors.spark_execution import SparkExecutionSensor
from dag_factory.manifest.moments import last_moment, utc_moment
from dag_factory.parts import DagParts, dag_parts
from dag_factory.timetables import data_interval_timetable

if TYPE_CHECKING:
    from dag_factory.compiled import CompiledManifest

#: The task ids of every DAG made from a manifest, in order.
TASK_IDS = ("ensure_tables", "submit", "wait", "publish")

#: Airflow's own retries of each task: for faults of the infrastructure. They never start a Spark attempt.
TASK_RETRIES = 2
TASK_RETRY_DELAY = dt.timedelta(seconds=30)

#: Schedules that are no cron expression; Airflow knows them by these words.
_WORDS = frozenset({"@once", "@continuous"})


def build_dag(compiled: CompiledManifest, environments: Sequence[str], deployment_environment: str) -> DAG:
    """Return the DAG of a compiled manifest.

    :param environments: environments that the trigger form offers.
    :param deployment_environment: the environment of scheduled runs, and the form's default.
    :raises ManifestError: DCP190 when Airflow refuses the DAG, DCP191 when its notifications cannot be sent from here.
    """
    return build_dag_from_parts(dag_parts(compiled, deployment_environment), environments, deployment_environment)


def build_dag_from_parts(
    parts: DagParts, environments: Sequence[str], deployment_environment: str, *, dag_class: type[DAG] = DAG
) -> DAG:
    """Return the DAG that is made of ``parts``; the arguments and errors are :func:`build_dag`'s.

    :param dag_class: the class of the DAG; the loader's own shows the manifest as the DAG's code.
    """
    try:
        return _assemble(parts, environments, deployment_environment, dag_class)
    except DcpError:
        raise
    except Exception as error:
        # Whatever Airflow dislikes is the manifest's, and must not take the other DAGs of the folder down.
        problem = Problem("DCP190", f"Airflow refuses the DAG `{parts.dag_id}`: {error}", Position(parts.path, 1, 1))
        raise ManifestError([problem]) from error


def _assemble(parts: DagParts, environments: Sequence[str], deployment_environment: str, dag_class: type[DAG]) -> DAG:
    spec = parts.dag
    settings = spec["airflow"]
    optional = {name: spec[name] for name in ("max_active_runs",) if spec[name] is not None}
    # auto_register off: a DAG that fails half-way must not be found by Airflow without its tasks.
    dag = dag_class(
        parts.dag_id,
        schedule=_schedule(spec["schedule"]),
        start_date=spec["start_date"] and utc_moment(spec["start_date"]),
        end_date=spec["end_date"] and last_moment(spec["end_date"]),
        catchup=spec["catchup"],
        description=spec["description"] or None,
        tags=sorted(spec["tags"]),
        doc_md=_documentation(parts, environments),
        default_args=task_defaults(spec["owner"], settings),
        auto_register=False,
        **optional,
        **_callbacks(settings.get("notifications") or {}, parts),
    )
    inlets = [Asset(name=uri, uri=uri) for uri in parts.inlets]
    outlets = [Asset(name=uri, uri=uri) for uri in parts.outlets]
    ensure = EnsureTablesOperator(task_id=TASK_IDS[0], dag=dag, tables=parts.tables)
    submit = SparkRunnerSubmitOperator(task_id=TASK_IDS[1], dag=dag, jobs=parts.jobs, inlets=inlets)
    wait = SparkExecutionSensor(task_id=TASK_IDS[2], dag=dag, execution=submit.output, jobs=parts.jobs)
    publish = IcebergPublishOperator(task_id=TASK_IDS[3], dag=dag, execution=wait.output, outlets=outlets)
    ensure >> submit >> wait >> publish
    # Last, because each task made before copies and checks all params of its DAG, half of the cost of the whole DAG. A run's params
    # are the DAG's with the task's own above them, so nothing is lost.
    dag.params.update(_params(spec["params"], spec.get("declared_params") or {}, environments, deployment_environment))
    # Airflow does the same later, but would count what it finds against the loader file.
    dag.validate()  # type: ignore[no-untyped-call]
    return dag


def _schedule(schedule: str | Sequence[str] | None) -> Any:
    if schedule is None or (isinstance(schedule, str) and schedule in _WORDS):
        return schedule
    if isinstance(schedule, str):
        return data_interval_timetable(schedule)
    return [Asset(name=uri, uri=uri) for uri in schedule]


def _params(
    defaults: Mapping[str, Any],
    declared: Mapping[str, Mapping[str, Any]],
    environments: Sequence[str],
    deployment_environment: str,
) -> dict[str, Param]:
    own = {name: Param(defaults[name], **_field(name, each)) for name, each in declared.items()}
    plain = {name: value for name, value in defaults.items() if name not in declared}
    return {
        "environment": Param(
            deployment_environment,
            type="string",
            enum=list(environments),
            title="Environment",
            description=(
                # The form shows this as plain text.
                f"Where the run reads, computes and writes. Only a run in {deployment_environment}, this deployment's own, "
                "announces its tables to DAGs that are scheduled on them."
            ),
        ),
        **own,
        "parameters": Param(
            plain,
            type="object",
            # Airflow writes a run's values over the Params' own; the defaults stay here.
            properties={name: {**form_schema(declared.get(name, {})), "default": value} for name, value in defaults.items()},
            additionalProperties=False,
            title="Parameters" if not own else "Other parameters",
            description="Values that the manifest's templates read as params.parameters.<name>, as a JSON object.",
        ),
    }


def _field(name: str, declared: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes a declared parameter a field of the trigger form."""
    # The form shows a description as plain text.
    return {**form_schema(declared), "title": name, "description": declared.get("description") or None}


def task_defaults(owner: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what every task of a DAG has in common.

    :param settings: the manifest's ``airflow`` block.
    """
    args: dict[str, Any] = {"owner": owner, "retries": TASK_RETRIES, "retry_delay": TASK_RETRY_DELAY}
    for name, argument in (("pool", "pool"), ("queue", "queue"), ("priority", "priority_weight")):
        if settings.get(name) is not None:
            args[argument] = settings[name]
    return args


def _callbacks(notifications: Mapping[str, Any], parts: DagParts) -> dict[str, Any]:
    callbacks: dict[str, Any] = {}
    for event, argument, word in (
        ("onFailure", "on_failure_callback", "failed"),
        ("onSuccess", "on_success_callback", "succeeded"),
    ):
        if emails := list(notifications.get(event) or ()):
            callbacks[argument] = _email_notifier(emails, word, parts)
    return callbacks


def _email_notifier(emails: list[str], word: str, parts: DagParts) -> Any:
    try:
        from dag_factory.notifications import RunMail
    except ImportError as error:
        problem = Problem(
            "DCP191",
            "`orchestration.airflow.notifications` sends e-mail, and Airflow's smtp provider is not installed",
            Position(parts.path, 1, 1),
            hint="install apache-airflow-providers-smtp and define the connection smtp_default, or remove the notifications",
        )
        raise ManifestError([problem]) from error
    return RunMail(emails, word)


def _documentation(parts: DagParts, environments: Sequence[str]) -> str:
    longest = max((len(run) for run in re.findall("`+", parts.text)), default=0)
    fence = "`" * max(3, longest + 1)
    # No inline code: in Airflow's dialog its frame lies over the lines above and below.
    tables = "".join(f"- writes {_plain(uri)}\n" for uri in parts.outlets) + "".join(
        f"- reads {_plain(uri)}\n" for uri in parts.inlets
    )
    return (
        f"**{_plain(parts.manifest_id)}** ({parts.kind}), made from the manifest {_plain(parts.path)}. "
        f"Environments: {', '.join(environments)}.\n\n{tables}\n"
        f"{fence}yaml\n{parts.text.rstrip()}\n{fence}\n"
    )


def _plain(text: str) -> str:
    """Return a text of which Markdown shows every character, on one line and without links."""
    one_line = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text)
    # A dot after `www`, because Markdown makes a link of what begins so.
    return re.sub(r"[\\`*_\[\]<>&!#|~$]|(?<=www)\.", lambda special: f"\\{special[0]}", one_line, flags=re.IGNORECASE)
