"""``load_dags()``: the manifests of a folder as DAGs, from a loader file of two lines in the DAGs folder.

Airflow imports the loader file in three situations, and each needs something else:

===================  =======================================  ==========================================================
who imports          what it gets                             a manifest that cannot be used
===================  =======================================  ==========================================================
the DAG processor    every DAG                                is an import error under its own path
a task process       the one DAG whose task it runs           is a DAG that finishes what already runs
anyone else          every DAG, or the one that it asked for  is logged; when it was asked for, its error is raised
===================  =======================================  ==========================================================
"""

from __future__ import annotations

import contextlib
import gc
import inspect
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from airflow import settings
from airflow.exceptions import AirflowClusterPolicySkipDag
from airflow.providers.common.compat.sdk import conf
from airflow.sdk import DAG, get_parsing_context

from airflow_dcp_provider.hooks.settings import DcpSettings, read_settings
from airflow_dcp_provider.model.errors import DcpError, ManifestError, Position, Problem, UsageError
from airflow_dcp_provider.model.home import private_home
from airflow_dcp_provider.model.texts import one_line
from dag_factory.broken import ImportErrorDag, ManifestDag, fallback_dag
from dag_factory.compilation import Check
from dag_factory.dag import TASK_IDS, build_dag_from_parts
from dag_factory.folder import ManifestFolder, gone
from dag_factory.maintenance import DAG_ID, maintenance_dag
from dag_factory.manifest.settings import CompileSettings
from dag_factory.parts import DagParts

log = logging.getLogger(__name__)


def load_dags(folder: str | Path | None = None, *, maintenance: bool = True) -> dict[str, DAG]:
    """Return the DAGs of every manifest in a folder and in the folders below it, by DAG id.

    :param folder: the folder of manifests, relative to the file that calls this; by default the folder of that file.
    :param maintenance: whether the maintenance DAG is among them where ``[dcp] maintenance_schedule`` asks for one. A deployment
        with several loader files leaves it out in all but one.
    :raises UsageError: DCP194 when there is no such folder.
    :raises ManifestError: when one DAG was asked for outside a task, and its manifest cannot be used.
    """
    frame = inspect.currentframe()
    caller = frame.f_back.f_globals.get("__file__") if frame and frame.f_back else None
    # Without `..`, and with links as they are: Airflow's own paths follow none.
    root = Path(os.path.abspath((Path(caller).parent if caller else Path()) / (folder or "")))  # noqa: PTH100
    if not root.is_dir():
        raise UsageError(
            f"load_dags() was asked for the folder {root}, which is not there",
            code="DCP194",
            hint="the folder is relative to the file that calls load_dags(); without one, that file's own folder is taken",
        )
    deployment = read_settings()
    supervised = _is_supervised()
    settings = CompileSettings(
        deployment_environment=deployment.environment,
        default_catalog=deployment.catalog,
        allowed_spark_conf=tuple(deployment.allowed_spark_conf),
        team_folders=deployment.team_folders,
    )
    loader = _Loader(
        ManifestFolder(
            root,
            deployment.environments,
            settings,
            _cache_folder(deployment.home),
            ignore_syntax=conf.get("core", "dag_ignore_file_syntax", fallback="glob"),
            check=_handover_check(deployment) if supervised and get_parsing_context().dag_id is None else None,
        ),
        supervised=supervised,
        maintenance_schedule=deployment.maintenance_schedule if maintenance else "",
        patience=_patience(),
    )
    asked = get_parsing_context()
    if asked.dag_id is None:
        with _garbage_collection_paused():
            return loader.every_dag()
    return loader.one_dag(asked.dag_id, asked.task_id)


def _cache_folder(home: Path) -> Path:
    """Return where compiled manifests are kept; where the home is not this user's own, nothing is, and nothing is believed."""
    try:
        return private_home(home) / "cache" / "dags"
    except DcpError as error:
        log.warning("Compiled manifests are not kept: %s", error)
        return Path(os.devnull, "cache")


@contextlib.contextmanager
def _garbage_collection_paused() -> Iterator[None]:
    """Pause the garbage collector while thousands of DAGs are made: they all stay, and it would walk over them again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _is_supervised() -> bool:
    """Whether a DAG processor or a task supervisor started this process. Airflow's own models ask in the same way."""
    return hasattr(sys.modules.get("airflow.sdk.execution_time.task_runner"), "SUPERVISOR_COMMS")


def _handover_check(deployment: DcpSettings) -> Check:
    """Return what finds that Airflow would not take a DAG. What it needs is imported when something must be checked."""
    made: list[Check] = []

    def check(parts: DagParts) -> None:
        from dag_factory.handover import HandoverCheck

        if not made:
            made.append(HandoverCheck(deployment.environments, deployment.environment))
        made[0](parts)

    return check


#: The share of Airflow's time-outs for a file in which manifests are compiled; the rest is for making the DAGs.
_SHARE = 0.5


def _patience() -> float | None:
    """Return for how many seconds manifests may be compiled, so that Airflow's time-outs are not reached; None without any."""
    limits = (
        conf.getfloat("core", "dagbag_import_timeout", fallback=30.0),
        conf.getfloat("dag_processor", "dag_file_processor_timeout", fallback=50.0),
    )
    return min((limit * _SHARE for limit in limits if limit > 0), default=None)


class _Loader:
    """Turns what a folder holds into what the importing process needs."""

    def __init__(
        self, manifests: ManifestFolder, *, supervised: bool, maintenance_schedule: str = "", patience: float | None = None
    ) -> None:
        self._patience = patience
        self._manifests = manifests
        self._supervised = supervised
        self._maintenance_schedule = maintenance_schedule

    def every_dag(self) -> dict[str, DAG]:
        """Return every DAG; in the DAG processor also an import error per manifest that cannot be used."""
        dags: dict[str, DAG] = {}
        loaded = self._manifests.load(self._patience)
        errors = dict(loaded.errors)
        for parts in loaded.parts:
            try:
                dags[parts.dag_id] = dag = self._build(parts)
            except ManifestError as error:
                errors[parts.path] = error
            else:
                if self._supervised and isinstance(dag, ManifestDag):
                    dag.show_code_of(str(self._manifests.root / parts.path))
        for path, problem in sorted(errors.items()):
            if not self._supervised or not self._report(path, problem, dags):
                log.error("The manifest %s cannot be used:\n%s", one_line(path), problem)
        if self._maintenance_schedule and DAG_ID not in dags:
            try:
                dags[DAG_ID] = self._maintenance()
            except DcpError:
                # The manifests' DAGs are worth more than this one.
                log.exception("The maintenance DAG is left out")
        return dags

    def _report(self, path: str, problem: ManifestError, dags: dict[str, DAG]) -> bool:
        """Add an import error to ``dags``; return whether the deployment's policies let it pass."""
        dag = ImportErrorDag(str(self._manifests.root / path), problem)
        try:
            obey_policies(dag, path)
        except ManifestError:
            log.exception("The import error of %s cannot be shown", one_line(path))
            return False
        dags[dag.dag_id] = dag
        return True

    def one_dag(self, dag_id: str, task_id: str | None) -> dict[str, DAG]:
        """Return the one DAG that was asked for; nothing when no manifest makes it."""
        found = self._manifests.find(dag_id, self._patience)
        error = found.error
        if found.parts is not None:
            try:
                return {dag_id: self._build(found.parts)}
            except ManifestError as refused:
                error = refused
        elif dag_id == DAG_ID and self._maintenance_schedule:
            return {dag_id: self._maintenance()}
        # Other DAGs may stand in the loader file beside ours, hence the look at the task.
        if self._supervised and task_id in TASK_IDS:
            return {dag_id: fallback_dag(dag_id, error or gone(dag_id, self._manifests.root), known=found.last_known)}
        if error is not None:
            raise error
        return {}

    def _maintenance(self) -> DAG:
        dag = maintenance_dag(self._maintenance_schedule)
        if self._supervised:
            obey_policies(dag, DAG_ID)
        return dag

    def _build(self, parts: DagParts) -> DAG:
        manifests = self._manifests
        dag = build_dag_from_parts(parts, manifests.environments, manifests.deployment_environment, dag_class=ManifestDag)
        if self._supervised:
            obey_policies(dag, parts.path)
        return dag


def obey_policies(dag: DAG, path: str) -> None:
    """Apply the deployment's cluster policies to one DAG, as Airflow does once more when it takes the DAG over.

    There a violation would count against the loader file, and Airflow would take every DAG of it for stale.

    :param path: the manifest, as errors name it.
    :raises ManifestError: DCP196 when a policy refuses the DAG or one of its tasks.
    """
    try:
        settings.dag_policy(dag)  # type: ignore[no-untyped-call]
        for task in dag.tasks:
            settings.task_policy(task)  # type: ignore[no-untyped-call]
    except AirflowClusterPolicySkipDag:
        # Airflow will skip this DAG, and only this one.
        return
    except Exception as error:
        problem = Problem(
            "DCP196",
            f"a cluster policy of this Airflow refuses the DAG `{dag.dag_id}`: {error}",
            Position(path, 1, 1),
            hint="change the manifest as the policy asks; the deployment's administrators know its rules",
        )
        raise ManifestError([problem]) from error
